//! Reads failed transactions, and spans of some of a window's traces.

use std::collections::HashMap;

use iap_core::{SpanId, TraceId};
use rusqlite::params_from_iter;

use super::blocks;
use super::disk::FileId;
use super::files::Files;
use super::read::{Filter, listing, read_part};
use super::schema::unsigned;
use super::texts::Names;
use crate::error::HistoryError;
use crate::history::drill::{
    BATCH, Basis, Deadline, ErrorGather, Example, FailedRow, Gather, MAX_FAILED_ROWS, MAX_ROWS, Row, Sampled,
    Sampler,
};
use crate::history::{ErrorsQuery, MAX_TRACE_BYTES, MAX_TRACE_SPANS};
use crate::model::{Span, Window};

/// Hands spans of the traces of a window to `gather`.
pub(super) fn read(
    files: &Files,
    window: Window,
    route: Option<&str>,
    gather: &mut impl Gather,
) -> Result<Basis, HistoryError> {
    let (mut sampler, deadline) = (Sampler::new(window), Deadline::begin());
    choose(files, window, route, &mut sampler)?;
    let places = places(files, window);
    let chosen = sampler.take();
    for batch in chosen.chunks(BATCH) {
        if sampler.is_over(&deadline) {
            break;
        }
        let mut found = spans(files, &places, batch)?;
        for of in batch {
            let (spans, truncated) = found.remove(&of.trace_id).unwrap_or_default();
            sampler.read(gather, of, spans, truncated);
        }
    }
    Ok(sampler.finish())
}

/// The files that may have spans of a window: most come with their transactions, or shortly after.
pub(super) fn places(files: &Files, window: Window) -> Vec<FileId> {
    let mut places = files.in_window(window);
    places.extend(files.near(window));
    places.sort_unstable();
    places.dedup();
    places
}

/// Chooses from the latest transactions.
fn choose(
    files: &Files,
    window: Window,
    route: Option<&str>,
    sampler: &mut Sampler,
) -> Result<(), HistoryError> {
    let mut filter = Filter::window("start_us", window);
    if let Some(route) = route {
        filter.and_is("route", route);
    }
    let mut room = MAX_ROWS;
    for id in files.in_window(window) {
        let sql = format!(
            "SELECT trace_id, span_id, start_us, weight, route_key FROM entries{} ORDER BY start_us DESC LIMIT {}",
            filter.sql,
            room + 1
        );
        let mut cut = None;
        files.query(id, |connection| {
            let (mut statement, mut names) = (connection.prepare(&sql)?, Names::of(connection));
            let mut rows = statement.query(params_from_iter(&filter.values))?;
            while let Some(row) = rows.next()? {
                let start_us = unsigned(row, 2)?;
                if room == 0 {
                    cut = Some(start_us.saturating_add(1));
                    break;
                }
                room -= 1;
                sampler.add(&Row {
                    trace_id: TraceId(row.get(0)?),
                    span_id: SpanId(row.get(1)?),
                    start_us,
                    weight: unsigned(row, 3)?,
                    route: names.get(row, 4)?,
                });
            }
            Ok(())
        })?;
        if let Some(from_us) = cut {
            sampler.cut(from_us);
            break;
        }
    }
    Ok(())
}

type Found = HashMap<TraceId, (Vec<Span>, bool)>;

/// The spans of some traces, and of each whether there are more.
fn spans(files: &Files, places: &[FileId], of: &[Sampled]) -> Result<Found, HistoryError> {
    let ids: Vec<TraceId> = of.iter().map(|of| of.trace_id).collect();
    let (mut found, mut room) = (Found::new(), MAX_TRACE_BYTES);
    for id in places {
        files.query(*id, |connection| {
            blocks::parts_of(connection, &ids, MAX_TRACE_BYTES, |at, part| {
                let (known, more) = found.entry(ids[at]).or_default();
                *more |= part.is_none_or(|part| !read_part(part, &mut room, known));
                *more |= known.len() > MAX_TRACE_SPANS;
                known.truncate(MAX_TRACE_SPANS);
            })
        })?;
    }
    Ok(found)
}

/// Hands failed transactions to `gather`, the latest first.
pub(super) fn failed(
    files: &Files,
    query: &ErrorsQuery,
    gather: &mut ErrorGather,
) -> Result<(), HistoryError> {
    let (filter, mut room) = (listing(&query.failed()), MAX_FAILED_ROWS);
    for id in files.in_window(query.window) {
        let sql = format!(
            "SELECT service, route, method, status, error, message, weight, trace_id, span_id, start_us,
             duration_us FROM entries{} ORDER BY start_us DESC LIMIT {}",
            filter.sql,
            room + 1
        );
        files.query(id, |connection| {
            let mut statement = connection.prepare(&sql)?;
            let mut rows = statement.query(params_from_iter(&filter.values))?;
            while let Some(row) = rows.next()? {
                let Some(left) = room.checked_sub(1) else {
                    gather.cut();
                    break;
                };
                room = left;
                gather.failed(&FailedRow {
                    service: row.get_ref(0)?.as_str()?,
                    route: row.get_ref(1)?.as_str()?,
                    method: row.get_ref(2)?.as_str()?,
                    status: row.get(3)?,
                    error: row.get_ref(4)?.as_str_or_null()?,
                    message: row.get_ref(5)?.as_str_or_null()?,
                    weight: unsigned(row, 6)?,
                    example: Example {
                        trace_id: TraceId(row.get(7)?),
                        span_id: SpanId(row.get(8)?),
                        start_us: unsigned(row, 9)?,
                        duration_us: unsigned(row, 10)?,
                    },
                });
            }
            Ok(())
        })?;
    }
    Ok(())
}
