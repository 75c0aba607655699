//! Causes inside a process, over a real history: pauses of a JVM, memory that it keeps, event loops.

#[path = "../what_is_wrong/load.rs"]
#[expect(dead_code, reason = "shared with the other tests")]
mod load;

use std::sync::Arc;

use iap_apm::history::{BoxFuture, SeriesPoints};
use iap_apm::{
    EventKind, History, MetricKind, MetricPoint, MetricSeries, MetricValue, SqliteHistory, SqliteOptions,
    Temporality, TimelineEvent, Window,
};
use iap_core::BoxError;
use iap_ops::cause::{CauseKind, RootCause, explain};
use iap_ops::detect::{Alert, Entity, Measure, SeriesKey};
use iap_ops::{AudienceKind, Change, Estate, InstanceState, Live, ServerState};
use serde_json::json;

use load::{Child, Load, MINUTE, MS, NOW_US};

const SECOND: u64 = 1_000 * MS;
/// When things began to be otherwise.
const SINCE_US: u64 = NOW_US - MINUTE;

/// An upstream `stock` of one server.
struct Known;

impl Estate for Known {
    fn audience(&self, _: Window) -> BoxFuture<'_, Result<Option<Vec<AudienceKind>>, BoxError>> {
        Box::pin(std::future::ready(Ok(None)))
    }
    fn servers(&self) -> Vec<ServerState> {
        vec![ServerState {
            upstream: "stock".into(),
            address: "10.0.0.9:8443".into(),
            state: "up".into(),
            in_flight: 0,
            connections: 1,
            failed: 0,
            last_error: None,
        }]
    }
    fn instances(&self) -> Vec<InstanceState> {
        Vec::new()
    }
    fn changes(&self) -> Vec<Change> {
        Vec::new()
    }
}

/// A metric of a process, ten seconds apart over eleven minutes; `value` of the seconds since things are otherwise, which are
/// negative before.
fn metric(
    name: &str,
    kind: MetricKind,
    process: &str,
    more: &[(&str, &str)],
    value: impl Fn(f64) -> f64,
) -> SeriesPoints {
    let labels = [&[("process", process), ("instance", "1")], more].concat();
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let temporality = if kind == MetricKind::Counter { Temporality::Cumulative } else { Temporality::Delta };
    let points = (0..=66).map(|step| {
        let time_us = NOW_US - 11 * MINUTE + step * 10 * SECOND;
        let since_s = (time_us as f64 - SINCE_US as f64) / SECOND as f64;
        MetricPoint { time_us, start_us: NOW_US - 20 * MINUTE, value: MetricValue::Number(value(since_s)) }
    });
    let series = MetricSeries {
        service: "gateway".into(),
        name: name.into(),
        kind,
        temporality,
        labels,
        unit: String::new(),
        description: String::new(),
    };
    SeriesPoints { series, points: points.collect() }
}

/// A JVM that stands still for a hundredth of the time, and then for this share of it; and how full its heap is for good.
fn jvm(load: &mut Load, process: &str, share: f64, live: f64) {
    let paused = |since_s: f64| 100.0 + since_s * if since_s > 0.0 { share } else { 0.01 };
    let pool = [("jvm.memory.type", "heap"), ("jvm.memory.pool.name", "old")];
    let eden = [("jvm.memory.type", "heap"), ("jvm.memory.pool.name", "eden")];
    load.batch.metrics.extend([
        metric("jvm.gc.time", MetricKind::Counter, process, &[("jvm.gc.name", "young")], |s| paused(s) / 2.0),
        metric("jvm.gc.time", MetricKind::Counter, process, &[("jvm.gc.name", "full")], |s| paused(s) / 2.0),
        metric("jvm.memory.used_after_last_gc", MetricKind::Gauge, process, &pool, |_| live * 1e8),
        metric("jvm.memory.limit", MetricKind::Gauge, process, &pool, |_| 1e8),
        metric("jvm.memory.limit", MetricKind::Gauge, process, &eden, |_| 7e7),
    ]);
}

/// Requests of a route that take longer since then, all of it at a server.
fn requests(load: &mut Load, address: &str) {
    let mut add = |start_us, duration_us| {
        let attributes = json!({ "server.address": address });
        let duration = duration_us - 2 * MS;
        let child = Child {
            name: "upstream",
            kind: "client",
            at_us: MS,
            duration_us: duration,
            attributes,
            error: None,
        };
        load.add("stock", start_us, duration_us, 200, &[child]);
    };
    for n in 0..30 {
        add(SINCE_US - (n + 2) * 10 * SECOND, 20 * MS);
        add(SINCE_US + n * SECOND, 420 * MS);
    }
}

/// Pauses that lie in the slow requests.
fn pauses(load: &mut Load, process: &str) {
    load.batch.events.extend((0..30).map(|n| TimelineEvent {
        time_us: SINCE_US + n * SECOND + 5 * MS,
        duration_us: 395 * MS,
        kind: EventKind::GcPause,
        node: "a".into(),
        text: format!("{process} 1: full, Allocation Failure"),
    }));
}

async fn cause(load: Load, entity: Entity, signal: &str, (expected, value): (f64, f64)) -> RootCause {
    let history = SqliteHistory::temporary(SqliteOptions::default()).expect("a history");
    history.append(Arc::new(load.batch)).await.expect("kept");
    let live = Live::new(Arc::new(history)).with_estate(Arc::new(Known));
    let measure = if signal == "p95" { Measure::Duration } else { Measure::Ratio };
    let (since_s, at_s) = (SINCE_US / SECOND, NOW_US / SECOND);
    let key = SeriesKey { entity, signal: signal.into() };
    let alert = Alert { key, measure, since_s, at_s, expected, value, score: 9.0 };
    explain(&live, &alert, NOW_US).await.expect("a cause")
}

fn process(name: &str) -> Entity {
    Entity::Process(name.into())
}

#[tokio::test]
async fn pauses_are_due_to_garbage_or_to_a_heap_that_is_full() {
    let mut load = Load::new();
    jvm(&mut load, "stock", 0.4, 0.3);
    let gc = cause(load, process("stock 1"), "gc", (0.01, 0.4)).await;
    assert_eq!(
        (gc.kind, gc.name.as_str(), gc.upstream.as_deref()),
        (CauseKind::Gc, "stock 1", Some("stock"))
    );
    let mut load = Load::new();
    jvm(&mut load, "stock", 0.4, 0.95);
    let full = cause(load, process("stock 1"), "gc", (0.01, 0.4)).await;
    assert_eq!((full.kind, full.full_s), (CauseKind::Memory, None));
    let mut load = Load::new();
    jvm(&mut load, "mail", 0.4, 0.3);
    let other = cause(load, process("mail 1"), "gc", (0.01, 0.4)).await;
    assert_eq!((other.kind, other.upstream), (CauseKind::Gc, None));
}

#[tokio::test]
async fn memory_that_grows_says_when_it_is_full() {
    let growing = cause(Load::new(), process("stock 1"), "memory", (0.2, 0.6)).await;
    assert_eq!(growing.kind, CauseKind::Memory);
    assert_eq!(growing.full_s, Some((NOW_US + MINUTE) / SECOND), "40 points a minute, and as many are left");
    let stalls = cause(Load::new(), process("worker-0"), "stalls", (0.0, 12.0)).await;
    assert_eq!((stalls.kind, stalls.full_s), (CauseKind::EventLoop, None));
}

#[tokio::test]
async fn a_route_is_slow_since_the_jvm_behind_it_stands_still() {
    let mut load = Load::new();
    requests(&mut load, "10.0.0.9:8443");
    jvm(&mut load, "stock", 0.4, 0.3);
    jvm(&mut load, "mail", 0.6, 0.3);
    let gc = cause(load, Entity::Route("stock".into()), "p95", (0.02, 0.42)).await;
    assert_eq!((gc.kind, gc.name.as_str(), gc.route.as_deref()), (CauseKind::Gc, "stock 1", Some("stock")));
    assert_eq!((gc.others[0].kind, gc.impact.affected), (CauseKind::Upstream, 30));
    assert!(gc.confidence > 0.9);

    let mut load = Load::new();
    requests(&mut load, "10.0.0.9:8443");
    jvm(&mut load, "mail", 0.6, 0.3);
    let upstream = cause(load, Entity::Route("stock".into()), "p95", (0.02, 0.42)).await;
    assert_eq!(upstream.kind, CauseKind::Upstream, "a JVM that nothing here waits for is no cause");
}

#[tokio::test]
async fn of_a_jvm_that_nobody_started_here_the_time_line_tells() {
    let mut load = Load::new();
    requests(&mut load, "10.0.0.1:8080");
    jvm(&mut load, "catalina", 0.4, 0.3);
    pauses(&mut load, "catalina");
    let gc = cause(load, Entity::Route("stock".into()), "p95", (0.02, 0.42)).await;
    assert_eq!((gc.kind, gc.name.as_str()), (CauseKind::Gc, "catalina 1"));

    let mut load = Load::new();
    requests(&mut load, "10.0.0.1:8080");
    jvm(&mut load, "catalina", 0.05, 0.3);
    pauses(&mut load, "catalina");
    let calm = cause(load, Entity::Route("stock".into()), "p95", (0.02, 0.42)).await;
    assert_eq!(
        calm.kind,
        CauseKind::Upstream,
        "one that stands still for a twentieth of the time explains little"
    );
}
