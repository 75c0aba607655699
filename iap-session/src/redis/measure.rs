//! What the store counts: how long its operations take, and what goes over the wire for them.

use std::time::Instant;

use fred::types::Value;
use metrics::{Counter, Histogram, counter, histogram};

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
}

impl Traffic {
    pub(super) fn new() -> Self {
        let bytes =
            |direction: &'static str| counter!("iap_session_store_bytes_total", "direction" => direction);
        Self { read: bytes("read"), written: bytes("written") }
    }

    pub(super) fn sent(&self, args: &[Value]) {
        self.written.increment(args.iter().map(size).sum());
    }

    pub(super) fn received<E>(&self, reply: &Result<Value, E>) {
        if let Ok(reply) = reply {
            self.read.increment(size(reply));
        }
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
