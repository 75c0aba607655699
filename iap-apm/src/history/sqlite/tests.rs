mod events;
mod metrics;
mod rollups;
mod seam;
mod weights;

use iap_core::ManualClock;

use super::files::FileId;
use super::*;
use crate::history::{Order, StatusFilter, TraceSpans};
use crate::model::{Attributes, Level, Source};
use crate::testing::{span, span_id, summary, trace_id};

const HOUR: Duration = Duration::from_secs(3_600);
const T0: u64 = 1_700_000_000_000_000;

fn options(clock: &ManualClock) -> SqliteOptions {
    SqliteOptions { clock: Arc::new(clock.clone()), ..SqliteOptions::default() }
}

fn history() -> SqliteHistory {
    SqliteHistory::temporary(SqliteOptions::default()).expect("a history")
}

fn batch(transactions: Vec<crate::TransactionSummary>) -> Arc<Batch> {
    Arc::new(Batch { transactions, ..Batch::default() })
}

fn spans(trace: u64, spans: Vec<crate::Span>) -> Arc<Batch> {
    let spans = vec![TraceSpans { trace_id: trace_id(trace), spans }];
    Arc::new(Batch { spans, ..Batch::default() })
}

fn line(time_us: u64, level: Level, trace: Option<u64>) -> LogLine {
    LogLine {
        time_us,
        level,
        target: "t".into(),
        message: format!("at {time_us}"),
        trace_id: trace.map(trace_id),
        span_id: None,
        service: "test".into(),
        fields: Attributes::new(),
    }
}

/// The one file of an hour in the directory; the roll-ups lie beside it.
fn hour_file(directory: &std::path::Path) -> std::path::PathBuf {
    let files = std::fs::read_dir(directory).expect("readable").map(|entry| entry.expect("readable").path());
    let mut hours =
        files.filter(|path| FileId::parse(&path.file_name().expect("a name").to_string_lossy()).is_some());
    hours.next().expect("a file")
}

async fn ids(history: &SqliteHistory, query: &TransactionQuery) -> Vec<u64> {
    let page = history.transactions(query).await.expect("a page");
    page.items.iter().map(|row| u64::from_be_bytes(row.span_id.0)).collect()
}

#[tokio::test]
async fn every_filter_selects() {
    let history = history();
    let mut rows: Vec<_> = (1..=6).map(|n| summary(n, T0 + n, n * 100)).collect();
    rows[0].route = "cart".into();
    rows[1].status = 503;
    rows[1].failed = true;
    rows[2].status = 404;
    rows[3].user = Some("kim".into());
    rows[4].session = Some("s-1".into());
    rows[5].service = "other".into();
    history.append(batch(rows.clone())).await.expect("kept");

    let all = TransactionQuery::new(Window::new(T0, T0 + 100));
    let cases = [
        (all.clone(), vec![6, 5, 4, 3, 2, 1]),
        (TransactionQuery { window: Window::new(T0 + 2, T0 + 4), ..all.clone() }, vec![3, 2]),
        (TransactionQuery { route: Some("cart".into()), ..all.clone() }, vec![1]),
        (TransactionQuery { status: Some(StatusFilter::Class(5)), ..all.clone() }, vec![2]),
        (TransactionQuery { status: Some(StatusFilter::Exact(404)), ..all.clone() }, vec![3]),
        (TransactionQuery { errors_only: true, ..all.clone() }, vec![2]),
        (TransactionQuery { min_duration_us: Some(500), ..all.clone() }, vec![6, 5]),
        (TransactionQuery { user: Some("kim".into()), ..all.clone() }, vec![4]),
        (TransactionQuery { session: Some("s-1".into()), ..all.clone() }, vec![5]),
        (TransactionQuery { service: Some("other".into()), ..all.clone() }, vec![6]),
        (TransactionQuery { user: Some("' OR 1=1 --".into()), ..all.clone() }, vec![]),
    ];
    for (query, expected) in cases {
        assert_eq!(ids(&history, &query).await, expected, "{query:?}");
    }
    let page = history.transactions(&all).await.expect("a page");
    assert_eq!(page.items[5], rows[0], "a row comes back as it was");
}

#[tokio::test]
async fn pages_continue_over_files_and_equal_keys() {
    let clock = ManualClock::at(T0 / 1_000);
    let history = SqliteHistory::temporary(options(&clock)).expect("a history");
    for hour in 0..3 {
        // All with the same start, so that only the ids order them.
        let rows = (1..=10).map(|n| summary(hour * 10 + n, T0, 7)).collect();
        history.append(batch(rows)).await.expect("kept");
        clock.advance(HOUR);
    }
    assert_eq!(history.size().0, 3);
    for order in [Order::Newest, Order::Slowest] {
        let mut query = TransactionQuery { limit: 7, order, ..TransactionQuery::new(Window::all()) };
        let mut seen = Vec::new();
        loop {
            seen.extend(ids(&history, &query).await);
            query.cursor = history.transactions(&query).await.expect("a page").next;
            if query.cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, (1..=30).rev().collect::<Vec<_>>());
    }
    let foreign = TransactionQuery { cursor: Some("x".into()), ..TransactionQuery::new(Window::all()) };
    let error = history.transactions(&foreign).await.expect_err("not a cursor");
    assert_eq!((error.kind(), error.is_retryable()), (HistoryErrorKind::InvalidQuery, false));
}

#[tokio::test]
async fn what_comes_again_or_late_joins() {
    let clock = ManualClock::at(T0 / 1_000);
    let history = SqliteHistory::temporary(options(&clock)).expect("a history");
    let first = spans(1, vec![span(1, None, T0, 100), span(2, Some(1), T0 + 10, 50)]);
    history.append(first.clone()).await.expect("kept");
    history.append(first.clone()).await.expect("kept");
    history.append(batch(vec![summary(1, T0, 100)])).await.expect("kept");
    clock.advance(HOUR);
    history.append(first).await.expect("kept");
    history.append(spans(1, vec![span(3, Some(2), T0 + 20, 10)])).await.expect("kept");
    let trace = history.trace(trace_id(1)).await.expect("readable").expect("present");
    let found: Vec<_> = trace.spans.iter().map(|span| span.span_id).collect();
    assert_eq!(found, [span_id(1), span_id(2), span_id(3)]);
    assert_eq!(trace.summary.as_ref().map(|row| row.span_id), Some(span_id(1)));
    let tree = trace.tree();
    assert_eq!((tree.roots.len(), tree.find(span_id(2)).expect("present").self_us), (1, 40));
    assert_eq!(history.trace(trace_id(2)).await.expect("readable"), None);
}

#[tokio::test]
async fn of_a_trace_only_the_most_trusted_rows_are_listed() {
    let history = history();
    let row = |n, trace, source| {
        let mut row = summary(n, T0 + n, 10);
        (row.trace_id, row.source) = (trace_id(trace), source);
        row
    };
    let rows = vec![
        row(1, 1, Source::OtlpEntry),
        row(2, 1, Source::Own),
        row(3, 2, Source::OtlpEntry),
        row(4, 2, Source::OtlpRoot),
        row(5, 3, Source::OtlpEntry),
        row(6, 3, Source::OtlpEntry),
    ];
    for row in rows {
        history.append(batch(vec![row])).await.expect("kept");
    }
    assert_eq!(ids(&history, &TransactionQuery::new(Window::all())).await, [6, 5, 4, 2]);
    let stats = history.route_stats(Window::all()).await.expect("stats");
    assert_eq!(stats.iter().map(|route| route.count).sum::<u64>(), 4, "aggregates agree with the listing");
}

#[tokio::test]
async fn aggregates_are_by_route_and_step() {
    let history = history();
    let mut rows: Vec<_> = (1..=60).map(|n| summary(n, T0 + n * 1_000_000, n)).collect();
    rows.iter_mut().skip(50).for_each(|row| row.route = "cart".into());
    rows[59].failed = true;
    history.append(batch(rows)).await.expect("kept");
    let window = Window::new(T0, T0 + 100_000_000);
    let stats = history.route_stats(window).await.expect("stats");
    assert_eq!(stats.iter().map(|route| route.route.as_str()).collect::<Vec<_>>(), ["orders", "cart"]);
    assert_eq!((stats[0].count, stats[0].errors, stats[0].p50_us, stats[0].p95_us), (50, 0, 25, 48));
    assert_eq!((stats[1].count, stats[1].errors, stats[1].max_us, stats[1].total_us), (10, 1, 60, 555));

    let mut query = SeriesQuery { window, step_us: 30_000_000, route: None };
    let series = history.series(&query).await.expect("a series");
    assert_eq!(series.iter().map(|point| point.count).collect::<Vec<_>>(), [29, 30, 1, 0]);
    assert_eq!(series[1].start_us, T0 + 30_000_000);
    assert_eq!((series[2].errors, series[2].p99_us), (1, 60));
    query.route = Some("cart".into());
    let series = history.series(&query).await.expect("a series");
    assert_eq!(series.iter().map(|point| point.count).collect::<Vec<_>>(), [0, 9, 1, 0]);
    for step_us in [0, 1] {
        query.step_us = step_us;
        let error = history.series(&query).await.expect_err("too many steps");
        assert_eq!(error.kind(), HistoryErrorKind::InvalidQuery);
    }
}

#[tokio::test]
async fn log_lines_are_found_by_trace_level_and_time() {
    let history = history();
    let logs = vec![
        line(T0 + 1, Level::Info, Some(1)),
        line(T0 + 2, Level::Error, Some(1)),
        line(T0 + 3, Level::Warn, None),
    ];
    let batch = Arc::new(Batch { logs, ..Batch::default() });
    history.append(batch.clone()).await.expect("kept");
    history.append(batch).await.expect("kept");
    let times = async |query: LogQuery| {
        let lines = history.logs(&query).await.expect("lines");
        lines.iter().map(|line| line.time_us - T0).collect::<Vec<_>>()
    };
    assert_eq!(times(LogQuery::of_trace(trace_id(1))).await, [1, 2]);
    let window = LogQuery::new(Window::new(T0, T0 + 10));
    assert_eq!(times(window.clone()).await, [1, 2, 3]);
    assert_eq!(times(LogQuery { min_level: Some(Level::Warn), ..window.clone() }).await, [2, 3]);
    assert_eq!(times(LogQuery { limit: 1, ..window }).await, [3], "the latest");
    let trace = history.trace(trace_id(1)).await.expect("readable").expect("log lines alone make a trace");
    assert_eq!((trace.logs.len(), trace.spans.len()), (2, 0));
}

#[tokio::test]
async fn old_files_are_removed_whole() {
    let clock = ManualClock::at(T0 / 1_000);
    let options = SqliteOptions { max_age: 2 * HOUR, ..options(&clock) };
    let history = SqliteHistory::temporary(options).expect("a history");
    for n in 1..=3 {
        // What the data claims does not matter: this is from the year 2100.
        history.append(batch(vec![summary(n, 4_102_444_800_000_000 + n, 1)])).await.expect("kept");
        clock.advance(HOUR);
    }
    assert_eq!(history.size().0, 3);
    clock.advance(HOUR / 2);
    history.retain().await.expect("done");
    assert_eq!(ids(&history, &TransactionQuery::new(Window::all())).await, [3, 2]);
    clock.advance(24 * HOUR);
    history.append(batch(vec![summary(4, T0, 1)])).await.expect("kept");
    history.retain().await.expect("done");
    assert_eq!(ids(&history, &TransactionQuery::new(Window::all())).await, [4]);
    assert_eq!(history.evicted(), Evicted { by_age: 3, by_size: 0 });
}

#[tokio::test]
async fn the_oldest_go_when_all_is_too_large() {
    let clock = ManualClock::at(T0 / 1_000);
    let options = SqliteOptions { max_bytes: 4 << 20, ..options(&clock) };
    let history = SqliteHistory::temporary(options).expect("a history");
    for round in 0..60 {
        // Within one hour: files are closed by size.
        let rows = (0..300).map(|n| {
            let mut row = summary(round * 300 + n + 1, T0 + round * 300 + n, 1);
            row.message = Some("m".repeat(500));
            row
        });
        history.append(batch(rows.collect())).await.expect("kept");
    }
    history.retain().await.expect("done");
    let evicted = history.evicted();
    assert!(evicted.by_size > 0 && evicted.by_age == 0, "{evicted:?}");
    let (files, bytes) = history.size();
    assert!(files > 1 && bytes <= 4 << 20, "{files} files of {bytes} bytes");
    assert_eq!(ids(&history, &TransactionQuery::new(Window::all())).await[0], 60 * 300, "the newest stay");
}

/// What a `kill -9` leaves behind: the files with their logs, copied while they are being written.
#[tokio::test]
async fn reopening_after_an_unclean_stop_finds_what_was_acknowledged() {
    let (before, after) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let history = SqliteHistory::open(before.path(), SqliteOptions::default()).expect("a history");
    history.append(batch(vec![summary(1, T0, 10)])).await.expect("kept");
    history.append(spans(1, vec![span(1, None, T0, 10)])).await.expect("kept");
    for entry in std::fs::read_dir(before.path()).expect("readable") {
        let entry = entry.expect("readable");
        // The shared index is rebuilt from the log; a copy of it may be torn.
        if !entry.file_name().to_string_lossy().ends_with("-shm") {
            std::fs::copy(entry.path(), after.path().join(entry.file_name())).expect("copied");
        }
    }
    assert!(std::fs::read_dir(after.path()).expect("readable").count() >= 2, "a file and its log");
    let reopened = SqliteHistory::open(after.path(), SqliteOptions::default()).expect("opens");
    assert_eq!(ids(&reopened, &TransactionQuery::new(Window::all())).await, [1]);
    reopened.append(batch(vec![summary(2, T0 + 1, 10)])).await.expect("goes on");
    assert_eq!(ids(&reopened, &TransactionQuery::new(Window::all())).await, [2, 1]);
    assert_eq!(reopened.trace(trace_id(1)).await.expect("readable").expect("present").spans.len(), 1);
}

#[tokio::test]
async fn a_damaged_file_is_set_aside() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("apm-00000001-00000.db");
    std::fs::write(&path, vec![7; 10_000]).expect("written");
    let history = SqliteHistory::open(directory.path(), SqliteOptions::default()).expect("opens");
    history.append(batch(vec![summary(1, T0, 10)])).await.expect("kept");
    assert_eq!(ids(&history, &TransactionQuery::new(Window::all())).await, [1]);
    assert!(!path.exists() && directory.path().join("apm-00000001-00000.db.damaged").exists());
}

#[tokio::test]
async fn a_trace_over_the_limit_is_read_in_part_and_marked() {
    let history = history();
    for chunk in 0..5 {
        let list = (1..=5_000).map(|n| span(chunk * 5_000 + n, Some(1), T0 + n, 1)).collect();
        history.append(spans(1, list)).await.expect("kept");
    }
    let trace = history.trace(trace_id(1)).await.expect("readable").expect("present");
    assert_eq!((trace.spans.len(), trace.truncated), (20_000, true));
}

#[tokio::test]
async fn spans_of_any_size_are_read_back() {
    let history = history();
    // Each control character takes six bytes in JSON.
    let large = (1..=10).map(|n| {
        let mut span = span(n, None, T0 + n, 1);
        span.attributes.insert("a".into(), "\u{1}".repeat(200_000).into());
        span
    });
    let list: Vec<_> = large.collect();
    history.append(spans(1, list.clone())).await.expect("kept");
    let trace = history.trace(trace_id(1)).await.expect("readable").expect("present");
    assert!(trace.spans == list && !trace.truncated);
}

#[cfg(unix)]
#[test]
fn a_new_directory_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("history");
    SqliteHistory::open(&path, SqliteOptions::default()).expect("opens");
    let mode = std::fs::metadata(&path).expect("created").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn a_directory_has_one_owner() {
    let directory = tempfile::tempdir().expect("a directory");
    let first = SqliteHistory::open(directory.path(), SqliteOptions::default()).expect("opens");
    let error = SqliteHistory::open(directory.path(), SqliteOptions::default()).expect_err("owned");
    assert_eq!(error.kind(), HistoryErrorKind::Unavailable);
    drop(first);
    SqliteHistory::open(directory.path(), SqliteOptions::default()).expect("free again");
}

#[test]
fn files_of_another_version_are_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("apm-00000001-00000.db");
    let file = schema::open_writer(&path).expect("a database");
    file.pragma_update(None, "user_version", 99).expect("set");
    drop(file);
    let error = SqliteHistory::open(directory.path(), SqliteOptions::default()).expect_err("another version");
    assert_eq!(error.kind(), HistoryErrorKind::Unavailable);
    assert!(path.exists());
}

#[test]
fn listings_follow_an_index() {
    let connection = schema::open_writer(Path::new(":memory:")).expect("a database");
    let cases = [("start_us", "transactions_start"), ("duration_us", "transactions_duration")];
    for (column, index) in cases {
        let sql = format!(
            "EXPLAIN QUERY PLAN SELECT * FROM entries WHERE {column} < 5
             ORDER BY {column} DESC, trace_id DESC, span_id DESC LIMIT 10"
        );
        let mut statement = connection.prepare(&sql).expect("valid");
        let plan: Vec<String> = statement
            .query_map([], |row| row.get(3))
            .expect("a plan")
            .map(|row| row.expect("a row"))
            .collect();
        assert!(plan[0].contains(index), "{plan:?}");
        // Rows of the same key may be sorted among themselves, all rows must not.
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER BY")), "{plan:?}");
    }
}

#[tokio::test]
async fn a_directory_is_taken_over_as_soon_as_its_owner_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let first = SqliteHistory::open(directory.path(), SqliteOptions::default()).unwrap();
    let error = SqliteHistory::open(directory.path(), SqliteOptions::default()).unwrap_err();
    assert!(error.to_string().contains("another history owns the directory"), "{error}");

    let next = SqliteHistory::open_when_free(directory.path(), SqliteOptions::default()).unwrap();
    let waiting = next.append(batch(vec![summary(2, T0, 7)]));
    let waiting = std::pin::pin!(async { waiting.await.unwrap() });
    assert_eq!(next.trace(trace_id(1)).await.unwrap_err().kind(), HistoryErrorKind::Unavailable);
    first.append(batch(vec![summary(1, T0, 7)])).await.unwrap();
    drop(first);
    waiting.await;
    for written in [1, 2] {
        let found = next.trace(trace_id(written)).await.unwrap();
        assert!(found.is_some(), "what the first has written and what waited: {written}");
    }

    // One that never gets its turn can be dropped.
    drop(SqliteHistory::open_when_free(directory.path(), SqliteOptions::default()).unwrap());
}
