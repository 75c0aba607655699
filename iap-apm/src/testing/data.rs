//! Made-up telemetry, told apart by numbers.

use std::sync::Arc;

use iap_core::{SpanId, TraceId};
use serde_json::json;

use crate::history::{Batch, TraceSpans};
use crate::model::{Attributes, Level, LogLine, Source, Span, TransactionSummary};

/// The trace of this number.
pub fn trace_id(n: u64) -> TraceId {
    TraceId(u128::from(n).to_be_bytes())
}

/// The span of this number.
pub fn span_id(n: u64) -> SpanId {
    SpanId(n.to_be_bytes())
}

/// A transaction of a trace, and with a root span, of the same number: of the service `test` and the route `orders`, without a
/// failure, counted once.
pub fn summary(n: u64, start_us: u64, duration_us: u64) -> TransactionSummary {
    TransactionSummary {
        trace_id: trace_id(n),
        span_id: span_id(n),
        parent_id: None,
        source: Source::Own,
        service: "test".into(),
        start_us,
        duration_us,
        method: "GET".into(),
        path: format!("/orders/{n}"),
        host: "shop.example".into(),
        route: "orders".into(),
        status: 200,
        failed: false,
        error: None,
        message: None,
        user: None,
        session: None,
        client: None,
        bytes_out: 0,
        weight: 1,
    }
}

/// A span of the service `test`.
///
/// # Panics
/// Never: what it is made of is valid.
pub fn span(n: u64, parent: Option<u64>, start_us: u64, duration_us: u64) -> Span {
    serde_json::from_value(json!({
        "span_id": span_id(n).to_string(), "parent_id": parent.map(|parent| span_id(parent).to_string()),
        "name": format!("span {n}"), "service": "test", "start_us": start_us, "duration_us": duration_us,
    }))
    .expect("a span")
}

/// A line of the service `test`, told apart by its time.
pub fn line(time_us: u64, level: Level, trace: Option<u64>) -> LogLine {
    LogLine {
        time_us,
        level,
        target: "t".into(),
        message: format!("at {time_us}"),
        trace_id: trace.map(trace_id),
        span_id: None,
        service: "test".into(),
        fields: Attributes::new(),
    }
}

/// A batch of transactions.
pub fn transactions(transactions: Vec<TransactionSummary>) -> Arc<Batch> {
    Arc::new(Batch { transactions, ..Batch::default() })
}

/// A batch of spans of one trace.
pub fn spans(trace: u64, spans: Vec<Span>) -> Arc<Batch> {
    let spans = vec![TraceSpans::of(trace_id(trace), &spans)];
    Arc::new(Batch { spans, ..Batch::default() })
}

/// A percentile of durations by nearest rank, each as often as its row weighs.
pub(crate) fn percentile(rows: &[&TransactionSummary], percent: u64) -> u64 {
    let mut values: Vec<_> = rows.iter().map(|row| (row.duration_us, row.weight)).collect();
    values.sort_unstable();
    let count: u64 = values.iter().map(|(_, weight)| weight).sum();
    let rank = (count * percent).div_ceil(100).max(1);
    let mut seen = 0;
    let found = values.iter().find(|(_, weight)| {
        seen += weight;
        seen >= rank
    });
    found.map_or(0, |(value, _)| *value)
}
