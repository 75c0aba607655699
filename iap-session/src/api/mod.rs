//! The session over HTTP, for applications in any language.
//!
//! A request on a route with [`SessionPolicy::forward`](crate::SessionPolicy::forward) reaches its
//! upstream with a token and the address of this service. With them the application reads and
//! changes the session of exactly that request, for as long as the request runs: changes are kept
//! in the gateway and committed with the response, once, before its first byte. If that commit
//! fails, the client gets the error and not the application's response. The token is useless as
//! soon as the response head is committed.
//!
//! Serve [`SessionApi`] on a loopback address: tokens protect sessions, not the listener.
//! `docs/session-api.md` is the contract, with examples.
//!
//! | request | answer |
//! |---|---|
//! | `GET /session` | the state: `{"user", "new", "version", "handle", "ended", "attributes"}`; with `?versions` those of the attributes, too |
//! | `PATCH /session` `{"set": {..}, "remove": [..], "if": {..}}` | the new state; all changes or none |
//! | `DELETE /session` | 204; the session ends with the response |
//! | `GET /session/attributes/{name}` | the attribute as JSON with its `ETag`, or 404 |
//! | `PUT`, `DELETE /session/attributes/{name}` | 204; with `If-Match` or `If-None-Match: *` decided at once, or 412 |
//! | `POST /session/increment` `{"name": "count", "by": 1}` | the same as the next one, for any name |
//! | `POST /session/attributes/{name}/increment` `{"by": 1}` | `{"value": ..}`, decided at once |
//! | `POST /session/login` `{"user": "..", "group": ".."}` | the new state; the id changes with the response |
//! | `POST /session/logout` | the new state |
//! | `POST /session/rotate` | the new state; the id changes with the response |
//! | `GET /revocations` | which sessions have ended: see [`Revocations`] |

mod attribute;
mod revocations;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use iap_core::{Body, Error, Kind, Origin};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower::Service;

use crate::error::{StoreError, StoreErrorKind};
use crate::forward::{TOKEN_HEADER, TokenRegistry};
use crate::handle::{Session, Snapshot};
use crate::record::Op;
use crate::store::BoxFuture;

pub use revocations::Revocations;

/// The service. See the [module page](self).
#[derive(Clone)]
pub struct SessionApi {
    registry: Arc<TokenRegistry>,
    max_body: usize,
    revocations: Option<Arc<Revocations>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    #[serde(default)]
    set: BTreeMap<String, Value>,
    #[serde(default)]
    remove: Vec<String>,
    /// The versions that attributes must have; `null`: none, it is absent.
    #[serde(default)]
    r#if: BTreeMap<String, Option<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedIncrement {
    name: String,
    #[serde(default = "attribute::one")]
    by: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    user: String,
    #[serde(default)]
    group: Option<String>,
}

/// The state, with the version of each attribute.
#[derive(Serialize)]
struct Versioned {
    #[serde(flatten)]
    state: Snapshot,
    versions: BTreeMap<String, String>,
}

impl SessionApi {
    /// The service for the requests of a registry, with bodies up to 1 MiB.
    pub fn new(registry: Arc<TokenRegistry>) -> Self {
        Self { registry, max_body: 1 << 20, revocations: None }
    }

    /// Another limit for request bodies, between 64 KiB and 1 MiB.
    #[must_use]
    pub fn with_max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes.clamp(64 << 10, 1 << 20);
        self
    }

    /// Also tells applications which sessions have ended.
    #[must_use]
    pub fn with_revocations(mut self, revocations: Arc<Revocations>) -> Self {
        self.revocations = Some(revocations);
        self
    }

    async fn answer(&self, request: Request<Body>) -> Result<Response<Body>, Error> {
        if request.uri().path() == "/revocations" {
            let absent = || Error::new(Kind::NotFound, Origin::Client, "revocations are not told here");
            return self.revocations.as_ref().ok_or_else(absent)?.answer(&request.into_parts().0).await;
        }
        let session = token(request.headers()).and_then(|token| self.registry.resolve(token));
        let session = session.ok_or_else(over)?;
        let path = request.uri().path().to_owned();
        let versions =
            request.uri().query().is_some_and(|query| query == "versions" || query == "versions=1");
        let method = request.method().clone();
        let post = method == Method::POST;
        match path.trim_end_matches('/') {
            "/session" if method == Method::GET => {}
            "/session" if method == Method::PATCH => {
                let patch: Patch = self.json(request).await?;
                patch_session(&session, patch).await?;
            }
            "/session" if method == Method::DELETE => {
                session.destroy()?;
                return Ok(respond(StatusCode::NO_CONTENT, Body::empty()));
            }
            "/session/login" if post => match self.json(request).await? {
                Login { user, group: None } => session.login(&user).await?,
                Login { user, group: Some(group) } => session.login_as(&user, &group).await?,
            },
            "/session/increment" if post => {
                let NamedIncrement { name, by } = self.json(request).await?;
                return attribute::increment(&session, &name, by).await;
            }
            "/session/logout" if post => session.logout()?,
            "/session/rotate" if post => session.rotate()?,
            path => {
                return match path.strip_prefix("/session/attributes/") {
                    Some(name) => self.attribute(&session, name, request).await,
                    None => Err(not_served(path)),
                };
            }
        }
        let state = session.snapshot().await?;
        if !versions {
            return Ok(json(&state));
        }
        let version = |(name, value): (&String, &Value)| (name.clone(), attribute::version(value));
        let versions = state.attributes.iter().map(version).collect();
        Ok(json(&Versioned { state, versions }))
    }

    async fn json<T: DeserializeOwned>(&self, request: Request<Body>) -> Result<T, Error> {
        let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = content_type.and_then(|value| value.split(';').next()).map(str::trim);
        if !media_type.is_some_and(|media_type| media_type.eq_ignore_ascii_case("application/json")) {
            return Err(Error::new(
                Kind::UnsupportedMediaType,
                Origin::Client,
                "the content type must be application/json",
            ));
        }
        let body = Limited::new(request.into_body(), self.max_body).collect().await.map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                Error::new(Kind::TooLarge, Origin::Client, "the body is too large")
            } else {
                Error::new(Kind::BadRequest, Origin::Client, "the body could not be read").with_source(error)
            }
        })?;
        // The parser's message could quote a value; it is left out.
        serde_json::from_slice(&body.to_bytes()).map_err(|_| {
            Error::new(Kind::BadRequest, Origin::Client, "the body is not the JSON that is expected here")
        })
    }
}

impl Service<Request<Body>> for SessionApi {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let api = self.clone();
        Box::pin(async move {
            let answer = api.answer(request).await;
            Ok(answer.unwrap_or_else(|error| {
                let error = if is_sealed(&error) { over() } else { error };
                let mut response = for_applications(error).into_response(None);
                if response.status() == StatusCode::UNAUTHORIZED {
                    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                }
                response
            }))
        })
    }
}

fn over() -> Error {
    Error::new(Kind::Unauthorized, Origin::Client, "the session token is not valid, or not any more")
}

/// The path has no such method, or leads nowhere.
fn not_served(path: &str) -> Error {
    let served = match path {
        "/session" => "GET, PATCH, DELETE",
        "/session/login" | "/session/increment" | "/session/logout" | "/session/rotate" => "POST",
        _ => return Error::new(Kind::NotFound, Origin::Client, "the session API has no such resource"),
    };
    attribute::wrong_method(served)
}

fn unmet() -> Error {
    Error::new(Kind::PreconditionFailed, Origin::Client, "an attribute has another version")
}

/// Changes that wait for the response, or with conditions what is decided now.
async fn patch_session(session: &Session, patch: Patch) -> Result<(), Error> {
    let set = patch.set.into_iter().map(|(name, value)| Op::Set(name, value));
    let ops = set.chain(patch.remove.into_iter().map(Op::Remove)).collect();
    session.load().await?;
    if patch.r#if.is_empty() {
        return Ok(session.change(ops)?);
    }
    let mut conditions = Vec::with_capacity(patch.r#if.len());
    for (name, wanted) in patch.r#if {
        let value = session.value(&name).await?;
        if value.as_ref().map(attribute::version) != wanted {
            return Err(unmet());
        }
        conditions.push((name, value));
    }
    if session.update(conditions, ops).await? { Ok(()) } else { Err(unmet()) }
}

fn store_error(error: &Error) -> Option<&StoreError> {
    std::error::Error::source(error).and_then(|source| source.downcast_ref::<StoreError>())
}

/// Whether the commit has begun between the look at the token and the change: too late as well.
fn is_sealed(error: &Error) -> bool {
    store_error(error).is_some_and(|error| error.kind() == StoreErrorKind::Sealed)
}

/// What an application is told, which is more than a client on the Web learns: which limit, which name.
fn for_applications(error: Error) -> Error {
    let told = store_error(&error).filter(|cause| {
        use StoreErrorKind::{Conflict, Invalid, Refused, TooLarge};
        matches!(cause.kind(), TooLarge | Invalid | Refused | Conflict)
    });
    match told.map(|cause| format!("{}: {cause}", error.message())) {
        Some(message) => error.with_message(message),
        None => error,
    }
}

/// The token, as `Authorization: Bearer` (RFC 6750) or in the header it came in.
fn token(headers: &HeaderMap) -> Option<&str> {
    bearer(headers).or_else(|| headers.get(TOKEN_HEADER).and_then(|value| value.to_str().ok()))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn json(value: &impl serde::Serialize) -> Response<Body> {
    let text = serde_json::to_vec(value).expect("names and JSON values have a JSON form");
    let mut response = respond(StatusCode::OK, Bytes::from(text).into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn respond(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
