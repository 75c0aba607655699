//! The life of an instance, and of those that come after it in its place.
//!
//! ```text
//! Starting ──ready──► Ready ──replace──► Replacing ──► Ready (the next one)
//!    │                  │
//!    └──ended, late─────┴──► Waiting / CrashLoop ──► Starting
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::counter;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::backoff::Backoff;
use super::instance::Instance;
use super::status::InstanceState;
use super::{Replace, Shared, ready};
use crate::error::{Error, Kind, Origin};
use crate::upstream::Departed;

/// One place among the instances of a process.
pub(super) struct Slot {
    shared: Arc<Shared>,
    number: usize,
    /// Its name in the upstream.
    name: String,
    requests: mpsc::Receiver<Replace>,
    stop: watch::Receiver<bool>,
    /// Instances that finish their requests after they were replaced.
    retiring: JoinSet<()>,
}

impl Slot {
    pub(super) fn new(
        shared: Arc<Shared>,
        number: usize,
        requests: mpsc::Receiver<Replace>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self { shared, number, name: number.to_string(), requests, stop, retiring: JoinSet::new() }
    }

    /// Keeps an instance running, until it is told to stop.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::new(self.shared.settings.restart.clone());
        let mut waiting: Option<Replace> = None;
        while !*self.stop.borrow() {
            self.shared.board.set(self.number, InstanceState::Starting);
            let started = self.bring_up(true).await;
            if let Some(reply) = waiting.take() {
                let _ = reply.send(started.as_ref().map(drop).map_err(|why| not_ready(why)));
            }
            let (how, ready_for) = match started {
                Ok(instance) => {
                    self.admit(&instance);
                    let since = Instant::now();
                    (self.serve(instance).await, since.elapsed())
                }
                Err(why) => (why, Duration::ZERO),
            };
            if *self.stop.borrow() {
                break;
            }
            let wait = backoff.next(ready_for);
            self.note_end(how, wait, backoff.is_loop());
            let stop = told(self.stop.clone());
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop => {}
                Some(reply) = self.requests.recv() => {
                    backoff.reset();
                    waiting = Some(reply);
                }
            }
        }
        while self.retiring.join_next().await.is_some() {}
        self.shared.board.update(self.number, |status| {
            (status.state, status.pid, status.address) = (InstanceState::Stopped, None, None);
        });
    }

    /// Starts one, and waits until it is ready. One that does not get there is stopped.
    async fn bring_up(&self, is_first: bool) -> Result<Instance, String> {
        let settings = &self.shared.settings;
        let instance = Instance::start(&self.shared, self.number).await.map_err(|error| error.to_string())?;
        let address = instance.place.address();
        tracing::info!(
            process = &*self.shared.name,
            instance = self.number,
            pid = instance.pid,
            address,
            "started"
        );
        if is_first {
            self.shared.board.update(self.number, |status| {
                (status.pid, status.address) = (Some(instance.pid), Some(address));
            });
        }
        let stop = told(self.stop.clone());
        let problem = tokio::select! {
            // An end counts more: something else may listen where it should.
            biased;
            how = instance.ended() => how,
            () = ready::wait(&settings.ready, &instance.place) => return Ok(instance),
            () = tokio::time::sleep(settings.ready.timeout) => "not ready in time".to_owned(),
            () = stop => "stopped".to_owned(),
        };
        instance.stop(settings.stop.timeout).await;
        Err(problem)
    }

    /// Lets requests go to it; says what they were going to before.
    fn admit(&self, instance: &Instance) -> Option<Departed> {
        let address = instance.place.address();
        let departed = self.shared.upstream.place(&self.name, Some(&address)).ok();
        tracing::info!(process = &*self.shared.name, instance = self.number, pid = instance.pid, "ready");
        self.shared.board.update(self.number, |status| {
            (status.state, status.pid, status.address) =
                (InstanceState::Ready, Some(instance.pid), Some(address));
        });
        departed
    }

    fn withdraw(&self) -> Option<Departed> {
        self.shared.upstream.place(&self.name, None).ok()
    }

    /// Until it has ended; says how.
    async fn serve(&mut self, mut instance: Instance) -> String {
        loop {
            let stop = told(self.stop.clone());
            tokio::select! {
                how = instance.ended() => {
                    self.withdraw();
                    instance.gone().await;
                    return how;
                }
                () = stop => {
                    self.shared.board.set(self.number, InstanceState::Stopping);
                    retire(&self.shared, instance, self.withdraw()).await;
                    return "stopped".to_owned();
                }
                Some(reply) = self.requests.recv() => self.replace(&mut instance, reply).await,
            }
        }
    }

    /// Puts a new one in its place, if it gets ready.
    async fn replace(&mut self, instance: &mut Instance, reply: Replace) {
        self.shared.board.set(self.number, InstanceState::Replacing);
        let next = {
            let mut next = std::pin::pin!(self.bring_up(false));
            tokio::select! {
                next = &mut next => next,
                _ = instance.ended() => {
                    // It did not live to see it.
                    self.withdraw();
                    next.await
                }
            }
        };
        match next {
            Ok(next) => {
                let departed = self.admit(&next);
                self.shared.board.update(self.number, |status| status.replaced += 1);
                let (old, shared) = (std::mem::replace(instance, next), self.shared.clone());
                while self.retiring.try_join_next().is_some() {}
                self.retiring.spawn(async move {
                    retire(&shared, old, departed).await;
                    let _ = reply.send(Ok(()));
                });
            }
            Err(why) => {
                tracing::error!(
                    process = &*self.shared.name,
                    instance = self.number,
                    why,
                    "a new instance was not ready: the one before stays"
                );
                self.shared.board.update(self.number, |status| {
                    status.state = InstanceState::Ready;
                    status.last_exit = Some(why.clone());
                });
                let _ = reply.send(Err(not_ready(&why)));
            }
        }
    }

    /// Takes note of an end that nobody has asked for.
    fn note_end(&self, how: String, wait: Duration, is_loop: bool) {
        let (process, instance) = (&*self.shared.name, self.number);
        tracing::warn!(
            process,
            instance,
            how,
            wait_ms = wait.as_millis() as u64,
            "ended: it is started again"
        );
        counter!("iap_process_restarts_total", "process" => process.to_owned(), "instance" => self.name.clone())
            .increment(1);
        self.shared.board.update(self.number, |status| {
            status.state = if is_loop { InstanceState::CrashLoop } else { InstanceState::Waiting };
            status.restarts += 1;
            status.last_exit = Some(how);
            (status.pid, status.address) = (None, None);
        });
    }
}

/// Lets an instance finish its requests, and stops it.
async fn retire(shared: &Shared, instance: Instance, departed: Option<Departed>) {
    let stop = &shared.settings.stop;
    if let Some(departed) = departed
        && tokio::time::timeout(stop.drain, departed.gone()).await.is_err()
    {
        let connections = departed.connections();
        tracing::warn!(
            process = &*shared.name,
            pid = instance.pid,
            connections,
            "stopped before its requests were done"
        );
    }
    let pid = instance.pid;
    instance.stop(stop.timeout).await;
    tracing::info!(process = &*shared.name, pid, "stopped");
}

/// Waits until it is to stop.
async fn told(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn not_ready(why: &str) -> Error {
    Error::new(Kind::Unavailable, Origin::App, "a new instance did not get ready").with_source(why.to_owned())
}
