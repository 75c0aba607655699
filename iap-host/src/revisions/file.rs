//! The file that a configuration comes from, written so that it is the one before or the new one, whole.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::kept;

/// A text on the disk beside the file whose place it is to take. Dropped, it is gone.
#[derive(Debug)]
pub(crate) struct Prepared {
    temporary: NamedTempFile,
    place: PathBuf,
}

impl Prepared {
    /// Writes it, with the permissions of the file that is there. A link stays one: what it leads to is replaced.
    pub(crate) fn new(file: &Path, text: &str) -> io::Result<Self> {
        let place = fs::canonicalize(file)?;
        let directory = place.parent().ok_or(io::ErrorKind::NotFound)?;
        let mut temporary = tempfile::Builder::new().prefix(".iap-").suffix(".new").tempfile_in(directory)?;
        temporary.write_all(text.as_bytes())?;
        let before = fs::metadata(&place)?;
        temporary.as_file().set_permissions(before.permissions())?;
        let own = temporary.as_file().metadata()?;
        if (own.uid(), own.gid()) != (before.uid(), before.gid()) {
            // Only root can give a file away; then whoever may edit it is to stay able to.
            let _ = fchown(temporary.as_file(), Some(before.uid()), Some(before.gid()));
        }
        temporary.as_file().sync_all()?;
        Ok(Self { temporary, place })
    }

    /// Takes the file's place.
    pub(crate) fn commit(self) -> io::Result<()> {
        self.temporary.persist(&self.place).map_err(|failed| failed.error)?;
        kept::sync_directory(&self.place)
    }
}
