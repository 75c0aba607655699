//! Database files on the disk.

use std::path::{Path, PathBuf};

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
