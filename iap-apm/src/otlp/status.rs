//! Answers, in the encoding of the request.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use iap_core::Body;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use serde_json::json;

use super::Signal;

const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    /// By the `Content-Type`; parameters do not matter. `None` for any other type.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let essence = value.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| essence.eq_ignore_ascii_case(name);
        match () {
            () if is("application/x-protobuf") => Some(Self::Protobuf),
            () if is("application/json") => Some(Self::Json),
            () => None,
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        })
    }

    fn respond(self, status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
        let mut response = Response::new(Body::from(body.into()));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, self.content_type());
        response
    }
}

/// `google.rpc.Status` without its details.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Status {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
}

/// Why a request was refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    message: &'static str,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: &'static str) -> Self {
        Self { status, message }
    }

    pub(super) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "the request is larger than the limit; send smaller batches")
    }

    /// Nothing was kept; the sender should come back.
    pub(super) fn overloaded(message: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    pub(super) fn into_response(self, encoding: Encoding) -> Response<Body> {
        let status = Status { code: code(self.status), message: self.message.to_owned() };
        let body = match encoding {
            Encoding::Protobuf => status.encode_to_vec(),
            Encoding::Json => json!({ "code": status.code, "message": status.message }).to_string().into(),
        };
        let mut response = encoding.respond(self.status, body);
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => {
                response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS);
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            }
            _ => {}
        }
        response
    }
}

/// The code of `google.rpc.Code` that goes with a status.
fn code(status: StatusCode) -> i32 {
    match status {
        StatusCode::NOT_FOUND => 5,
        StatusCode::REQUEST_TIMEOUT => 4,
        StatusCode::PAYLOAD_TOO_LARGE => 8,
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => 12,
        StatusCode::SERVICE_UNAVAILABLE => 14,
        _ => 3,
    }
}

/// The answer to a request that was kept, but for `rejected` of its records.
pub(super) fn success(
    encoding: Encoding,
    signal: Signal,
    rejected: u64,
    reason: Option<&'static str>,
) -> Response<Body> {
    let error_message = reason.unwrap_or_default().to_owned();
    let count = rejected as i64;
    let body = match (encoding, signal) {
        _ if rejected == 0 && encoding == Encoding::Json => b"{}".to_vec(),
        _ if rejected == 0 => Vec::new(),
        (Encoding::Protobuf, Signal::Traces) => {
            let partial = ExportTracePartialSuccess { rejected_spans: count, error_message };
            ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
        }
        (Encoding::Protobuf, Signal::Logs) => {
            let partial = ExportLogsPartialSuccess { rejected_log_records: count, error_message };
            ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec()
        }
        (Encoding::Json, signal) => {
            let name = if signal == Signal::Traces { "rejectedSpans" } else { "rejectedLogRecords" };
            // 64-bit integers are strings in protobuf's JSON.
            let partial = json!({ name: count.to_string(), "errorMessage": error_message });
            json!({ "partialSuccess": partial }).to_string().into()
        }
    };
    encoding.respond(StatusCode::OK, body)
}
