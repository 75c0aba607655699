//! Another configuration over the admin API: built whole, swapped in, tried out, and then written to the file; or taken back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use iap_apm::LiveSecond;
use iap_core::{Clock, SystemClock};
use tokio::sync::oneshot;

use super::Running;
use crate::boot;
use crate::revisions::{self, Applied, Change, Drift, Prepared, Refused, State, Trial, without_servers};

/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What is ready to be taken up.
struct Ready {
    before: Arc<revisions::Running>,
    next: Arc<revisions::Running>,
    /// None where there is no file.
    prepared: Option<Prepared>,
    overwrite: bool,
}

impl Running<'_> {
    /// Does what is wanted. Whoever waits hears as soon as it runs; a trial may go on after that.
    pub(super) async fn apply(&mut self, change: Change, reply: oneshot::Sender<Applied>) {
        let is_tried = change.is_tried;
        let ready = match self.prepare(change) {
            Ok(Some(ready)) => ready,
            Ok(None) => return self.answer(reply, self.revisions.running().number),
            Err(refused) => return drop(reply.send(Err(refused))),
        };
        let (number, started) = (ready.next.number, Instant::now());
        let idle = without_servers(&self.platform.upstreams());
        let result = self.take(&ready.next.config).await;
        let told = result.clone().map_err(|error| format!("revision {number}: {error}"));
        self.tell(started, &told, Some(number));
        let changed = match result {
            Ok(changed) => changed,
            Err(error) => {
                self.revisions.settle(number, State::Failed, Some(&error));
                return drop(reply.send(Err(Refused::Built(number, error))));
            }
        };
        self.revisions.runs(ready.next.clone());
        let settings = &ready.next.config.admin.revisions;
        if !is_tried || changed.is_empty() || settings.watch.0.is_zero() {
            self.finish(ready).await;
            return self.answer(reply, number);
        }
        let now_ms = SystemClock.now_ms();
        let mut trial = Trial::begin(number, settings, &self.seconds(), idle, now_ms);
        self.revisions.show(Some(trial.shown.clone()));
        let until = tokio::time::Instant::now() + settings.watch.0;
        self.answer(reply, number);
        match self.watch(&mut trial, until).await {
            None => self.finish(ready).await,
            Some(why) => self.take_back(&ready, &why).await,
        }
        self.revisions.show(None);
    }

    fn answer(&self, reply: oneshot::Sender<Applied>, number: u64) {
        if let Some(revision) = self.revisions.get(number) {
            // The client may have gone; what was done stays.
            let _ = reply.send(Ok(revision));
        }
    }

    /// All that can be refused without touching what runs. Nothing where this very text runs.
    fn prepare(&self, change: Change) -> Result<Option<Ready>, Refused> {
        let before = self.revisions.running();
        if change.seen != "*" && change.seen != before.etag() {
            return Err(Refused::Seen);
        }
        if !change.overwrite && !matches!(self.revisions.drift(), Drift::None) {
            return Err(Refused::Drift);
        }
        let config = self.revisions.parse(&change.text).map_err(Refused::Invalid)?;
        if let Some(setting) = boot::fixed(&before.config, &config) {
            return Err(Refused::Fixed(setting));
        }
        if before.text == change.text && before.hash == revisions::hash(&config) {
            return Ok(None);
        }
        let prepared = self.revisions.file().map(|file| Prepared::new(file, &change.text)).transpose();
        let prepared = prepared.map_err(|error| Refused::File(error.to_string()))?;
        let next = Arc::new(self.revisions.begin(change.wish, config, change.text));
        Ok(Some(Ready { before, next, prepared, overwrite: change.overwrite }))
    }

    /// Looks again and again. Gives why it is to be taken back, if it is.
    async fn watch(&self, trial: &mut Trial, until: tokio::time::Instant) -> Option<String> {
        let mut every = tokio::time::interval(LOOK_EVERY);
        loop {
            every.tick().await;
            let why = trial.look(&self.seconds(), &without_servers(&self.platform.upstreams()));
            self.revisions.show(Some(trial.shown.clone()));
            if why.is_some() || tokio::time::Instant::now() >= until {
                return why;
            }
        }
    }

    fn seconds(&self) -> Vec<LiveSecond> {
        self.platform.apm.as_ref().map(|apm| apm.live().seconds).unwrap_or_default()
    }

    /// It stays: the file has it from now on.
    async fn finish(&mut self, mut ready: Ready) {
        let written = match ready.prepared.take() {
            // It may have been edited while it was tried out.
            Some(_) if !ready.overwrite && !matches!(self.revisions.drift(), Drift::None) => {
                Err("the file was edited by somebody else meanwhile".to_owned())
            }
            Some(prepared) => prepared.commit().map_err(|error| Refused::File(error.to_string()).to_string()),
            None => Ok(()),
        };
        match written {
            Ok(()) => {
                self.revisions.set_in_file(ready.next.text.clone());
                self.revisions.settle(ready.next.number, State::Stable, None);
                tracing::info!(revision = ready.next.number, "the configuration is stable");
            }
            Err(why) => self.take_back(&ready, &why).await,
        }
    }

    /// The one before runs again.
    async fn take_back(&mut self, ready: &Ready, why: &str) {
        let (number, before) = (ready.next.number, ready.before.number);
        tracing::error!(
            revision = number,
            why,
            "the configuration is taken back: revision {before} runs again"
        );
        let started = Instant::now();
        let result = self.take(&ready.before.config).await;
        self.tell(started, &result, Some(before));
        self.revisions.taken_back();
        let error = match result {
            Ok(_) => {
                self.revisions.runs(ready.before.clone());
                format!("{why}: revision {before} runs again")
            }
            Err(error) => format!("{why}; revision {before} could not be taken up again: {error}"),
        };
        self.revisions.settle(number, State::Failed, Some(&error));
    }
}
