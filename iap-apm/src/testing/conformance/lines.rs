//! Log lines, and events of the time line.

use std::future::Future;
use std::sync::Arc;

use serde_json::json;

use super::{SECOND, T0};
use crate::history::{Batch, EventQuery, History, LogQuery, MAX_LIMIT};
use crate::model::{EventKind, Level, LogLine, TimelineEvent, Window};
use crate::testing::{line, span_id, trace_id};

pub(super) async fn run<F, Fut>(make: &F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn History>>,
{
    lines_are_found_by_trace_level_and_time(&make().await).await;
    lines_are_told_apart_by_all_they_say(&make().await).await;
    lines_are_bounded(&make().await).await;
    lines_are_found_by_what_they_say(&make().await).await;
    events_are_found_by_what_they_overlap(&make().await).await;
}

async fn times(history: &Arc<dyn History>, query: LogQuery) -> Vec<u64> {
    let lines = history.logs(&query).await.expect("lines");
    lines.iter().map(|line| line.time_us - T0).collect()
}

async fn lines_are_found_by_trace_level_and_time(history: &Arc<dyn History>) {
    let logs = vec![
        line(T0 + 3, Level::Warn, None),
        line(T0 + 1, Level::Info, Some(1)),
        line(T0 + 2, Level::Error, Some(1)),
    ];
    let batch = Arc::new(Batch { logs, ..Batch::default() });
    history.append(batch.clone()).await.expect("kept");
    history.append(batch).await.expect("kept");
    assert_eq!(times(history, LogQuery::of_trace(trace_id(1))).await, [1, 2]);
    assert_eq!(times(history, LogQuery::of_trace(trace_id(2))).await, [] as [u64; 0]);
    let window = LogQuery::new(Window::new(T0, T0 + 10));
    assert_eq!(times(history, window.clone()).await, [1, 2, 3]);
    assert_eq!(times(history, LogQuery { min_level: Some(Level::Warn), ..window.clone() }).await, [2, 3]);
    assert_eq!(times(history, LogQuery { limit: 1, ..window.clone() }).await, [3], "the latest");
    assert_eq!(times(history, LogQuery { limit: 0, ..window }).await, [3], "at least one");
    assert_eq!(times(history, LogQuery::new(Window::new(T0 + 2, T0 + 3))).await, [2]);
    let trace = history.trace(trace_id(1)).await.expect("readable").expect("lines alone make a trace");
    assert_eq!((trace.logs.len(), trace.spans.len(), trace.summary), (2, 0, None));
}

async fn lines_are_found_by_what_they_say(history: &Arc<dyn History>) {
    let say = |at, service: &str, message: &str| LogLine {
        service: service.into(),
        message: message.into(),
        ..line(T0 + at, Level::Info, None)
    };
    let logs = vec![
        say(1, "shop", "Order 17 was Refused"),
        say(2, "shop", "100% of _them_ \\ \"quoted\" and 'single'"),
        say(3, "stock", "주문 17 거절"),
        say(4, "it's", "the message is not the service: stock"),
    ];
    history.append(Arc::new(Batch { logs, ..Batch::default() })).await.expect("kept");
    let found = async |contains: &str, service: Option<&str>| {
        let contains = Some(contains).filter(|text| !text.is_empty()).map(str::to_owned);
        let service = service.map(str::to_owned);
        times(history, LogQuery { contains, service, ..LogQuery::new(Window::all()) }).await
    };
    for (contains, times) in [
        ("refused", vec![1]),
        ("17", vec![1, 3]),
        ("거절", vec![3]),
        // Nothing but text: no patterns, no quotes.
        ("100%", vec![2]),
        ("%", vec![2]),
        ("_", vec![2]),
        ("\\", vec![2]),
        ("\"quoted\"", vec![2]),
        ("'", vec![2]),
        ("' OR 1 = 1 --", vec![]),
        ("message", vec![4]),
    ] {
        assert_eq!(found(contains, None).await, times, "{contains}");
    }
    assert_eq!(found("", Some("shop")).await, [1, 2]);
    assert_eq!(found("17", Some("stock")).await, [3]);
    assert_eq!(found("", Some("it's")).await, [4]);
}

async fn lines_are_told_apart_by_all_they_say(history: &Arc<dyn History>) {
    let plain = line(T0, Level::Info, Some(1));
    let mut others = vec![plain.clone(); 6];
    others[0].level = Level::Debug;
    others[1].target = "u".into();
    others[2].message.push('!');
    (others[3].trace_id, others[3].span_id) = (None, None);
    others[4].span_id = Some(span_id(4));
    others[5].fields.insert("k".into(), json!({ "deep": [1, "\u{1}", null] }));
    let all: Vec<_> = [plain].into_iter().chain(others).collect();
    for _ in 0..2 {
        history.append(Arc::new(Batch { logs: all.clone(), ..Batch::default() })).await.expect("kept");
    }
    let found = history.logs(&LogQuery::new(Window::all())).await.expect("lines");
    assert_eq!(found.len(), all.len());
    assert!(all.iter().all(|line| found.contains(line)), "as they were: {found:?}");
}

async fn lines_are_bounded(history: &Arc<dyn History>) {
    let logs = (0..1_100).map(|n| line(T0 + n, Level::Info, Some(1))).collect();
    history.append(Arc::new(Batch { logs, ..Batch::default() })).await.expect("kept");
    let all = LogQuery { limit: usize::MAX, ..LogQuery::new(Window::all()) };
    let found = times(history, all).await;
    assert_eq!((found.len(), found[0], found[MAX_LIMIT - 1]), (MAX_LIMIT, 100, 1_099));
}

fn event(time_us: u64, duration_us: u64, kind: EventKind) -> TimelineEvent {
    TimelineEvent { time_us, duration_us, kind, node: "node-1".into(), text: format!("at {time_us}") }
}

async fn events_are_found_by_what_they_overlap(history: &Arc<dyn History>) {
    let events = vec![
        event(SECOND, 0, EventKind::ConfigReloaded),
        event(2 * SECOND, SECOND / 2, EventKind::GcPause),
        event(3 * SECOND, 0, EventKind::Stall),
    ];
    let batch = Arc::new(Batch { events: events.clone(), ..Batch::default() });
    history.append(batch.clone()).await.expect("written");
    history.append(batch).await.expect("written again: it counts once");
    let find = async |from, to, kind, limit| {
        let query = EventQuery { window: Window::new(from, to), kind, limit };
        history.events(&query).await.expect("read")
    };
    assert_eq!(find(0, u64::MAX, None, 100).await, events);
    assert_eq!(find(2_300_000, 2_400_000, None, 100).await, events[1..2], "it began before");
    assert_eq!(find(2_600_000, 2_900_000, None, 100).await, []);
    assert_eq!(find(SECOND, 3 * SECOND, None, 100).await, events[..2]);
    assert_eq!(find(0, u64::MAX, Some(EventKind::Stall), 100).await, events[2..]);
    assert_eq!(find(0, u64::MAX, None, 1).await, events[2..], "the latest");
    let mut other = events[0].clone();
    other.node = "node-2".into();
    history.append(Arc::new(Batch { events: vec![other], ..Batch::default() })).await.expect("written");
    assert_eq!(find(0, u64::MAX, None, 100).await.len(), 4, "told apart by all they say");
}
