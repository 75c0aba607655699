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
    lines[4].service = "of-a-process".into();
    let event = |kind, duration_us| TimelineEvent {
        time_us: now_us,
        duration_us,
        kind,
        node: "node-1".into(),
        text: "shop 1: System.gc()".into(),
    };
    let events = vec![event(EventKind::GcPause, 77), event(EventKind::ConfigReloaded, 0)];
    let mut own = line(now_us, Level::Warn, None);
    own.target = "iap_apm::export::sender".into();
    let mut batch = Batch { logs: lines.clone(), events: events.clone(), ..Batch::default() };
    batch.logs.push(own);
    assert_eq!(count(&batch), 7, "what the export says of itself is not sent");

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
            body: text(name),
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
