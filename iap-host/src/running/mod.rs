//! The life of a platform after its start: reloads and other changes of its configuration, a hand-over, the end.

mod apply;

use std::sync::Arc;
use std::time::Instant;

use iap_apm::EventKind;

use crate::admin::{ReloadResult, Reloads};
use crate::boot::Platform;
use crate::config::{Config, Environment};
use crate::events::{Event, Events};
use crate::revisions::{self, Origin, Revisions, State, Wish};
use crate::{handover, run};

/// A platform, and the configurations that it has had.
pub(crate) struct Running<'a> {
    pub(crate) platform: Platform,
    pub(crate) reloads: Reloads,
    pub(crate) revisions: Revisions,
    pub(crate) environment: &'a Environment,
}

impl Running<'_> {
    /// Does what it is asked to until it is asked to stop, or another process has taken over. Gives back what is to be
    /// stopped.
    pub(crate) async fn until_stopped(mut self, mut events: Events) -> Platform {
        loop {
            match events.next().await {
                Event::Stop => break,
                Event::Reload(author, reply) => tokio::select! {
                    result = self.reload(author) => reply.answer(result),
                    // A process may take long to get ready. Nothing has changed yet.
                    () = events.stop() => {
                        reply.answer(Err("the process is stopping".to_owned()));
                        break;
                    }
                },
                Event::Apply(change, reply) => tokio::select! {
                    () = self.apply(change, reply) => {}
                    // What is tried out then was interrupted.
                    () = events.stop() => break,
                },
                Event::HandOver if self.revisions.file().is_none() => {
                    tracing::warn!("without a configuration file there is nothing to hand over");
                }
                Event::HandOver => tokio::select! {
                    result = self.hand_over() => match result {
                        Ok(()) => {
                            self.platform.has_successor();
                            break;
                        }
                        Err(error) => tracing::error!(%error, "no process has taken over: this one goes on"),
                    },
                    // The new one is killed: it is not ready yet.
                    () = events.stop() => break,
                },
            }
        }
        self.revisions.interrupt();
        self.platform
    }

    /// Reads the file again.
    async fn reload(&mut self, author: String) -> ReloadResult {
        let started = Instant::now();
        let (result, revision) = match self.read() {
            Ok((config, text)) => self.take_up(author, config, text).await,
            Err(error) => (Err(error), None),
        };
        self.tell(started, &result, revision);
        result
    }

    /// Tells everybody what has changed, or why nothing has.
    fn tell(&self, started: Instant, result: &ReloadResult, revision: Option<u64>) {
        match result {
            Ok(changed) if changed.is_empty() => tracing::info!("the configuration has not changed"),
            Ok(changed) => tracing::info!(changed = changed.join(", "), "the new configuration runs"),
            Err(error) => tracing::error!(%error, "the new configuration was refused: nothing has changed"),
        }
        let event = match result {
            Ok(changed) if changed.is_empty() => None,
            Ok(changed) => Some((EventKind::ConfigReloaded, self.described(changed, revision))),
            Err(error) => Some((EventKind::ConfigRefused, error.clone())),
        };
        if let (Some((kind, text)), Some(apm)) = (event, &self.platform.apm) {
            apm.event(kind, started.elapsed(), &text);
        }
        let changed_ms = self.reloads.note(result, revision);
        if let (Some(revision), Some(changed_ms)) = (revision, changed_ms) {
            self.revisions.changed(revision, changed_ms);
        }
    }

    /// For the time line: what has changed, by which revision, and who wanted it.
    fn described(&self, changed: &[&str], revision: Option<u64>) -> String {
        let changed = changed.join(", ");
        match revision.and_then(|number| self.revisions.get(number)) {
            Some(revisions::Revision { number, author, .. }) => {
                format!("{changed} (revision {number}, {author})")
            }
            None => changed,
        }
    }

    fn read(&self) -> Result<(Config, Arc<str>), String> {
        let file = self.revisions.file().ok_or("the demo has no configuration file")?;
        let text = run::read(file).map_err(|error| error.to_string())?;
        let config = self.revisions.parse(&text).map_err(|error| error.to_string())?;
        Ok((config, text.into()))
    }

    /// Takes up what the file has, and gives its revision. What is the same as before is none, though files that it names
    /// may have changed.
    async fn take_up(
        &mut self,
        author: String,
        config: Config,
        text: Arc<str>,
    ) -> (ReloadResult, Option<u64>) {
        let before = self.revisions.running();
        if before.text == text && before.hash == revisions::hash(&config) {
            return (self.take(&config).await, None);
        }
        let wish = Wish { origin: Origin::File, author, reason: String::new(), restores: None };
        let next = self.revisions.begin(wish, config, text);
        let number = next.number;
        let result = self.take(&next.config).await;
        match &result {
            Ok(_) => {
                self.revisions.set_in_file(next.text.clone());
                self.revisions.runs(Arc::new(next));
                self.revisions.settle(number, State::Stable, None);
            }
            Err(error) => self.revisions.settle(number, State::Failed, Some(error)),
        }
        (result, Some(number))
    }

    async fn take(&mut self, config: &Config) -> ReloadResult {
        let result = self.platform.reload(config.clone(), self.environment).await;
        result.map_err(|error| error.to_string())
    }

    async fn hand_over(&self) -> Result<(), iap_core::BoxError> {
        tracing::info!("a new process is to take over");
        handover::hand_over(self.platform.sockets()?).await?;
        tracing::info!("it is ready");
        Ok(())
    }
}
