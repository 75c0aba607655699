//! The history on a disk that is full: a small file system of its own.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use iap_apm::testing::{line, summary};
use iap_apm::{
    Batch, History, HistoryError, HistoryErrorKind, SqliteHistory, SqliteOptions, TransactionQuery, Window,
};
use iap_core::{Clock as _, ManualClock};

/// Set for the process that lives in the small file system: its directory.
const INSIDE: &str = "IAP_TEST_SMALL_DISK";
const DISK_KIB: usize = 36 * 1024;
const OTHERS_KIB: usize = 12 * 1024;
const HOURS: u64 = 24;
const T0_MS: u64 = 1_700_000_000_000;
const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn the_newest_is_kept_and_all_figures_are() {
    match std::env::var(INSIDE) {
        Ok(directory) => inside(Path::new(&directory)).await,
        Err(_) => in_small_file_system("the_newest_is_kept_and_all_figures_are"),
    }
}

/// Runs this program's test again in name spaces of its own, where a file system can be mounted.
fn in_small_file_system(test: &str) {
    let mounted = |command: &str| {
        let directory = tempfile::tempdir().expect("a directory");
        let mount =
            format!("mount -t tmpfs -o size={DISK_KIB}k none '{}' && {command}", directory.path().display());
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--mount", "sh", "-c", &mount]);
        unshare.env(INSIDE, directory.path()).stdin(Stdio::null());
        unshare.output().map(|output| (output.status.success(), output)).ok()
    };
    if !matches!(mounted("true"), Some((true, _))) {
        eprintln!("skipped: no file system can be mounted here");
        return;
    }
    let program = std::env::current_exe().expect("this program");
    let (passed, output) =
        mounted(&format!("'{}' --exact {test} --nocapture", program.display())).expect("started");
    let told = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(passed, "{}\n{}", told[0], told[1]);
}

async fn inside(directory: &Path) {
    // What others have, and give back at the end: as much as some batches need.
    let filler = directory.join("filler");
    std::fs::write(&filler, vec![0; OTHERS_KIB << 10]).expect("room");
    let clock = ManualClock::at(T0_MS);
    let options = SqliteOptions { clock: Arc::new(clock.clone()), ..SqliteOptions::default() };
    let history = SqliteHistory::open(directory.join("history"), options.clone()).expect("opened");
    // More than twice of what the disk holds, hour by hour.
    for hour in 0..HOURS {
        history.append(batch(hour, &clock)).await.expect("kept");
        clock.advance(HOUR);
    }
    assert!(history.evicted().by_full_disk > 0, "{:?}", history.evicted());
    assert_eq!(figures(&history).await, HOURS, "what was removed is in the figures");
    let kept = listed(&history).await;
    assert_eq!(kept.first(), Some(&(HOURS - 1)), "the newest is there");
    assert!((2..HOURS as usize).contains(&kept.len()), "{kept:?}");
    drop(history);

    // Somebody else takes what is left: it starts, and takes in what it has room for.
    fill(&filler);
    let history = SqliteHistory::open(directory.join("history"), options.clone()).expect("starts");
    let mut hour = HOURS;
    let refused = loop {
        match history.append(batch(hour, &clock)).await {
            Ok(()) => hour += 1,
            Err(error) => break error,
        }
        fill(&filler);
        assert!(hour < 3 * HOURS, "the disk was not full");
    };
    check_refusal(&refused);
    // As often as it is tried; nothing is lost of what was there.
    let before = listed(&history).await;
    check_refusal(&history.append(batch(hour, &clock)).await.expect_err("full"));
    assert_eq!(listed(&history).await, before);

    std::fs::remove_file(&filler).expect("room");
    history.append(batch(hour, &clock)).await.expect("there is room again");
    assert_eq!(listed(&history).await.first(), Some(&hour));
    drop(history);
    let history = SqliteHistory::open(directory.join("history"), options).expect("starts");
    assert_eq!(listed(&history).await.first(), Some(&hour));
}

fn check_refusal(error: &HistoryError) {
    assert_eq!((error.kind(), error.is_retryable()), (HistoryErrorKind::Full, true), "{error:?}");
}

/// One transaction, with more than a megabyte of lines that cannot be compressed.
fn batch(hour: u64, clock: &ManualClock) -> Arc<Batch> {
    let now_us = clock.now_ms() * 1_000;
    let transaction = summary(hour + 1, now_us, 1_000);
    let noise = |at: u64| {
        let id = |_| iap_core::SpanId::random().to_string();
        iap_apm::LogLine {
            message: (0..16).map(id).collect(),
            ..line(now_us + at, iap_apm::model::Level::Info, None)
        }
    };
    Arc::new(Batch {
        transactions: vec![transaction],
        logs: (0..4_000).map(noise).collect(),
        ..Batch::default()
    })
}

/// The hours whose transaction is listed, newest first.
async fn listed(history: &SqliteHistory) -> Vec<u64> {
    let page = history.transactions(&TransactionQuery::new(Window::all())).await.expect("readable");
    page.items.iter().map(|row| u64::from_be_bytes(row.span_id.0) - 1).collect()
}

async fn figures(history: &SqliteHistory) -> u64 {
    let stats = history.route_stats(Window::all()).await.expect("readable");
    stats.iter().map(|route| route.count).sum()
}

/// Writes until there is no room at all.
fn fill(path: &Path) {
    use std::io::Write as _;
    let mut file = std::fs::File::options().append(true).create(true).open(path).expect("opened");
    for size in [1 << 16, 1 << 12, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}
