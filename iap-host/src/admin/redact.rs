//! Takes out of an answer whose requests they were: for those who may see single requests, but not people.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use iap_core::{Error, Kind, Origin};
use iap_ops::masking::Masker;
use serde_json::Value;

use super::error::ApiError;

/// The largest answer that is looked through; larger ones are not given.
const MAX_ANSWER: usize = 64 << 20;
/// Fields, and attributes of spans and log lines (OpenTelemetry's names among them), that say who it was.
const PEOPLE: [&str; 17] = [
    "user",
    "session",
    "client",
    "user.id",
    "user.name",
    "user.email",
    "user.full_name",
    "enduser.id",
    "enduser.pseudo.id",
    "session.id",
    "session.previous_id",
    "client.address",
    "http.client_ip",
    "net.peer.ip",
    "net.sock.peer.addr",
    "network.peer.address",
    "source.address",
];

/// The same answer without people. What is no JSON passes as it is: pages, metrics, which name
/// nobody, and streams, which take people out themselves.
pub(super) async fn redact(response: Response) -> Response {
    let kind =
        response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/json") {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, MAX_ANSWER).await else {
        let text = "the answer is too large to take out whose requests they are: ask for less";
        return ApiError::from(Error::new(Kind::Unavailable, Origin::Internal, text)).into_response();
    };
    let Ok(value) = serde_json::from_slice::<Value>(&bytes) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(without_people(value).to_string()))
}

/// The same document without people, and personal data in its texts masked.
pub(super) fn without_people(mut value: Value) -> Value {
    take_out(&mut value);
    Masker::default().mask_json(value).into_value()
}

fn take_out(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(take_out),
        Value::Object(fields) => {
            // As OTLP writes attributes.
            let of_people = |key: &Value| key.as_str().is_some_and(|key| PEOPLE.contains(&key));
            if fields.get("key").is_some_and(of_people)
                && let Some(value) = fields.get_mut("value")
            {
                *value = Value::Null;
            }
            for (name, field) in fields.iter_mut() {
                let says_who = field.is_string() && PEOPLE.contains(&name.as_str());
                if says_who { *field = Value::Null } else { take_out(field) }
            }
        }
        _ => {}
    }
}
