//! What taking in spans costs, from the request by OTLP to the commit in the history, and what finding them again.
//!
//! A request holds 1,000 spans of 100 traces, each span with ten attributes, as protobuf. Printed at the end: bytes a
//! span on disk, and spans a CPU second of this process, of requests that were made beforehand: one after the other, and from
//! eight senders at a time, as a gateway meets them, where requests are committed together.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::Request;
use iap_apm::history::{SpanColumn, SpanGroupsQuery};
use iap_apm::{
    Batch, ErrorsQuery, History, OtlpService, Source, SqliteHistory, SqliteOptions, StatementsQuery,
    TraceSpans, TransactionQuery, TransactionSummary, Window,
};
use iap_core::{Body, SpanId, TraceId};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tower::Service;

/// That of `iap-host`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const TRACES: u64 = 100;
const SPANS: u64 = 10;
const T0: u64 = 1_700_000_000_000_000_000;
const HOUR_US: u64 = 3_600_000_000;
/// Of the hour that is asked about, and of what is written at once.
const TRANSACTIONS: u64 = 1_000_000;
const BATCH: u64 = 10_000;

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
    let directory = tempfile::tempdir().expect("a directory");
    let history = Arc::new(SqliteHistory::open(directory.path(), options).expect("a history"));
    let service = OtlpService::new(history.clone());
    let answer = |body: Bytes| {
        let request = Request::post("/v1/traces").header("content-type", "application/x-protobuf");
        let request = request.body(Body::from(body)).expect("a request");
        let mut service = service.clone();
        async move { assert_eq!(service.call(request).await.expect("infallible").status(), 200) }
    };
    let send = |body: Bytes| runtime.block_on(answer(body));
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
    let mut rate = |senders: usize| {
        let bodies: Vec<Bytes> = (0..400).map(|_| next()).collect();
        let (count, before) = (bodies.len() as u64 * spans, cpu_seconds());
        for bodies in bodies.chunks(senders) {
            let sent: Vec<_> = bodies.iter().map(|body| runtime.spawn(answer(body.clone()))).collect();
            sent.into_iter().for_each(|sent| runtime.block_on(sent).expect("an answer"));
        }
        count as f64 / (cpu_seconds() - before)
    };
    let (alone, together) = (rate(1), rate(8));
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
    drop((service, history));
    // Closed, without what was not yet folded into the files.
    let files = std::fs::read_dir(directory.path()).expect("listed").map(|file| file.expect("listed"));
    let hours = files.filter(|file| file.file_name().to_string_lossy().starts_with("apm-"));
    let bytes: u64 = hours.map(|file| file.metadata().expect("there").len()).sum();
    let each = bytes / (rounds * spans);
    eprintln!("{alone:.0} spans a CPU second, {together:.0} from eight senders, {each} bytes a span on disk");
}

/// A transaction of a busy hour.
fn transaction(n: u64) -> TransactionSummary {
    let failed = n.is_multiple_of(200);
    TransactionSummary {
        trace_id: trace_id(n),
        span_id: SpanId((mixed(n) | 1).to_be_bytes()),
        parent_id: None,
        source: Source::Own,
        service: "shop".into(),
        start_us: T0 / 1_000 + n * HOUR_US / TRANSACTIONS,
        duration_us: 500 + mixed(n) % 1_000 * (1 + n % 37) * (1 + n % 11),
        method: "GET".into(),
        path: format!("/shop/orders/{}", mixed(n) % 100_000),
        host: "shop.example".into(),
        route: format!("route{}", n % 20),
        status: if failed { 502 } else { 200 },
        failed,
        error: failed.then(|| "upstream_unreachable".into()),
        message: failed.then(|| format!("10.0.0.{} refused", n % 250)),
        user: None,
        session: None,
        client: Some(format!("10.0.{}.{}", n % 4, mixed(n) % 250)),
        bytes_out: 4_711,
        weight: 1,
    }
}

/// Two calls of a database, of the same transaction.
fn calls(n: u64) -> TraceSpans {
    let row = transaction(n);
    let call = |at: u64| {
        serde_json::from_value(serde_json::json!({
            "span_id": SpanId((mixed(n * 2 + at) | 1).to_be_bytes()).to_string(), "parent_id": row.span_id.to_string(),
            "name": "SELECT", "kind": "client", "service": "shop", "start_us": row.start_us,
            "duration_us": row.duration_us / 3, "attributes": {
                "db.system.name": "postgresql", "db.namespace": "orders",
                "db.query.text": format!("SELECT * FROM t{} WHERE id = {n} LIMIT 10", n % 40)},
        }))
        .expect("a span")
    };
    TraceSpans::of(row.trace_id, &[call(0), call(1)])
}

/// What is asked of an hour with a million transactions, in the file that is being written.
fn hour(c: &mut Criterion) {
    // Tests run benchmarks once, without optimisation: a million transactions would take minutes.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let options = SqliteOptions { max_bytes: 64 << 30, ..SqliteOptions::default() };
    let history = SqliteHistory::temporary(options).expect("a history");
    for part in 0..TRANSACTIONS / BATCH {
        let of = part * BATCH..(part + 1) * BATCH;
        let (transactions, spans) = (of.clone().map(transaction).collect(), of.map(calls).collect());
        let batch = Arc::new(Batch { transactions, spans, ..Batch::default() });
        runtime.block_on(history.append(batch)).expect("kept");
    }
    let window = Window::last(HOUR_US, T0 / 1_000 + HOUR_US);
    let part = Window::last(HOUR_US / 6, window.to_us);
    let mut group = c.benchmark_group("hour");
    group.sample_size(10);
    group.bench_function("scatter of a million", |b| {
        let query = TransactionQuery::new(window);
        b.iter(|| {
            let found = runtime.block_on(history.points(black_box(&query), usize::MAX)).expect("points");
            assert_eq!((found.kept, found.grid.is_some()), (TRANSACTIONS, true));
        });
    });
    group.bench_function("scatter of 166,666 points", |b| {
        let query = TransactionQuery::new(part);
        b.iter(|| {
            let found = runtime.block_on(history.points(black_box(&query), usize::MAX)).expect("points");
            assert!(found.grid.is_none() && found.kept > TRANSACTIONS / 7);
        });
    });
    group.bench_function("figures of routes", |b| {
        b.iter(|| runtime.block_on(history.route_stats(black_box(window))).expect("figures"));
    });
    group.bench_function("statements", |b| {
        let query = StatementsQuery::new(window);
        b.iter(|| {
            let found = runtime.block_on(history.statements(black_box(&query))).expect("statements");
            assert_eq!(found.statements.len(), 40);
        });
    });
    group.bench_function("errors", |b| {
        let query = ErrorsQuery::new(window);
        b.iter(|| runtime.block_on(history.errors(black_box(&query))).expect("errors"));
    });
    group.bench_function("map", |b| {
        b.iter(|| runtime.block_on(history.edges(black_box(window))).expect("a map"))
    });
    group.finish();
}

/// Groups of ten million spans of an hour, as they are written by commits of a thousand traces.
fn groups(c: &mut Criterion) {
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let options = SqliteOptions { max_bytes: 64 << 30, ..SqliteOptions::default() };
    let history = SqliteHistory::temporary(options).expect("a history");
    let plain: iap_apm::Span = serde_json::from_value(serde_json::json!({
        "span_id": "00000000000000ff", "name": "", "service": "", "start_us": 0, "duration_us": 0,
    }))
    .expect("a span");
    let span = |n: u64| iap_apm::Span {
        span_id: SpanId((mixed(n) | 1).to_be_bytes()),
        name: format!("step {}", n % 10),
        service: format!("service {}", n / 10 % 8),
        status: if n.is_multiple_of(50) { iap_apm::SpanStatus::Error } else { iap_apm::SpanStatus::Unset },
        start_us: T0 / 1_000 + n * (HOUR_US / 10) / TRANSACTIONS,
        duration_us: 500 + mixed(n) % 1_000 * (1 + n % 37) * (1 + n % 11),
        ..plain.clone()
    };
    for part in 0..TRANSACTIONS / 1_000 {
        let trace = |n: u64| {
            let spans: Vec<_> = (n * 10..n * 10 + 10).map(span).collect();
            TraceSpans::of(trace_id(n), &spans)
        };
        let spans = (part * 1_000..(part + 1) * 1_000).map(trace).collect();
        runtime.block_on(history.append(Arc::new(Batch { spans, ..Batch::default() }))).expect("kept");
    }
    let window = Window::last(HOUR_US, T0 / 1_000 + HOUR_US);
    let mut group = c.benchmark_group("groups");
    group.sample_size(10);
    group.bench_function("three columns of ten million spans", |b| {
        let by = [SpanColumn::Service, SpanColumn::Name, SpanColumn::Status];
        let query = SpanGroupsQuery::new(window, by);
        b.iter(|| {
            let found = runtime.block_on(history.span_groups(black_box(&query))).expect("groups");
            assert_eq!(found.spans, 10 * TRANSACTIONS);
        });
    });
    group.finish();
}

criterion_group!(benches, ingest, hour, groups);
criterion_main!(benches);
