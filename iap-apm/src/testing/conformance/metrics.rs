//! Points of metrics: found by name, service and labels, and counted once.

use std::future::Future;
use std::sync::Arc;

use super::{SECOND, T0};
use crate::error::HistoryErrorKind;
use crate::history::{
    Batch, History, MAX_EXEMPLARS, MetricAnswer, MetricFunction, MetricInfo, MetricNamesQuery, MetricQuery,
    SeriesExemplars, SeriesPoints,
};
use crate::model::{
    Buckets, Distribution, Exponents, Labels, MetricExemplar, MetricKind, MetricPoint, MetricSeries,
    MetricValue, Quantiles, Temporality, Window,
};
use crate::testing::{span_id, trace_id};

pub(super) async fn run<F, Fut>(make: &F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn History>>,
{
    points_are_found_and_counted_once(&make().await).await;
    metrics_are_listed_by_name(&make().await).await;
    series_are_grouped_and_filtered(&make().await).await;
    values_of_each_kind_come_back(&make().await).await;
    a_series_that_was_there_before_does_not_begin(&make().await).await;
    exemplars_are_of_the_series_asked_for(&make().await).await;
}

fn series(service: &str, name: &str, kind: MetricKind, labels: &[(&str, &str)]) -> MetricSeries {
    MetricSeries {
        service: service.into(),
        name: name.into(),
        kind,
        temporality: Temporality::Cumulative,
        labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        unit: String::new(),
        description: String::new(),
    }
}

fn point(start_s: u64, time_s: u64, value: MetricValue) -> MetricPoint {
    MetricPoint { time_us: T0 + time_s * SECOND, start_us: T0 + start_s * SECOND, value }
}

fn number(time_s: u64, value: f64) -> MetricPoint {
    point(0, time_s, MetricValue::Number(value))
}

async fn keep(history: &Arc<dyn History>, series: MetricSeries, points: Vec<MetricPoint>) {
    let metrics = vec![SeriesPoints { series, points }];
    history.append(Arc::new(Batch { metrics, ..Batch::default() })).await.expect("kept");
}

fn query(name: &str, seconds: u64, function: MetricFunction) -> MetricQuery {
    MetricQuery {
        step_us: seconds * SECOND,
        function: Some(function),
        ..MetricQuery::new(name, Window::new(T0, T0 + seconds * SECOND))
    }
}

async fn ask(history: &Arc<dyn History>, query: &MetricQuery) -> MetricAnswer {
    history.metric(query).await.expect("an answer")
}

async fn only(history: &Arc<dyn History>, query: &MetricQuery) -> Option<f64> {
    ask(history, query).await.groups.first()?.values[0]
}

async fn points_are_found_and_counted_once(history: &Arc<dyn History>) {
    let of = |service: &str| MetricSeries {
        temporality: Temporality::Delta,
        ..series(service, "orders", MetricKind::Counter, &[])
    };
    let added = |time_s: u64, value| point(time_s - 10, time_s, MetricValue::Number(value));
    let first = vec![added(20, 2.0), added(10, 1.0)];
    keep(history, of("a"), first.clone()).await;
    keep(history, of("b"), vec![added(20, 8.0)]).await;
    // The sender has not heard the answer; what is late comes with it.
    keep(history, of("a"), first).await;
    keep(history, of("a"), vec![added(15, 4.0), added(3_700, 32.0), added(20, 2.0)]).await;
    let sum = async |service: Option<&str>, seconds| {
        let service = service.map(str::to_owned);
        only(history, &MetricQuery { service, ..query("orders", seconds, MetricFunction::Sum) }).await
    };
    assert_eq!(sum(Some("a"), 100).await, Some(7.0));
    assert_eq!(sum(Some("a"), 4_000).await, Some(39.0));
    assert_eq!(sum(None, 4_000).await, Some(47.0));
    assert_eq!(sum(Some("' OR 1=1 --"), 4_000).await, None);
    assert_eq!(only(history, &query("other", 100, MetricFunction::Sum)).await, None);
}

async fn names(history: &Arc<dyn History>, window: Window, service: Option<&str>) -> Vec<MetricInfo> {
    let query = MetricNamesQuery { window, service: service.map(str::to_owned) };
    history.metric_names(&query).await.expect("a list")
}

async fn metrics_are_listed_by_name(history: &Arc<dyn History>) {
    let told = MetricSeries {
        unit: "By".into(),
        description: "What is taken.".into(),
        ..series("b", "memory", MetricKind::Gauge, &[("pool", "heap")])
    };
    for _ in 0..2 {
        keep(history, series("a", "memory", MetricKind::Gauge, &[("area", "1")]), vec![number(1, 1.0)]).await;
        keep(history, told.clone(), vec![number(2, 1.0)]).await;
        keep(history, series("b", "memory", MetricKind::Gauge, &[("pool", "old")]), vec![number(2, 1.0)])
            .await;
        keep(history, series("a", "memory", MetricKind::Counter, &[]), vec![number(9, 1.0)]).await;
        keep(history, series("a", "cpu", MetricKind::Gauge, &[]), vec![number(50, 1.0)]).await;
    }
    let all = names(history, Window::all(), None).await;
    let told: Vec<_> = all.iter().map(|info| (info.name.as_str(), info.kind, info.series)).collect();
    let expected =
        [("cpu", MetricKind::Gauge, 1), ("memory", MetricKind::Gauge, 3), ("memory", MetricKind::Counter, 1)];
    assert_eq!(told, expected, "by name, and each kind alone");
    assert_eq!((&*all[1].unit, &*all[1].description), ("By", "What is taken."));
    assert_eq!(
        (&all[1].services, &all[1].labels),
        (&vec!["a".to_owned(), "b".to_owned()], &vec!["area".to_owned(), "pool".to_owned()])
    );
    let of = names(history, Window::all(), Some("b")).await;
    assert_eq!((of.len(), of[0].series, &of[0].labels), (1, 2, &vec!["pool".to_owned()]));
    let window = |from, to| Window::new(T0 + from * SECOND, T0 + to * SECOND);
    assert_eq!(names(history, window(30, 40), None).await, []);
    let late = names(history, window(50, 51), None).await;
    assert_eq!(late.iter().map(|info| info.name.as_str()).collect::<Vec<_>>(), ["cpu"]);
    let error = history.metric(&query("memory", 60, MetricFunction::Last)).await.expect_err("two kinds");
    assert_eq!(error.kind(), HistoryErrorKind::InvalidQuery);
}

async fn series_are_grouped_and_filtered(history: &Arc<dyn History>) {
    for (service, zone, pool, value) in
        [("a", "1", "x", 1.0), ("a", "1", "y", 2.0), ("a", "2", "x", 4.0), ("b", "2", "x", 8.0)]
    {
        let series = series(service, "level", MetricKind::Gauge, &[("zone", zone), ("pool", pool)]);
        keep(history, series, vec![number(1, 100.0), number(5, value)]).await;
    }
    let by = |names: &[&str], filter: &[(&str, &str)]| MetricQuery {
        by: names.iter().map(|name| (*name).to_owned()).collect(),
        filter: filter.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..query("level", 10, MetricFunction::Sum)
    };
    let groups = async |query: MetricQuery| {
        let answer = ask(history, &query).await;
        answer.groups.into_iter().map(|group| (group.labels, group.values[0])).collect::<Vec<_>>()
    };
    let labels = |name: &str, value: &str| Labels::from([(name.to_owned(), value.to_owned())]);
    assert_eq!(groups(by(&[], &[])).await, [(Labels::new(), Some(15.0))], "the last of each, added up");
    let zones = [(labels("zone", "1"), Some(3.0)), (labels("zone", "2"), Some(12.0))];
    assert_eq!(groups(by(&["zone"], &[])).await, zones);
    let services = [(labels("service", "a"), Some(7.0)), (labels("service", "b"), Some(8.0))];
    assert_eq!(groups(by(&["service"], &[])).await, services);
    assert_eq!(groups(by(&[], &[("zone", "2"), ("pool", "x")])).await, [(Labels::new(), Some(12.0))]);
    assert_eq!(groups(by(&[], &[("zone", "3")])).await, []);
}

async fn values_of_each_kind_come_back(history: &Arc<dyn History>) {
    let explicit = Buckets::Explicit { bounds: vec![1.0, 2.0], counts: vec![1, 2, 1] };
    let exponents = Exponents { offset: -3, counts: vec![1, 0, 2] };
    let exponential = Buckets::Exponential {
        scale: 2,
        zero_count: 1,
        zero_threshold: 0.001,
        positive: exponents,
        negative: Exponents::default(),
    };
    let kinds = [(MetricKind::Histogram, explicit), (MetricKind::ExponentialHistogram, exponential)];
    for (kind, buckets) in kinds {
        let value = Distribution { count: 4, sum: Some(6.5), min: Some(0.25), max: Some(2.5), buckets };
        let series =
            MetricSeries { temporality: Temporality::Delta, ..series("a", kind.as_str(), kind, &[]) };
        keep(history, series, vec![point(0, 10, MetricValue::Distribution(value))]).await;
        let told = async |function| only(history, &query(kind.as_str(), 10, function)).await;
        assert_eq!(told(MetricFunction::Sum).await, Some(6.5), "{kind:?}");
        assert_eq!(told(MetricFunction::Avg).await, Some(1.625));
        assert_eq!(
            (told(MetricFunction::Min).await, told(MetricFunction::Max).await),
            (Some(0.25), Some(2.5))
        );
        let median = told(MetricFunction::P50).await.expect("of buckets");
        assert!((0.0..=2.0).contains(&median), "{median}");
    }
    let quantiles = Quantiles { count: 4, sum: 2.0, values: vec![(0.5, 0.25), (0.99, 7.5)] };
    let summary = series("a", "quantiles", MetricKind::Summary, &[]);
    keep(history, summary, vec![point(0, 5, MetricValue::Quantiles(quantiles))]).await;
    assert_eq!(only(history, &query("quantiles", 10, MetricFunction::P99)).await, Some(7.5));
    for (n, value) in [0.1, -1e300, f64::MIN_POSITIVE, -0.0].into_iter().enumerate() {
        let name = format!("number {n}");
        keep(history, series("a", &name, MetricKind::Gauge, &[]), vec![number(1, value)]).await;
        assert_eq!(only(history, &query(&name, 10, MetricFunction::Last)).await, Some(value));
    }
}

async fn a_series_that_was_there_before_does_not_begin(history: &Arc<dyn History>) {
    let hour = 3_600;
    let counted = |labels: &[(&str, &str)]| series("a", "hits", MetricKind::Counter, labels);
    // Late and unordered: the point before is written after those in the window.
    keep(history, counted(&[]), vec![number(2 * hour + 20, 130.0), number(2 * hour + 10, 120.0)]).await;
    keep(history, counted(&[]), vec![number(1, 100.0)]).await;
    let window = Window::new(T0 + 2 * hour * SECOND, T0 + (2 * hour + 30) * SECOND);
    let query = MetricQuery { window, ..query("hits", 30, MetricFunction::Sum) };
    assert_eq!(only(history, &query).await, Some(10.0), "what was counted before is not counted again");
    // One that is new began when the other was last reported.
    keep(history, counted(&[("new", "1")]), vec![number(2 * hour + 20, 5.0)]).await;
    assert_eq!(only(history, &query).await, Some(15.0));
}

async fn exemplars_are_of_the_series_asked_for(history: &Arc<dyn History>) {
    let of = |pool: &str| series("a", "latency", MetricKind::Gauge, &[("pool", pool)]);
    let exemplar = |n: u64| MetricExemplar {
        time_us: T0 + n * SECOND,
        value: n as f64,
        trace_id: trace_id(n),
        span_id: n.is_multiple_of(2).then(|| span_id(n)),
    };
    let keep = async |pool, exemplars: Vec<MetricExemplar>| {
        let metrics = vec![SeriesPoints { series: of(pool), points: vec![number(1, 1.0)] }];
        let exemplars = vec![SeriesExemplars { series: of(pool), exemplars }];
        history.append(Arc::new(Batch { metrics, exemplars, ..Batch::default() })).await.expect("kept");
    };
    keep("x", vec![exemplar(3), exemplar(2)]).await;
    keep("x", vec![exemplar(2), exemplar(4)]).await;
    keep("y", vec![exemplar(5)]).await;
    let mut asked = query("latency", 60, MetricFunction::Last);
    assert_eq!(ask(history, &asked).await.exemplars, [2, 3, 4, 5].map(exemplar), "by time, each once");
    asked.filter.insert("pool".into(), "x".into());
    assert_eq!(ask(history, &asked).await.exemplars, [2, 3, 4].map(exemplar));
    (asked.window.to_us, asked.step_us) = (T0 + 3 * SECOND, 3 * SECOND);
    assert_eq!(ask(history, &asked).await.exemplars, [exemplar(2)]);
    keep("z", (1..=900).map(exemplar).collect()).await;
    let many = ask(history, &query("latency", 1_000, MetricFunction::Last)).await.exemplars;
    assert!(many.len() <= MAX_EXEMPLARS && many.len() > MAX_EXEMPLARS / 2);
    assert!(many.last().is_some_and(|last| last.time_us > T0 + 800 * SECOND), "spread over the window");
}
