//! Figures of routes outlive their details, and agree with them.

use proptest::prelude::*;

use super::*;
use crate::history::SeriesQuery;
use crate::model::{RouteStats, SeriesPoint};
use crate::testing::percentile;

const MINUTE_US: u64 = 60_000_000;
const HOUR_US: u64 = 60 * MINUTE_US;
/// The full hour before `T0`.
const H0: u64 = T0 - T0 % HOUR_US;

/// What was measured, to be compared with what is told.
type Rows = Vec<crate::TransactionSummary>;

fn limited(clock: &ManualClock) -> SqliteOptions {
    let rollups = Rollups { minute: 4 * HOUR, five_minutes: 8 * HOUR, hour: 400 * 24 * HOUR };
    SqliteOptions { max_age: 2 * HOUR, rollups, ..options(clock) }
}

/// Transactions of each of `hours`, some of which come much later than they began.
async fn fill(history: &SqliteHistory, clock: &ManualClock, hours: u64, seeds: &[u64]) -> Rows {
    let mut rows = Rows::new();
    for hour in 0..hours {
        let mut batch = Rows::new();
        for (at, seed) in seeds.iter().enumerate() {
            let mixed = seed.wrapping_mul(hour * 131 + at as u64 * 17 + 1) ^ (seed >> 7);
            let late = if mixed % 11 == 0 { hour.min(3) } else { 0 };
            let start_us = H0 + (hour - late) * HOUR_US + mixed % HOUR_US;
            let id = hour * 1_000 + at as u64 + 1;
            let mut row = summary(id, start_us, mixed % [50, 5_000, 3_000_000][(mixed % 3) as usize]);
            row.route = format!("route {}", mixed % 4);
            (row.failed, row.weight) = (mixed % 7 == 0, mixed % 5);
            batch.push(row);
        }
        history.append(super::batch(batch.clone())).await.expect("kept");
        rows.extend(batch);
        clock.advance(HOUR);
    }
    rows
}

fn near(told: u64, value: u64) -> bool {
    told.abs_diff(value) * 62 <= value
}

fn check_stats(stats: &[RouteStats], rows: &Rows, window: Window) -> Result<(), TestCaseError> {
    let inside = || rows.iter().filter(|row| window.contains(row.start_us));
    let mut routes: Vec<_> = inside().map(|row| row.route.clone()).collect();
    routes.sort();
    routes.dedup();
    prop_assert_eq!(stats.len(), routes.len());
    for told in stats {
        let of: Vec<_> = inside().filter(|row| row.route == told.route).collect();
        prop_assert_eq!(told.count, of.iter().map(|row| row.weight).sum::<u64>());
        prop_assert_eq!(told.errors, of.iter().filter(|row| row.failed).map(|row| row.weight).sum::<u64>());
        prop_assert_eq!(told.total_us, of.iter().map(|row| row.weight * row.duration_us).sum::<u64>());
        prop_assert_eq!(told.max_us, of.iter().map(|row| row.duration_us).max().unwrap_or(0));
        if told.count > 0 {
            for (percent, told) in [(50, told.p50_us), (95, told.p95_us), (99, told.p99_us)] {
                let exact = percentile(&of, percent);
                prop_assert!(near(told, exact), "p{percent}: {told} for {exact}");
            }
        }
    }
    Ok(())
}

fn check_series(points: &[SeriesPoint], rows: &Rows, query: &SeriesQuery) -> Result<(), TestCaseError> {
    for point in points {
        let window = Window::new(point.start_us, query.window.to_us.min(point.start_us + query.step_us));
        let of: Vec<_> = rows.iter().filter(|row| window.contains(row.start_us)).collect();
        prop_assert_eq!(point.count, of.iter().map(|row| row.weight).sum::<u64>());
        prop_assert_eq!(point.errors, of.iter().filter(|row| row.failed).map(|row| row.weight).sum::<u64>());
        if point.count > 0 {
            let exact = percentile(&of, 95);
            prop_assert!(near(point.p95_us, exact), "{} for {exact}", point.p95_us);
        }
    }
    Ok(())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn answers_agree_wherever_the_seams_are(
        seeds in prop::collection::vec(1_u64..u64::MAX, 20..40),
        from in 0_u64..14, length in 1_u64..14,
    ) {
        runtime().block_on(async {
            let clock = ManualClock::at(H0 / 1_000);
            let history = SqliteHistory::temporary(limited(&clock)).expect("a history");
            let rows = fill(&history, &clock, 14, &seeds).await;
            history.retain().await.expect("removed and rolled up");
            prop_assert!(history.evicted().by_age > 8, "most hours are known by their figures only");
            // Over hours, five minutes and minutes of removed files, those of closed ones, and rows.
            let window = Window::new(H0 + from * HOUR_US, H0 + (from + length) * HOUR_US);
            let stats = history.route_stats(window).await.expect("figures");
            check_stats(&stats, &rows, window)?;
            for step_us in [HOUR_US, 2 * HOUR_US] {
                let query = SeriesQuery { window, step_us, route: None };
                check_series(&history.series(&query).await.expect("points"), &rows, &query)?;
            }
            // Where minutes are kept, their edges need not be those of hours; where rows are, anything goes.
            let odd = Window::new(H0 + 11 * HOUR_US + 7 * MINUTE_US, H0 + 13 * HOUR_US + 23 * MINUTE_US);
            check_stats(&history.route_stats(odd).await.expect("figures"), &rows, odd)?;
            let odd = Window::new(H0 + 13 * HOUR_US + 1_234_567, H0 + 14 * HOUR_US - 7_654_321);
            let only_rows: Rows = rows.iter().filter(|row| odd.contains(row.start_us)).cloned().collect();
            check_stats(&history.route_stats(odd).await.expect("figures"), &only_rows, odd)
        })?;
    }
}

#[tokio::test]
async fn a_closed_file_answers_by_its_minutes_as_by_its_rows() {
    let clock = ManualClock::at(H0 / 1_000);
    let history = SqliteHistory::temporary(options(&clock)).expect("a history");
    let seeds: Vec<u64> = (1..60).map(|n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    fill(&history, &clock, 4, &seeds).await;
    let windows = [(0, 4 * HOUR_US), (90_000_001, 3 * HOUR_US + 59_999_999), (61_000_000, 61_000_001)];
    let ask = async || {
        let mut answers = Vec::new();
        for (from, to) in windows {
            let window = Window::new(H0 + from, H0 + to);
            let series = SeriesQuery { window, step_us: 5 * MINUTE_US, route: Some("route 1".into()) };
            let counts = history.route_counts(window, &[1_000, 100_000]).await.expect("counts");
            let stats = history.route_stats(window).await.expect("figures");
            answers.push((stats, history.series(&series).await.expect("points"), counts));
        }
        answers
    };
    let by_rows = ask().await;
    clock.advance(HOUR);
    history.append(batch(vec![summary(9_999, H0 + 100 * HOUR_US, 1)])).await.expect("kept");
    clock.advance(HOUR);
    history.retain().await.expect("rolled up");
    let rolled = history.owned.get().expect("ours").files.rolled_in_window(Window::all());
    assert_eq!(rolled.iter().filter(|(_, rolled)| *rolled).count(), 4, "{rolled:?}");
    assert_eq!(ask().await, by_rows);
}

#[tokio::test]
async fn figures_go_when_their_time_has_come_and_damage_costs_only_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = ManualClock::at(H0 / 1_000);
    let rollups = Rollups { minute: HOUR, five_minutes: 2 * HOUR, hour: 10 * HOUR };
    let options = SqliteOptions { rollups, ..limited(&clock) };
    let open = || SqliteHistory::open(directory.path(), options.clone()).expect("a history");
    let history = open();
    fill(&history, &clock, 3, &[3, 5, 7]).await;
    let count = async |history: &SqliteHistory| {
        history
            .route_stats(Window::all())
            .await
            .expect("figures")
            .iter()
            .map(|route| route.count)
            .sum::<u64>()
    };
    let all = count(&history).await;
    assert!(all > 0);
    clock.advance(4 * HOUR);
    history.retain().await.expect("removed");
    assert_eq!((history.size().0, count(&history).await), (1, all), "all but the open file are gone");

    // A process that ends between noting a file and deleting it: the file is not counted again.
    let name = format!("apm-{:08}-00000.db", H0 / HOUR_US);
    drop(history);
    rusqlite::Connection::open(directory.path().join("rollups.db"))
        .and_then(|file| file.execute("INSERT INTO removed VALUES (?1)", [&name]))
        .expect("noted");
    let left = SqliteHistory::temporary(self::options(&ManualClock::at(H0 / 1_000))).expect("a history");
    left.append(batch(vec![summary(1, H0, 5)])).await.expect("kept");
    let source = left.temporary.as_ref().expect("temporary").join(&name);
    std::fs::copy(source, directory.path().join(&name)).expect("copied");
    let history = open();
    history.retain().await.expect("removed");
    assert_eq!((history.size().0, count(&history).await), (0, all));
    assert!(!directory.path().join(&name).exists());

    clock.advance(20 * HOUR);
    history.retain().await.expect("removed");
    assert_eq!(count(&history).await, 0);
    drop(history);
    std::fs::write(directory.path().join("rollups.db"), vec![7; 9_000]).expect("damaged");
    let _ = std::fs::remove_file(directory.path().join("rollups.db-wal"));
    let history = open();
    history.append(batch(vec![summary(1, H0, 5)])).await.expect("kept");
    assert_eq!(count(&history).await, 1);
    assert!(directory.path().join("rollups.db.damaged").exists());
}
