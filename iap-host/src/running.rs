//! The life of a platform after its start: reloads, a hand-over, the end.

use std::sync::Arc;
use std::time::Instant;

use iap_apm::EventKind;

use crate::admin::{ReloadResult, Reloads};
use crate::boot::Platform;
use crate::config::{self, Config, Environment};
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
        let result = match self.read() {
            Ok((config, text)) => self.take_up(author, config, text).await,
            Err(error) => Err(error),
        };
        match &result {
            Ok(changed) if changed.is_empty() => tracing::info!("the configuration has not changed"),
            Ok(changed) => tracing::info!(changed = changed.join(", "), "the new configuration runs"),
            Err(error) => tracing::error!(%error, "the new configuration was refused: nothing has changed"),
        }
        let event = match &result {
            Ok(changed) if changed.is_empty() => None,
            Ok(changed) => Some((EventKind::ConfigReloaded, changed.join(", "))),
            Err(error) => Some((EventKind::ConfigRefused, error.clone())),
        };
        if let (Some((kind, text)), Some(apm)) = (event, &self.platform.apm) {
            apm.event(kind, started.elapsed(), &text);
        }
        self.reloads.note(&result);
        result
    }

    fn read(&self) -> Result<(Config, String), String> {
        let file = self.revisions.file().ok_or("the demo has no configuration file")?;
        let text = run::read(file).map_err(|error| error.to_string())?;
        let config = config::parse(&file.display().to_string(), &text, self.environment);
        Ok((config.map_err(|error| error.to_string())?, text))
    }

    /// Takes up what the file has. What is the same as before is no revision, though files that it names may have changed.
    async fn take_up(&mut self, author: String, config: Config, text: String) -> ReloadResult {
        let before = self.revisions.running();
        let is_same = *before.text == *text && before.hash == revisions::hash(&config);
        let number = (!is_same).then(|| {
            let wish = Wish { origin: Origin::File, author, reason: String::new(), restores: None };
            self.revisions.begin(wish, &config, &text)
        });
        let result = self.platform.reload(config.clone(), self.environment).await;
        let result = result.map_err(|error| error.to_string());
        if let Some(number) = number {
            match &result {
                Ok(_) => {
                    self.revisions.runs(number, Arc::new(config), text.into());
                    self.revisions.settle(number, State::Stable, None);
                }
                Err(error) => self.revisions.settle(number, State::Failed, Some(error)),
            }
        }
        result
    }

    async fn hand_over(&self) -> Result<(), iap_core::BoxError> {
        tracing::info!("a new process is to take over");
        handover::hand_over(self.platform.sockets()?).await?;
        tracing::info!("it is ready");
        Ok(())
    }
}
