//! Database files on the disk, and what is done when that is full.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::error::{HistoryError, HistoryErrorKind};

/// Not a name that an hour's file has.
const RESERVE: &str = "reserve";
/// Room for the figures of some files and for SQLite's own files beside them.
const RESERVE_BYTES: usize = 1 << 20;

/// Which file: the hour of arrival since the Unix epoch, and a number within the hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FileId {
    pub(super) hour: u64,
    pub(super) number: u32,
}

impl FileId {
    pub(super) fn name(self) -> String {
        format!("apm-{:08}-{:05}.db", self.hour, self.number)
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        let (hour, number) = name.strip_prefix("apm-")?.strip_suffix(".db")?.split_once('-')?;
        Some(Self { hour: hour.parse().ok()?, number: number.parse().ok()? })
    }
}

/// A database file with the files that SQLite keeps next to it.
pub(super) fn companions(path: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    })
}

pub(super) fn unlink(path: &Path) {
    for path in companions(path) {
        let _ = std::fs::remove_file(path);
    }
}

pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

pub(super) fn set_aside(path: &Path, error: &rusqlite::Error) {
    tracing::warn!(file = %path.display(), %error, "a file of the history is damaged and set aside");
    metrics::counter!("iap_apm_history_damaged_total").increment(1);
    for path in companions(path) {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".damaged");
        let _ = std::fs::rename(&path, aside);
    }
}

/// Whether there is no room. SQLite's shared index beside a database cannot grow then either, which it tells by a code of its
/// own.
pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(code, Some(rusqlite::ffi::SQLITE_FULL | rusqlite::ffi::SQLITE_IOERR_SHMSIZE))
}

/// Tells a full disk from other failures.
pub(super) fn kind(error: &rusqlite::Error) -> HistoryErrorKind {
    if is_full(error) { HistoryErrorKind::Full } else { HistoryErrorKind::Unavailable }
}

pub(super) fn sqlite_error(error: rusqlite::Error) -> HistoryError {
    let kind = kind(&error);
    let message = if kind == HistoryErrorKind::Full { "the disk is full" } else { "the database failed" };
    HistoryError::new(kind, message).with_source(error)
}

/// Room on the disk that is given up once it is full, since it takes room to keep the figures of a file that is removed.
pub(super) struct Reserve(PathBuf);

impl Reserve {
    pub(super) fn in_directory(directory: &Path) -> Self {
        Self(directory.join(RESERVE))
    }

    /// Takes the room, unless it is taken or there is none.
    pub(super) fn take(&self) {
        if self.0.exists() {
            return;
        }
        // Zeros are written, since a file with a hole in it takes no room.
        let written = File::create_new(&self.0).and_then(|mut file| {
            file.write_all(&vec![0; RESERVE_BYTES])?;
            file.sync_all()
        });
        if written.is_err() {
            self.release();
        }
    }

    /// Gives the room up; whether it was taken.
    pub(super) fn release(&self) -> bool {
        std::fs::remove_file(&self.0).is_ok()
    }
}

/// Makes room where not even figures can be kept; whether there was something to give up.
pub(super) fn make_room(directory: &Path) -> bool {
    if Reserve::in_directory(directory).release() {
        return true;
    }
    let names = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut ids: Vec<_> = names.filter_map(|name| FileId::parse(name.to_str()?)).collect();
    ids.sort();
    let [oldest, _, ..] = ids.as_slice() else { return false };
    tracing::error!(file = oldest.name(), "the disk is full: the oldest file of the history is removed");
    unlink(&directory.join(oldest.name()));
    true
}
