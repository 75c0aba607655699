//! Small files of state: written whole or not at all, and set aside when they are damaged.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads what the process before has kept. What is not there, or cannot be read, is the default; `what` is for the log.
pub(crate) fn read<T: DeserializeOwned + Default>(place: &Path, what: &str) -> T {
    let text = match fs::read_to_string(place) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return T::default(),
        Err(error) => {
            tracing::error!(path = %place.display(), %error, "{what} of the process before cannot be read");
            return T::default();
        }
    };
    serde_json::from_str(&text).unwrap_or_else(|error| {
        tracing::error!(path = %place.display(), %error, "{what} of the process before are damaged");
        let _ = fs::rename(place, place.with_extension("damaged"));
        T::default()
    })
}

/// Writes state as JSON, for the eyes of the process's user alone.
pub(crate) fn write(place: &Path, state: &impl Serialize) -> io::Result<()> {
    write_bytes(place, &serde_json::to_vec(state)?)
}

/// Writes a file, for the eyes of the process's user alone.
pub(crate) fn write_bytes(place: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = place.with_extension("new");
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, place)?;
    sync_directory(place)
}

/// Makes a renamed file last: its new name is in its directory.
pub(crate) fn sync_directory(place: &Path) -> io::Result<()> {
    let directory = place.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}
