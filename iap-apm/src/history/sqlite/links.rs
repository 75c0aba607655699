//! Links between traces, found from where they lead.

use iap_core::{SpanId, TraceId};
use rusqlite::{Connection, Row, params};

use super::files::Files;
use super::schema::unsigned;
use super::writer::clamp;
use crate::error::HistoryError;
use crate::history::{MAX_LINKED_FROM, TraceSpans};
use crate::model::{LinkedFrom, Window};

/// Links that lead to one trace and that a file has are read up to this number.
const MAX_OF_FILE: usize = MAX_LINKED_FROM;
/// How much later than a trace those are looked for that link to it.
const LATER_US: u64 = 24 * 3_600_000_000;

pub(super) fn insert(connection: &Connection, trace: &TraceSpans) -> rusqlite::Result<()> {
    if !trace.has_links() {
        return Ok(());
    }
    for span in &trace.spans() {
        for link in &span.links {
            let sql = "INSERT OR IGNORE INTO links VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let (target, source) = ((link.trace_id.0, link.span_id.0), (trace.trace_id.0, span.span_id.0));
            let start = clamp(span.start_us);
            let row = params![target.0, target.1, source.0, source.1, start, span.name, span.service];
            connection.prepare_cached(sql)?.execute(row)?;
        }
    }
    Ok(())
}

pub(super) fn to(
    files: &Files,
    trace_id: TraceId,
    near: Option<Window>,
) -> Result<Vec<LinkedFrom>, HistoryError> {
    let places = match near {
        Some(near) => files.near(Window::new(near.from_us, near.to_us.saturating_add(LATER_US))),
        None => files.readable(),
    };
    let sql = format!("SELECT * FROM links WHERE target = ? LIMIT {MAX_OF_FILE}");
    let mut found = Vec::new();
    for id in places {
        let rows = files.query(id, |connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_map([trace_id.0], link)?.collect::<Result<Vec<_>, _>>()
        })?;
        found.extend(rows.into_iter().flatten());
    }
    found.sort();
    found.dedup();
    found.truncate(MAX_LINKED_FROM);
    Ok(found)
}

fn link(row: &Row<'_>) -> rusqlite::Result<LinkedFrom> {
    Ok(LinkedFrom {
        start_us: unsigned(row, 4)?,
        trace_id: TraceId(row.get(2)?),
        span_id: SpanId(row.get(3)?),
        target: SpanId(row.get(1)?),
        name: row.get(5)?,
        service: row.get(6)?,
    })
}
