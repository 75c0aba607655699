//! Who asks, and what they may: before the handlers. And the handlers of signing in and out.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Json, Response};
use axum::{Extension, RequestExt};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use iap_core::{Connection, Error, Kind, Origin};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::AdminState;
use super::error::{ApiError, ApiResult};
use super::params::{Body, Params};
use super::redact::redact;
use crate::access::audit::{MAX_PAGE, Record};
use crate::access::{Access, Caller, Refused, Right};
use crate::revisions::redact as redact_secrets;

/// The largest body of a request that changes something: a configuration is the largest.
const MAX_BODY: usize = 2 << 20;
/// What of it is written down.
const MAX_NOTED: usize = 4 << 10;
const DEFAULT_PAGE: usize = 100;

/// Finds out who asks. Answers to those who may not know whose requests are lose that.
pub(super) async fn identify(State(state): State<AdminState>, mut request: Request, next: Next) -> Response {
    let access = state.0.access.load_full();
    let caller = match &access {
        None => Some(Caller::local()),
        Some(access) => access.caller(request.headers()),
    };
    if let Some(caller) = &caller {
        if caller.sign_in.is_some() && !is_read(&request) && !is_from_a_page(request.headers()) {
            // Every browser says where a request that changes something comes from.
            return ApiError::forbidden("a request with the cookie of a sign-in must say its `Origin`")
                .into_response();
        }
        request.extensions_mut().insert(caller.clone());
    }
    let sees_all = caller.is_none_or(|caller| caller.may(Right::Person));
    let response = next.run(request).await;
    if sees_all { response } else { redact(response).await }
}

fn is_read(request: &Request) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
}

/// Where a page of the console is, as its browser says; the guard has seen that it is this host.
pub(super) fn origin(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::ORIGIN)?.to_str().ok()
}

fn is_from_a_page(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site")
}

/// Lets those through who have a right. What changes something is written down, whether it was let through or not.
pub(super) async fn needs(
    State((state, right)): State<(AdminState, Right)>,
    request: Request,
    next: Next,
) -> Response {
    let caller = request.extensions().get::<Caller>().cloned();
    let access = state.0.access.load_full();
    let Some(caller) = caller else { return unknown().into_response() };
    let refused = || ApiError::forbidden(right.missing()).into_response();
    match access {
        // A question changes nothing, even where it is posted.
        Some(access) if !is_read(&request) && right != Right::Detail => {
            let is_let_in = caller.may(right);
            let run = async |request| if is_let_in { next.run(request).await } else { refused() };
            noted(&access, &caller, request, run).await
        }
        _ if caller.may(right) => next.run(request).await,
        _ => refused(),
    }
}

fn unknown() -> ApiError {
    unauthorized("sign in first, or send a token")
}

/// With a challenge that no browser has a window of its own for (RFC 9110 section 15.5.2 asks for one).
pub(super) fn unauthorized(text: &'static str) -> ApiError {
    let error = Error::new(Kind::Unauthorized, Origin::Client, text);
    error.with_field(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")).into()
}

/// Runs what changes something, and writes down who has asked for it and what came of it.
async fn noted(
    access: &Arc<Access>,
    caller: &Caller,
    request: Request,
    run: impl AsyncFnOnce(Request) -> Response,
) -> Response {
    let from = address(&request);
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let what: String = format!("{} {target}", request.method()).chars().take(MAX_NOTED).collect();
    let (parts, body) = request.with_limited_body().into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        return ApiError::bad_request("the body is too large, or broken off").into_response();
    };
    let with = written(&body);
    let response = run(Request::from_parts(parts, axum::body::Body::from(body))).await;
    let record = Record::new(caller, from, what, with, response.status().as_u16());
    keep(access.clone(), record).await;
    response
}

/// What was sent along, as far as it is kept.
fn written(body: &Bytes) -> Value {
    match serde_json::from_slice(body) {
        Ok(value) if body.len() <= MAX_NOTED => without_secrets(value),
        _ if body.is_empty() => Value::Null,
        _ => json!(format!("{} bytes", body.len())),
    }
}

/// Texts may have secrets in them: a configuration, or what somebody has copied from elsewhere.
fn without_secrets(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(redact_secrets(&text)),
        Value::Array(items) => items.into_iter().map(without_secrets).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, field)| (name, without_secrets(field))).collect()
        }
        other => other,
    }
}

/// Waits until it is on the disk.
pub(super) async fn keep(access: Arc<Access>, record: Record) {
    let _ = tokio::task::spawn_blocking(move || access.audit.note(record)).await;
}

pub(super) fn address(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<Arc<Connection>>().map(|connection| connection.peer().ip())
}

/// What a browser calls itself.
pub(super) fn agent(headers: &HeaderMap) -> &str {
    headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default()
}

pub(super) fn on(state: &AdminState) -> ApiResult<Arc<Access>> {
    let access = state.0.access.load_full();
    access.ok_or_else(|| ApiError::not_found("there are no accounts: `admin.access` is not set"))
}

/// Who one is, and how one may sign in.
pub(super) async fn who(State(state): State<AdminState>, caller: Option<Extension<Caller>>) -> Json<Value> {
    let access = state.0.access.load_full();
    let caller = caller.map(|Extension(caller)| caller);
    Json(json!({
        "enabled": access.is_some(),
        "caller": caller.as_ref().map(told),
        "passwords": access.as_ref().is_some_and(|access| access.has_users()),
        "oidc": access.and_then(|access| access.provider()),
    }))
}

/// Somebody, and what they may.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Caller")]
pub(super) struct Told {
    #[serde(flatten)]
    caller: Caller,
    rights: Vec<Right>,
}

fn told(caller: &Caller) -> Told {
    let rights = Right::ALL.into_iter().filter(|right| caller.may(*right)).collect();
    Told { caller: caller.clone(), rights }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    name: String,
    password: String,
}

/// Signs in. What is wrong, the name or the password, is not told.
pub(super) async fn sign_in(State(state): State<AdminState>, request: Request) -> ApiResult<Response> {
    let access = on(&state)?;
    let from = address(&request).unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    let agent = agent(request.headers()).to_owned();
    let Body(Login { name, password }) = request.extract().await?;
    let name = name.trim();
    let (name, result) = (name.to_owned(), access.sign_in(name, &password, (from, &agent)).await);
    let (who, status) = match &result {
        Ok(_) => (name, StatusCode::OK),
        // It may be a password, typed into the wrong field.
        Err(_) => ("unknown".to_owned(), StatusCode::UNAUTHORIZED),
    };
    let is_noted = !matches!(result, Err(Refused::Wait(_) | Refused::Failed(_)));
    if is_noted {
        let what = "POST /api/access/sign-in".to_owned();
        let role = result.as_ref().ok().map(|(_, caller)| caller.role);
        let status = status.as_u16();
        keep(
            access.clone(),
            Record { at_ms: 0, who, role, from: Some(from), what, with: Value::Null, status },
        )
        .await;
    }
    match result {
        Ok((token, caller)) => {
            let cookie = HeaderValue::try_from(access.cookie(Some(&token))).map_err(|_| unknown())?;
            Ok(([(header::SET_COOKIE, cookie)], Json(json!({ "caller": told(&caller) }))).into_response())
        }
        Err(Refused::Wrong) => Err(unauthorized("the name or the password is wrong")),
        Err(Refused::Wait(seconds)) => {
            let text = format!("too many wrong passwords: try again in {seconds} s");
            let wait = std::time::Duration::from_secs(seconds);
            Err(Error::new(Kind::TooManyRequests, Origin::Client, text).retry_after(wait).into())
        }
        Err(Refused::Failed(error)) => Err(error.into()),
    }
}

/// Signs out; also takes a cookie away that is worth nothing any more. Whoever shall sign out at the provider as well is told
/// where.
pub(super) async fn sign_out(
    State(state): State<AdminState>,
    caller: Option<Extension<Caller>>,
    request: Request,
) -> ApiResult<Response> {
    let access = on(&state)?;
    let mut location = None;
    if let Some(Extension(caller)) = caller
        && let Some(id) = &caller.sign_in
    {
        location = access.end_session(&caller, origin(request.headers())).await;
        access.sign_out(id, None);
        let what = "POST /api/access/sign-out".to_owned();
        keep(access.clone(), Record::new(&caller, address(&request), what, Value::Null, 204)).await;
    }
    let cookie = HeaderValue::try_from(access.cookie(None)).map_err(|_| unknown())?;
    let cookie = [(header::SET_COOKIE, cookie)];
    Ok(match location {
        Some(location) => (cookie, Json(json!({ "location": location }))).into_response(),
        None => (StatusCode::NO_CONTENT, cookie).into_response(),
    })
}

/// Where one is signed in; for admins where everybody is.
pub(super) async fn sign_ins(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
) -> ApiResult<Json<Value>> {
    let list = on(&state)?.sign_ins(whose(&caller));
    Ok(Json(json!({ "sign_ins": list, "own": caller.sign_in })))
}

/// Ends a sign-in: one's own, or for admins anybody's.
pub(super) async fn end(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    match on(&state)?.sign_out(&id, whose(&caller)) {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::not_found("there is no such sign-in")),
    }
}

/// Whose sign-ins somebody may see.
fn whose(caller: &Caller) -> Option<&str> {
    (!caller.may(Right::Administer)).then_some(&*caller.name)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditQuery {
    /// How many: 100, at most 1,000.
    limit: Option<usize>,
    /// Before this moment: `next_before_ms` of the page before.
    before_ms: Option<u64>,
}

/// Who has done what, the latest first.
pub(super) async fn audit(
    State(state): State<AdminState>,
    Params(query): Params<AuditQuery>,
) -> ApiResult<Json<Value>> {
    let access = on(&state)?;
    let limit = query.limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE);
    let before_ms = query.before_ms.unwrap_or(u64::MAX);
    let read = tokio::task::spawn_blocking(move || access.audit.last(limit, before_ms)).await;
    let unreadable = |error: iap_core::BoxError| {
        Error::new(Kind::Unavailable, Origin::Internal, "who has done what cannot be read now")
            .with_source(error)
    };
    let records =
        read.map_err(|error| unreadable(error.into()))?.map_err(|error| unreadable(error.into()))?;
    let next = (records.len() == limit).then(|| records.last().map(|record| record.at_ms)).flatten();
    Ok(Json(json!({ "records": records, "next_before_ms": next })))
}
