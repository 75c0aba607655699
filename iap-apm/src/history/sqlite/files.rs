//! The files of a history: which there are, which to read for a window, which to remove.

use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rusqlite::Connection;
use serde::Serialize;

use super::{SqliteOptions, schema, sqlite_error, unavailable};
use crate::error::{HistoryError, HistoryErrorKind};
use crate::model::Window;

/// Idle read connections that are kept for later queries.
const IDLE_READERS: usize = 16;
const HOUR_MS: u64 = 3_600_000;

/// Which file: the hour of arrival since the Unix epoch, and a number within the hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FileId {
    pub(super) hour: u64,
    pub(super) number: u32,
}

impl FileId {
    fn name(self) -> String {
        format!("apm-{:08}-{:05}.db", self.hour, self.number)
    }

    fn parse(name: &str) -> Option<Self> {
        let (hour, number) = name.strip_prefix("apm-")?.strip_suffix(".db")?.split_once('-')?;
        Some(Self { hour: hour.parse().ok()?, number: number.parse().ok()? })
    }
}

/// How many files were removed, and why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Evicted {
    /// Older than the limit of age.
    pub by_age: u64,
    /// The oldest while all were larger than the limit of size.
    pub by_size: u64,
}

struct State {
    /// Sorted; each with the first and last moment in it.
    known: Vec<(FileId, Option<(u64, u64)>)>,
    evicted: Evicted,
}

pub(super) struct Files {
    directory: PathBuf,
    pub(super) options: SqliteOptions,
    state: Mutex<State>,
    idle: Mutex<Vec<(FileId, Connection)>>,
}

impl Files {
    pub(super) fn open(directory: &Path, options: SqliteOptions) -> Result<Self, HistoryError> {
        let mut known = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(unavailable("the directory cannot be read"))? {
            let entry = entry.map_err(unavailable("the directory cannot be read"))?;
            let Some(id) = entry.file_name().to_str().and_then(FileId::parse) else { continue };
            match inspect(&entry.path()) {
                Ok((true, range)) => known.push((id, range)),
                Ok((false, _)) => {
                    let message = "a file was written by another version of the program";
                    return Err(HistoryError::new(HistoryErrorKind::Unavailable, message));
                }
                Err(error) if is_damage(&error) => set_aside(&entry.path(), &error),
                // A good file that cannot be opened now must not be given up.
                Err(error) => return Err(sqlite_error(error)),
            }
        }
        known.sort_by_key(|(id, _)| *id);
        let state = Mutex::new(State { known, evicted: Evicted::default() });
        Ok(Self { directory: directory.to_owned(), options, state, idle: Mutex::default() })
    }

    pub(super) fn path(&self, id: FileId) -> PathBuf {
        self.directory.join(id.name())
    }

    /// The file for what arrives now: the current one unless its hour is over or it is `full`.
    pub(super) fn current(&self, full: bool) -> FileId {
        let hour = self.options.clock.now_ms() / HOUR_MS;
        let mut state = self.state.lock();
        let last = state.known.last().map(|(id, _)| *id);
        let id = match last {
            // A clock that went back must not make files that sort before those there are.
            Some(last) if last.hour >= hour && !full => last,
            Some(last) if last.hour >= hour => FileId { number: last.number + 1, ..last },
            _ => FileId { hour, number: 0 },
        };
        if last != Some(id) {
            state.known.push((id, None));
        }
        id
    }

    /// Widens the range of a file by what was just written.
    pub(super) fn widen(&self, id: FileId, low: u64, high: u64) {
        let mut state = self.state.lock();
        if let Some((_, range)) = state.known.iter_mut().rev().find(|(known, _)| *known == id) {
            *range = Some(range.map_or((low, high), |(from, to)| (from.min(low), to.max(high))));
        }
    }

    /// The files that may hold something of the window, newest first.
    pub(super) fn in_window(&self, window: Window) -> Vec<FileId> {
        let overlaps = |range: &(u64, u64)| range.0 < window.to_us && range.1 >= window.from_us;
        let state = self.state.lock();
        let hits = state.known.iter().filter(|(_, range)| range.as_ref().is_some_and(overlaps));
        hits.rev().map(|(id, _)| *id).collect()
    }

    /// All files, newest first.
    pub(super) fn all(&self) -> Vec<FileId> {
        self.state.lock().known.iter().rev().map(|(id, _)| *id).collect()
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
        let opened = idle.map_or_else(|| schema::open_reader(&self.path(id)), Ok);
        let connection = match opened {
            Ok(connection) => connection,
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
        if self.exists(id) {
            let mut idle = self.idle.lock();
            if idle.len() >= IDLE_READERS {
                idle.remove(0);
            }
            idle.push((id, connection));
        }
        Ok(Some(answer))
    }

    fn exists(&self, id: FileId) -> bool {
        self.state.lock().known.iter().any(|(known, _)| *known == id)
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
        let now_ms = self.options.clock.now_ms();
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

    fn remove(&self, id: FileId, why: &'static str) {
        {
            let mut state = self.state.lock();
            state.known.retain(|(known, _)| *known != id);
            match why {
                "age" => state.evicted.by_age += 1,
                _ => state.evicted.by_size += 1,
            }
        }
        self.idle.lock().retain(|(known, _)| *known != id);
        for path in companions(&self.path(id)) {
            let _ = std::fs::remove_file(path);
        }
        metrics::counter!("iap_apm_history_evicted_total", "why" => why).increment(1);
        tracing::info!(file = id.name(), why, "removed a file of the history");
    }
}

/// A database file with the files that SQLite keeps next to it.
fn companions(path: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    })
}

/// Whether the file is of a known version, and what it covers.
fn inspect(path: &Path) -> rusqlite::Result<(bool, Option<(u64, u64)>)> {
    let file = schema::open_writer(path)?;
    if !schema::is_known(&file)? {
        return Ok((false, None));
    }
    Ok((true, schema::range(&file)?))
}

fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

fn set_aside(path: &Path, error: &rusqlite::Error) {
    tracing::warn!(file = %path.display(), %error, "a file of the history is damaged and set aside");
    metrics::counter!("iap_apm_history_damaged_total").increment(1);
    for path in companions(path) {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".damaged");
        let _ = std::fs::rename(&path, aside);
    }
}
