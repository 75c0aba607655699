//! Events of the time line in the files.

use rusqlite::{Connection, Row, params};

use super::files::Files;
use super::schema::unsigned;
use super::writer::{clamp, hash_of};
use crate::error::HistoryError;
use crate::history::{EventQuery, MAX_EVENT_US, MAX_LIMIT};
use crate::model::{EventKind, TimelineEvent, Window};

pub(super) fn insert(connection: &Connection, events: &[TimelineEvent]) -> rusqlite::Result<()> {
    let sql = "INSERT OR IGNORE INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let mut statement = connection.prepare_cached(sql)?;
    for event in events {
        let TimelineEvent { time_us, duration_us, kind, node, text } = event;
        let hash = hash_of(format!("{duration_us}\0{}\0{node}\0{text}", kind.as_str()).as_bytes());
        statement.execute(params![clamp(*time_us), hash, clamp(*duration_us), kind.as_str(), node, text])?;
    }
    Ok(())
}

pub(super) fn list(files: &Files, query: &EventQuery) -> Result<Vec<TimelineEvent>, HistoryError> {
    let limit = query.limit.clamp(1, MAX_LIMIT);
    let Window { from_us, to_us } = query.window;
    let early = Window::new(from_us.saturating_sub(MAX_EVENT_US), to_us);
    let sql = "SELECT time_us, duration_us, kind, node, text FROM events
        WHERE time_us >= ?1 AND time_us < ?2 AND time_us + min(duration_us, ?3) >= ?4 AND (?5 IS NULL OR kind = ?5)
        ORDER BY time_us DESC LIMIT ?6";
    let kind = query.kind.map(EventKind::as_str);
    let mut events: Vec<TimelineEvent> = Vec::new();
    for id in files.in_window(early) {
        let found = files.query(id, |connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let values = params![
                clamp(early.from_us),
                clamp(to_us),
                clamp(MAX_EVENT_US),
                clamp(from_us),
                kind,
                limit as i64
            ];
            statement.query_map(values, event)?.collect::<Result<Vec<_>, _>>()
        })?;
        // A kind that a later version has written is not known here.
        events.extend(found.into_iter().flatten().flatten());
    }
    events.sort_by_key(|event| event.time_us);
    events.dedup();
    Ok(events.split_off(events.len().saturating_sub(limit)))
}

fn event(row: &Row<'_>) -> rusqlite::Result<Option<TimelineEvent>> {
    let Some(kind) = EventKind::parse(row.get_ref(2)?.as_str()?) else { return Ok(None) };
    Ok(Some(TimelineEvent {
        time_us: unsigned(row, 0)?,
        duration_us: unsigned(row, 1)?,
        kind,
        node: row.get(3)?,
        text: row.get(4)?,
    }))
}
