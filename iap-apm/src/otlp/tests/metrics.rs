//! Metrics come in, whole or in part.

use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, metric::Data, number_data_point,
};

use super::grpc::{METRICS, call, export, framed};
use super::*;
use crate::history::{MetricFunction, MetricInfo, MetricNamesQuery, MetricQuery};
use crate::model::MetricKind;

const SECOND: u64 = 1_000_000;

fn number(value: f64, time_us: u64, labels: &[(&str, &str)]) -> NumberDataPoint {
    NumberDataPoint {
        attributes: labels.iter().map(|(name, value)| attribute(name, text(value))).collect(),
        start_time_unix_nano: T0 * 1_000,
        time_unix_nano: time_us * 1_000,
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

fn gauge(name: &str, data_points: Vec<NumberDataPoint>) -> Metric {
    let data = Some(Data::Gauge(Gauge { data_points }));
    Metric { name: name.into(), unit: "By".into(), description: "A level.".into(), data, ..Metric::default() }
}

fn counter(name: &str, data_points: Vec<NumberDataPoint>) -> Metric {
    let aggregation_temporality = AggregationTemporality::Cumulative as i32;
    let data = Some(Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic: true }));
    Metric { name: name.into(), data, ..Metric::default() }
}

fn metrics(service: &str, metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    let resource =
        Resource { attributes: vec![attribute("service.name", text(service))], ..Resource::default() };
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let group = ResourceMetrics { resource: Some(resource), scope_metrics, ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![group] }
}

async fn sent(service: &OtlpService, metrics: &ExportMetricsServiceRequest) -> (i64, String) {
    let (status, _, body) = send(service, request("/v1/metrics", PROTOBUF, metrics.encode_to_vec())).await;
    assert_eq!(status, StatusCode::OK);
    let partial = ExportMetricsServiceResponse::decode(body).expect("an answer").partial_success;
    partial.map(|partial| (partial.rejected_data_points, partial.error_message)).unwrap_or_default()
}

async fn names(history: &Arc<dyn History>) -> Vec<MetricInfo> {
    let query = MetricNamesQuery { window: Window::all(), service: None };
    history.metric_names(&query).await.expect("a list")
}

async fn asked(history: &Arc<dyn History>, name: &str, function: MetricFunction) -> Vec<Option<f64>> {
    let mut query = MetricQuery::new(name, Window::new(T0, T0 + 20 * SECOND));
    (query.step_us, query.function) = (10 * SECOND, Some(function));
    let answer = history.metric(&query).await.expect("an answer");
    answer.groups.into_iter().next().map(|group| group.values).unwrap_or_default()
}

#[tokio::test]
async fn metrics_come_by_http_and_grpc_and_again_without_harm() {
    let (service, history) = receiver();
    let points =
        [5, 10, 20].map(|second| number(second as f64 * 3.0, T0 + second * SECOND, &[("path", "/")]));
    let batch = metrics("shop", vec![counter("requests", points.to_vec()), gauge("memory", points.to_vec())]);
    for _ in 0..2 {
        assert_eq!(sent(&service, &batch).await, (0, String::new()));
        let ended = export(&service, call(METRICS, framed(0, &batch.encode_to_vec()))).await;
        assert_eq!((ended.code.as_str(), ended.body.len()), ("0", 5));
    }
    assert_eq!(asked(&history, "requests", MetricFunction::Rate).await, [Some(3.0), Some(3.0)]);
    assert_eq!(asked(&history, "memory", MetricFunction::Max).await, [Some(15.0), Some(30.0)]);
    let names = names(&history).await;
    let found: Vec<_> =
        names.iter().map(|metric| (metric.name.as_str(), metric.kind, metric.series)).collect();
    assert_eq!(found, [("memory", MetricKind::Gauge, 1), ("requests", MetricKind::Counter, 1)]);
    let memory = &names[0];
    assert_eq!((memory.unit.as_str(), memory.description.as_str()), ("By", "A level."));
    assert_eq!((&memory.services, &memory.labels), (&vec!["shop".to_owned()], &vec!["path".to_owned()]));
}

#[tokio::test]
async fn every_kind_is_read_from_json_with_numbers_as_text_or_not() {
    let (service, history) = receiver();
    let (start, time) = (format!("{}", T0 * 1_000), (T0 + 10 * SECOND) * 1_000);
    let body = json!({ "resourceMetrics": [{ "scopeMetrics": [{ "scope": {"name": "lib"}, "metrics": [
        { "name": "g", "unit": "1", "gauge": { "dataPoints": [
            { "timeUnixNano": time, "asInt": "7", "attributes": [{"key": "n", "value": {"intValue": "1"}}] },
            { "timeUnixNano": time, "asDouble": 1.5, "startTimeUnixNano": null },
            { "timeUnixNano": time },
            { "timeUnixNano": "soon", "asInt": 1 } ] } },
        { "name": "s", "sum": { "aggregationTemporality": 1, "isMonotonic": true, "unknown": 1, "dataPoints": [
            { "startTimeUnixNano": start, "timeUnixNano": time, "asInt": 20 } ] } },
        { "name": "h", "histogram": { "aggregationTemporality": 2, "dataPoints": [
            { "startTimeUnixNano": start, "timeUnixNano": time, "count": "4", "sum": 10, "max": 5,
              "bucketCounts": ["1", "2", "1"], "explicitBounds": [1, 4] } ] } },
        { "name": "e", "exponentialHistogram": { "aggregationTemporality": 1, "dataPoints": [
            { "startTimeUnixNano": start, "timeUnixNano": time, "count": 3, "scale": 0, "zeroCount": "1",
              "positive": { "offset": 1, "bucketCounts": [2] } } ] } },
        { "name": "q", "summary": { "dataPoints": [
            { "startTimeUnixNano": start, "timeUnixNano": time, "count": "2", "sum": 3,
              "quantileValues": [{ "quantile": 0.5, "value": 1.25 }] } ] } },
        { "name": "nothing known", "profile": {} },
    ] }] }] });
    let (status, _, answer) = send(&service, request("/v1/metrics", JSON, body.to_string())).await;
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    assert_eq!(
        (status, &answer["partialSuccess"]["rejectedDataPoints"]),
        (StatusCode::OK, &json!("3")),
        "{answer}"
    );
    let names = names(&history).await;
    let kinds: Vec<_> = names.iter().map(|metric| (metric.name.as_str(), metric.kind.as_str())).collect();
    let expected = [
        ("e", "exponential_histogram"),
        ("g", "gauge"),
        ("h", "histogram"),
        ("q", "summary"),
        ("s", "counter"),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(names[1].labels, ["n", "otel.scope.name"]);
    assert_eq!(names[1].services, ["unknown_service"]);
    assert_eq!(asked(&history, "g", MetricFunction::Max).await, [None, Some(7.0)]);
    assert_eq!(asked(&history, "s", MetricFunction::Sum).await, [Some(20.0), None]);
    assert_eq!(asked(&history, "h", MetricFunction::Avg).await, [Some(2.5), None]);
    let median = asked(&history, "e", MetricFunction::P50).await[0].expect("a median");
    assert!((2.0..=4.0).contains(&median), "{median}");
    assert_eq!(asked(&history, "q", MetricFunction::P50).await, [None, Some(1.25)]);
}

#[tokio::test]
async fn points_that_break_a_rule_are_counted_and_the_others_kept() {
    let (service, history) = receiver();
    let at = T0 + SECOND;
    let long = "x".repeat(2_000);
    let many: Vec<_> = (0..65).map(|n| format!("label{n}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "1")).collect();
    let (mut nameless, mut late) = (gauge("", vec![number(1.0, at, &[])]), number(1.0, at, &[]));
    nameless.description.clear();
    late.time_unix_nano = u64::MAX;
    let mut empty = number(0.0, at, &[("kept", "no")]);
    (empty.value, empty.flags) = (None, 1);
    let histogram = |bounds: Vec<f64>, bucket_counts: Vec<u64>, count| {
        let point = HistogramDataPoint {
            time_unix_nano: at * 1_000,
            explicit_bounds: bounds,
            bucket_counts,
            count,
            ..HistogramDataPoint::default()
        };
        let aggregation_temporality = AggregationTemporality::Delta as i32;
        let data = Some(Data::Histogram(Histogram { data_points: vec![point], aggregation_temporality }));
        Metric { name: "h".into(), data, ..Metric::default() }
    };
    let mut timeless = counter("c", vec![number(1.0, at, &[])]);
    if let Some(Data::Sum(sum)) = &mut timeless.data {
        sum.aggregation_temporality = 0;
    }
    let cases = [
        (gauge("g", vec![number(f64::NAN, at, &[])]), 1, "not a finite number"),
        (gauge("g", vec![number(1.0, 0, &[])]), 1, "has no time"),
        (gauge("g", vec![late]), 1, "in the future"),
        (gauge("g", vec![number(1.0, at, &[("user", &long)])]), 1, "too long"),
        (gauge("g", vec![number(1.0, at, &many)]), 1, "too many attributes"),
        (nameless, 1, "has no name"),
        (timeless, 1, "no temporality"),
        (histogram(vec![1.0, 1.0], vec![1, 1, 1], 3), 1, "do not fit"),
        (histogram(vec![1.0], vec![1, 1, 1], 3), 1, "do not fit"),
        (histogram(vec![1.0], vec![1, u64::MAX], 3), 1, "do not add up"),
        (Metric { name: "unknown".into(), ..Metric::default() }, 1, "no data"),
        // Says that there is no value, which is no mistake.
        (gauge("g", vec![empty]), 0, ""),
    ];
    for (bad, rejected, reason) in cases {
        let good = gauge("good", vec![number(4.0, at, &[])]);
        let (told, text) = sent(&service, &metrics("shop", vec![bad, good])).await;
        assert_eq!(told, rejected, "{reason}: {text}");
        assert!(text.contains(reason), "{reason}: {text}");
    }
    let names = names(&history).await;
    assert_eq!(names.iter().map(|metric| metric.name.as_str()).collect::<Vec<_>>(), ["good"]);
}

#[tokio::test]
async fn series_are_bounded_by_service_and_in_all_and_known_ones_go_on() {
    let clock = iap_core::ManualClock::at(T0 / 1_000);
    let (service, history) = receiver();
    let mut service = service.max_series(3, 5);
    service.clock = Arc::new(clock.clone());
    let labelled = |from: u64, to: u64| {
        let points = (from..to).map(|n| number(1.0, T0 + SECOND, &[("user", &n.to_string())]));
        gauge("g", points.collect())
    };
    let full = |rejected, reason: &str| (rejected, reason.to_owned());
    let (of_service, of_all) = ("the service has too many series", "there are too many series");
    assert_eq!(sent(&service, &metrics("a", vec![labelled(0, 10)])).await, full(7, of_service));
    assert_eq!(sent(&service, &metrics("a", vec![labelled(0, 3)])).await, full(0, ""));
    assert_eq!(sent(&service, &metrics("b", vec![labelled(0, 3)])).await, full(1, of_all));
    assert_eq!(names(&history).await[0].series, 5);
    // Series that were not reported for an hour make room.
    clock.advance(std::time::Duration::from_secs(3_601));
    assert_eq!(sent(&service, &metrics("b", vec![labelled(5, 8)])).await, full(0, ""));
}
