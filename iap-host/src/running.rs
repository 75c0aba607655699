//! The life of a platform after its start: reloads, a hand-over, the end.

use std::path::Path;
use std::time::Instant;

use iap_apm::EventKind;

use crate::admin::{ReloadResult, Reloads};
use crate::boot::Platform;
use crate::config::Environment;
use crate::events::{Event, Events};
use crate::{handover, run};

/// A platform that runs from a file.
pub(crate) struct Running<'a> {
    pub(crate) platform: Platform,
    pub(crate) reloads: Reloads,
    pub(crate) file: &'a Path,
    pub(crate) environment: &'a Environment,
}

impl Running<'_> {
    /// Does what it is asked to until it is asked to stop, or another process has taken over.
    pub(crate) async fn until_stopped(mut self, mut events: Events) {
        loop {
            match events.next().await {
                Event::Stop => break,
                Event::Reload(reply) => tokio::select! {
                    result = self.reload() => reply.answer(result),
                    // A process may take long to get ready. Nothing has changed yet.
                    () = events.stop() => {
                        reply.answer(Err("the process is stopping".to_owned()));
                        break;
                    }
                },
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
        self.platform.stop().await;
    }

    async fn reload(&mut self) -> ReloadResult {
        let started = Instant::now();
        let result = match run::load(self.file, self.environment) {
            Ok(config) => {
                self.platform.reload(config, self.environment).await.map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
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

    async fn hand_over(&self) -> Result<(), iap_core::BoxError> {
        tracing::info!("a new process is to take over");
        handover::hand_over(self.platform.sockets()?).await?;
        tracing::info!("it is ready");
        Ok(())
    }
}
