//! Answers, in the encoding of the request.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use iap_core::Body;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use serde_json::json;

use super::Signal;

const RETRY_AFTER_SECONDS: u16 = 1;

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

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Status {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(crate) details: Vec<Detail>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Detail {
    #[prost(string, tag = "1")]
    pub(crate) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value: Vec<u8>,
}

/// `google.rpc.RetryInfo`: the same request may come again.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub(crate) retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Delay {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(crate) nanos: i32,
}

impl RetryInfo {
    pub(crate) const TYPE_URL: &str = "type.googleapis.com/google.rpc.RetryInfo";
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

    /// Nothing was kept, since the service has sent too much; the sender should come back.
    pub(super) fn over_quota() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, super::quota::OVER)
    }

    /// Whether the same request may come again.
    fn is_for_later(&self) -> bool {
        matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
    }

    /// What is said about it, with when to come back if that helps.
    pub(super) fn status(&self) -> Status {
        let mut status =
            Status { code: code(self.status), message: self.message.to_owned(), details: Vec::new() };
        if self.is_for_later() {
            let retry =
                RetryInfo { retry_delay: Some(Delay { seconds: RETRY_AFTER_SECONDS.into(), nanos: 0 }) };
            let type_url = RetryInfo::TYPE_URL.to_owned();
            status.details.push(Detail { type_url, value: retry.encode_to_vec() });
        }
        status
    }

    pub(super) fn into_response(self, encoding: Encoding) -> Response<Body> {
        let status = self.status();
        let body = match encoding {
            Encoding::Protobuf => status.encode_to_vec(),
            Encoding::Json => json!({ "code": status.code, "message": status.message }).to_string().into(),
        };
        let mut response = encoding.respond(self.status, body);
        match self.status {
            _ if self.is_for_later() => {
                response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS.into());
            }
            StatusCode::UNAUTHORIZED => {
                let bearer = HeaderValue::from_static("Bearer");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
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
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::TOO_MANY_REQUESTS => 8,
        StatusCode::METHOD_NOT_ALLOWED
        | StatusCode::NOT_IMPLEMENTED
        | StatusCode::HTTP_VERSION_NOT_SUPPORTED => 12,
        StatusCode::INTERNAL_SERVER_ERROR => 13,
        StatusCode::SERVICE_UNAVAILABLE => 14,
        StatusCode::UNAUTHORIZED => 16,
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
    let reason = reason.unwrap_or_default();
    let body = match encoding {
        Encoding::Protobuf => message(signal, rejected, reason),
        Encoding::Json if rejected == 0 => b"{}".to_vec(),
        Encoding::Json => {
            let name = match signal {
                Signal::Traces => "rejectedSpans",
                Signal::Logs => "rejectedLogRecords",
                Signal::Metrics => "rejectedDataPoints",
            };
            // 64-bit integers are strings in protobuf's JSON.
            let partial = json!({ name: rejected.to_string(), "errorMessage": reason });
            json!({ "partialSuccess": partial }).to_string().into()
        }
    };
    encoding.respond(StatusCode::OK, body)
}

/// The same as a message of protobuf.
pub(super) fn message(signal: Signal, rejected: u64, reason: &str) -> Vec<u8> {
    if rejected == 0 {
        return Vec::new();
    }
    let (count, error_message) = (rejected as i64, reason.to_owned());
    match signal {
        Signal::Traces => {
            let partial = ExportTracePartialSuccess { rejected_spans: count, error_message };
            ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
        }
        Signal::Logs => {
            let partial = ExportLogsPartialSuccess { rejected_log_records: count, error_message };
            ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec()
        }
        Signal::Metrics => {
            let partial = ExportMetricsPartialSuccess { rejected_data_points: count, error_message };
            ExportMetricsServiceResponse { partial_success: Some(partial) }.encode_to_vec()
        }
    }
}
