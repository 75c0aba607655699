//! Smaller response bodies, by tower-http: gzip, brotli and zstd, as the client can.

use std::convert::Infallible;

use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderValue, Request, Response};
use tower::{ServiceExt, service_fn};
use tower_http::CompressionLevel;
use tower_http::compression::Compression as Compressed;
use tower_http::compression::predicate::Predicate;

use crate::body::Body;

/// What is made smaller: texts and the like. Streams that are read as they come (server-sent events, gRPC),
/// parts of a file, and what is compressed or must not be transformed stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compression {
    /// Bodies that are known to be smaller, in bytes, are not worth it. Default: 1 KiB.
    pub min_size: u64,
}

impl Default for Compression {
    fn default() -> Self {
        Self { min_size: 1024 }
    }
}

/// What the client takes.
#[derive(Debug)]
pub(super) struct Wish(Vec<HeaderValue>);

impl Wish {
    pub(super) fn of(request: &Request<Body>) -> Option<Self> {
        let values: Vec<_> = request.headers().get_all(ACCEPT_ENCODING).iter().cloned().collect();
        (!values.is_empty()).then_some(Self(values))
    }
}

impl Compression {
    pub(super) async fn apply(self, wish: Wish, response: Response<Body>) -> Response<Body> {
        let was_encoded = response.headers().contains_key(CONTENT_ENCODING);
        let mut request = Request::new(());
        for value in wish.0 {
            request.headers_mut().append(ACCEPT_ENCODING, value);
        }
        let mut ready = Some(response);
        let answer = service_fn(move |_: Request<()>| {
            let response = ready.take().expect("called once");
            async move { Ok::<_, Infallible>(response) }
        });
        // Faster than the default level, and nearly as small.
        let service =
            Compressed::new(answer).quality(CompressionLevel::Precise(4)).compress_when(Worthwhile(self));
        let mut response = service.oneshot(request).await.unwrap_or_else(|never| match never {});
        if !was_encoded && response.headers().contains_key(CONTENT_ENCODING) {
            weaken(response.headers_mut());
        }
        response.map(Body::new)
    }
}

/// The bytes are others now, so a strong validator would be wrong (RFC 9110 section 8.8.1).
fn weaken(fields: &mut HeaderMap) {
    let Some(tag) = fields.get(ETAG).filter(|tag| tag.as_bytes().starts_with(b"\"")) else { return };
    if let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()) {
        fields.insert(ETAG, weak);
    }
}

#[derive(Debug, Clone, Copy)]
struct Worthwhile(Compression);

impl Predicate for Worthwhile {
    fn should_compress<B: http_body::Body>(&self, response: &Response<B>) -> bool {
        let fields = response.headers();
        let text =
            |name| fields.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
        let is_small = response.body().size_hint().exact().is_some_and(|bytes| bytes < self.0.min_size);
        !is_small
            && response.status() != http::StatusCode::PARTIAL_CONTENT
            && !fields.contains_key(CONTENT_RANGE)
            && !text(CACHE_CONTROL).to_ascii_lowercase().contains("no-transform")
            && shrinks(text(CONTENT_TYPE))
    }
}

fn shrinks(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let structured = ["+json", "+xml", "/json", "/xml", "/javascript", "/wasm", "/yaml", "/manifest+json"];
    kind != "text/event-stream"
        && !kind.starts_with("application/grpc")
        && (kind.starts_with("text/")
            || structured.iter().any(|end| kind.ends_with(end))
            || kind == "font/ttf")
}
