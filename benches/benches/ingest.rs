//! What taking in spans costs, from the request by OTLP to the commit in the history, and what finding them again.
//!
//! A request holds 1,000 spans of 100 traces, each span with ten attributes, as protobuf. Printed at the end: bytes a
//! span on disk, and CPU seconds of this process, in which the request is made, too.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::Request;
use iap_apm::{History, OtlpService, SqliteHistory, SqliteOptions, Window};
use iap_core::{Body, TraceId};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tower::Service;

const TRACES: u64 = 100;
const SPANS: u64 = 10;
const T0: u64 = 1_700_000_000_000_000_000;

fn mixed(n: u64) -> u64 {
    (n ^ (n >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

fn trace_id(n: u64) -> TraceId {
    TraceId(((u128::from(mixed(n)) << 64) | u128::from(mixed(n + 7))).to_be_bytes())
}

fn attributes(n: u64) -> Vec<KeyValue> {
    let text = |value: String| Value::StringValue(value);
    let pairs = [
        ("http.request.method", text(["GET", "POST", "PUT"][(n % 3) as usize].into())),
        ("url.path", text(format!("/shop/orders/{}", mixed(n) % 100_000))),
        ("http.route", text(format!("/shop/route{}/{{id}}", n / SPANS % 20))),
        ("http.response.status_code", Value::IntValue(200)),
        ("server.address", text("shop.example".into())),
        ("server.port", Value::IntValue(8_080)),
        ("network.peer.address", text(format!("10.0.{}.{}", n % 4, mixed(n) % 250))),
        ("user_agent.original", text("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101".into())),
        ("db.system.name", text("postgresql".into())),
        ("db.query.text", text(format!("SELECT * FROM orders WHERE customer = $1 LIMIT {}", n % 50))),
    ];
    let pair = |(key, value): (&str, Value)| KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    };
    pairs.into_iter().map(pair).collect()
}

/// Some traces, begun `round` times a tenth of a second after the first.
fn report(round: u64) -> Bytes {
    let span = |trace: u64, at: u64| {
        let (n, start) = (trace * SPANS + at, T0 + round * 100_000_000 + at * 1_000_000);
        Span {
            trace_id: trace_id(trace).0.to_vec(),
            span_id: (mixed(n) | 1).to_be_bytes().to_vec(),
            parent_span_id: if at == 0 {
                Vec::new()
            } else {
                (mixed(trace * SPANS) | 1).to_be_bytes().to_vec()
            },
            name: format!("GET /shop/route{}/{{id}}", n / SPANS % 20),
            kind: if at == 0 { 2 } else { 3 },
            start_time_unix_nano: start,
            end_time_unix_nano: start + mixed(n) % 50_000_000,
            attributes: attributes(n),
            ..Span::default()
        }
    };
    let traces = round * TRACES..(round + 1) * TRACES;
    let spans =
        traces.flat_map(|trace| (0..SPANS).map(move |at| (trace, at))).map(|(trace, at)| span(trace, at));
    let service = Value::StringValue("shop".into());
    let name = KeyValue {
        key: "service.name".into(),
        value: Some(AnyValue { value: Some(service) }),
        ..KeyValue::default()
    };
    let group = ResourceSpans {
        resource: Some(Resource { attributes: vec![name], ..Resource::default() }),
        scope_spans: vec![ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest { resource_spans: vec![group] }.encode_to_vec().into()
}

/// CPU seconds of this process: user and system.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}

fn ingest(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let options = SqliteOptions { max_bytes: 64 << 30, ..SqliteOptions::default() };
    let history = Arc::new(SqliteHistory::temporary(options).expect("a history"));
    let service = OtlpService::new(history.clone());
    let send = |body: Bytes| {
        let request = Request::post("/v1/traces").header("content-type", "application/x-protobuf");
        let request = request.body(Body::from(body)).expect("a request");
        let answer = runtime.block_on(service.clone().call(request)).expect("infallible");
        assert_eq!(answer.status(), 200);
    };
    let mut rounds = 0;
    let mut next = || {
        rounds += 1;
        report(rounds - 1)
    };
    let spans = TRACES * SPANS;
    let mut group = c.benchmark_group("ingest");
    group.throughput(Throughput::Elements(spans));
    group.bench_function("spans", |b| b.iter_batched(&mut next, send, criterion::BatchSize::PerIteration));
    // Made beforehand, so that the CPU seconds are those of taking in.
    let bodies: Vec<Bytes> = (0..300).map(|_| next()).collect();
    let (count, before) = (bodies.len() as u64 * spans, cpu_seconds());
    bodies.into_iter().for_each(send);
    let per_core = count as f64 / (cpu_seconds() - before);
    group.throughput(Throughput::Elements(1));
    let mut at = 0;
    group.bench_function("trace by id", |b| {
        b.iter(|| {
            at += 1;
            let id = trace_id(mixed(at) % (rounds * TRACES));
            let trace = runtime.block_on(history.trace(black_box(id))).expect("readable").expect("present");
            assert_eq!(trace.spans.len() as u64, SPANS);
        });
    });
    group.throughput(Throughput::Elements(rounds * TRACES));
    group.sample_size(10);
    group.bench_function("transactions by route", |b| {
        b.iter(|| {
            let stats = runtime.block_on(history.route_stats(black_box(Window::all()))).expect("figures");
            assert_eq!(stats.len(), 20);
        });
    });
    group.finish();
    eprintln!(
        "{per_core:.0} spans a CPU second, {} bytes a span on disk",
        history.size().1 / (rounds * spans)
    );
}

criterion_group!(benches, ingest);
criterion_main!(benches);
