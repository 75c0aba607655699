//! Made-up data for this crate's tests.

use iap_core::{SpanId, TraceId};
use serde_json::json;

use crate::model::{Source, Span, TransactionSummary};

pub(crate) fn trace_id(n: u64) -> TraceId {
    TraceId(u128::from(n).to_be_bytes())
}

pub(crate) fn span_id(n: u64) -> SpanId {
    SpanId(n.to_be_bytes())
}

pub(crate) fn summary(n: u64, start_us: u64, duration_us: u64) -> TransactionSummary {
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

pub(crate) fn span(n: u64, parent: Option<u64>, start_us: u64, duration_us: u64) -> Span {
    serde_json::from_value(json!({
        "span_id": span_id(n).to_string(), "parent_id": parent.map(|parent| span_id(parent).to_string()),
        "name": format!("span {n}"), "service": "test", "start_us": start_us, "duration_us": duration_us,
    }))
    .expect("a span")
}
