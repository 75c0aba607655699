//! The files of a history: which there are, which to read for a window, which to remove.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use serde::Serialize;

use super::disk::{FileId, Reserve, companions, is_damage, make_room, set_aside, sqlite_error, unlink};
use super::long_term::{self, LongTerm};
use super::{SqliteOptions, aggregate, schema, unavailable};
use crate::error::{HistoryError, HistoryErrorKind};
use crate::model::Window;

/// Idle read connections that are kept for later queries.
const IDLE_READERS: usize = 16;
pub(super) const HOUR_MS: u64 = 3_600_000;
/// How much later than a trace most of its spans have come.
const LATE_MS: u64 = 1_800_000;
/// How often a query is repeated that met the removal of a file.
const CONSISTENT_TRIES: usize = 200;
/// How long a query waits for one, each time.
const REMOVAL: Duration = Duration::from_millis(5);

/// How many files were removed, and why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Evicted {
    /// Older than the limit of age.
    pub by_age: u64,
    /// The oldest while all were larger than the limit of size.
    pub by_size: u64,
    /// The oldest while the disk was full.
    pub by_full_disk: u64,
}

/// What is known of a file.
struct Known {
    id: FileId,
    /// The first and last moment in it.
    range: Option<(u64, u64)>,
    minutes: Minutes,
    /// Whether its tables are there.
    readable: bool,
}

/// Whether the minutes of a file are in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Minutes {
    NotYet,
    Rolled,
    /// It was tried, and is not again.
    Failed,
}

impl Known {
    fn overlaps(&self, window: Window) -> bool {
        self.range.is_some_and(|range| range.0 < window.to_us && range.1 >= window.from_us)
    }
}

struct State {
    /// Sorted.
    known: Vec<Known>,
    evicted: Evicted,
}

pub(super) struct Files {
    directory: PathBuf,
    pub(super) options: SqliteOptions,
    pub(super) long_term: LongTerm,
    reserve: Reserve,
    state: Mutex<State>,
    /// Odd while the figures of a file go over to the long-term ones.
    generation: AtomicU64,
    idle: Mutex<Vec<(FileId, Connection)>>,
}

impl Files {
    pub(super) fn open(directory: &Path, options: SqliteOptions) -> Result<Self, HistoryError> {
        loop {
            match Self::look(directory, options.clone()) {
                // A start must not hang on what lies on the disk.
                Err(error) if error.kind() == HistoryErrorKind::Full && make_room(directory) => {}
                opened => return opened,
            }
        }
    }

    fn look(directory: &Path, options: SqliteOptions) -> Result<Self, HistoryError> {
        let reserve = Reserve::in_directory(directory);
        let long_term = open_long_term(directory, &options)?;
        // Their figures are in the long-term ones, but the process ended before they were deleted.
        for name in long_term.removed().map_err(sqlite_error)? {
            unlink(&directory.join(&name));
            long_term.forget(&name).map_err(sqlite_error)?;
        }
        let mut known = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(unavailable("the directory cannot be read"))? {
            let entry = entry.map_err(unavailable("the directory cannot be read"))?;
            let Some(id) = entry.file_name().to_str().and_then(FileId::parse) else { continue };
            match inspect(id, &entry.path()) {
                Ok(Some(file)) => known.push(file),
                Ok(None) => {
                    let message = "a file was written by another version of the program";
                    return Err(HistoryError::new(HistoryErrorKind::Unavailable, message));
                }
                Err(error) if is_damage(&error) => set_aside(&entry.path(), &error),
                // A good file that cannot be opened now must not be given up.
                Err(error) => return Err(sqlite_error(error)),
            }
        }
        known.sort_by_key(|file| file.id);
        let state = Mutex::new(State { known, evicted: Evicted::default() });
        let (generation, idle) = (AtomicU64::new(0), Mutex::default());
        reserve.take();
        Ok(Self { directory: directory.to_owned(), options, long_term, reserve, state, generation, idle })
    }

    pub(super) fn path(&self, id: FileId) -> PathBuf {
        self.directory.join(id.name())
    }

    /// The file for what arrives now: the current one unless its hour is over or it is `full`.
    pub(super) fn current(&self, full: bool) -> FileId {
        let hour = self.options.clock.now_ms() / HOUR_MS;
        let mut state = self.state.lock();
        let last = state.known.last().map(|file| file.id);
        let id = match last {
            // A clock that went back must not make files that sort before those there are.
            Some(last) if last.hour >= hour && !full => last,
            Some(last) if last.hour >= hour => FileId { number: last.number + 1, ..last },
            _ => FileId { hour, number: 0 },
        };
        if last != Some(id) {
            state.known.push(Known { id, range: None, minutes: Minutes::NotYet, readable: false });
        }
        id
    }

    /// Widens the range of a file by what was just written.
    pub(super) fn widen(&self, id: FileId, low: u64, high: u64) {
        let mut state = self.state.lock();
        if let Some(file) = state.known.iter_mut().rev().find(|file| file.id == id) {
            file.range = Some(file.range.map_or((low, high), |(from, to)| (from.min(low), to.max(high))));
        }
    }

    /// The files that may hold something of the window, newest first.
    pub(super) fn in_window(&self, window: Window) -> Vec<FileId> {
        self.rolled_in_window(window).into_iter().map(|(id, _)| id).collect()
    }

    /// The same, with whether the minutes of each are in it.
    pub(super) fn rolled_in_window(&self, window: Window) -> Vec<(FileId, bool)> {
        let state = self.state.lock();
        let hits = state.known.iter().filter(|file| file.overlaps(window));
        hits.rev().map(|file| (file.id, file.minutes == Minutes::Rolled)).collect()
    }

    /// The files that were written in a window and shortly after, newest first.
    pub(super) fn near(&self, window: Window) -> Vec<FileId> {
        let (from, to) = (window.from_us / 1_000, (window.to_us / 1_000).saturating_add(LATE_MS));
        let wrote = |id: &FileId| {
            let began = id.hour.saturating_mul(HOUR_MS);
            began <= to && began.saturating_add(HOUR_MS) > from
        };
        self.readable().into_iter().filter(wrote).collect()
    }

    /// The tables of a file are there.
    pub(super) fn began(&self, id: FileId) {
        if let Some(file) = self.state.lock().known.iter_mut().find(|file| file.id == id) {
            file.readable = true;
        }
    }

    /// All files that can be read, newest first.
    pub(super) fn readable(&self) -> Vec<FileId> {
        let state = self.state.lock();
        state.known.iter().rev().filter(|file| file.readable).map(|file| file.id).collect()
    }

    /// All files, newest first.
    pub(super) fn all(&self) -> Vec<FileId> {
        self.state.lock().known.iter().rev().map(|file| file.id).collect()
    }

    /// The newest file before one.
    pub(super) fn before(&self, id: FileId) -> Option<FileId> {
        self.all().into_iter().find(|other| *other < id)
    }

    /// Writes the minutes of a closed file into it, of the oldest that has none; whether there was one. `kept` are
    /// those that may still be written.
    pub(super) fn roll_next(&self, kept: &[FileId]) -> bool {
        let next = {
            let state = self.state.lock();
            let closed = |file: &&Known| file.minutes == Minutes::NotYet && !kept.contains(&file.id);
            // The last one may be written again, after a start or when the clock goes back.
            let rest = state.known.split_last().map_or(&[][..], |(_, rest)| rest);
            rest.iter().find(closed).map(|file| file.id)
        };
        let Some(id) = next else { return false };
        let rolled = schema::open_writer(&self.path(id)).and_then(|mut file| aggregate::roll(&mut file));
        if let Err(error) = &rolled {
            tracing::warn!(file = id.name(), %error, "the figures of a file could not be rolled up");
        }
        let minutes = if rolled.is_ok() { Minutes::Rolled } else { Minutes::Failed };
        if let Some(file) = self.state.lock().known.iter_mut().find(|file| file.id == id) {
            file.minutes = minutes;
        }
        true
    }

    /// Answers from a state in which each file is either there or among the long-term figures.
    pub(super) fn consistently<T>(
        &self,
        mut read: impl FnMut() -> Result<T, HistoryError>,
    ) -> Result<T, HistoryError> {
        for _ in 0..CONSISTENT_TRIES {
            let before = self.generation.load(Ordering::Acquire);
            if !before.is_multiple_of(2) {
                std::thread::sleep(REMOVAL);
                continue;
            }
            let answer = read()?;
            if self.generation.load(Ordering::Acquire) == before {
                return Ok(answer);
            }
        }
        read()
    }

    /// Runs a query on a file; `None` when the file has been removed meanwhile or is damaged.
    pub(super) fn query<T>(
        &self,
        id: FileId,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, HistoryError> {
        let idle = {
            let mut idle = self.idle.lock();
            idle.iter().position(|(known, _)| *known == id).map(|at| idle.swap_remove(at).1)
        };
        let opened = idle.map_or_else(|| schema::open_reader(&self.path(id)), |known| Ok((known, true)));
        let (connection, follows) = match opened {
            Ok(opened) => opened,
            Err(_) if !self.exists(id) => return Ok(None),
            Err(error) if is_damage(&error) => return Ok(None),
            Err(error) => return Err(sqlite_error(error)),
        };
        let answer = match query(&connection) {
            Ok(answer) => answer,
            Err(error) if is_damage(&error) => {
                // One damaged file must not hide what the others hold.
                tracing::warn!(file = id.name(), %error, "a file of the history is damaged and not read");
                return Ok(None);
            }
            Err(error) => return Err(sqlite_error(error)),
        };
        if follows && self.exists(id) {
            let mut idle = self.idle.lock();
            if idle.len() >= IDLE_READERS {
                idle.remove(0);
            }
            idle.push((id, connection));
        }
        Ok(Some(answer))
    }

    fn exists(&self, id: FileId) -> bool {
        self.state.lock().known.iter().any(|file| file.id == id)
    }

    pub(super) fn close_readers(&self) {
        self.idle.lock().clear();
    }

    pub(super) fn evicted(&self) -> Evicted {
        self.state.lock().evicted
    }

    pub(super) fn size(&self) -> (usize, u64) {
        let all = self.all();
        (all.len(), all.iter().map(|id| self.bytes(*id)).sum())
    }

    pub(super) fn bytes(&self, id: FileId) -> u64 {
        let path = self.path(id);
        companions(&path).iter().filter_map(|path| std::fs::metadata(path).ok()).map(|data| data.len()).sum()
    }

    /// Removes what is too old, then the oldest while all is too large. The file being written to
    /// (`keep`) stays.
    pub(super) fn retain(&self, keep: Option<FileId>) {
        self.reserve.take();
        let now_ms = self.options.clock.now_ms();
        if let Err(error) = self.long_term.retain(now_ms * 1_000) {
            tracing::warn!(%error, "old figures could not be removed");
        }
        let max_age = self.options.max_age.as_millis() as u64;
        let mut files: Vec<_> = self.all().into_iter().rev().filter(|id| Some(*id) != keep).collect();
        files.retain(|id| {
            let old = (id.hour + 1).saturating_mul(HOUR_MS).saturating_add(max_age) <= now_ms;
            if old {
                self.remove(*id, "age");
            }
            !old
        });
        let mut total = self.size().1;
        for id in files {
            if total <= self.options.max_bytes {
                break;
            }
            total = total.saturating_sub(self.bytes(id));
            self.remove(id, "size");
        }
    }

    /// Makes room on a full disk: removes the oldest file but the one being written; whether there was one.
    pub(super) fn make_room(&self) -> bool {
        let oldest = match self.state.lock().known.as_slice() {
            [oldest, _, ..] => Some(oldest.id),
            _ => None,
        };
        if let Some(id) = oldest {
            self.reserve.release();
            self.remove(id, "disk");
            // At once, for the next one.
            self.reserve.take();
        }
        oldest.is_some()
    }

    fn remove(&self, id: FileId, why: &'static str) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        if let Err(error) = self.keep_figures(id) {
            // A disk that is full has room only once files are gone.
            tracing::warn!(file = id.name(), %error, "the figures of a file could not be kept");
        }
        let bytes = self.bytes(id);
        {
            let mut state = self.state.lock();
            state.known.retain(|file| file.id != id);
            match why {
                "age" => state.evicted.by_age += 1,
                "disk" => state.evicted.by_full_disk += 1,
                _ => state.evicted.by_size += 1,
            }
        }
        self.idle.lock().retain(|(known, _)| *known != id);
        unlink(&self.path(id));
        if let Err(error) = self.long_term.forget(&id.name()) {
            tracing::warn!(file = id.name(), %error, "a removed file is still noted");
        }
        self.generation.fetch_add(1, Ordering::AcqRel);
        metrics::counter!("iap_apm_history_evicted_total", "why" => why).increment(1);
        tracing::info!(file = id.name(), why, bytes, "removed a file of the history");
    }

    /// Adds the figures of a file to the long-term ones.
    fn keep_figures(&self, id: FileId) -> rusqlite::Result<()> {
        let mut file = schema::open_writer(&self.path(id))?;
        // It is deleted next: folding its log in would only take room that a full disk does not have.
        file.pragma_update(None, "wal_autocheckpoint", 0)?;
        file.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        if !schema::is_rolled(&file)? {
            aggregate::roll(&mut file)?;
        }
        self.long_term.add(&id.name(), &file, self.options.clock.now_ms() * 1_000)
    }
}

/// Opens the long-term figures; damaged ones are set aside.
fn open_long_term(directory: &Path, options: &SqliteOptions) -> Result<LongTerm, HistoryError> {
    let path = directory.join(long_term::FILE);
    let opened = match LongTerm::open(&path, options.rollups) {
        Err(error) if is_damage(&error) => {
            set_aside(&path, &error);
            LongTerm::open(&path, options.rollups)
        }
        opened => opened,
    };
    opened.map_err(sqlite_error)
}

/// What there is in a file; `None` when it is of an unknown version.
fn inspect(id: FileId, path: &Path) -> rusqlite::Result<Option<Known>> {
    let file = schema::open_writer(path)?;
    if !schema::is_known(&file)? {
        return Ok(None);
    }
    let minutes = if schema::is_rolled(&file)? { Minutes::Rolled } else { Minutes::NotYet };
    Ok(Some(Known { id, range: schema::range(&file)?, minutes, readable: true }))
}
