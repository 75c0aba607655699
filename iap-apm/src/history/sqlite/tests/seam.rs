//! Traces that go on in the next hour's file.

use iap_core::Clock;

use super::*;
use crate::history::SeriesQuery;

fn row(trace: u64, span: u64, source: Source, start_us: u64) -> crate::TransactionSummary {
    crate::TransactionSummary { span_id: span_id(span), source, ..summary(trace, start_us, 100) }
}

async fn counted(history: &SqliteHistory) -> u64 {
    let stats = history.route_stats(Window::all()).await.expect("figures");
    stats.iter().map(|route| route.count).sum()
}

#[tokio::test]
async fn a_trace_over_the_hour_is_listed_and_counted_once() {
    use Source::{OtlpEntry, OtlpRoot, Own};
    for restarted in [false, true] {
        let directory = tempfile::tempdir().expect("a directory");
        let clock = ManualClock::at(T0 / 1_000);
        let mut history = SqliteHistory::open(directory.path(), options(&clock)).expect("a history");
        // Whichever comes first, the one that is nearest to the client stands for the trace.
        let first = vec![row(1, 11, OtlpRoot, T0), row(2, 21, OtlpEntry, T0), row(3, 31, OtlpEntry, T0)];
        let first = [first, vec![row(4, 41, Own, T0), row(5, 51, OtlpEntry, T0)]].concat();
        history.append(batch(first)).await.expect("kept");
        clock.advance(HOUR);
        if restarted {
            drop(history);
            history = SqliteHistory::open(directory.path(), options(&clock)).expect("a history");
        }
        let next = vec![row(1, 12, OtlpEntry, T0 + 1), row(2, 22, Own, T0 + 1), row(3, 32, OtlpRoot, T0 + 1)];
        // Sent again as its answer was lost; and one that only looks like another.
        let next = [next, vec![row(4, 41, Own, T0), row(5, 52, OtlpEntry, T0 + 1)]].concat();
        history.append(batch(next)).await.expect("kept");
        assert_eq!(history.size().0, 2);
        let listed = ids(&history, &TransactionQuery::new(Window::all())).await;
        assert_eq!(listed, [52, 32, 22, 51, 41, 11], "{restarted}");
        assert_eq!(counted(&history).await, 6);
        let trace = history.trace(trace_id(2)).await.expect("readable").expect("present");
        assert_eq!(trace.summary.expect("one").span_id, span_id(22));
        // Also once the files are closed, and gone.
        for _ in 0..2 {
            clock.advance(HOUR);
            history.append(batch(vec![row(9, 91, OtlpEntry, T0)])).await.expect("kept");
            history.retain().await.expect("rolled up");
            assert_eq!(counted(&history).await, 7);
        }
        clock.advance(200 * HOUR);
        history.retain().await.expect("removed");
        let query = SeriesQuery { window: Window::new(0, 2 * T0), step_us: T0 / 100, route: None };
        let points = history.series(&query).await.expect("points");
        assert_eq!(points.iter().map(|point| point.count).sum::<u64>(), 7);
    }
}

#[tokio::test]
async fn an_old_trace_opens_few_files() {
    let clock = ManualClock::at(T0 / 1_000);
    let history = SqliteHistory::temporary(options(&clock)).expect("a history");
    for hour in 0..20 {
        let at = clock.now_ms() * 1_000;
        history.append(batch(vec![summary(hour, at, 100)])).await.expect("kept");
        history.append(spans(hour, vec![span(1, None, at, 100)])).await.expect("kept");
        clock.advance(HOUR);
    }
    let at = T0 + 5 * 3_600_000_000;
    let near = Window::new(at, at + 100);
    let files = history.owned.get().expect("ours").files.near(near).len();
    assert!((1..=2).contains(&files), "{files} of {}", history.size().0);
    let trace = history.trace_near(trace_id(5), near).await.expect("readable").expect("present");
    assert_eq!((trace.spans.len(), trace.summary.is_some()), (1, true));
    // A wrong idea of when it was costs time, not the trace.
    for wrong in [Window::new(0, 1), Window::new(at + 10 * 3_600_000_000, u64::MAX)] {
        assert_eq!(history.trace_near(trace_id(5), wrong).await.expect("readable").as_ref(), Some(&trace));
    }
    assert_eq!(history.trace_near(trace_id(99), near).await.expect("readable"), None);
}

#[tokio::test]
async fn a_file_that_is_being_begun_is_not_read() {
    let history = history();
    // The writer names it before its tables are there.
    history.owned.get().expect("ours").files.current(false);
    assert_eq!(history.trace(trace_id(1)).await.expect("readable"), None);
    assert_eq!(history.linked_from(trace_id(1), None).await.expect("readable"), []);
    history.append(batch(vec![summary(1, T0, 5)])).await.expect("kept");
    assert!(history.trace(trace_id(1)).await.expect("readable").is_some());
}
