//! Scatters of a window.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use iap_core::TraceId;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::disk::FileId;
use super::files::Files;
use super::read::{Filter, listing};
use super::schema::unsigned;
use super::texts::Names;
use crate::error::HistoryError;
use crate::history::TransactionQuery;
use crate::history::points::{BUCKETS, MAX_FAILED, MAX_POINTS, MAX_SLOWEST, Plot, Point, Points, mixed};
use crate::model::Window;
use crate::sketch;

/// The columns that [`point`] reads.
const COLUMNS: &str = "start_us, duration_us, status, failed, weight, trace_id, route_key";

pub(super) fn points(files: &Files, query: &TransactionQuery, limit: usize) -> Result<Points, HistoryError> {
    let (limit, filter) = (limit.clamp(1, MAX_POINTS), listing(query));
    let places = files.in_window(query.window);
    if is_beyond(files, &places, &filter, limit)? {
        grid(files, &places, query)
    } else {
        each(files, &places, &filter, Plot::new(query.window), limit)
    }
}

/// Whether there are more than so many.
fn is_beyond(files: &Files, places: &[FileId], filter: &Filter, limit: usize) -> Result<bool, HistoryError> {
    let mut room = limit;
    for id in places {
        let sql = format!("SELECT count(*) FROM (SELECT 1 FROM entries{} LIMIT {})", filter.sql, room + 1);
        let count = |connection: &Connection| {
            connection.query_row(&sql, params_from_iter(&filter.values), |row| unsigned(row, 0))
        };
        let found = files.query(*id, count)?.unwrap_or_default() as usize;
        match room.checked_sub(found) {
            Some(left) => room = left,
            None => return Ok(true),
        }
    }
    Ok(false)
}

/// All of them as points; of those that came since they were counted no more than there is room for.
fn each(
    files: &Files,
    places: &[FileId],
    filter: &Filter,
    mut plot: Plot,
    limit: usize,
) -> Result<Points, HistoryError> {
    let sql = format!("SELECT {COLUMNS} FROM entries{} LIMIT {limit}", filter.sql);
    for id in places {
        files.query(*id, |connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let (mut rows, mut names) =
                (statement.query(params_from_iter(&filter.values))?, Names::of(connection));
            while let Some(row) = rows.next()? {
                let point = point(row)?;
                plot.count((0, 0), 1, point.weight, if point.failed { point.weight } else { 0 });
                plot.show(point, names.get(row, 6)?);
            }
            Ok(())
        })?;
    }
    Ok(plot.finish())
}

/// Rows that are worth to be points beside a grid, of all files, by the file's place and the row's number.
#[derive(Default)]
struct Worth {
    /// By what is no property of them, so that those that stay are any.
    failed: BinaryHeap<(u64, usize, i64)>,
    slowest: BinaryHeap<Reverse<(u64, usize, i64)>>,
}

impl Worth {
    fn add(&mut self, place: usize, row: i64, duration_us: u64, failed: bool) {
        if failed {
            self.failed.push((mixed(row as u64 ^ ((place as u64) << 48)), place, row));
            if self.failed.len() > MAX_FAILED {
                self.failed.pop();
            }
        }
        let full = self.slowest.len() >= MAX_SLOWEST;
        if !full || self.slowest.peek().is_some_and(|Reverse(least)| least.0 < duration_us) {
            self.slowest.push(Reverse((duration_us, place, row)));
            if full {
                self.slowest.pop();
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.failed.extend(other.failed);
        self.slowest.extend(other.slowest);
        while self.failed.len() > MAX_FAILED {
            self.failed.pop();
        }
        while self.slowest.len() > MAX_SLOWEST {
            self.slowest.pop();
        }
    }

    /// Each once, those of a file together.
    fn rows(self) -> BTreeSet<(usize, i64)> {
        let failed = self.failed.into_iter().map(|(_, place, row)| (place, row));
        failed.chain(self.slowest.into_iter().map(|Reverse((_, place, row))| (place, row))).collect()
    }
}

/// All of them as cells, and some as points besides. Reading them takes long, so two threads do, each half of the time.
fn grid(files: &Files, places: &[FileId], query: &TransactionQuery) -> Result<Points, HistoryError> {
    let Window { from_us, to_us } = query.window;
    let middle_us = from_us + query.window.length_us() / 2;
    let half = |from_us, to_us| gather(files, places, query, Window::new(from_us, to_us));
    let (earlier, later) = std::thread::scope(|scope| {
        let later = scope.spawn(|| half(middle_us, to_us));
        (half(from_us, middle_us), later.join())
    });
    let (mut plot, mut worth) = earlier?;
    let (more, rest) = later.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    plot.merge(more);
    worth.merge(rest);
    show(files, places, worth, &mut plot)?;
    Ok(plot.finish())
}

/// Those of a part of the window, as cells of the whole.
fn gather(
    files: &Files,
    places: &[FileId],
    query: &TransactionQuery,
    part: Window,
) -> Result<(Plot, Worth), HistoryError> {
    let (mut plot, mut worth) = (Plot::new(query.window).with_grid(), Worth::default());
    let (from_us, column_us) = (query.window.from_us, Plot::column_us(query.window));
    let filter = listing(&TransactionQuery { window: part, ..query.clone() });
    let sql = format!("SELECT start_us, duration_us, failed, weight, number FROM entries{}", filter.sql);
    for (place, id) in places.iter().enumerate() {
        files.query(*id, |connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query(params_from_iter(&filter.values))?;
            while let Some(row) = rows.next()? {
                let (start_us, duration_us) = (unsigned(row, 0)?, unsigned(row, 1)?);
                let (failed, weight) = (row.get(2)?, unsigned(row, 3)?);
                let level = (sketch::bucket(duration_us) / BUCKETS) as u16;
                let column = (start_us.saturating_sub(from_us) / column_us) as u32;
                plot.count((column, level), 1, weight, if failed { weight } else { 0 });
                worth.add(place, row.get(4)?, duration_us, failed);
            }
            Ok(())
        })?;
    }
    Ok((plot, worth))
}

fn show(files: &Files, places: &[FileId], worth: Worth, plot: &mut Plot) -> Result<(), HistoryError> {
    let rows = worth.rows();
    let sql = format!("SELECT {COLUMNS} FROM named WHERE number = ?");
    for (place, id) in places.iter().enumerate() {
        files.query(*id, |connection| {
            let (mut statement, mut names) = (connection.prepare_cached(&sql)?, Names::of(connection));
            for (_, number) in rows.range((place, i64::MIN)..=(place, i64::MAX)) {
                let mut found = statement.query([Value::Integer(*number)])?;
                if let Some(row) = found.next()? {
                    plot.show(point(row)?, names.get(row, 6)?);
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Reads [`COLUMNS`], but for the route.
fn point(row: &Row<'_>) -> rusqlite::Result<Point> {
    Ok(Point {
        start_us: unsigned(row, 0)?,
        duration_us: unsigned(row, 1)?,
        status: row.get(2)?,
        failed: row.get(3)?,
        weight: unsigned(row, 4)?,
        trace_id: TraceId(row.get(5)?),
        route: 0,
    })
}
