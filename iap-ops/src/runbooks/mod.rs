//! Passages of runbooks, and incidents of the past, that are about what was found.
//!
//! A folder of Markdown is read within bounds, split at its headings and indexed in memory (SQLite FTS5, BM25): words of Latin
//! letters as they are, Korean by two and three syllables. It is looked at regularly, and indexed anew when a file has changed.

mod grams;
mod index;
mod read;

use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, spawn_blocking};

use self::index::Index;
pub(crate) use self::index::Query;
use self::read::Seen;
use crate::cause::RootCause;
use crate::detect::{Incident, story};
use crate::question::Language;
use crate::zone::Zone;

/// Passages of runbooks in one answer, and incidents.
const MAX_RUNBOOKS: usize = 3;
const MAX_INCIDENTS: usize = 2;

/// Where runbooks are, and how much of them is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunbookSettings {
    /// The folder.
    pub directory: PathBuf,
    /// How often it is looked at.
    pub every: Duration,
    /// Files that are read; of more the first by name.
    pub max_files: usize,
    /// Bytes of one file; larger ones are left out.
    pub max_file_bytes: u64,
    /// Bytes of all files; what does not fit is left out.
    pub max_bytes: u64,
}

impl RunbookSettings {
    /// A folder with the usual bounds: 2,000 files of 256 KiB, 8 MiB in all, looked at every 10 seconds.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            every: Duration::from_secs(10),
            max_files: 2_000,
            max_file_bytes: 256 << 10,
            max_bytes: 8 << 20,
        }
    }
}

/// Where a passage is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[schemars(rename = "RunbookOrigin")]
pub enum Origin {
    /// A file of the folder.
    Runbook,
    /// An incident that is over.
    Incident,
}

/// A passage about what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Citation {
    /// Where it is from.
    pub origin: Origin,
    /// The file below the folder, or the number of the incident as `#12`.
    pub file: String,
    /// The heading that it stands under, or the incident in a line.
    pub heading: String,
    /// Its beginning, or what there is around what was looked for. Untrusted text.
    pub excerpt: String,
}

/// Why runbooks cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", directory.display())]
pub struct RunbooksError {
    directory: PathBuf,
    source: std::io::Error,
}

/// What is known of the folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RunbooksStatus {
    /// Files that are indexed.
    pub files: usize,
    /// Passages of them.
    pub passages: usize,
    /// Files that were left out, by the bounds or since they are no UTF-8.
    pub left_out: usize,
}

/// Runbooks, indexed.
pub struct Runbooks {
    settings: RunbookSettings,
    /// The folder itself, with no links in its path.
    root: PathBuf,
    files: Mutex<Files>,
    incidents: Mutex<Past>,
    watch: Mutex<Option<AbortHandle>>,
}

#[derive(Default)]
struct Files {
    seen: Vec<Seen>,
    index: Arc<Index>,
    status: Option<RunbooksStatus>,
}

#[derive(Default)]
struct Past {
    /// What is indexed.
    mark: u64,
    index: Arc<Index>,
}

impl Runbooks {
    /// Reads a folder.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn open(settings: RunbookSettings) -> Result<Arc<Self>, RunbooksError> {
        let fail = |source| RunbooksError { directory: settings.directory.clone(), source };
        let root = settings.directory.canonicalize().map_err(fail)?;
        std::fs::read_dir(&root).map_err(fail)?;
        let runbooks = Self {
            settings,
            root,
            files: Mutex::default(),
            incidents: Mutex::default(),
            watch: Mutex::default(),
        };
        runbooks.refresh();
        Ok(Arc::new(runbooks))
    }

    /// Looks at the folder again and again, until it is dropped.
    pub fn watch(self: &Arc<Self>, runtime: &Handle) {
        let (weak, every) = (Arc::downgrade(self), self.settings.every);
        let task = runtime.spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                let Some(runbooks) = weak.upgrade() else { return };
                let _ = spawn_blocking(move || runbooks.refresh()).await;
            }
        });
        if let Some(before) = self.watch.lock().replace(task.abort_handle()) {
            before.abort();
        }
    }

    /// What is indexed.
    pub fn status(&self) -> RunbooksStatus {
        let none = RunbooksStatus { files: 0, passages: 0, left_out: 0 };
        self.files.lock().status.clone().unwrap_or(none)
    }

    /// Indexes the folder anew if a file has changed. A folder that is away keeps what was known of it.
    fn refresh(&self) {
        let (seen, left_out) = match read::list(&self.root, &self.settings) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "the runbooks cannot be read: those that were read before stay");
                return;
            }
        };
        if self.files.lock().status.is_some() && self.files.lock().seen == seen {
            return;
        }
        let (passages, unreadable) = read::passages(&self.root, &seen, &self.settings);
        let read = seen.len() - unreadable;
        let status =
            RunbooksStatus { files: read, passages: passages.len(), left_out: left_out + unreadable };
        let index = Arc::new(Index::new(passages));
        *self.files.lock() = Files { seen, index, status: Some(status) };
    }

    /// The passages about something; `past` are incidents that are over.
    pub(crate) async fn find(
        self: &Arc<Self>,
        query: Query,
        past: Vec<Incident>,
        (language, zone): (Language, Zone),
    ) -> Vec<Citation> {
        let this = self.clone();
        let found = spawn_blocking(move || {
            let files = this.files.lock().index.clone();
            let mut found = files.find(&query, MAX_RUNBOOKS);
            found.extend(this.past(&past, language, &zone).find(&query, MAX_INCIDENTS));
            found
        });
        found.await.unwrap_or_default()
    }

    /// The index of incidents, made anew when they have changed.
    fn past(&self, incidents: &[Incident], language: Language, zone: &Zone) -> Arc<Index> {
        let mut mark = DefaultHasher::new();
        (language == Language::Korean).hash(&mut mark);
        for incident in incidents {
            (incident.id, incident.resolved_s, incident.acks.len()).hash(&mut mark);
        }
        let mark = mark.finish();
        let mut known = self.incidents.lock();
        if known.mark != mark {
            let passages = incidents.iter().map(|incident| passage(incident, language, zone)).collect();
            *known = Past { mark, index: Arc::new(Index::new(passages)) };
        }
        known.index.clone()
    }
}

impl Drop for Runbooks {
    fn drop(&mut self) {
        if let Some(watch) = self.watch.get_mut() {
            watch.abort();
        }
    }
}

impl fmt::Debug for Runbooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runbooks").field("status", &self.status()).finish_non_exhaustive()
    }
}

/// An incident as a passage: what it was, and what people have noted.
fn passage(incident: &Incident, language: Language, zone: &Zone) -> index::Passage {
    let told = story(incident, language, zone);
    let notes = incident.acks.iter().map(|ack| ack.note.as_str());
    let parts = [told.cause.as_str(), told.when.as_str()];
    index::Passage {
        origin: Origin::Incident,
        file: format!("#{}", incident.id),
        heading: told.title.clone(),
        above: String::new(),
        text: notes.chain(parts).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "),
    }
}

/// What an incident is to be looked for by.
pub(crate) fn names(cause: &RootCause) -> Vec<String> {
    let parts = [Some(&cause.name), cause.route.as_ref(), cause.node.as_ref(), cause.error.as_ref()];
    parts.into_iter().flatten().cloned().collect()
}

#[cfg(test)]
mod tests;
