mod blocks;
mod events;
mod metrics;
mod rollups;
mod seam;
mod span_groups;
mod texts;
mod weights;

use iap_core::ManualClock;

use super::disk::FileId;
use super::*;
use crate::history::Order;
use crate::model::Source;
use crate::testing::{conformance, span, span_id, spans, summary, trace_id, transactions as batch};

const HOUR: Duration = Duration::from_secs(3_600);
const T0: u64 = 1_700_000_000_000_000;

fn options(clock: &ManualClock) -> SqliteOptions {
    SqliteOptions { clock: Arc::new(clock.clone()), ..SqliteOptions::default() }
}

fn history() -> SqliteHistory {
    SqliteHistory::temporary(SqliteOptions::default()).expect("a history")
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
async fn it_does_what_every_history_does() {
    conformance(|| async { Arc::new(history()) as Arc<dyn History> }).await;
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
}

#[tokio::test]
async fn what_comes_in_the_next_hour_joins() {
    let clock = ManualClock::at(T0 / 1_000);
    let history = SqliteHistory::temporary(options(&clock)).expect("a history");
    let first = spans(1, vec![span(1, None, T0, 100), span(2, Some(1), T0 + 10, 50)]);
    history.append(first.clone()).await.expect("kept");
    history.append(batch(vec![summary(1, T0, 100)])).await.expect("kept");
    clock.advance(HOUR);
    history.append(first).await.expect("kept");
    history.append(spans(1, vec![span(3, Some(2), T0 + 20, 10)])).await.expect("kept");
    let trace = history.trace(trace_id(1)).await.expect("readable").expect("present");
    let found: Vec<_> = trace.spans.iter().map(|span| span.span_id).collect();
    assert_eq!(found, [span_id(1), span_id(2), span_id(3)]);
    assert!(trace.summary.is_some());
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
    assert_eq!(history.evicted(), Evicted { by_age: 3, ..Evicted::default() });
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
