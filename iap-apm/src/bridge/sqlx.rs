//! sqlx's query events as database spans.
//!
//! Source: `QueryLogger::finish` of sqlx-core 0.9 (`src/logger.rs`). When a statement has run, an event
//! with the target `sqlx::query` says: `summary` (the first four words of the statement),
//! `db.statement` (the statement, or empty when the summary is all of it), `rows_affected`,
//! `rows_returned`, `elapsed` (for people), `elapsed_secs` (a number). Parameters are not in it.

use iap_core::SpanId;
use serde_json::Value;

use super::fields::Fields;
use crate::model::{Attributes, Span, SpanKind, SpanStatus};
use crate::text::cut;

/// The target of sqlx's query events.
pub(super) const TARGET: &str = "sqlx::query";

const MAX_NAME: usize = 128;

/// The span of an event: it ends now and began as long ago as the statement took. `None` when the
/// event has no statement.
pub(super) fn span(fields: &Fields, parent: SpanId, now_us: u64, service: &str) -> Option<Span> {
    let summary = fields.text("summary").unwrap_or_default();
    let statement = match fields.text("db.statement").map(str::trim).unwrap_or_default() {
        "" => summary,
        statement => statement,
    };
    if statement.is_empty() {
        return None;
    }
    let mut attributes = Attributes::new();
    attributes.insert("db.query.text".into(), statement.into());
    let verb = statement.split_whitespace().next().unwrap_or_default();
    let verb = cut(verb, MAX_NAME).to_ascii_uppercase();
    let mut rows = |field: &str, name: &str| {
        if let Some(rows) = fields.values.get(field).filter(|rows| rows.is_u64()) {
            attributes.insert(name.to_owned(), rows.clone());
        }
    };
    rows("rows_returned", "db.response.returned_rows");
    // After a SELECT, SQLite repeats the number of the last change.
    if verb != "SELECT" {
        rows("rows_affected", "db.response.affected_rows");
    }
    attributes.insert("db.operation.name".into(), verb.into());
    let duration_us = elapsed_us(fields).unwrap_or(0).min(now_us);
    let name = summary.trim_end_matches('…').trim();
    Some(Span {
        span_id: SpanId::random(),
        parent_id: Some(parent),
        name: cut(if name.is_empty() { statement } else { name }, MAX_NAME).to_owned(),
        kind: SpanKind::Client,
        service: service.to_owned(),
        instance: None,
        start_us: now_us - duration_us,
        duration_us,
        status: SpanStatus::Unset,
        error: None,
        attributes,
        events: Vec::new(),
        links: Vec::new(),
        dropped: 0,
    })
}

fn elapsed_us(fields: &Fields) -> Option<u64> {
    let seconds = fields.values.get("elapsed_secs").and_then(Value::as_f64);
    let seconds = seconds.or_else(|| fields.text("elapsed").and_then(debug_seconds))?;
    // The cast saturates; a negative number becomes zero.
    Some((seconds * 1e6).round() as u64)
}

/// Reads what `Duration`'s `Debug` writes: `1.5s`, `2ms`, `3.25µs`, `7ns`.
fn debug_seconds(text: &str) -> Option<f64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let scale = match &text[digits..] {
        "s" => 1.0,
        "ms" => 1e-3,
        "µs" => 1e-6,
        "ns" => 1e-9,
        _ => return None,
    };
    Some(text[..digits].parse::<f64>().ok()? * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations_as_debug_writes_them() {
        for micros in [0, 7, 1_500, 2_000, 3_250_000, 90_000_000] {
            let text = format!("{:?}", std::time::Duration::from_micros(micros));
            let seconds = debug_seconds(&text).expect("a duration");
            assert_eq!((seconds * 1e6).round() as u64, micros, "{text}");
        }
        assert_eq!(debug_seconds("soon"), None);
        assert_eq!(debug_seconds(""), None);
    }
}
