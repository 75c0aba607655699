//! OTLP over gRPC: the unary call `Export` of each signal, one message each way.
//!
//! Source: gRPC over HTTP/2, <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>; status
//! codes as in `statuscodes.md` and `compression.md` beside it, and as OTLP says what may be sent again.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use iap_core::Body;
use prost::Message;

use super::decode::Decoded;
use super::status::{self, Encoding, Refusal};
use super::{OtlpService, Signal, access};

/// Bytes in front of a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const ACCEPTED: HeaderValue = HeaderValue::from_static("identity,gzip");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// What a call is about, from its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Call {
    signal: Signal,
    /// Whether its message may be compressed.
    gzip: bool,
}

/// What is in front of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Prefix {
    compressed: bool,
    length: usize,
}

/// Whether a request is a call of gRPC.
pub(super) fn is_call<B>(request: &Request<B>) -> bool {
    request.method() == Method::POST && subtype(request.headers()).is_some()
}

impl OtlpService {
    pub(super) async fn answer_call(&self, request: Request<Body>) -> Response<Body> {
        match self.take_call(request).await {
            Ok((signal, decoded)) => {
                success(&status::message(signal, decoded.rejected, decoded.reason.unwrap_or_default()))
            }
            Err(refusal) => {
                metrics::counter!("iap_apm_otlp_rejected_total", "what" => "request").increment(1);
                failure(&refusal)
            }
        }
    }

    async fn take_call(&self, request: Request<Body>) -> Result<(Signal, Decoded), Refusal> {
        let sender = access::sender(&self.tokens, request.headers())?;
        let call = Call::of(request.uri().path(), request.headers())?;
        let max_bytes = self.max_bytes;
        let fits = move |bytes: &[u8]| Prefix::of(bytes, call, max_bytes).map(|_| ());
        let (body, _room) = self.read_in_time(request.into_body(), max_bytes + PREFIX, fits).await?;
        if body.is_empty() {
            return Err(not_one_message());
        }
        let prefix = Prefix::of(&body, call, max_bytes)?.ok_or_else(incomplete)?;
        let message = body.slice(PREFIX..);
        if message.len() < prefix.length {
            return Err(incomplete());
        }
        let decoded =
            self.keep(call.signal, (Encoding::Protobuf, prefix.compressed), message, sender).await?;
        Ok((call.signal, decoded))
    }
}

impl Call {
    fn of(path: &str, headers: &HeaderMap) -> Result<Self, Refusal> {
        let unimplemented = |message| Refusal::new(StatusCode::NOT_IMPLEMENTED, message);
        let signal = match path {
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => Signal::Traces,
            "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => Signal::Logs,
            "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => Signal::Metrics,
            _ => return Err(unimplemented("no such service or method")),
        };
        if !matches!(subtype(headers), Some("" | "+proto")) {
            return Err(unimplemented("messages must be protobuf"));
        }
        match headers.get(ENCODING).map(|name| name.as_bytes().trim_ascii()) {
            None | Some(b"identity") => Ok(Self { signal, gzip: false }),
            Some(b"gzip") => Ok(Self { signal, gzip: true }),
            Some(_) => Err(unimplemented("the encoding of messages must be gzip or identity")),
        }
    }
}

impl Prefix {
    /// The prefix of what has come of a body, if it is there. Fails as soon as it is clear that the body
    /// cannot be taken.
    fn of(body: &[u8], call: Call, max_bytes: usize) -> Result<Option<Self>, Refusal> {
        let Some((prefix, message)) = body.split_first_chunk::<PREFIX>() else { return Ok(None) };
        let [flag, length @ ..] = *prefix;
        let length = u32::from_be_bytes(length) as usize;
        let compressed = match flag {
            0 => false,
            1 if call.gzip => true,
            1 => return Err(malformed("a message is compressed, and no encoding is announced")),
            _ => return Err(malformed("the flags of a message are not known")),
        };
        if length > max_bytes {
            return Err(Refusal::too_large());
        }
        if message.len() > length {
            return Err(not_one_message());
        }
        Ok(Some(Self { compressed, length }))
    }
}

/// What follows `application/grpc` in the `Content-Type`, without parameters. `None` for any other type,
/// also for gRPC-Web, which frames its trailers differently.
fn subtype(headers: &HeaderMap) -> Option<&str> {
    const NAME: &str = "application/grpc";
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default().trim();
    let (name, rest) = essence.split_at_checked(NAME.len())?;
    (name.eq_ignore_ascii_case(NAME) && (rest.is_empty() || rest.starts_with('+'))).then_some(rest)
}

fn malformed(message: &'static str) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, message)
}

fn not_one_message() -> Refusal {
    Refusal::new(StatusCode::NOT_IMPLEMENTED, "the call takes exactly one message")
}

fn incomplete() -> Refusal {
    malformed("the message is not complete")
}

/// One message, and the status in the trailers.
fn success(message: &[u8]) -> Response<Body> {
    let mut bytes = BytesMut::with_capacity(PREFIX + message.len());
    bytes.put_u8(0);
    bytes.put_u32(message.len() as u32);
    bytes.put_slice(message);
    let trailers = HeaderMap::from_iter([(STATUS, HeaderValue::from_static("0"))]);
    let body = Full::new(bytes.freeze()).with_trailers(std::future::ready(Some(Ok(trailers))));
    respond(Body::new(body))
}

/// The status alone, in the head.
fn failure(refusal: &Refusal) -> Response<Body> {
    let status = refusal.status();
    let mut response = respond(Body::empty());
    let headers = response.headers_mut();
    headers.insert(STATUS, status.code.into());
    headers.insert(MESSAGE, text(percent_encoded(&status.message)));
    if !status.details.is_empty() {
        headers.insert(DETAILS, text(STANDARD_NO_PAD.encode(status.encode_to_vec())));
    }
    response
}

fn respond(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, CONTENT_TYPE);
    response.headers_mut().insert(ACCEPT_ENCODING, ACCEPTED);
    response
}

fn text(value: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(value)).expect("printable ASCII only")
}

/// As `Status-Message` is written.
fn percent_encoded(message: &str) -> String {
    let mut encoded = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b'%' | 0..b' ' | 0x7f.. => encoded.push_str(&format!("%{byte:02X}")),
            _ => encoded.push(char::from(byte)),
        }
    }
    encoded
}
