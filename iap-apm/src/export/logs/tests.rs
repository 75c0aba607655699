use std::sync::Arc;

use http::{Request, StatusCode};
use iap_core::{Body, Clock as _, SystemClock};
use prost::Message;
use tower::ServiceExt;

use super::*;
use crate::history::{EventQuery, History, LogQuery, SqliteHistory, SqliteOptions};
use crate::model::{EventKind, Window};
use crate::otlp::OtlpService;
use crate::testing::{line, span_id};

#[tokio::test]
async fn a_receiver_of_ours_has_the_same_lines_and_events() {
    let now_us = SystemClock.now_ms() * 1_000;
    let mut lines: Vec<LogLine> = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error]
        .into_iter()
        .zip(now_us..)
        .map(|(level, at)| line(at, level, Some(1)))
        .collect();
    lines[3].span_id = Some(span_id(7));
    lines[3].fields.insert("user".into(), "kim".into());
    let event = |kind, duration_us| TimelineEvent {
        time_us: now_us,
        duration_us,
        kind,
        node: "node-1".into(),
        text: "shop 1: System.gc()".into(),
    };
    let events = vec![event(EventKind::GcPause, 77), event(EventKind::ConfigReloaded, 0)];
    let batch = Batch { logs: lines.clone(), events: events.clone(), ..Batch::default() };
    assert_eq!(count(&batch), 7);

    let history: Arc<dyn History> =
        Arc::new(SqliteHistory::temporary(SqliteOptions::default()).expect("a history"));
    let reporter = Reporter { service: "test".into(), instance: "1".into(), start_ns: 0 };
    for (request, number) in requests(&batch, &reporter) {
        assert_eq!(number, 7);
        let request = Request::post("/v1/logs")
            .header("content-type", "application/x-protobuf")
            .body(Body::from(bytes::Bytes::from(request.encode_to_vec())))
            .expect("a request");
        let response = OtlpService::new(history.clone()).oneshot(request).await.expect("infallible");
        assert_eq!(response.status(), StatusCode::OK);
    }
    assert_eq!(history.logs(&LogQuery::new(Window::all())).await.expect("lines"), lines);
    let mut found = history.events(&EventQuery::new(Window::all())).await.expect("events");
    found.sort_by_key(|event| event.kind);
    assert_eq!(found, events);
}

#[test]
fn who_did_what_and_what_sending_itself_writes_is_kept_back() {
    let reporter = Reporter { service: "test".into(), instance: "1".into(), start_ns: 0 };
    for (target, goes) in [
        ("audit", false),
        ("h2::codec::framed_read", false),
        ("hyper_util::client::legacy::pool", false),
        ("hyper::proto::h1::io", false),
        ("rustls::client::hs", false),
        ("tower::buffer::worker", false),
        ("mio::poll", false),
        ("auditing", true),
        ("h2load", true),
        ("process", true),
        ("shop::audit", true),
        ("", true),
    ] {
        let mut line = line(1, Level::Warn, None);
        line.target = target.into();
        let batch = Batch { logs: vec![line], ..Batch::default() };
        let sent: u64 = requests(&batch, &reporter).map(|(_, number)| number).sum();
        assert_eq!((count(&batch), sent), (u64::from(goes), u64::from(goes)), "{target}");
    }
}

#[test]
fn requests_stay_small_however_large_their_records_are() {
    let reporter = Reporter { service: "test".into(), instance: "1".into(), start_ns: 0 };
    let large: crate::model::Attributes =
        (0..20).map(|n| (format!("field {n}"), "x".repeat(16 << 10).into())).collect();
    let mut batch = Batch::default();
    let spans: Vec<_> = (1..=50)
        .map(|n| crate::model::Span { attributes: large.clone(), ..crate::testing::span(n, None, n, 1) })
        .collect();
    batch.spans.push(crate::history::TraceSpans::of(crate::testing::trace_id(1), &spans));
    batch.logs.extend((0..50).map(|n| LogLine { fields: large.clone(), ..line(n, Level::Info, None) }));
    // Of small ones as many as before.
    batch.logs.extend((0..4_500).map(|n| line(n, Level::Info, None)));
    let lines: Vec<_> =
        requests(&batch, &reporter).map(|(all, number)| (all.encoded_len(), number)).collect();
    let spans = super::super::spans::requests(&batch, &reporter);
    let spans: Vec<_> = spans.map(|(all, number)| (all.encoded_len(), number)).collect();
    let all = |sizes: &[(usize, u64)]| sizes.iter().map(|(_, number)| number).sum::<u64>();
    assert_eq!((all(&lines), all(&spans)), (4_550, 50));
    assert!(lines.iter().chain(&spans).all(|(bytes, _)| *bytes < 1_100_000), "{lines:?} {spans:?}");
    assert!(lines.iter().any(|(_, number)| *number == 2_000) && lines.len() < 22, "{lines:?}");
}

#[tokio::test]
async fn what_is_no_event_of_ours_is_a_line() {
    let history: Arc<dyn History> =
        Arc::new(SqliteHistory::temporary(SqliteOptions::default()).expect("a history"));
    let now_ns = SystemClock.now_ms() * 1_000_000;
    for (name, time) in
        [("iap.timeline.unheard_of", now_ns), ("device.app", now_ns), ("iap.timeline.stall", 0)]
    {
        let record = proto::LogRecord {
            event_name: name.into(),
            time_unix_nano: time,
            body: Some(text(name)),
            ..Default::default()
        };
        let scope = proto::ScopeLogs { log_records: vec![record], ..Default::default() };
        let group = proto::ResourceLogs { scope_logs: vec![scope], ..Default::default() };
        let body = ExportLogsServiceRequest { resource_logs: vec![group] }.encode_to_vec();
        let request = Request::post("/v1/logs").header("content-type", "application/x-protobuf");
        let request = request.body(Body::from(bytes::Bytes::from(body))).expect("a request");
        OtlpService::new(history.clone()).oneshot(request).await.expect("infallible");
    }
    assert_eq!(history.logs(&LogQuery::new(Window::all())).await.expect("lines").len(), 3);
    assert_eq!(history.events(&EventQuery::new(Window::all())).await.expect("events"), []);
}
