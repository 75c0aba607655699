//! Log lines, and events of the time line.

use iap_core::{SpanId, TraceId};

use super::clamp;
use super::client::{Client, Params};
use super::rows::{Reader, damaged};
use crate::error::HistoryError;
use crate::history::{EventQuery, LogQuery, MAX_EVENT_US, MAX_LIMIT};
use crate::model::{EventKind, Level, LogLine, TimelineEvent};

/// The columns that [`line`] reads.
pub(super) const COLUMNS: &str = "time_us, level, target, message, trace_id, span_id, service, fields";

pub(super) async fn logs(client: &Client, query: &LogQuery) -> Result<Vec<LogLine>, HistoryError> {
    let limit = query.limit.clamp(1, MAX_LIMIT);
    let mut sql =
        format!("SELECT {COLUMNS} FROM logs WHERE time_us >= {{from:UInt64}} AND time_us < {{to:UInt64}}");
    let window = query.window;
    let mut params =
        Params::default().number("from", clamp(window.from_us)).number("to", clamp(window.to_us));
    if let Some(id) = query.trace_id {
        sql.push_str(" AND trace_id = toFixedString(unhex({trace:String}), 16)");
        params = params.text("trace", &id.to_string());
    }
    if let Some(level) = query.min_level {
        sql.push_str(" AND level >= {level:UInt64}");
        params = params.number("level", level as u64);
    }
    if let Some(service) = &query.service {
        sql.push_str(" AND service = {service:String}");
        params = params.text("service", service);
    }
    if let Some(text) = &query.contains {
        sql.push_str(" AND positionCaseInsensitive(message, {text:String}) > 0");
        params = params.text("text", text);
    }
    sql.push_str(&format!(" ORDER BY time_us DESC, hash DESC LIMIT 1 BY time_us, hash LIMIT {limit}"));
    let mut lines = Reader::all(&client.select(&sql, params).await?, line)?;
    lines.reverse();
    Ok(lines)
}

/// Reads [`COLUMNS`].
pub(super) fn line(row: &mut Reader<'_>) -> Result<LogLine, HistoryError> {
    Ok(LogLine {
        time_us: row.number()?,
        level: match row.byte()? {
            0 => Level::Trace,
            1 => Level::Debug,
            2 => Level::Info,
            3 => Level::Warn,
            _ => Level::Error,
        },
        target: row.text()?,
        message: row.text()?,
        trace_id: row.optional(Reader::array)?.map(TraceId),
        span_id: row.optional(Reader::array)?.map(SpanId),
        service: row.text()?,
        fields: serde_json::from_slice(row.bytes()?).map_err(|error| damaged().with_source(error))?,
    })
}

pub(super) async fn events(client: &Client, query: &EventQuery) -> Result<Vec<TimelineEvent>, HistoryError> {
    let window = query.window;
    let mut sql = "SELECT time_us, duration_us, kind, node, text FROM events
        WHERE time_us >= {early:UInt64} AND time_us < {to:UInt64}
        AND time_us + least(duration_us, {longest:UInt64}) >= {from:UInt64}"
        .to_owned();
    let mut params = Params::default()
        .number("early", clamp(window.from_us.saturating_sub(MAX_EVENT_US)))
        .number("from", clamp(window.from_us))
        .number("to", clamp(window.to_us))
        .number("longest", MAX_EVENT_US);
    if let Some(kind) = query.kind {
        sql.push_str(" AND kind = {kind:String}");
        params = params.text("kind", kind.as_str());
    }
    let limit = query.limit.clamp(1, MAX_LIMIT);
    sql.push_str(&format!(" ORDER BY time_us DESC, hash DESC LIMIT 1 BY time_us, hash LIMIT {limit}"));
    let found = Reader::all(&client.select(&sql, params).await?, event)?;
    Ok(found.into_iter().rev().flatten().collect())
}

/// An event of a kind that a later version has written is not known here.
fn event(row: &mut Reader<'_>) -> Result<Option<TimelineEvent>, HistoryError> {
    let (time_us, duration_us) = (row.number()?, row.number()?);
    let (kind, node, text) = (row.text()?, row.text()?, row.text()?);
    Ok(EventKind::parse(&kind).map(|kind| TimelineEvent { time_us, duration_us, kind, node, text }))
}
