//! OTLP over gRPC.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::Version;

use super::*;
use crate::otlp::status::RetryInfo;

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
pub(super) const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

pub(super) fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("short").to_be_bytes();
    [&[flag], length.as_slice(), message].concat()
}

pub(super) fn call(path: &str, body: impl Into<Bytes>) -> Request<Body> {
    let mut call = request(path, "application/grpc", body);
    *call.version_mut() = Version::HTTP_2;
    call.headers_mut().insert(header::TE, "trailers".parse().expect("a value"));
    call
}

fn with(mut call: Request<Body>, name: &'static str, value: &str) -> Request<Body> {
    call.headers_mut().insert(name, value.parse().expect("a value"));
    call
}

/// How a call ended: its code, its message to people, its details, and the bytes of its body.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: String,
    pub(super) text: String,
    pub(super) status: Option<Status>,
    pub(super) body: Bytes,
}

pub(super) async fn export(service: &OtlpService, call: Request<Body>) -> Ended {
    let (head, body) = service.clone().call(call).await.expect("infallible").into_parts();
    assert_eq!(head.status, StatusCode::OK);
    assert_eq!(head.headers[header::CONTENT_TYPE], "application/grpc");
    assert_eq!(head.headers["grpc-accept-encoding"], "identity,gzip");
    let trailers_only = head.headers.contains_key("grpc-status");
    assert_eq!(
        http_body::Body::is_end_stream(&body),
        trailers_only,
        "the head ends the stream, or trailers do"
    );
    let body = body.collect().await.expect("a body");
    let last = body.trailers().cloned().unwrap_or(head.headers);
    let field = |name: &str| last.get(name).map(|value| value.to_str().expect("ASCII").to_owned());
    let status = field("grpc-status-details-bin").map(|details| {
        let bytes = STANDARD_NO_PAD.decode(details).expect("base64");
        Status::decode(bytes.as_slice()).expect("a status")
    });
    let (code, text) = (field("grpc-status").expect("a status"), field("grpc-message").unwrap_or_default());
    Ended { code, text, status, body: body.to_bytes() }
}

/// The message of a call that went well.
async fn exported(service: &OtlpService, call: Request<Body>) -> Bytes {
    let ended = export(service, call).await;
    assert_eq!(ended.code, "0", "{ended:?}");
    let (prefix, message) = ended.body.split_first_chunk::<5>().expect("a message");
    let [flag, length @ ..] = *prefix;
    assert_eq!((flag, u32::from_be_bytes(length) as usize), (0, message.len()));
    ended.body.slice(5..)
}

#[tokio::test]
async fn calls_are_kept_plain_and_compressed_and_bad_records_counted() {
    let (service, history) = receiver();
    let mut spans: Vec<_> = (1..=10).map(|n| proto_span(1, n, Some(99))).collect();
    spans[2].trace_id = vec![0; 16];
    let body = proto_request(spans).encode_to_vec();
    let message = exported(&service, call(TRACES, framed(0, &body))).await;
    let partial = ExportTraceServiceResponse::decode(message).expect("a response").partial_success;
    let partial = partial.expect("partial");
    assert_eq!((partial.rejected_spans, partial.error_message.as_str()), (1, "a span has no valid trace id"));
    assert_eq!(stored(&history, 1).await.spans.len(), 9);

    let body = proto_request(vec![proto_span(2, 1, None)]).encode_to_vec();
    let compressed = with(call(TRACES, framed(1, &gzip(&body))), "grpc-encoding", "gzip");
    assert_eq!(exported(&service, compressed).await.len(), 0);
    assert_eq!(stored(&history, 2).await.spans.len(), 1);
    // Announced, and not made use of.
    let body = proto_request(vec![proto_span(3, 1, None)]).encode_to_vec();
    let plain = with(call(TRACES, framed(0, &body)), "grpc-encoding", "gzip");
    assert_eq!(exported(&service, plain).await.len(), 0);
    assert_eq!(stored(&history, 3).await.spans.len(), 1);

    let record = |trace_id| LogRecord { body: text("paid"), trace_id, ..LogRecord::default() };
    let log_records = vec![record(trace_id(1).0.to_vec()), record(vec![1])];
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let logs = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }],
    };
    let named = with(call(LOGS, framed(0, &logs.encode_to_vec())), "content-type", "application/grpc+proto");
    let message = exported(&service, named).await;
    let partial = ExportLogsServiceResponse::decode(message).expect("a response").partial_success;
    assert_eq!(partial.expect("partial").rejected_log_records, 1);
    for path in [TRACES, LOGS] {
        assert_eq!(exported(&service, call(path, framed(0, b""))).await.len(), 0, "empty is no error");
        let empty = with(call(path, framed(1, b"")), "grpc-encoding", "gzip");
        assert_eq!(exported(&service, empty).await.len(), 0);
    }
}

#[tokio::test]
async fn calls_that_cannot_be_taken_end_with_their_status() {
    let (service, history) = receiver();
    let body = proto_request(vec![proto_span(1, 1, None)]).encode_to_vec();
    let good = framed(0, &body);
    let one_more = [good.as_slice(), &good].concat();
    let gzipped = |message: &[u8]| with(call(TRACES, framed(1, message)), "grpc-encoding", "gzip");
    let cases = [
        ("3", "no protobuf", call(TRACES, framed(0, b"garbage"))),
        ("3", "no gzip", gzipped(&body)),
        ("13", "compression was not announced", call(TRACES, framed(1, &gzip(&body)))),
        ("13", "announced as none", with(call(TRACES, framed(1, &body)), "grpc-encoding", "identity")),
        ("13", "an unknown flag", call(TRACES, framed(2, &body))),
        ("13", "half a prefix", call(TRACES, &b"\0\0\0"[..])),
        ("13", "half a message", call(TRACES, good[..good.len() - 1].to_vec())),
        ("12", "no message", call(TRACES, "")),
        ("12", "two messages", call(TRACES, one_more)),
        ("12", "another encoding", with(call(TRACES, good.clone()), "grpc-encoding", "zstd")),
        ("12", "JSON", with(call(TRACES, good.clone()), "content-type", "application/grpc+json")),
        ("12", "no such method", call("/opentelemetry.proto.collector.trace.v1.TraceService/Import", "")),
        ("12", "the path of OTLP/HTTP", call("/v1/traces", good.clone())),
    ];
    for (code, what, call) in cases {
        let ended = export(&service, call).await;
        assert_eq!((ended.code.as_str(), ended.body.len()), (code, 0), "{what}: {ended:?}");
        assert!(
            !ended.text.is_empty() && ended.status.is_none(),
            "{what}: never to be sent again: {ended:?}"
        );
    }
    assert_eq!(history.trace(trace_id(1)).await.expect("readable"), None);

    // What is no call of gRPC is answered as HTTP.
    let mut old = call(TRACES, good.clone());
    *old.version_mut() = Version::HTTP_11;
    assert_eq!(send(&service, old).await.0, StatusCode::HTTP_VERSION_NOT_SUPPORTED);
    for other in ["application/grpc-web+proto", "application/grpcx"] {
        let web = with(call("/v1/traces", good.clone()), "content-type", other);
        assert_eq!(send(&service, web).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}

#[tokio::test]
async fn the_size_of_a_message_is_limited_before_and_after_inflating() {
    let (service, history) = receiver();
    let body = proto_request((1..=20).map(|n| proto_span(1, n, None)).collect()).encode_to_vec();
    let calls = || {
        let compressed = with(call(TRACES, framed(1, &gzip(&body))), "grpc-encoding", "gzip");
        [call(TRACES, framed(0, &body)), compressed]
    };
    for call in calls() {
        let large_enough = service.clone().max_bytes(body.len());
        assert_eq!(exported(&large_enough, call).await.len(), 0, "exactly the limit");
    }
    assert_eq!(stored(&history, 1).await.spans.len(), 20);
    for call in calls() {
        let ended = export(&service.clone().max_bytes(body.len() - 1), call).await;
        assert_eq!((ended.code.as_str(), ended.status.is_none()), ("8", true), "{ended:?}");
    }
    // The prefix is enough to tell.
    let ended = export(&service, call(TRACES, &b"\0\xff\xff\xff\xff"[..])).await;
    assert_eq!(ended.code, "8");
}

#[tokio::test]
async fn back_pressure_says_when_to_come_back() {
    let body = framed(0, &proto_request(vec![proto_span(1, 1, None)]).encode_to_vec());
    let (service, history) = receiver();
    let full = service.clone().max_pending_bytes(0);
    let ended = export(&full, call(TRACES, body.clone())).await;
    assert_eq!(ended.code, "14");
    let status = ended.status.expect("details");
    assert_eq!((status.code, &status.message), (14, &ended.text));
    assert_eq!(status.details[0].type_url, RetryInfo::TYPE_URL);
    let retry = RetryInfo::decode(status.details[0].value.as_slice()).expect("a RetryInfo");
    assert_eq!(retry.retry_delay.expect("a delay").seconds, 1);
    assert_eq!(history.trace(trace_id(1)).await.expect("readable"), None);
    assert_eq!(exported(&service, call(TRACES, body)).await.len(), 0, "the same call, later");
}
