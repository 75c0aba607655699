//! Signing in at a provider: the way there, the way back, and the page for those who are not let in.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use axum::extract::{Path, Query, Request, State};
use axum::response::{AppendHeaders, IntoResponse, Json, Response};
use axum::routing::get;
use axum::{RequestExt, Router};
use http::{HeaderValue, StatusCode, Uri, header};
use iap_core::{Error, Kind, Origin};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::AdminState;
use super::access::{address, agent, keep, on, origin};
use super::console;
use super::error::{ApiError, ApiResult};
use super::params::Body;
use crate::access::audit::Record;
use crate::access::{Brought, CALLBACK, Caller, Failure, Person};

/// Where a sign-in is to lead.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// The view of the console that was asked for.
    #[serde(default)]
    return_to: String,
    /// Whether the provider shall ask who it is, though somebody is signed in there.
    #[serde(default)]
    anew: bool,
}

/// Tells a page of the console where to lead its browser. Other pages cannot ask: the guard keeps them out.
pub(super) async fn begin(State(state): State<AdminState>, request: Request) -> ApiResult<Response> {
    let access = on(&state)?;
    if access.provider().is_none() {
        return Err(ApiError::not_found("there is no provider: `admin.access.oidc` is not set"));
    }
    let from = from(&request);
    let origin = origin(request.headers()).map(str::to_owned);
    let origin =
        origin.ok_or_else(|| ApiError::bad_request("a page that leads to a provider says its `Origin`"))?;
    let Body(Wanted { return_to, anew }) = request.extract().await?;
    if let Some(url) = access.elsewhere(&origin) {
        return Err(ApiError::bad_request(format!("sign in at {url}: the provider leads there")));
    }
    let way = access.lead_away((&origin, from), &return_to, anew).await.map_err(told)?;
    let cookie = field(&way.cookie)?;
    Ok(([(header::SET_COOKIE, cookie)], no_store(), Json(json!({ "location": way.location })))
        .into_response())
}

/// Where the provider leads browsers back to. From here they go on at once: what the provider has said leaves the address.
pub(super) async fn finish(State(state): State<AdminState>, request: Request) -> ApiResult<Response> {
    let access = on(&state)?;
    // What cannot be read has been begun by nobody.
    let brought =
        Query::<Brought>::try_from_uri(request.uri()).map(|Query(brought)| brought).unwrap_or_default();
    let Some(back) = access.back(&brought, request.headers()) else {
        return Err(ApiError::not_found("there is no provider: `admin.access.oidc` is not set"));
    };
    let from = from(&request);
    let agent = agent(request.headers()).to_owned();
    let (name, result) = access.come_back(&back, &brought, (from, &agent)).await;
    if let Some(record) = record(from, name, &result) {
        keep(access.clone(), record).await;
    }
    let mut cookies = vec![(header::SET_COOKIE, field(&back.cookie)?)];
    let location = match result {
        Ok((token, ..)) => {
            cookies.push((header::SET_COOKIE, field(&access.cookie(Some(&token)))?));
            Cow::Borrowed(back.return_to())
        }
        Err(failure) => Cow::Owned(format!("/sign-in/{}", failure.name())),
    };
    let location = [(header::LOCATION, field(&location)?)];
    Ok((StatusCode::SEE_OTHER, location, AppendHeaders(cookies), no_store()).into_response())
}

/// The pages of the console that have a status of their own.
pub(super) fn pages() -> Router<AdminState> {
    Router::new().route("/sign-in/{failure}", get(failed))
}

/// The console, which says why somebody was not let in.
async fn failed(Path(failure): Path<String>, uri: Uri) -> Response {
    let status = Failure::by_name(&failure).map_or(StatusCode::NOT_FOUND, Failure::status);
    console::page(status, uri).await
}

/// What is written down: who has signed in, and whom the provider knows but nobody lets in.
fn record<T>(
    from: IpAddr,
    name: Option<String>,
    result: &Result<(T, Caller, Person), Failure>,
) -> Option<Record> {
    let what = format!("GET {CALLBACK}");
    let unknown = || "unknown".to_owned();
    Some(match result {
        Ok((_, caller, person)) => {
            let with = json!({ "subject": person.subject });
            Record::new(caller, Some(from), what, with, StatusCode::SEE_OTHER.as_u16())
        }
        Err(failure) if failure.is_noted() => Record {
            at_ms: 0,
            who: name.unwrap_or_else(unknown),
            role: None,
            from: Some(from),
            what,
            with: json!({ "failure": failure.name() }),
            status: failure.status().as_u16(),
        },
        Err(_) => return None,
    })
}

fn told(failure: Failure) -> ApiError {
    match failure {
        Failure::Wait(seconds) => {
            let error =
                Error::new(Kind::TooManyRequests, Origin::Client, "too many sign-ins: try again later");
            error.retry_after(Duration::from_secs(seconds)).into()
        }
        _ => {
            let text = "the provider that people sign in at cannot be used now: the log says why";
            Error::new(Kind::Unavailable, Origin::Internal, text).into()
        }
    }
}

fn from(request: &Request) -> IpAddr {
    address(request).unwrap_or(Ipv4Addr::UNSPECIFIED.into())
}

fn no_store() -> [(header::HeaderName, HeaderValue); 1] {
    [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))]
}

fn field(text: &str) -> ApiResult<HeaderValue> {
    HeaderValue::try_from(text).map_err(|_| ApiError::bad_request("this cannot be answered"))
}
