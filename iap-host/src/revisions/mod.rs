//! Revisions of the configuration: what has run, who wanted it and why, and the way back.
//!
//! | module | what it has |
//! |---|---|
//! | [`mod@store`] | all that are kept, as files of a directory or in memory |
//! | [`mod@change`] | what somebody wants, and why it is refused |
//! | [`mod@trial`] | whether things are worse with it |
//! | [`mod@file`] | the file that it all comes from |
//! | [`mod@settings`] | the settings of a configuration one by one: which have changed, and where each comes from |
//! | [`mod@others`] | what a change means to the other instances of the file |
//! | [`mod@preview`] | one setting changed in a text that keeps all the rest |
//! | [`mod@redact`] | what is shown is without secrets |
//! | [`mod@diff`] | what differs between two texts |
//! | [`mod@command`] | `iap-host config` |

mod change;
mod command;
mod diff;
mod file;
mod others;
mod preview;
mod redact;
mod settings;
mod store;
mod trial;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use iap_core::{Clock, SystemClock};
use iap_ops::actions::RunningRevision;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use self::change::{Applied, Change, Refused};
pub(crate) use self::command::command;
pub(crate) use self::diff::unified;
pub(crate) use self::file::Prepared;
pub(crate) use self::others::{Other, others};
pub(crate) use self::preview::{NoPreview, preview};
pub(crate) use self::redact::{conceal, redact, restore};
pub(crate) use self::settings::{Setting, SettingChange, changes, hash, settings};
use self::store::Store;
pub(crate) use self::trial::{Shown, Trial, without_servers};
use crate::config::{self, Config, ConfigError, Environment};
use crate::run;

/// Characters of a reason, and of what is kept of an error.
pub(crate) const MAX_REASON: usize = 500;
const MAX_ERROR: usize = 2_000;

/// One configuration that has run, or was to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RevisionOrigin")]
pub(crate) enum Origin {
    /// The file, at a start of the process.
    Start,
    /// The file, read again.
    File,
    /// A text that came over the admin API.
    Api,
    /// One of before, once more.
    Rollback,
}

/// What became of a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RevisionState")]
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
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) number: u64,
    pub(crate) hash: String,
    /// As it was written.
    pub(crate) text: Arc<str>,
    pub(crate) config: Arc<Config>,
}

impl Running {
    /// The entity tag: what somebody has seen who wants to change it.
    pub(crate) fn etag(&self) -> String {
        format!("\"{}-{}\"", self.number, &self.hash[..16])
    }
}

/// Whether the file is still what this process knows of it.
#[derive(Debug)]
pub(crate) enum Drift {
    None,
    /// Somebody has edited it: its text now.
    Edited(String),
    /// It cannot be read.
    Unreadable(String),
}

/// The revisions of a process. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Revisions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Mutex<Store>,
    running: ArcSwap<Running>,
    trial: ArcSwapOption<Shown>,
    /// The revision by which something has changed at last, and when.
    changed: Mutex<Option<(u64, u64)>>,
    /// The file that it all comes from; none in the demo.
    file: Option<PathBuf>,
    /// What the file had when it was last read or written.
    in_file: Mutex<Arc<str>>,
    environment: Environment,
    /// Which of the file's instances this process is; none in a file that has none.
    instance: Option<String>,
}

impl Revisions {
    /// Takes up what was kept, and notes what runs now, unless it ran at last as well. Where the directory cannot be
    /// used, revisions are in memory: that is no reason not to serve.
    pub(crate) fn start(
        (config, text): (&Config, &str),
        file: Option<&Path>,
        (environment, instance): (&Environment, Option<&str>),
    ) -> Self {
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
        let text: Arc<str> = text.into();
        let running = Running { number, hash, text: text.clone(), config: Arc::new(config.clone()) };
        Self(Arc::new(Inner {
            store: Mutex::new(store),
            running: ArcSwap::from_pointee(running),
            trial: ArcSwapOption::empty(),
            changed: Mutex::default(),
            file: file.map(Path::to_owned),
            in_file: Mutex::new(text),
            environment: environment.clone(),
            instance: instance.map(str::to_owned),
        }))
    }

    /// What runs.
    pub(crate) fn running(&self) -> Arc<Running> {
        self.0.running.load_full()
    }

    /// The file that it all comes from.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }

    /// What lies over the file.
    pub(crate) fn environment(&self) -> &Environment {
        &self.0.environment
    }

    /// Which of the file's instances this process is.
    pub(crate) fn instance(&self) -> Option<&str> {
        self.0.instance.as_deref()
    }

    /// What a text means here.
    pub(crate) fn parse(&self, text: &str) -> Result<Config, ConfigError> {
        let name = self.file().map_or_else(|| "configuration".to_owned(), |file| file.display().to_string());
        config::parse_as(&name, text, self.instance(), &self.0.environment).map(|parsed| parsed.config)
    }

    /// The same for a change of this process alone: a text in which another instance changes is refused.
    pub(crate) fn parse_own(&self, text: &str) -> Result<Config, ConfigError> {
        let config = self.parse(text)?;
        let others = others(&self.running().text, text, self.instance());
        let Some(other) = others.first() else { return Ok(config) };
        let message = format!(
            "it stands in a part that instance `{}` has as well: write it into the settings of this one",
            other.name
        );
        Err(ConfigError { file: String::new(), place: None, message })
    }

    /// Whether the file has been edited. Reads it.
    pub(crate) fn drift(&self) -> Drift {
        let Some(file) = self.file() else { return Drift::None };
        match run::read(file) {
            Ok(text) if *text == **self.0.in_file.lock() => Drift::None,
            Ok(text) => Drift::Edited(text),
            Err(error) => Drift::Unreadable(error.to_string()),
        }
    }

    /// What the file has, as far as this process knows: not yet what is tried out.
    pub(crate) fn in_file(&self) -> Arc<str> {
        self.0.in_file.lock().clone()
    }

    /// This is in the file.
    pub(crate) fn set_in_file(&self, text: Arc<str>) {
        *self.0.in_file.lock() = text;
    }

    /// What is tried out at the moment.
    pub(crate) fn trial(&self) -> Option<Arc<Shown>> {
        self.0.trial.load_full()
    }

    /// Tells of a trial, or that it is over.
    pub(crate) fn show(&self, trial: Option<Shown>) {
        self.0.trial.store(trial.map(Arc::new));
    }

    /// Notes when a revision has changed something, Unix milliseconds: as the estate's changes have it.
    pub(crate) fn changed(&self, number: u64, at_ms: u64) {
        *self.0.changed.lock() = Some((number, at_ms));
    }

    /// What was changed at last is taken back: that is no change to go back from.
    pub(crate) fn taken_back(&self) {
        *self.0.changed.lock() = None;
    }

    /// What runs, where it has taken the place of a stable one while this process ran. A way back has none itself.
    pub(crate) fn replaced(&self) -> Option<RunningRevision> {
        let (number, since_ms) = (*self.0.changed.lock())?;
        let store = self.0.store.lock();
        let revision = store.get(number).filter(|revision| revision.origin != Origin::Rollback)?;
        let parent = store.get(revision.parent?).filter(|parent| parent.state == State::Stable)?.number;
        (self.running().number == number).then_some(RunningRevision { number, parent, since_ms })
    }

    /// One of those that are kept.
    pub(crate) fn get(&self, number: u64) -> Option<Revision> {
        self.0.store.lock().get(number).cloned()
    }

    /// Its text. Reads a file.
    pub(crate) fn text(&self, number: u64) -> io::Result<Option<Arc<str>>> {
        self.0.store.lock().text(number)
    }

    /// Those before a number, the latest first, and where to go on.
    pub(crate) fn list(&self, before: Option<u64>, limit: usize) -> (Vec<Revision>, Option<u64>) {
        self.0.store.lock().list(before, limit)
    }

    /// Whether they outlive the process.
    pub(crate) fn are_kept(&self) -> bool {
        self.0.store.lock().is_kept()
    }

    /// Notes that something is being taken up.
    pub(crate) fn begin(&self, wish: Wish, config: Config, text: Arc<str>) -> Running {
        let (hash, keep) = (hash(&config), config.admin.revisions.keep);
        let pending = revision(wish, Some(self.running().number), &hash, State::Pending);
        let number = note(&mut self.0.store.lock(), pending, &text, keep);
        Running { number, hash, text, config: Arc::new(config) }
    }

    /// It runs now.
    pub(crate) fn runs(&self, running: Arc<Running>) {
        self.0.running.store(running);
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
