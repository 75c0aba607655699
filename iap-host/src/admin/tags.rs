//! Tags of answers: whoever has an answer already, and says so with its tag, is told that it is still the same.
//!
//! The tag is made of the answer as this caller may see it, after the question of who asks and after people were taken out: what
//! one role was told is nothing to another. It spares the way, not the work.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body::Body as _;
use iap_core::{Error, Kind, Origin, entity_tag};

use super::error::ApiError;

/// The largest answer that gets a tag.
const MAX_TAGGED: u64 = 4 << 20;
/// Caches keep nothing of what is asked here: it is about people, and who may see it is judged each time.
const CACHE: &str = "no-store";

/// Gives JSON that is read a tag, and answers 304 to whoever has it (RFC 9110, 13.1.2). What has a tag of its own keeps it, and what
/// is larger than 4 MiB or comes as a stream gets none.
pub(super) async fn tag(mut request: Request, next: Next) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let known = Known::of(request.headers());
    // The tag of an answer to HEAD is that of the answer to GET. Its body is dropped further out.
    *request.method_mut() = Method::GET;
    let mut response = next.run(request).await;
    if !is_json(response.headers()) {
        return response;
    }
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static(CACHE));
    let is_small = response.body().size_hint().exact().is_some_and(|bytes| bytes <= MAX_TAGGED);
    if response.status() != StatusCode::OK || response.headers().contains_key(ETAG) || !is_small {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, MAX_TAGGED as usize).await else {
        let text = "the answer broke off on its way to the client";
        return ApiError::from(Error::new(Kind::Unavailable, Origin::Internal, text)).into_response();
    };
    let hash = blake3::hash(&bytes).to_hex();
    let tag = format!("\"{}\"", &hash[..32]);
    let is_known = known.has(&tag);
    parts.headers.insert(ETAG, HeaderValue::try_from(tag).expect("hexadecimal digits"));
    if !is_known {
        return Response::from_parts(parts, Body::from(bytes));
    }
    parts.status = StatusCode::NOT_MODIFIED;
    parts.headers.remove(CONTENT_TYPE);
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::empty())
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// The tags that a request knows: the fields `If-None-Match`.
struct Known(Vec<HeaderValue>);

impl Known {
    fn of(headers: &HeaderMap) -> Self {
        Self(headers.get_all(IF_NONE_MATCH).iter().cloned().collect())
    }

    /// Whether `tag` is among them, by the weak comparison (RFC 9110, 8.8.3.2).
    fn has(&self, tag: &str) -> bool {
        self.0.iter().filter_map(|field| field.to_str().ok()).any(|field| lists(field, tag))
    }
}

/// Whether a field is `*`, or a list that has the tag.
fn lists(field: &str, tag: &str) -> bool {
    field.trim() == "*" || entity_tag::members(field).any(|theirs| entity_tag::is_weakly(tag, theirs))
}

#[cfg(test)]
mod tests {
    use super::lists;

    #[test]
    fn a_list_of_tags_is_read_to_its_end() {
        for field in ["\"a\"", " W/\"a\" ", "\"x\", \"a\"", "\"x,y\" ,W/\"\",\t\"a\",", "*", ",,\"a\""] {
            assert!(lists(field, "\"a\""), "{field}");
        }
        for field in
            ["", "a", "\"A\"", "\"a", "\"x\", *", "w/\"a\"", "\"x\" y \"a\"", "\"\"a\"\"", "W/", "\"b,\"a"]
        {
            assert!(!lists(field, "\"a\""), "{field}");
        }
    }
}
