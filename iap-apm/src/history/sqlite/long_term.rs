//! What is left of files that were removed: figures of routes by the minute, by five minutes and by the hour, each
//! kept for a time of its own.
//!
//! A file's minutes are added in the step that notes it as removed, and it is deleted afterwards; so whatever ends
//! the process in between, each transaction is counted once. Of any time, the finest that is kept whole is read.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, params};

use super::aggregate::{Tally, minutes, of_route};
use super::disk::sqlite_error;
use super::schema::unsigned;
use super::writer::clamp;
use crate::error::HistoryError;
use crate::model::Window;

/// Not a name that an hour's file has.
pub(super) const FILE: &str = "rollups.db";
const HOUR_US: u64 = 3_600_000_000;

/// Of these lengths, from fine to coarse.
const WIDTHS_US: [u64; 3] = [60_000_000, 300_000_000, HOUR_US];

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS rollups (
    width INTEGER NOT NULL, start_us INTEGER NOT NULL, route TEXT NOT NULL, ok BLOB NOT NULL, failed BLOB NOT NULL,
    PRIMARY KEY (width, start_us, route)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS floors (width INTEGER PRIMARY KEY, start_us INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS removed (name TEXT PRIMARY KEY) WITHOUT ROWID;
";

/// How long figures of routes are kept whose details are removed. Coarser ones should be kept longer than finer ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rollups {
    /// By the minute.
    pub minute: Duration,
    /// By five minutes.
    pub five_minutes: Duration,
    /// By the hour.
    pub hour: Duration,
}

impl Default for Rollups {
    /// Two, fourteen and four hundred days.
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        Self { minute: days(2), five_minutes: days(14), hour: days(400) }
    }
}

/// The figures of removed files.
pub(super) struct LongTerm {
    connection: Mutex<Connection>,
    /// By width.
    keep_us: [u64; 3],
}

impl LongTerm {
    pub(super) fn open(path: &Path, rollups: Rollups) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "normal")?;
        connection.execute_batch(TABLES)?;
        let keep = [rollups.minute, rollups.five_minutes, rollups.hour];
        let keep_us = keep.map(|keep| u64::try_from(keep.as_micros()).unwrap_or(u64::MAX));
        Ok(Self { connection: Mutex::new(connection), keep_us })
    }

    /// Adds the minutes of a file that will be removed, once.
    pub(super) fn add(&self, name: &str, file: &Connection, now_us: u64) -> rusqlite::Result<()> {
        let mut connection = self.connection.lock();
        let transaction = connection.transaction()?;
        let floors = self.raise_floors(&transaction, now_us)?;
        if transaction.execute("INSERT OR IGNORE INTO removed VALUES (?1)", [name])? == 0 {
            return transaction.commit();
        }
        let mut sums: BTreeMap<(usize, u64), HashMap<String, Tally>> = BTreeMap::new();
        minutes(file, Window::all(), None, |minute, route, tally| {
            for (level, width) in WIDTHS_US.into_iter().enumerate() {
                let start_us = minute - minute % width;
                if start_us < floors[level] {
                    continue;
                }
                let routes = sums.entry((level, start_us)).or_default();
                of_route(routes, route, |_| Tally::default()).merge(&tally);
            }
            Ok(())
        })?;
        for ((level, start_us), routes) in sums {
            for (route, tally) in routes {
                merge(&transaction, WIDTHS_US[level], start_us, &route, tally)?;
            }
        }
        transaction.commit()
    }

    /// The files that were added and may still be there.
    pub(super) fn removed(&self) -> rusqlite::Result<Vec<String>> {
        let connection = self.connection.lock();
        let mut statement = connection.prepare("SELECT name FROM removed")?;
        statement.query_map([], |row| row.get(0))?.collect()
    }

    /// A file that was added is not there any more.
    pub(super) fn forget(&self, name: &str) -> rusqlite::Result<()> {
        self.connection.lock().execute("DELETE FROM removed WHERE name = ?1", [name]).map(|_| ())
    }

    /// Removes what is too old.
    pub(super) fn retain(&self, now_us: u64) -> rusqlite::Result<()> {
        let mut connection = self.connection.lock();
        let transaction = connection.transaction()?;
        self.raise_floors(&transaction, now_us)?;
        transaction.commit()
    }

    /// From when on each width is kept whole: at whole hours, and never earlier again, whatever the settings are.
    fn raise_floors(&self, connection: &Connection, now_us: u64) -> rusqlite::Result<[u64; 3]> {
        let mut floors = [0; 3];
        for ((floor, width), keep_us) in floors.iter_mut().zip(WIDTHS_US).zip(self.keep_us) {
            let due = now_us.saturating_sub(keep_us).next_multiple_of(HOUR_US);
            let known = floor_of(connection, width)?;
            *floor = known.max(if now_us <= keep_us { 0 } else { due });
            if *floor == known {
                continue;
            }
            let sql = "INSERT INTO floors VALUES (?1, ?2) ON CONFLICT DO UPDATE SET start_us = ?2";
            connection.execute(sql, params![clamp(width), clamp(*floor)])?;
            let sql = "DELETE FROM rollups WHERE width = ?1 AND start_us < ?2";
            connection.execute(sql, params![clamp(width), clamp(*floor)])?;
        }
        Ok(floors)
    }

    /// Calls `each` with what is known of a window: all that begins in it.
    pub(super) fn read(
        &self,
        window: Window,
        route: Option<&str>,
        mut each: impl FnMut(u64, &str, &Tally),
    ) -> Result<(), HistoryError> {
        let mut read = || {
            let connection = self.connection.lock();
            let sql = "SELECT start_us, route, ok, failed FROM rollups
                WHERE width = ?1 AND start_us >= ?2 AND start_us < ?3 AND (?4 IS NULL OR route = ?4)";
            let mut statement = connection.prepare_cached(sql)?;
            let mut to_us = window.to_us;
            for width in WIDTHS_US {
                let from_us = floor_of(&connection, width)?.max(window.from_us);
                if from_us >= to_us {
                    continue;
                }
                let mut rows = statement.query(params![clamp(width), clamp(from_us), clamp(to_us), route])?;
                while let Some(row) = rows.next()? {
                    each(unsigned(row, 0)?, row.get_ref(1)?.as_str()?, &Tally::of(row, 2)?);
                }
                // What is older, the next width has.
                to_us = from_us;
            }
            Ok(())
        };
        read().map_err(sqlite_error)
    }
}

fn floor_of(connection: &Connection, width: u64) -> rusqlite::Result<u64> {
    let sql = "SELECT start_us FROM floors WHERE width = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row([clamp(width)], |row| unsigned(row, 0)).optional()?.unwrap_or(0))
}

fn merge(
    connection: &Connection,
    width: u64,
    start_us: u64,
    route: &str,
    mut tally: Tally,
) -> rusqlite::Result<()> {
    let key = params![clamp(width), clamp(start_us), route];
    let sql = "SELECT ok, failed FROM rollups WHERE width = ?1 AND start_us = ?2 AND route = ?3";
    let known = connection.prepare_cached(sql)?.query_row(key, |row| Tally::of(row, 0)).optional()?;
    if let Some(known) = known {
        tally.merge(&known);
    }
    let sql = "INSERT OR REPLACE INTO rollups VALUES (?1, ?2, ?3, ?4, ?5)";
    let (ok, failed) = (tally.ok.to_bytes(), tally.failed.to_bytes());
    connection.prepare_cached(sql)?.execute(params![clamp(width), clamp(start_us), route, ok, failed])?;
    Ok(())
}
