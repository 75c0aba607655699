//! One attribute as a resource with a version.

use http::header::{ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use http::{Method, Request, Response, StatusCode};
use iap_core::{Body, Error, Kind, Origin, gate};
use serde::Deserialize;
use serde_json::Value;

use crate::handle::Session;
use crate::record::Op;

use super::{SessionApi, json, not_served, respond, unmet};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Increment {
    #[serde(default = "one")]
    by: i64,
}

pub(super) fn one() -> i64 {
    1
}

/// What a request asks of the attribute before it is changed.
enum Condition {
    None,
    /// `If-None-Match: *`
    Absent,
    /// `If-Match`, without the quotes.
    Versions(Vec<String>),
}

impl SessionApi {
    /// Answers a request for `/session/attributes/{path}`.
    pub(super) async fn attribute(
        &self,
        session: &Session,
        path: &str,
        request: Request<Body>,
    ) -> Result<Response<Body>, Error> {
        let (name, action) = path.split_once('/').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let bad_name = || bad_request("the attribute name is not percent-encoded UTF-8");
        let name = gate::percent_decode(name).ok_or_else(bad_name)?;
        let method = request.method().clone();
        match (action, &method) {
            (None, &Method::GET) => read(session, &name).await,
            (None, &Method::PUT) => {
                let condition = condition(request.headers())?;
                let value: Value = self.json(request).await?;
                let version = version(&value);
                write(session, name, Some(value), condition).await?;
                Ok(tagged(respond(StatusCode::NO_CONTENT, Body::empty()), &version))
            }
            (None, &Method::DELETE) => {
                write(session, name, None, condition(request.headers())?).await?;
                Ok(respond(StatusCode::NO_CONTENT, Body::empty()))
            }
            (Some("increment"), &Method::POST) => {
                let Increment { by } = self.json(request).await?;
                increment(session, &name, by).await
            }
            (None, _) => Err(wrong_method("GET, PUT, DELETE")),
            (Some("increment"), _) => Err(wrong_method("POST")),
            (Some(_), _) => Err(not_served(path)),
        }
    }
}

/// The version of an attribute: the same value has the same one.
pub(super) fn version(value: &Value) -> String {
    let hash = blake3::hash(value.to_string().as_bytes());
    crate::id::hex(&hash.as_bytes()[..8])
}

/// Adds to a whole number and answers with the sum.
pub(super) async fn increment(session: &Session, name: &str, by: i64) -> Result<Response<Body>, Error> {
    let value = session.increment(name, by).await?;
    Ok(json(&serde_json::json!({ "value": value })))
}

async fn read(session: &Session, name: &str) -> Result<Response<Body>, Error> {
    let absent = || Error::new(Kind::NotFound, Origin::Client, "the session has no such attribute");
    let value = session.value(name).await?.ok_or_else(absent)?;
    Ok(tagged(json(&value), &version(&value)))
}

async fn write(
    session: &Session,
    name: String,
    value: Option<Value>,
    condition: Condition,
) -> Result<(), Error> {
    let op = match value {
        Some(value) => Op::Set(name.clone(), value),
        None => Op::Remove(name.clone()),
    };
    let expected = match condition {
        Condition::None => {
            session.load().await?;
            return Ok(session.change(vec![op])?);
        }
        Condition::Absent => None,
        Condition::Versions(versions) => {
            let now = session.value(&name).await?;
            if !now.as_ref().is_some_and(|value| versions.contains(&version(value))) {
                return Err(unmet());
            }
            now
        }
    };
    if session.update(vec![(name, expected)], vec![op]).await? { Ok(()) } else { Err(unmet()) }
}

fn condition(headers: &HeaderMap) -> Result<Condition, Error> {
    let text = |name: HeaderName| {
        let text = headers.get(name).map(|value| value.to_str().map(str::trim));
        text.transpose().map_err(|_| bad_request("a condition is not text"))
    };
    match (text(IF_MATCH)?, text(IF_NONE_MATCH)?) {
        (None, None) => Ok(Condition::None),
        (None, Some("*")) => Ok(Condition::Absent),
        (Some(tags), None) if tags != "*" => {
            let tags = tags.split(',').map(|tag| tag.trim().trim_matches('"').to_owned());
            Ok(Condition::Versions(tags.collect()))
        }
        _ => Err(bad_request("a condition is `If-Match` with versions, or `If-None-Match: *`")),
    }
}

fn tagged(mut response: Response<Body>, version: &str) -> Response<Body> {
    let tag = HeaderValue::try_from(format!("\"{version}\"")).expect("hexadecimal digits are ASCII");
    response.headers_mut().insert(ETAG, tag);
    response
}

fn bad_request(text: &'static str) -> Error {
    Error::new(Kind::BadRequest, Origin::Client, text)
}

pub(super) fn wrong_method(served: &'static str) -> Error {
    Error::new(Kind::MethodNotAllowed, Origin::Client, "the method is not served here").allow(served)
}
