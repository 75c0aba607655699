//! The span of a transaction as a whole.

use serde_json::Value;

use super::event::NODE;
use super::{Attributes, Span, SpanKind, SpanStatus, TransactionSummary, UNROUTED};

/// The span says on which node of ours the transaction ran.
pub(crate) fn root_span(row: &TransactionSummary, node: &str) -> Span {
    let name = match row.route.as_str() {
        UNROUTED => row.method.clone(),
        route => format!("{} {route}", row.method),
    };
    let texts = [
        ("http.request.method", Some(&row.method)),
        ("url.path", Some(&row.path)),
        ("server.address", Some(&row.host)),
        ("http.route", Some(&row.route)),
        ("client.address", row.client.as_ref()),
        ("user.name", row.user.as_ref()),
        ("error.type", row.error.as_ref()),
    ];
    let mut attributes: Attributes = texts
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?.as_str()))))
        .collect();
    attributes.insert(NODE.into(), node.into());
    if row.status > 0 {
        attributes.insert("http.response.status_code".into(), row.status.into());
    }
    Span {
        span_id: row.span_id,
        parent_id: row.parent_id,
        name,
        kind: SpanKind::Server,
        service: row.service.clone(),
        instance: None,
        start_us: row.start_us,
        duration_us: row.duration_us,
        status: if row.failed { SpanStatus::Error } else { SpanStatus::Unset },
        error: row.message.clone().filter(|_| row.failed),
        attributes,
        events: Vec::new(),
        links: Vec::new(),
        dropped: 0,
    }
}
