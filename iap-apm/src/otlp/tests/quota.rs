//! A noisy service leaves room for the others.

use iap_core::ManualClock;

use super::grpc::{call, export, framed};
use super::*;
use crate::otlp::status::RetryInfo;

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

fn limited(spans: u32) -> (OtlpService, Arc<dyn History>, ManualClock) {
    let (mut service, history) = receiver();
    let clock = ManualClock::at(T0 / 1_000);
    service.clock = Arc::new(clock.clone());
    let quota = OtlpQuota { spans: Some(spans), logs: Some(1), points: Some(1) };
    (service.quota(quota), history, clock)
}

fn of_service(name: &str, trace: u64, spans: u64) -> Vec<u8> {
    let mut request = proto_request((1..=spans).map(|n| proto_span(trace, n, Some(99))).collect());
    let resource = request.resource_spans[0].resource.as_mut().expect("a resource");
    resource.attributes[0].value = text(name);
    request.encode_to_vec()
}

async fn rejected(service: &OtlpService, body: Vec<u8>) -> i64 {
    let (status, _, body) = send(service, request("/v1/traces", PROTOBUF, body)).await;
    assert_eq!(status, StatusCode::OK);
    let partial = ExportTraceServiceResponse::decode(body).expect("an answer").partial_success;
    partial.map_or(0, |partial| partial.rejected_spans)
}

#[tokio::test]
async fn what_is_over_is_told_and_others_are_not_touched() {
    let (service, history, clock) = limited(4);
    // Ten seconds are saved up.
    assert_eq!(rejected(&service, of_service("noisy", 1, 50)).await, 10);
    assert_eq!(stored(&history, 1).await.spans.len(), 40);
    let (status, headers, body) =
        send(&service, request("/v1/traces", PROTOBUF, of_service("noisy", 2, 5))).await;
    assert_eq!(
        (status, headers[header::RETRY_AFTER].as_bytes()),
        (StatusCode::TOO_MANY_REQUESTS, b"1".as_slice())
    );
    assert_eq!(Status::decode(body).expect("a status").code, 8);
    let ended = export(&service, call(TRACES, framed(0, &of_service("noisy", 2, 5)))).await;
    let status = ended.status.expect("details");
    assert_eq!((ended.code.as_str(), status.details[0].type_url.as_str()), ("8", RetryInfo::TYPE_URL));
    assert_eq!(history.trace(trace_id(2)).await.expect("readable"), None);

    assert_eq!(rejected(&service, of_service("quiet", 3, 40)).await, 0);
    clock.advance(Duration::from_secs(2));
    assert_eq!(rejected(&service, of_service("noisy", 4, 9)).await, 1);
    assert_eq!(stored(&history, 4).await.spans.len(), 8);

    // Signals have quotas of their own.
    let record = LogRecord { severity_number: 9, body: text("x"), ..LogRecord::default() };
    let scope_logs = vec![ScopeLogs { log_records: vec![record; 12], ..ScopeLogs::default() }];
    let group = ResourceLogs { scope_logs, ..ResourceLogs::default() };
    let logs = ExportLogsServiceRequest { resource_logs: vec![group] }.encode_to_vec();
    let (_, _, body) = send(&service, request("/v1/logs", PROTOBUF, logs)).await;
    let partial = ExportLogsServiceResponse::decode(body).expect("an answer").partial_success;
    assert_eq!(partial.expect("partial").rejected_log_records, 2);
}

#[tokio::test]
async fn names_made_up_for_each_request_share_one_quota() {
    let (service, _, clock) = limited(1);
    let mut taken = 0;
    for n in 0..1_030 {
        let (status, ..) =
            send(&service, request("/v1/traces", PROTOBUF, of_service(&format!("s{n}"), 1, 1))).await;
        taken += u64::from(status == StatusCode::OK);
    }
    assert_eq!(taken, 1_000 + 10, "a thousand services, and ten spans of all others");
    // Those whose quota is whole again are forgotten.
    clock.advance(Duration::from_secs(60));
    assert_eq!(rejected(&service, of_service("late", 2, 10)).await, 0);
}

#[tokio::test]
async fn what_the_history_did_not_take_is_given_back() {
    let (service, history, _) = limited(1);
    let failing = OtlpService {
        history: Arc::new(super::overload::Refusing(Some(HistoryErrorKind::Full))),
        ..service.clone()
    };
    for _ in 0..20 {
        let (status, ..) = send(&failing, request("/v1/traces", PROTOBUF, of_service("shop", 1, 10))).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(rejected(&service, of_service("shop", 1, 10)).await, 0);
    assert_eq!(stored(&history, 1).await.spans.len(), 10);
}

#[tokio::test]
async fn what_a_malformed_request_has_taken_is_given_back() {
    let (service, history, _clock) = limited(4);
    let good = of_service("shop", 1, 40);
    let group = &good[..];
    let json = |spans: u64| {
        let span = |n: u64| {
            json!({
                "traceId": trace_id(1).to_string(), "spanId": span_id(n).to_string(), "name": "x",
                "startTimeUnixNano": (T0 * 1_000).to_string(),
            })
        };
        let name = json!([{"key": "service.name", "value": {"stringValue": "shop"}}]);
        let spans: Vec<Value> = (1..=spans).map(span).collect();
        json!({"resource": {"attributes": name}, "scopeSpans": [{"spans": spans}]})
    };
    let broken = json!({"resourceSpans": [json(40), {"scopeSpans": 5}]}).to_string();
    // A group of its own behind the good one, with a length beyond the end.
    let cut = [group, &[10, 100]].concat();
    for (form, body) in [(JSON, broken.into_bytes()), (PROTOBUF, cut)] {
        let (status, ..) = send(&service, request("/v1/traces", form, body)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(rejected(&service, good).await, 0, "all forty are free still");
    assert_eq!(stored(&history, 1).await.spans.len(), 40);
}
