//! The queries, each over all files that may hold an answer.

use std::collections::HashSet;

use iap_core::{SpanId, TraceId};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::blocks;
use super::disk::FileId;
use super::files::Files;
use super::schema::unsigned;
use super::texts;
use crate::error::HistoryError;
use crate::history::query::{
    Cursor, LogQuery, MAX_LIMIT, Order, StatusFilter, TransactionPage, TransactionQuery,
};
use crate::history::{MAX_TRACE_BYTES, MAX_TRACE_LINES, MAX_TRACE_SPANS, unpack_within};
use crate::model::{LogLine, Source, Span, Trace, TransactionSummary, Window};

/// Files without a hit after which a trace is taken to be complete.
const QUIET_FILES: usize = 3;

/// Conditions with their parameters.
#[derive(Default)]
pub(super) struct Filter {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

impl Filter {
    pub(super) fn window(column: &str, window: Window) -> Self {
        let mut filter = Self::default();
        filter.and(&format!("{column} >= ?"), [number(window.from_us)]);
        filter.and(&format!("{column} < ?"), [number(window.to_us)]);
        filter
    }

    pub(super) fn and<const N: usize>(&mut self, condition: &str, values: [Value; N]) {
        self.sql.push_str(if self.values.is_empty() { " WHERE " } else { " AND " });
        self.sql.push_str(condition);
        self.values.extend(values);
    }

    /// A column that may have the number of a text.
    pub(super) fn and_is(&mut self, column: &str, text: &str) {
        let text = Value::Text(text.to_owned());
        self.and(&texts::is(column), [text.clone(), text]);
    }
}

pub(super) fn transactions(files: &Files, query: &TransactionQuery) -> Result<TransactionPage, HistoryError> {
    let limit = query.limit.clamp(1, MAX_LIMIT);
    let (filter, column) = page(query)?;
    let sql = format!(
        "SELECT * FROM entries{} ORDER BY {column} DESC, trace_id DESC, span_id DESC LIMIT {}",
        filter.sql,
        limit + 1
    );
    let mut items = Vec::new();
    for id in files.in_window(query.window) {
        let rows = files.query(id, |connection| {
            let mut statement = connection.prepare(&sql)?;
            statement.query_map(params_from_iter(&filter.values), summary)?.collect::<Result<Vec<_>, _>>()
        })?;
        items.extend(rows.into_iter().flatten());
    }
    let key = |row: &TransactionSummary| {
        let cursor = Cursor::of(query.order, row);
        std::cmp::Reverse((cursor.key, cursor.trace_id, cursor.span_id))
    };
    items.sort_by_key(key);
    // The same batch may have come again in the next hour.
    items.dedup_by_key(|row| (row.trace_id, row.span_id));
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|row| Cursor::of(query.order, row).write());
    Ok(TransactionPage { items, next })
}

/// Which transactions are wanted, on whatever page.
pub(super) fn listing(query: &TransactionQuery) -> Filter {
    let mut filter = Filter::window("start_us", query.window);
    for (column, value) in [("route", &query.route), ("service", &query.service)] {
        if let Some(value) = value {
            filter.and_is(column, value);
        }
    }
    for (column, value) in [("user", &query.user), ("session", &query.session)] {
        if let Some(value) = value {
            filter.and(&format!("{column} = ?"), [Value::Text(value.clone())]);
        }
    }
    match query.status {
        Some(StatusFilter::Exact(status)) => filter.and("status = ?", [number(status.into())]),
        Some(StatusFilter::Class(class)) => filter.and("status / 100 = ?", [number(class.into())]),
        None => {}
    }
    if query.errors_only {
        filter.and("failed = ?", [number(1)]);
    }
    if let Some(least) = query.min_duration_us {
        filter.and("duration_us >= ?", [number(least)]);
    }
    if let Some(most) = query.max_duration_us {
        filter.and("duration_us <= ?", [number(most)]);
    }
    filter
}

/// The conditions of a page, and the column that it is sorted by.
fn page(query: &TransactionQuery) -> Result<(Filter, &'static str), HistoryError> {
    let mut filter = listing(query);
    let column = match query.order {
        Order::Newest => "start_us",
        Order::Slowest => "duration_us",
    };
    if let Some(cursor) = &query.cursor {
        let cursor = Cursor::read(cursor)?;
        let ids = [Value::Blob(cursor.trace_id.0.to_vec()), Value::Blob(cursor.span_id.0.to_vec())];
        let [trace, span] = ids;
        filter.and(&format!("({column}, trace_id, span_id) < (?, ?, ?)"), [number(cursor.key), trace, span]);
    }
    Ok((filter, column))
}

/// Looks near a time first, if one is known, and at everything when nothing is there.
pub(super) fn trace(
    files: &Files,
    trace_id: TraceId,
    near: Option<Window>,
) -> Result<Option<Trace>, HistoryError> {
    if let Some(near) = near
        && let Some(trace) = trace_in(files, trace_id, &files.near(near))?
    {
        return Ok(Some(trace));
    }
    trace_in(files, trace_id, &files.readable())
}

fn trace_in(files: &Files, trace_id: TraceId, places: &[FileId]) -> Result<Option<Trace>, HistoryError> {
    let mut found = Found::nothing(trace_id);
    let mut quiet = None;
    for id in places {
        if found.read(files, *id)? {
            quiet = Some(0);
        } else if let Some(quiet) = &mut quiet {
            *quiet += 1;
            if *quiet == QUIET_FILES {
                break;
            }
        }
    }
    if quiet.is_none() {
        return Ok(None);
    }
    let mut trace = found.trace;
    trace.spans.sort_by_key(|span| (span.start_us, span.span_id));
    trace.logs.sort_by_key(|line| line.time_us);
    trace.logs.dedup();
    Ok(Some(trace))
}

/// What has been read of a trace so far.
struct Found {
    trace: Trace,
    ids: HashSet<SpanId>,
    /// For spans, in bytes.
    room: usize,
}

impl Found {
    fn nothing(trace_id: TraceId) -> Self {
        let trace = Trace { trace_id, summary: None, spans: Vec::new(), logs: Vec::new(), truncated: false };
        Self { trace, ids: HashSet::new(), room: MAX_TRACE_BYTES }
    }

    /// Adds what a file has of the trace; whether there was anything.
    fn read(&mut self, files: &Files, id: FileId) -> Result<bool, HistoryError> {
        let trace_id = self.trace.trace_id;
        let room = self.room;
        let Some((summary, parts, lines)) = files.query(id, |connection| {
            Ok((
                best_summary(connection, trace_id)?,
                blocks::parts(connection, trace_id, room)?,
                lines_of(connection, trace_id)?,
            ))
        })?
        else {
            return Ok(false);
        };
        let hit = summary.is_some() || !parts.0.is_empty() || !lines.is_empty();
        self.trace.truncated |= parts.1;
        let rank = |row: &TransactionSummary| (row.source, row.start_us);
        self.trace.summary = self.trace.summary.take().into_iter().chain(summary).min_by_key(rank);
        for part in parts.0 {
            let mut spans = Vec::new();
            self.trace.truncated |= !read_part(&part, &mut self.room, &mut spans);
            for span in spans {
                if self.ids.len() >= MAX_TRACE_SPANS {
                    self.trace.truncated = true;
                } else if self.ids.insert(span.span_id) {
                    self.trace.spans.push(span);
                }
            }
        }
        self.trace.logs.extend(lines);
        if self.trace.logs.len() > MAX_TRACE_LINES {
            self.trace.logs.truncate(MAX_TRACE_LINES);
            self.trace.truncated = true;
        }
        Ok(hit)
    }
}

/// Adds the spans of a part while there is room; whether that were all. One that is damaged must not hide the others.
pub(super) fn read_part(part: &[u8], room: &mut usize, out: &mut Vec<Span>) -> bool {
    unpack_within(part, room, out).unwrap_or_else(|error| {
        damaged_part(&*error);
        false
    })
}

/// Says that spans cannot be read.
pub(super) fn damaged_part(error: &(dyn std::error::Error + 'static)) {
    tracing::warn!(error, "a part of a trace in the history is damaged and not read");
    metrics::counter!("iap_apm_history_damaged_parts_total").increment(1);
}

fn best_summary(connection: &Connection, id: TraceId) -> rusqlite::Result<Option<TransactionSummary>> {
    let sql = "SELECT * FROM named WHERE trace_id = ? ORDER BY rank, start_us LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query_map([id.0], summary)?;
    rows.next().transpose()
}

fn lines_of(connection: &Connection, id: TraceId) -> rusqlite::Result<Vec<LogLine>> {
    let sql =
        format!("SELECT line FROM logs WHERE trace_id = ? ORDER BY time_us LIMIT {}", MAX_TRACE_LINES + 1);
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map([id.0], line)?.collect()
}

pub(super) fn logs(files: &Files, query: &LogQuery) -> Result<Vec<LogLine>, HistoryError> {
    let limit = query.limit.clamp(1, MAX_LIMIT);
    let mut filter = Filter::window("time_us", query.window);
    if let Some(id) = query.trace_id {
        filter.and("trace_id = ?", [Value::Blob(id.0.to_vec())]);
    }
    if let Some(level) = query.min_level {
        filter.and("level >= ?", [number(level as u64)]);
    }
    if let Some(service) = &query.service {
        filter.and("json_extract(line, '$.service') = ?", [Value::Text(service.clone())]);
    }
    if let Some(text) = &query.contains {
        let found = "instr(lower(json_extract(line, '$.message')), lower(?)) > 0";
        filter.and(found, [Value::Text(text.clone())]);
    }
    let sql = format!("SELECT line FROM logs{} ORDER BY time_us DESC LIMIT {limit}", filter.sql);
    let mut lines: Vec<LogLine> = Vec::new();
    for id in files.in_window(query.window) {
        let found = files.query(id, |connection| {
            let mut statement = connection.prepare(&sql)?;
            statement.query_map(params_from_iter(&filter.values), line)?.collect::<Result<Vec<_>, _>>()
        })?;
        lines.extend(found.into_iter().flatten());
    }
    lines.sort_by_key(|line| line.time_us);
    lines.dedup();
    Ok(lines.split_off(lines.len().saturating_sub(limit)))
}

fn summary(row: &Row<'_>) -> rusqlite::Result<TransactionSummary> {
    let parent: Option<[u8; 8]> = row.get(2)?;
    Ok(TransactionSummary {
        trace_id: TraceId(row.get(0)?),
        span_id: SpanId(row.get(1)?),
        parent_id: parent.map(SpanId),
        source: match row.get(3)? {
            0_u8 => Source::Own,
            1 => Source::OtlpRoot,
            _ => Source::OtlpEntry,
        },
        service: row.get(4)?,
        start_us: unsigned(row, 5)?,
        duration_us: unsigned(row, 6)?,
        method: row.get(7)?,
        path: row.get(8)?,
        host: row.get(9)?,
        route: row.get(10)?,
        status: row.get(11)?,
        failed: row.get(12)?,
        error: row.get(13)?,
        message: row.get(14)?,
        user: row.get(15)?,
        session: row.get(16)?,
        client: row.get(17)?,
        bytes_out: unsigned(row, 18)?,
        weight: unsigned(row, 19)?,
    })
}

fn line(row: &Row<'_>) -> rusqlite::Result<LogLine> {
    serde_json::from_str(row.get_ref(0)?.as_str()?).map_err(conversion)
}

pub(super) fn conversion(error: impl Into<iap_core::BoxError>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Blob, error.into())
}

fn number(value: u64) -> Value {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}
