//! Revisions of the configuration: what has run, who wanted it and why, and the way back.
//!
//! | module | what it has |
//! |---|---|
//! | [`store`] | all that are kept, as files of a directory or in memory |
//! | [`settings`] | the settings of a configuration one by one: which have changed, and where each comes from |

mod settings;
mod store;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use iap_core::{Clock, SystemClock};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

pub(crate) use self::settings::hash;
use self::store::Store;
use crate::config::Config;

/// Characters of a reason, and of what is kept of an error.
pub(crate) const MAX_REASON: usize = 500;
const MAX_ERROR: usize = 2_000;

/// One configuration that has run, or was to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Revision {
    /// Counts from 1, and never comes twice.
    pub(crate) number: u64,
    /// When it came, Unix milliseconds.
    pub(crate) at_ms: u64,
    pub(crate) origin: Origin,
    /// Who is signed in, or what has asked for it: `file` at a start, `signal`.
    pub(crate) author: String,
    pub(crate) reason: String,
    /// What ran before.
    pub(crate) parent: Option<u64>,
    /// The revision whose text this one has again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) restores: Option<u64>,
    /// Of the settings as they count, with defaults and the environment.
    pub(crate) hash: String,
    pub(crate) state: State,
    /// Why it has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// Where a revision comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    /// The file, at a start of the process.
    Start,
    /// The file, read again.
    File,
}

/// What became of a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// It is being taken up, or tried out.
    Pending,
    /// It has run.
    Stable,
    /// It could not be taken up, or was taken back.
    Failed,
    /// The process ended before it was stable.
    Interrupted,
}

/// Somebody's wish for another configuration.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) origin: Origin,
    pub(crate) author: String,
    pub(crate) reason: String,
    pub(crate) restores: Option<u64>,
}

/// What runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) number: u64,
    pub(crate) hash: String,
    /// As it was written.
    pub(crate) text: Arc<str>,
    pub(crate) config: Arc<Config>,
}

/// The revisions of a process. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Revisions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Mutex<Store>,
    running: ArcSwap<Running>,
    /// The file that it all comes from; none in the demo.
    file: Option<PathBuf>,
}

impl Revisions {
    /// Takes up what was kept, and notes what runs now, unless it ran at last as well. Where the directory cannot be
    /// used, revisions are in memory: that is no reason not to serve.
    pub(crate) fn start(config: &Config, text: &str, file: Option<&Path>) -> Self {
        let settings = &config.admin.revisions;
        let mut store = Store::open(settings.directory.as_deref()).unwrap_or_else(|error| {
            let directory = settings.directory.as_deref().unwrap_or(Path::new("")).display();
            tracing::error!(%directory, %error, "admin.revisions: revisions are kept in memory only");
            Store::in_memory()
        });
        let hash = hash(config);
        let last = store.last_stable().filter(|last| last.hash == hash).map(|last| last.number);
        let same = last.filter(|number| store.text(*number).is_ok_and(|kept| kept.as_deref() == Some(text)));
        let number = same.unwrap_or_else(|| {
            let wish = Wish {
                origin: Origin::Start,
                author: "file".to_owned(),
                reason: String::new(),
                restores: None,
            };
            let parent = store.last_stable().map(|last| last.number);
            note(&mut store, revision(wish, parent, &hash, State::Stable), text, settings.keep)
        });
        let running = Running { number, hash, text: text.into(), config: Arc::new(config.clone()) };
        let inner = Inner {
            store: Mutex::new(store),
            running: ArcSwap::from_pointee(running),
            file: file.map(Path::to_owned),
        };
        Self(Arc::new(inner))
    }

    /// What runs.
    pub(crate) fn running(&self) -> Arc<Running> {
        self.0.running.load_full()
    }

    /// The file that it all comes from.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }

    /// Notes that something is being taken up. Gives its number.
    pub(crate) fn begin(&self, wish: Wish, config: &Config, text: &str) -> u64 {
        let pending = revision(wish, Some(self.running().number), &hash(config), State::Pending);
        note(&mut self.0.store.lock(), pending, text, config.admin.revisions.keep)
    }

    /// It runs now.
    pub(crate) fn runs(&self, number: u64, config: Arc<Config>, text: Arc<str>) {
        let hash = hash(&config);
        self.0.running.store(Arc::new(Running { number, hash, text, config }));
    }

    /// Notes what became of it.
    pub(crate) fn settle(&self, number: u64, state: State, error: Option<&str>) {
        let error = error.map(|error| error.chars().take(MAX_ERROR).collect());
        if let Err(error) = self.0.store.lock().settle(number, state, error) {
            tracing::error!(revision = number, %error, "what became of a revision could not be kept");
        }
    }

    /// The process ends before what is being taken up is stable.
    pub(crate) fn interrupt(&self) {
        self.0.store.lock().interrupt();
    }
}

fn revision(wish: Wish, parent: Option<u64>, hash: &str, state: State) -> Revision {
    let Wish { origin, author, reason, restores } = wish;
    let (number, at_ms, hash) = (0, SystemClock.now_ms(), hash.to_owned());
    Revision { number, at_ms, origin, author, reason, parent, restores, hash, state, error: None }
}

/// Keeps it; what runs is not stopped by a full disk.
fn note(store: &mut Store, revision: Revision, text: &str, keep: usize) -> u64 {
    let (number, kept) = store.add(revision, text, keep);
    if let Err(error) = kept {
        tracing::error!(revision = number, %error, "a revision could not be kept beyond this process");
    }
    number
}

#[cfg(test)]
mod tests;
