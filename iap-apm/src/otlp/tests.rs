use std::io::Write;

use http_body_util::BodyExt;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value as Any,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span as ProtoSpan, Status as ProtoStatus,
};
use prost::Message;
use serde_json::{Value, json};

use super::status::Status;
use super::*;
use crate::history::{LogQuery, SqliteHistory, SqliteOptions, TransactionQuery};
use crate::model::{Level, Source, SpanStatus, Trace, Window};
use crate::testing::{span_id, trace_id};

mod access;
mod conventions;
mod grpc;
mod links;
mod metrics;
mod overload;
mod parameters;
mod quota;
mod raw;
mod size;
mod timeline;

const T0: u64 = 1_700_000_000_000_000;
const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

fn receiver() -> (OtlpService, Arc<dyn History>) {
    let history: Arc<dyn History> =
        Arc::new(SqliteHistory::temporary(SqliteOptions::default()).expect("a history"));
    (OtlpService::new(history.clone()), history)
}

fn request(path: &str, content_type: &str, body: impl Into<Bytes>) -> Request<Body> {
    let request = Request::post(path).header(header::CONTENT_TYPE, content_type);
    request.body(Body::from(body.into())).expect("a request")
}

async fn send(service: &OtlpService, request: Request<Body>) -> (StatusCode, HeaderMap, Bytes) {
    let response = service.clone().call(request).await.expect("infallible");
    let (parts, body) = response.into_parts();
    (parts.status, parts.headers, body.collect().await.expect("a body").to_bytes())
}

fn text(value: &str) -> Option<AnyValue> {
    Some(AnyValue { value: Some(Any::StringValue(value.into())) })
}

fn attribute(key: &str, value: Option<AnyValue>) -> KeyValue {
    KeyValue { key: key.into(), value, ..KeyValue::default() }
}

fn proto_span(trace: u64, n: u64, parent: Option<u64>) -> ProtoSpan {
    ProtoSpan {
        trace_id: trace_id(trace).0.to_vec(),
        span_id: span_id(n).0.to_vec(),
        parent_span_id: parent.map(|parent| span_id(parent).0.to_vec()).unwrap_or_default(),
        name: format!("span {n}"),
        kind: 1,
        start_time_unix_nano: (T0 + n) * 1_000,
        end_time_unix_nano: (T0 + n + 50) * 1_000,
        ..ProtoSpan::default()
    }
}

fn proto_request(spans: Vec<ProtoSpan>) -> ExportTraceServiceRequest {
    let resource =
        Resource { attributes: vec![attribute("service.name", text("orders"))], ..Resource::default() };
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let group = ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![group] }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("compressed");
    encoder.finish().expect("compressed")
}

async fn stored(history: &Arc<dyn History>, trace: u64) -> Trace {
    history.trace(trace_id(trace)).await.expect("readable").expect("present")
}

#[tokio::test]
async fn protobuf_spans_are_kept_with_all_they_say() {
    let (service, history) = receiver();
    let mut root = proto_span(1, 1, None);
    root.kind = 2;
    root.attributes = vec![
        attribute("http.method", text("GET")),
        attribute("http.target", text("/orders/7?token=secret")),
        attribute("http.status_code", Some(AnyValue { value: Some(Any::IntValue(404)) })),
        attribute("empty", None),
        attribute("bytes", Some(AnyValue { value: Some(Any::BytesValue(vec![1, 255])) })),
        attribute("nan", Some(AnyValue { value: Some(Any::DoubleValue(f64::NAN)) })),
        attribute(
            "mixed",
            Some(AnyValue {
                value: Some(Any::ArrayValue(ArrayValue {
                    values: vec![
                        AnyValue { value: Some(Any::BoolValue(true)) },
                        AnyValue {
                            value: Some(Any::KvlistValue(KeyValueList {
                                values: vec![attribute("k", text("v"))],
                            })),
                        },
                    ],
                })),
            }),
        ),
    ];
    let mut failed = proto_span(1, 2, Some(1));
    failed.attributes = vec![attribute("db.statement", text("SELECT 1"))];
    failed.status = Some(ProtoStatus { code: 2, message: "no such table".into() });
    let body = proto_request(vec![root, failed]).encode_to_vec();
    let (status, headers, body) = send(&service, request("/v1/traces", PROTOBUF, body)).await;
    assert_eq!((status, body.len()), (StatusCode::OK, 0));
    assert_eq!(headers[header::CONTENT_TYPE], PROTOBUF);

    let trace = stored(&history, 1).await;
    let [root, failed] = trace.spans.as_slice() else { panic!("two spans") };
    assert_eq!((root.service.as_str(), root.start_us, root.duration_us), ("orders", T0 + 1, 50));
    assert_eq!(root.status, SpanStatus::Unset, "a 4xx is no error");
    assert_eq!(root.attributes["empty"], Value::Null);
    assert_eq!(root.attributes["bytes"], "01ff");
    assert_eq!(root.attributes["nan"], "NaN");
    assert_eq!(root.attributes["mixed"], json!([true, { "k": "v" }]));
    assert_eq!((failed.sql(), failed.status), (Some("SELECT 1"), SpanStatus::Error));
    assert_eq!(failed.error.as_deref(), Some("no such table"));
    let row = trace.summary.expect("a span without a parent is listed");
    assert_eq!((row.source, row.method.as_str(), row.status), (Source::OtlpRoot, "GET", 404));
    assert_eq!((row.path.as_str(), row.route.as_str(), row.failed), ("/orders/7", "span 1", false));
}

#[tokio::test]
async fn json_is_read_as_the_specification_allows() {
    let (service, history) = receiver();
    let body = json!({
        "unknown": 1,
        "resourceSpans": [{
            "resource": { "attributes": [
                { "key": "service.name", "value": { "stringValue": "cart" } },
                { "key": "service.namespace", "value": { "stringValue": "shop" } },
                { "key": "service.instance.id", "value": { "stringValue": "c-1" } },
            ] },
            "scopeSpans": [{ "scope": null, "spans": [{
                "traceId": trace_id(1).to_string().to_uppercase(), "spanId": span_id(171).to_string().to_uppercase(),
                "parentSpanId": null, "name": "GET /cart", "kind": 2, "events": null, "someday": {},
                "startTimeUnixNano": (T0 * 1_000).to_string(), "endTimeUnixNano": (T0 + 7) * 1_000,
                "attributes": [
                    { "key": "a", "value": { "intValue": "12" } },
                    { "key": "b", "value": { "intValue": 13 } },
                    { "key": "c", "value": {} },
                    { "key": "d" },
                ],
                "status": { "code": 2 },
            }] }],
        }],
    });
    let (status, headers, body) =
        send(&service, request("/v1/traces", "application/json; charset=utf-8", body.to_string())).await;
    assert_eq!((status, body.as_ref()), (StatusCode::OK, b"{}".as_slice()));
    assert_eq!(headers[header::CONTENT_TYPE], JSON);
    let trace = stored(&history, 1).await;
    let span = &trace.spans[0];
    assert_eq!((span.span_id, span.parent_id, span.duration_us), (span_id(171), None, 7));
    assert_eq!((&span.attributes["a"], &span.attributes["b"]), (&json!(12), &json!(13)));
    assert_eq!((&span.attributes["c"], &span.attributes["d"]), (&Value::Null, &Value::Null));
    assert_eq!(span.instance.as_deref(), Some("shop/cart/c-1"));
    assert!(trace.summary.expect("listed").failed);
}

#[tokio::test]
async fn bad_spans_are_counted_and_the_others_kept() {
    let (service, history) = receiver();
    let mut spans: Vec<_> = (1..=10).map(|n| proto_span(1, n, Some(99))).collect();
    spans[2].trace_id = vec![0; 16];
    spans[5].span_id = vec![1; 7];
    spans[9].start_time_unix_nano = 0;
    let body = proto_request(spans).encode_to_vec();
    let (status, _, body) = send(&service, request("/v1/traces", PROTOBUF, body)).await;
    assert_eq!(status, StatusCode::OK);
    let partial =
        ExportTraceServiceResponse::decode(body).expect("a response").partial_success.expect("partial");
    assert_eq!((partial.rejected_spans, partial.error_message.as_str()), (3, "a span has no valid trace id"));
    assert_eq!(stored(&history, 1).await.spans.len(), 7);

    let span = |trace: &str, n: u64| json!({ "traceId": trace, "spanId": span_id(n).to_string(), "name": "s", "startTimeUnixNano": "1000" });
    let good = trace_id(2).to_string();
    let mut spans: Vec<_> = (1..=7).map(|n| span(&good, n)).collect();
    spans.extend([span("zz", 8), span("", 9), json!({ "traceId": 5 })]);
    let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] });
    let (status, _, body) = send(&service, request("/v1/traces", JSON, body.to_string())).await;
    let answer: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!((status, &answer["partialSuccess"]["rejectedSpans"]), (StatusCode::OK, &json!("3")));
    let trace = stored(&history, 2).await;
    assert_eq!((trace.spans.len(), trace.spans[0].service.as_str()), (7, "unknown_service"));
}

#[tokio::test]
async fn what_a_record_may_hold_is_bounded() {
    let (service, history) = receiver();
    let mut large = proto_span(1, 1, None);
    large.attributes =
        (0..128).map(|n| attribute(&format!("a{n:03}"), text(&"\u{1}".repeat(20_000)))).collect();
    let mut many = proto_span(1, 2, Some(1));
    many.attributes = (0..200).map(|n| attribute(&format!("a{n:03}"), text("x"))).collect();
    many.events = vec![Default::default(); 130];
    let mut nested = AnyValue::default();
    for _ in 0..40 {
        nested = AnyValue { value: Some(Any::ArrayValue(ArrayValue { values: vec![nested] })) };
    }
    let mut deep = proto_span(1, 3, Some(1));
    deep.attributes = vec![attribute("deep", Some(nested))];
    let mut future = proto_span(1, 4, Some(1));
    future.start_time_unix_nano = 4_102_444_800_000_000_000;
    let body = proto_request(vec![large, many, deep, future]).encode_to_vec();
    let (_, _, body) = send(&service, request("/v1/traces", PROTOBUF, body)).await;
    let partial =
        ExportTraceServiceResponse::decode(body).expect("a response").partial_success.expect("partial");
    assert_eq!((partial.rejected_spans, partial.error_message.as_str()), (1, "a span starts in the future"));

    let trace = stored(&history, 1).await;
    let [large, many, deep] = trace.spans.as_slice() else { panic!("three spans") };
    let bytes: usize = large.attributes.values().filter_map(Value::as_str).map(str::len).sum();
    assert!((200_000..=256 * 1_024).contains(&bytes), "{bytes}");
    assert_eq!(large.attributes.len() + large.dropped as usize, 128);
    assert_eq!((many.attributes.len(), many.events.len(), many.dropped), (128, 128, 72 + 2));
    assert_eq!(deep.attributes["deep"].to_string(), format!("{}\"…\"{}", "[".repeat(8), "]".repeat(8)));
}

#[tokio::test]
async fn a_resent_batch_makes_no_duplicates_and_late_spans_join() {
    let (service, history) = receiver();
    let late = proto_request(vec![proto_span(1, 3, Some(2))]).encode_to_vec();
    let body = proto_request(vec![proto_span(1, 1, None), proto_span(1, 2, Some(1))]).encode_to_vec();
    for body in [late, body.clone(), body] {
        assert_eq!(send(&service, request("/v1/traces", PROTOBUF, body)).await.0, StatusCode::OK);
    }
    let page = history.transactions(&TransactionQuery::new(Window::all())).await.expect("a page");
    assert_eq!(page.items.len(), 1);
    let trace = stored(&history, 1).await;
    assert_eq!(trace.spans.len(), 3);
    assert_eq!(trace.tree().roots[0].children[0].children[0].span.span_id, span_id(3));
}

#[tokio::test]
async fn gzip_is_taken_and_its_inflated_size_limited() {
    let (service, history) = receiver();
    let send_gzip = async |service: &OtlpService, body: Vec<u8>| {
        let mut request = request("/v1/traces", PROTOBUF, body);
        request.headers_mut().insert(header::CONTENT_ENCODING, "gzip".parse().expect("a value"));
        send(service, request).await
    };
    let body = proto_request((1..=20).map(|n| proto_span(1, n, None)).collect()).encode_to_vec();
    assert_eq!(send_gzip(&service, gzip(&body)).await.0, StatusCode::OK);
    assert_eq!(stored(&history, 1).await.spans.len(), 20);

    let small = service.clone().max_bytes(body.len());
    assert_eq!(send_gzip(&small, gzip(&body)).await.0, StatusCode::OK, "exactly the limit");
    let bomb = gzip(&vec![0; 1 << 20]);
    assert!(bomb.len() < 2_000);
    let small = service.clone().max_bytes(64 * 1_024);
    let (status, _, body) = send_gzip(&small, bomb).await;
    assert_eq!((status, Status::decode(body).expect("a status").code), (StatusCode::PAYLOAD_TOO_LARGE, 8));
    let plain = request("/v1/traces", PROTOBUF, vec![0; 65 * 1_024]);
    assert_eq!(send(&small, plain).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(send_gzip(&service, b"not gzip".to_vec()).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_in_the_same_encoding() {
    let (service, _) = receiver();
    let (status, headers, body) = send(&service, request("/v1/traces", PROTOBUF, "garbage")).await;
    assert_eq!(
        (status, &headers[header::CONTENT_TYPE]),
        (StatusCode::BAD_REQUEST, &PROTOBUF.parse().unwrap())
    );
    let answer = Status::decode(body).expect("a status");
    assert_eq!((answer.code, answer.message.is_empty()), (3, false));
    let deep = format!(r#"{{"resourceLogs":{}1{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    for garbage in
        ["garbage", "[]", "null", r#"{"resourceSpans": 5}"#, r#"{"resourceLogs": [5]}"#, deep.as_str()]
    {
        let (status, headers, body) = send(&service, request("/v1/logs", JSON, garbage.to_owned())).await;
        if garbage == r#"{"resourceSpans": 5}"# {
            // Another signal's member is unknown here, and unknown members are ignored.
            assert_eq!(status, StatusCode::OK);
            continue;
        }
        assert_eq!(
            (status, &headers[header::CONTENT_TYPE]),
            (StatusCode::BAD_REQUEST, &JSON.parse().unwrap())
        );
        assert_eq!(serde_json::from_slice::<Value>(&body).expect("JSON")["code"], 3, "{garbage:.20}");
    }
    let wrong = request("/v1/traces", JSON, r#"{"resourceSpans": 5}"#);
    assert_eq!(send(&service, wrong).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_edges_of_the_protocol() {
    let (service, _) = receiver();
    for content_type in [PROTOBUF, JSON] {
        assert_eq!(send(&service, request("/v1/traces", content_type, "")).await.0, StatusCode::OK);
        assert_eq!(send(&service, request("/v1/metrics", content_type, "")).await.0, StatusCode::OK);
    }
    let unknown = request("/v1/traces", "text/plain", "");
    assert_eq!(send(&service, unknown).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let mut deflate = request("/v1/traces", JSON, "{}");
    deflate.headers_mut().insert(header::CONTENT_ENCODING, "deflate".parse().expect("a value"));
    assert_eq!(send(&service, deflate).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(send(&service, request("/v1/profiles", JSON, "{}")).await.0, StatusCode::NOT_FOUND);
    let get = Request::get("/v1/traces").body(Body::empty()).expect("a request");
    let (status, headers, _) = send(&service, get).await;
    assert_eq!((status, &headers[header::ALLOW]), (StatusCode::METHOD_NOT_ALLOWED, &"POST".parse().unwrap()));
}

#[tokio::test]
async fn log_records_join_their_trace() {
    let (service, history) = receiver();
    let record = |n: u64, trace: Vec<u8>| LogRecord {
        time_unix_nano: (T0 + n) * 1_000,
        severity_number: 17,
        body: text("payment failed"),
        trace_id: trace,
        span_id: span_id(1).0.to_vec(),
        attributes: vec![attribute("order", text("7"))],
        ..LogRecord::default()
    };
    let scope = InstrumentationScope { name: "shop.pay".into(), ..InstrumentationScope::default() };
    let log_records = vec![record(1, trace_id(1).0.to_vec()), record(2, vec![]), record(3, vec![1; 3])];
    let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records, ..ScopeLogs::default() }];
    let body = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }],
    };
    let (status, _, body) = send(&service, request("/v1/logs", PROTOBUF, body.encode_to_vec())).await;
    let partial =
        ExportLogsServiceResponse::decode(body).expect("a response").partial_success.expect("partial");
    assert_eq!((status, partial.rejected_log_records), (StatusCode::OK, 1));
    let lines = history.logs(&LogQuery::new(Window::all())).await.expect("lines");
    assert_eq!(lines.len(), 2);
    let line = &history.logs(&LogQuery::of_trace(trace_id(1))).await.expect("lines")[0];
    assert_eq!(
        (line.level, line.message.as_str(), line.target.as_str()),
        (Level::Error, "payment failed", "shop.pay")
    );
    assert_eq!(line.fields["order"], "7");
}
