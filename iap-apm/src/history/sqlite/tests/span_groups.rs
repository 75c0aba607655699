use super::*;
use crate::history::{SpanColumn, SpanGroups, TraceSpans};

const MINUTE_US: u64 = 60_000_000;

async fn groups(history: &SqliteHistory, window: Window) -> SpanGroups {
    let by = vec![SpanColumn::Service, SpanColumn::Name, SpanColumn::Status];
    let query = SpanGroupsQuery { limit: 1_000, ..SpanGroupsQuery::new(window, by) };
    history.span_groups(&query).await.expect("groups")
}

fn rows(path: &std::path::Path) -> i64 {
    let file = rusqlite::Connection::open(path).expect("opened");
    file.query_row("SELECT count(*) FROM span_groups", [], |row| row.get(0)).expect("counted")
}

/// Spans of an hour, as many commits.
async fn fill(history: &SqliteHistory, start_us: u64) {
    for commit in 0..40_u64 {
        let made = |n: u64| {
            let mixed = (commit * 50 + n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut span =
                span(commit * 50 + n + 1, None, start_us + mixed % (50 * MINUTE_US), mixed % 90_000);
            span.name = format!("step {}", mixed % 5);
            span
        };
        history.append(spans(commit + 1, (0..50).map(made).collect())).await.expect("written");
    }
}

#[tokio::test]
async fn a_closed_file_answers_as_it_did_and_with_fewer_rows() {
    let (directory, clock) = (tempfile::tempdir().expect("a directory"), ManualClock::at(T0 / 1_000));
    let open = || SqliteHistory::open(directory.path(), options(&clock)).expect("opened");
    let history = open();
    fill(&history, T0).await;
    let file = hour_file(directory.path());
    let windows = [Window::all(), Window::new(T0 + 7 * MINUTE_US, T0 + 21 * MINUTE_US)];
    let before = [groups(&history, windows[0]).await, groups(&history, windows[1]).await];
    assert_eq!((before[0].spans, rows(&file)), (2_000, 40));
    assert!((1..2_000).contains(&before[1].spans));
    // Until the hour is over, and what comes late has come.
    clock.advance(3 * HOUR);
    history.append(batch(vec![summary(9_000, T0 + 3 * 3_600_000_000, 5)])).await.expect("written");
    clock.advance(HOUR);
    history.retain().await.expect("retained");
    assert_eq!(rows(&file), 1);
    for (window, before) in windows.into_iter().zip(&before) {
        assert_eq!(groups(&history, window).await, *before);
    }
    // Also where no transaction leads to the file.
    drop(history);
    let history = open();
    assert_eq!(groups(&history, windows[1]).await, before[1]);
}

#[tokio::test]
async fn texts_beyond_the_bounds_are_counted_together_or_cut() {
    let history = history();
    let mut long = span(1, None, T0, 50_000);
    long.name = "x".repeat(400);
    history.append(spans(1, vec![long])).await.expect("written");
    let named = |n: u64| {
        let mut span = span(n, None, T0, 5);
        span.name = format!("name {n}");
        span
    };
    let many: Vec<_> = (2..10_000).map(named).collect();
    let batch = Batch { spans: vec![TraceSpans::of(trace_id(2), &many)], ..Batch::default() };
    history.append(Arc::new(batch)).await.expect("written");
    // A route finds its place still.
    history.append(super::batch(vec![summary(7, T0, 5)])).await.expect("written");
    let found = groups(&history, Window::all()).await;
    assert_eq!(found.spans, 9_999);
    assert!(found.groups.iter().any(|group| group.values[1] == "x".repeat(200)));
    let other = found.groups.iter().find(|group| group.values[1] == "other").expect("those beyond");
    assert!(other.count > 1_000 && other.values[0] == "test", "{other:?}");
}

#[tokio::test]
async fn damaged_figures_hide_no_others() {
    let directory = tempfile::tempdir().expect("a directory");
    let open = || SqliteHistory::open(directory.path(), SqliteOptions::default()).expect("opened");
    let history = open();
    fill(&history, T0).await;
    drop(history);
    let file = rusqlite::Connection::open(hour_file(directory.path())).expect("opened");
    for (id, length, data) in
        [(1, 0, vec![0xff_u8; 40]), (2, 900, vec![7; 40]), (3, 0, vec![1, 1, 1, 1, 200, 9])]
    {
        let sql = "UPDATE span_groups SET length = ?2, data = ?3 WHERE id = ?1";
        assert_eq!(file.execute(sql, rusqlite::params![id, length, data]), Ok(1));
    }
    drop(file);
    let history = open();
    assert_eq!(groups(&history, Window::all()).await.spans, 37 * 50);
}
