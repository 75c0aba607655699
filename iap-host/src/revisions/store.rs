//! All revisions that are kept: one file each, written whole, or all in memory.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Revision, State};
use crate::kept;

/// What an interrupted revision says.
const INTERRUPTED: &str = "the process ended before it was stable";

/// A revision with its text: what a file has.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    revision: Revision,
    text: Arc<str>,
}

/// Revisions by number.
#[derive(Debug, Default)]
pub(super) struct Store {
    directory: Option<PathBuf>,
    known: BTreeMap<u64, Known>,
    /// The highest number that was ever seen.
    last: u64,
}

#[derive(Debug)]
struct Known {
    revision: Revision,
    /// Only of those that are in no file.
    text: Option<Arc<str>>,
}

impl Store {
    pub(super) fn in_memory() -> Self {
        Self::default()
    }

    /// Reads what was kept. What was pending then was interrupted.
    pub(super) fn open(directory: Option<&Path>) -> io::Result<Self> {
        let Some(directory) = directory else { return Ok(Self::in_memory()) };
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let mut store = Self { directory: Some(directory.to_owned()), ..Self::default() };
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if let Some(number) = number(&path) {
                store.last = store.last.max(number);
                if path.extension().is_some_and(|extension| extension == "json") {
                    store.take_up(number, &path);
                }
            }
        }
        store.interrupt();
        Ok(store)
    }

    /// Reads a file that another process, or this one before, has written. A damaged one is set aside.
    fn take_up(&mut self, number: u64, path: &Path) {
        match read(path) {
            Ok(written) => {
                self.known.insert(number, Known { revision: written.revision, text: None });
            }
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "a revision cannot be read");
                let _ = fs::rename(path, path.with_extension("damaged"));
            }
        }
    }

    /// Keeps a revision under the next number, and lets old ones go. Also where it cannot be written it is known until the
    /// process ends.
    pub(super) fn add(&mut self, mut revision: Revision, text: &str, keep: usize) -> (u64, io::Result<()>) {
        self.last += 1;
        // A process that was to take over from this one may have come before.
        while let Some(path) = self.path(self.last).filter(|path| path.exists()) {
            self.take_up(self.last, &path);
            self.last += 1;
        }
        revision.number = self.last;
        let written = Written { revision: revision.clone(), text: text.into() };
        let kept = match self.path(self.last) {
            Some(path) => kept::write(&path, &written),
            None => Ok(()),
        };
        let is_in_file = self.directory.is_some() && kept.is_ok();
        let text = (!is_in_file).then_some(written.text);
        self.known.insert(self.last, Known { revision, text });
        self.collect(keep);
        (self.last, kept)
    }

    /// Lets go what is too much: failed ones first where they are most of it, so that what never ran does not push out what
    /// has. The last stable one and all after it stay.
    fn collect(&mut self, keep: usize) {
        while self.known.len() > keep {
            let stable = self.last_stable().map_or(self.last, |stable| stable.number);
            let before = || self.known.range(..stable);
            let failed = || before().filter(|(_, known)| known.revision.state != State::Stable);
            let is_most = failed().count() > keep / 2;
            let Some(oldest) = failed().next().filter(|_| is_most).or_else(|| before().next()) else {
                return;
            };
            let number = *oldest.0;
            self.known.remove(&number);
            if let Some(path) = self.path(number)
                && let Err(error) = fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::error!(path = %path.display(), %error, "an old revision could not be removed");
            }
        }
    }

    /// Notes what became of one.
    pub(super) fn settle(&mut self, number: u64, state: State, error: Option<String>) -> io::Result<()> {
        let Some(text) = self.text(number)? else { return Ok(()) };
        let path = self.path(number);
        let Some(known) = self.known.get_mut(&number) else { return Ok(()) };
        (known.revision.state, known.revision.error) = (state, error);
        match path.filter(|_| known.text.is_none()) {
            Some(path) => kept::write(&path, &Written { revision: known.revision.clone(), text }),
            None => Ok(()),
        }
    }

    /// What is pending will not be stable any more.
    pub(super) fn interrupt(&mut self) {
        let pending = self.known.values().filter(|known| known.revision.state == State::Pending);
        let pending: Vec<u64> = pending.map(|known| known.revision.number).collect();
        for number in pending {
            if let Err(error) = self.settle(number, State::Interrupted, Some(INTERRUPTED.to_owned())) {
                tracing::error!(revision = number, %error, "that a revision was interrupted could not be kept");
            }
        }
    }

    /// The latest one that has run.
    pub(super) fn last_stable(&self) -> Option<&Revision> {
        let mut latest = self.known.values().rev().map(|known| &known.revision);
        latest.find(|revision| revision.state == State::Stable)
    }

    pub(super) fn get(&self, number: u64) -> Option<&Revision> {
        self.known.get(&number).map(|known| &known.revision)
    }

    /// Those before a number, the latest first, and the number to go on before.
    pub(super) fn list(&self, before: Option<u64>, limit: usize) -> (Vec<Revision>, Option<u64>) {
        let mut earlier = self.known.range(..before.unwrap_or(u64::MAX)).rev();
        let page: Vec<Revision> =
            earlier.by_ref().take(limit).map(|(_, known)| known.revision.clone()).collect();
        let next = earlier.next().and_then(|_| page.last()).map(|last| last.number);
        (page, next)
    }

    /// Whether it outlives the process.
    pub(super) fn is_kept(&self) -> bool {
        self.directory.is_some()
    }

    /// As it was written.
    pub(super) fn text(&self, number: u64) -> io::Result<Option<Arc<str>>> {
        let Some(known) = self.known.get(&number) else { return Ok(None) };
        match (&known.text, self.path(number)) {
            (Some(text), _) => Ok(Some(text.clone())),
            (None, Some(path)) => read(&path).map(|written| Some(written.text)),
            (None, None) => Ok(None),
        }
    }

    fn path(&self, number: u64) -> Option<PathBuf> {
        Some(self.directory.as_ref()?.join(format!("{number:010}.json")))
    }
}

fn read(path: &Path) -> io::Result<Written> {
    serde_json::from_slice(&fs::read(path)?).map_err(io::Error::other)
}

/// The number in a file's name, also of one that was set aside: it never comes again.
fn number(path: &Path) -> Option<u64> {
    let is_ours = matches!(path.extension()?.to_str()?, "json" | "damaged");
    path.file_stem()?.to_str()?.parse().ok().filter(|_| is_ours)
}
