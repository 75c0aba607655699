//! What taking in points of metrics costs, from the request to the commit in the history, and what a
//! query over them.
//!
//! A request holds 1,000 points of 1,000 series with three labels each, as protobuf. The bytes that a point
//! takes on disk are printed at the end.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::Request;
use iap_apm::{History, MetricFunction, MetricQuery, OtlpService, SqliteHistory, SqliteOptions, Window};
use iap_core::Body;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric::Data,
    number_data_point,
};
use prost::Message;
use tower::Service;

const SERIES: usize = 1_000;
const T0: u64 = 1_700_000_000;

/// A report of all series, `round` times 10 s after the first.
fn report(round: u64) -> Bytes {
    let text = |value: String| Some(AnyValue { value: Some(any_value::Value::StringValue(value)) });
    let label =
        |key: &str, value: String| KeyValue { key: key.into(), value: text(value), ..KeyValue::default() };
    let point = |n: usize| NumberDataPoint {
        attributes: vec![
            label("http.route", format!("/orders/{}", n % 50)),
            label("http.request.method", "GET".into()),
            label("http.response.status_code", format!("{}", n / 50)),
        ],
        start_time_unix_nano: T0 * 1_000_000_000,
        time_unix_nano: (T0 + round * 10) * 1_000_000_000,
        value: Some(number_data_point::Value::AsInt((round * 7) as i64)),
        ..NumberDataPoint::default()
    };
    let sum = Sum {
        data_points: (0..SERIES).map(point).collect(),
        aggregation_temporality: AggregationTemporality::Cumulative as i32,
        is_monotonic: true,
    };
    let metric = Metric { name: "requests".into(), data: Some(Data::Sum(sum)), ..Metric::default() };
    let scope = ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() };
    let group = ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![group] }.encode_to_vec().into()
}

fn metrics(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let history = Arc::new(SqliteHistory::temporary(SqliteOptions::default()).expect("a history"));
    let service = OtlpService::new(history.clone());
    let mut rounds = 0;
    let mut send = || {
        rounds += 1;
        let request = Request::post("/v1/metrics").header("content-type", "application/x-protobuf");
        let request = request.body(Body::from(report(rounds))).expect("a request");
        let answer = runtime.block_on(service.clone().call(request)).expect("infallible");
        assert_eq!(answer.status(), 200);
    };
    let mut group = c.benchmark_group("metrics");
    group.throughput(Throughput::Elements(SERIES as u64));
    group.bench_function("ingest", |b| b.iter(&mut send));
    // At least an hour of reports each 10 s.
    (0..360).for_each(|_| send());
    group.throughput(Throughput::Elements(360 * SERIES as u64));
    group.sample_size(10);
    group.bench_function("rate of an hour by route", |b| {
        let mut query = MetricQuery::new("requests", Window::new(T0 * 1_000_000, (T0 + 3_600) * 1_000_000));
        (query.function, query.by) = (Some(MetricFunction::Rate), vec!["http.route".into()]);
        b.iter(|| {
            let answer = runtime.block_on(history.metric(black_box(&query))).expect("an answer");
            assert_eq!(answer.groups.len(), 50);
        });
    });
    group.finish();
    let bytes = history.size().1;
    eprintln!("{} bytes a point on disk", bytes / (rounds * SERIES as u64));
}

criterion_group!(benches, metrics);
criterion_main!(benches);
