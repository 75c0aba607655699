//! What the store counts: how long its operations take, and what goes over the wire for them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use fred::error::Error;
use fred::types::Value;
use iap_core::Transaction;
use iap_core::hooks::{SpanGuard, Stage};
use metrics::{Counter, Histogram, counter, histogram};

use super::connection::Request;

/// What is asked of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Create,
    Load,
    Commit,
    Touch,
    Rotate,
    Revoke,
    Scan,
}

const OPS: [(Op, &str); 7] = [
    (Op::Create, "create"),
    (Op::Load, "load"),
    (Op::Commit, "commit"),
    (Op::Touch, "touch"),
    (Op::Rotate, "rotate"),
    (Op::Revoke, "revoke"),
    (Op::Scan, "scan"),
];

pub(super) struct RedisMetrics {
    durations: [Histogram; OPS.len()],
    /// Sessions that gave way to newer logins.
    pub(super) displaced: Counter,
}

impl RedisMetrics {
    pub(super) fn new() -> Self {
        let duration =
            |(_, op): (Op, &'static str)| histogram!("iap_session_store_duration_seconds", "op" => op);
        Self { durations: OPS.map(duration), displaced: counter!("iap_session_displaced_total") }
    }

    /// Awaits an operation and notes how long it took, whatever came of it.
    pub(super) async fn timed<T>(&self, op: Op, work: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let result = work.await;
        self.durations[op as usize].record(begun.elapsed());
        result
    }
}

/// Payload on the wire, without what the protocol adds.
pub(super) struct Traffic {
    read: Counter,
    written: Counter,
    under_way: UnderWay,
}

/// Requests whose replies have not come.
#[derive(Default)]
struct UnderWay {
    now: AtomicU64,
    most: AtomicU64,
}

impl UnderWay {
    fn enter(&self) -> OneUnderWay<'_> {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        OneUnderWay(self)
    }
}

/// One of them, until the reply comes or nobody waits for it any more.
struct OneUnderWay<'a>(&'a UnderWay);

impl Drop for OneUnderWay<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Traffic {
    pub(super) fn new() -> Self {
        let bytes =
            |direction: &'static str| counter!("iap_session_store_bytes_total", "direction" => direction);
        Self { read: bytes("read"), written: bytes("written"), under_way: UnderWay::default() }
    }

    /// The most requests that were under way at once since the last time this was asked.
    pub(super) fn most_under_way(&self) -> u64 {
        let now = self.under_way.now.load(Ordering::Relaxed);
        self.under_way.most.swap(now, Ordering::Relaxed).max(now)
    }

    /// A request goes to the server, or to the other one that is meant by `whom`. To be told its reply.
    pub(super) fn send(&self, request: &Request, whom: Whom) -> Sent<'_> {
        let written = request.args.iter().map(size).sum();
        self.written.increment(written);
        let stage = Stage::Command { system: "redis", operation: request.name };
        let span = Transaction::current().map(|transaction| transaction.span(stage));
        Sent { read: &self.read, span, written, whom, _under_way: self.under_way.enter() }
    }
}

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whom {
    Primary,
    Replica,
    /// The connection on which the server tells of changes.
    Watching,
}

/// A request on its way: a span of the transaction that it is made for.
pub(super) struct Sent<'a> {
    read: &'a Counter,
    span: Option<SpanGuard>,
    written: u64,
    whom: Whom,
    _under_way: OneUnderWay<'a>,
}

impl Sent<'_> {
    pub(super) fn received(self, reply: Result<&Value, &Error>) {
        let read = reply.map_or(0, size);
        self.read.increment(read);
        let Some(mut span) = self.span else { return };
        if let Err(error) = reply {
            span.fail(format!("{:?}", error.kind()));
        }
        let whom = match self.whom {
            Whom::Primary => "",
            Whom::Replica => ", of a replica",
            Whom::Watching => ", watched",
        };
        span.detail(format!("{} B sent, {read} B received{whom}", self.written));
    }
}

fn size(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.len() as u64,
        Value::Bytes(bytes) => bytes.len() as u64,
        Value::Integer(_) | Value::Double(_) => 8,
        Value::Array(values) => values.iter().map(size).sum(),
        Value::Map(map) => map.iter().map(|(key, value)| key.as_bytes().len() as u64 + size(value)).sum(),
        _ => 0,
    }
}
