//! The history after `kill -9`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use iap_apm::history::MAX_LIMIT;
use iap_apm::testing::summary;
use iap_apm::{Batch, History, SqliteHistory, SqliteOptions, TransactionQuery, TransactionSummary, Window};

/// Set for the process that writes until it is killed: the directory, and the first number to write.
const WRITER: &str = "IAP_TEST_WRITER";
const ROUNDS: usize = 100;
const ACKNOWLEDGED: usize = 20;

#[tokio::test]
async fn every_acknowledged_batch_survives_and_the_store_always_opens() {
    if let Ok(task) = std::env::var(WRITER) {
        let (directory, first) = task.split_once('|').expect("two parts");
        write_until_killed(Path::new(directory), first.parse().expect("a number")).await;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let mut acknowledged = 0;
    for round in 0..ROUNDS {
        acknowledged = kill_a_writer(directory.path(), acknowledged);
        let history = SqliteHistory::open(directory.path(), SqliteOptions::default()).expect("opens");
        let rows = all(&history).await;
        assert!(rows.len() as u64 >= acknowledged, "round {round}: {} of {acknowledged}", rows.len());
        // One batch may have been committed without its acknowledgement having been seen.
        acknowledged = rows.len() as u64;
        let expected: Vec<u64> = (1..=acknowledged).rev().collect();
        let found: Vec<u64> = rows.iter().map(|row| row.start_us).collect();
        assert_eq!(found, expected, "round {round}: no gaps");
    }
}

async fn all(history: &SqliteHistory) -> Vec<TransactionSummary> {
    let mut query = TransactionQuery { limit: MAX_LIMIT, ..TransactionQuery::new(Window::all()) };
    let mut rows = Vec::new();
    loop {
        let page = history.transactions(&query).await.expect("readable");
        rows.extend(page.items);
        query.cursor = page.next;
        if query.cursor.is_none() {
            return rows;
        }
    }
}

/// Starts this test again as a writer, waits for acknowledgements, kills it. The last number acknowledged.
fn kill_a_writer(directory: &Path, written: u64) -> u64 {
    let mut writer = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "every_acknowledged_batch_survives_and_the_store_always_opens", "--nocapture"])
        .env(WRITER, format!("{}|{}", directory.display(), written + 1))
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let lines = BufReader::new(writer.stdout.take().expect("piped")).lines();
    let numbers = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("kept ")?.parse().ok());
    let last = numbers.take(ACKNOWLEDGED).last().expect("acknowledgements");
    writer.kill().expect("killed");
    writer.wait().expect("ended");
    last
}

#[expect(clippy::print_stdout, reason = "the acknowledgements that the other process reads")]
async fn write_until_killed(directory: &Path, first: u64) -> ! {
    let history = SqliteHistory::open(directory, SqliteOptions::default()).expect("opens");
    for n in first.. {
        let batch = Batch { transactions: vec![summary(n, n, 1)], ..Batch::default() };
        history.append(Arc::new(batch)).await.expect("kept");
        println!("\nkept {n}");
    }
    unreachable!("killed before")
}
