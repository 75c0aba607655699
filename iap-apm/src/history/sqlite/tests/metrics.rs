//! Points of metrics, in files that come and go.

use super::*;
use crate::history::{MetricFunction, SeriesPoints};
use crate::model::{Labels, MetricKind, MetricPoint, MetricSeries, MetricValue, Temporality};

const SECOND: u64 = 1_000_000;

fn counted(service: &str, points: &[(u64, f64)]) -> Arc<Batch> {
    let series = MetricSeries {
        service: service.into(),
        name: "orders".into(),
        kind: MetricKind::Counter,
        temporality: Temporality::Delta,
        labels: Labels::new(),
        unit: String::new(),
        description: String::new(),
    };
    let points = points.iter().map(|(time_s, value)| MetricPoint {
        time_us: T0 + time_s * SECOND,
        start_us: T0 + time_s * SECOND - 10 * SECOND,
        value: MetricValue::Number(*value),
    });
    Arc::new(Batch { metrics: vec![SeriesPoints { series, points: points.collect() }], ..Batch::default() })
}

async fn sum(history: &SqliteHistory, service: Option<&str>, seconds: u64) -> Option<f64> {
    let mut query = MetricQuery::new("orders", Window::new(T0, T0 + seconds * SECOND));
    (query.step_us, query.service) = (seconds * SECOND, service.map(str::to_owned));
    query.function = Some(MetricFunction::Sum);
    history.metric(&query).await.expect("an answer").groups.first()?.values[0]
}

#[tokio::test]
async fn points_are_found_over_files_and_counted_once() {
    let clock = ManualClock::at(T0 / 1_000);
    let history = SqliteHistory::temporary(options(&clock)).expect("a history");
    let first = counted("a", &[(10, 1.0), (20, 2.0)]);
    history.append(first.clone()).await.expect("kept");
    history.append(counted("b", &[(20, 8.0)])).await.expect("kept");
    clock.advance(HOUR);
    // The sender has not heard the answer; what is late comes with it.
    history.append(first).await.expect("kept");
    history.append(counted("a", &[(15, 4.0), (3_700, 32.0)])).await.expect("kept");
    assert_eq!(history.size().0, 2);
    assert_eq!(sum(&history, Some("a"), 100).await, Some(7.0));
    assert_eq!(sum(&history, Some("a"), 4_000).await, Some(39.0));
    assert_eq!(sum(&history, None, 4_000).await, Some(47.0));
    assert_eq!(sum(&history, Some("' OR 1=1 --"), 4_000).await, None);
    let names = |window, service: Option<&str>| {
        let query = MetricNamesQuery { window, service: service.map(str::to_owned) };
        let history = &history;
        async move { history.metric_names(&query).await.expect("a list") }
    };
    let all = names(Window::all(), None).await;
    assert_eq!((all.len(), all[0].series, &all[0].services), (1, 2, &vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(names(Window::all(), Some("b")).await[0].series, 1);
    assert_eq!(names(Window::new(T0 + 30 * SECOND, T0 + 40 * SECOND), None).await, []);
}

#[tokio::test]
async fn points_go_with_their_file_and_are_there_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = ManualClock::at(T0 / 1_000);
    let history = SqliteHistory::open(directory.path(), options(&clock)).expect("a history");
    history.append(counted("a", &[(10, 1.0)])).await.expect("kept");
    drop(history);
    let history = SqliteHistory::open(directory.path(), options(&clock)).expect("opens again");
    assert_eq!(sum(&history, None, 100).await, Some(1.0), "the range of the file is known");
    clock.advance(HOUR * 24 * 9);
    history.retain().await.expect("done");
    assert_eq!((sum(&history, None, 100).await, history.evicted().by_age), (None, 1));
}

#[tokio::test]
async fn files_from_before_there_were_metrics_take_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = ManualClock::at(T0 / 1_000);
    let history = SqliteHistory::open(directory.path(), options(&clock)).expect("a history");
    history.append(batch(vec![summary(1, T0 + 1, 10)])).await.expect("kept");
    drop(history);
    let old = rusqlite::Connection::open(hour_file(directory.path())).expect("a file");
    old.execute_batch(
        "DROP TABLE metric_series; DROP TABLE metric_points; DROP TABLE metric_range;
        PRAGMA user_version = 2;",
    )
    .expect("as it was");
    drop(old);
    let history = SqliteHistory::open(directory.path(), options(&clock)).expect("opens");
    history.append(counted("a", &[(10, 1.0)])).await.expect("kept");
    assert_eq!((history.size().0, sum(&history, None, 100).await), (1, Some(1.0)));
    assert_eq!(ids(&history, &TransactionQuery::new(Window::all())).await, [1]);
}
