//! Events of the time line of other nodes: who may tell of them, and how many.

use std::sync::atomic::Ordering;

use iap_core::ManualClock;

use super::overload::Refusing;
use super::*;
use crate::history::EventQuery;
use crate::model::{EventKind, TimelineEvent};

const LOGS: &str = "/v1/logs";

fn number(value: i64) -> Option<AnyValue> {
    Some(AnyValue { value: Some(Any::IntValue(value)) })
}

fn pause(node: &str, time_us: u64) -> LogRecord {
    LogRecord {
        time_unix_nano: time_us * 1_000,
        event_name: "iap.timeline.gc_pause".into(),
        body: text("a pause"),
        attributes: vec![attribute("iap.node", text(node)), attribute("iap.duration_us", number(7))],
        ..LogRecord::default()
    }
}

fn of_orders(log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let resource =
        Resource { attributes: vec![attribute("service.name", text("orders"))], ..Resource::default() };
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let group = ResourceLogs { resource: Some(resource), scope_logs, ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![group] }
}

/// The answer to events, and how many of them were refused for what reason.
async fn sent(service: &OtlpService, records: Vec<LogRecord>) -> (StatusCode, i64, String) {
    let body = of_orders(records).encode_to_vec();
    let (status, _, body) = send(service, request(LOGS, PROTOBUF, body)).await;
    let partial = ExportLogsServiceResponse::decode(body).ok().and_then(|answer| answer.partial_success);
    let partial = partial.unwrap_or_default();
    (status, partial.rejected_log_records, partial.error_message)
}

async fn events(history: &Arc<dyn History>) -> Vec<TimelineEvent> {
    history.events(&EventQuery::new(Window::all())).await.expect("readable")
}

fn at(service: &mut OtlpService) -> ManualClock {
    let clock = ManualClock::at(T0 / 1_000);
    service.clock = Arc::new(clock.clone());
    clock
}

#[tokio::test]
async fn only_who_may_report_for_every_service_tells_of_the_time_line() {
    let (mut service, history) = receiver();
    at(&mut service);
    let tokens = [OtlpToken::new("orders-secret", ["orders".to_owned()]), OtlpToken::new("any-secret", [])];
    let service = service.tokens(tokens);
    for (n, (secret, may)) in [("orders-secret", false), ("any-secret", true)].into_iter().enumerate() {
        for (m, encoding) in [PROTOBUF, JSON].into_iter().enumerate() {
            let body = of_orders(vec![pause("node-1", T0 + (2 * n + m) as u64)]);
            let body = match encoding {
                JSON => serde_json::to_vec(&body).expect("JSON"),
                _ => body.encode_to_vec(),
            };
            let mut request = request(LOGS, encoding, body);
            let field = format!("Bearer {secret}").parse().expect("a value");
            request.headers_mut().insert(header::AUTHORIZATION, field);
            assert_eq!(send(&service, request).await.0, StatusCode::OK);
            let lines = history.logs(&LogQuery::new(Window::all())).await.expect("readable");
            let told = if may { (2, m + 1) } else { (m + 1, 0) };
            assert_eq!((lines.len(), events(&history).await.len()), told, "{secret} {encoding}");
            let as_line = |line: &crate::model::LogLine| {
                line.message == "a pause" && line.service == "orders" && line.fields["iap.node"] == "node-1"
            };
            assert!(lines.iter().all(as_line), "{lines:?}");
        }
    }
}

#[tokio::test]
async fn what_an_event_says_is_bounded() {
    let (mut service, history) = receiver();
    at(&mut service);
    let mut long = pause(&"é".repeat(200), T0);
    long.body = text(&"é".repeat(5_000));
    long.attributes[1].value = number(i64::MAX);
    let mut odd = pause("node-1", T0 + 299_000_000);
    odd.attributes[1].value = number(-1);
    odd.body = number(5);
    // More than five minutes ahead, or at no time at all.
    let (ahead, never) = (pause("node-1", T0 + 301_000_000), pause("node-1", 0));
    assert_eq!(sent(&service, vec![long, odd, ahead, never]).await, (StatusCode::OK, 0, String::new()));
    let mut found = events(&history).await;
    found.sort_by_key(|event| event.time_us);
    let event = |time_us, duration_us, node: String, text: String| TimelineEvent {
        time_us,
        duration_us,
        kind: EventKind::GcPause,
        node,
        text,
    };
    let long = event(T0, 3_600_000_000, "é".repeat(50), "é".repeat(250));
    assert_eq!(found, [long, event(T0 + 299_000_000, 0, "node-1".into(), String::new())]);
    assert_eq!(history.logs(&LogQuery::new(Window::all())).await.expect("readable").len(), 2);
}

#[tokio::test]
async fn events_are_bounded_in_number_by_node_and_nodes_by_hour() {
    let (mut service, history) = receiver();
    let clock = at(&mut service);
    let many = |number: u64| (0..number).map(|n| pause("noisy", T0 + n)).collect::<Vec<_>>();
    let fine = (StatusCode::OK, 0, String::new());
    let full = |refused| (StatusCode::OK, refused, "the node has too many events in this hour".to_owned());

    // What the history did not take may come again, as often as it must.
    let refusing: Arc<dyn History> = Arc::new(Refusing(Some(HistoryErrorKind::Unavailable)));
    let working = std::mem::replace(&mut service.history, refusing);
    for _ in 0..2 {
        assert_eq!(sent(&service, many(10_000)).await.0, StatusCode::SERVICE_UNAVAILABLE);
    }
    // Nor does it count what somebody has sent who left before it was taken.
    service.history = Arc::new(Refusing(None));
    for times in 3..5 {
        let mut left = Box::pin(sent(&service, many(10_000)));
        let noop = &mut Context::from_waker(std::task::Waker::noop());
        while service.books.logs.made.load(Ordering::Relaxed) < times * 10_000 {
            assert!(left.as_mut().poll(noop).is_pending());
            tokio::task::yield_now().await;
        }
    }
    service.history = working;

    assert_eq!(sent(&service, many(10_002)).await, full(2));
    assert_eq!(sent(&service, many(1)).await, full(1));
    let nodes: Vec<_> = (1..100).map(|n| pause(&format!("node-{n}"), T0)).collect();
    assert_eq!(sent(&service, nodes).await, fine);
    let other = || vec![pause("one-more", T0)];
    let nodes = "too many nodes have events in this hour".to_owned();
    assert_eq!(sent(&service, other()).await, (StatusCode::OK, 1, nodes));
    assert_eq!(sent(&service, vec![pause("node-7", T0 + 1)]).await, fine, "those that are known go on");
    let mut all = EventQuery::new(Window::all());
    (all.kind, all.limit) = (Some(EventKind::GcPause), 1_000);
    assert_eq!(history.events(&all).await.expect("readable").len(), 1_000);
    clock.advance(Duration::from_secs(3_600));
    assert_eq!(sent(&service, other()).await, fine);
    assert_eq!(sent(&service, many(1)).await, fine);
}
