//! The book as a file beside the history.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use iap_ops::alerts::Book;

/// A book that cannot be read is set aside: alerts that go on are told once more.
pub(super) fn read(place: &Path) -> Book {
    let text = match fs::read_to_string(place) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Book::default(),
        Err(error) => {
            tracing::error!(path = %place.display(), %error, "alerts of the process before cannot be read");
            return Book::default();
        }
    };
    serde_json::from_str(&text).unwrap_or_else(|error| {
        tracing::error!(path = %place.display(), %error, "alerts of the process before are damaged");
        let _ = fs::rename(place, place.with_extension("damaged"));
        Book::default()
    })
}

/// Whole or not at all.
pub(super) fn write(place: &Path, book: &Book) -> io::Result<()> {
    let new = place.with_extension("new");
    let mut file = fs::File::create(&new)?;
    file.write_all(serde_json::to_string(book).map_err(io::Error::other)?.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, place)
}
