//! What a running process is asked to do, by signals and by the admin API.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use crate::admin::{ConfigRequest, ReloadResult};
use crate::revisions::{Applied, Change};

/// Who a signal comes from.
const SIGNAL: &str = "signal";

/// Something to do.
pub(crate) enum Event {
    /// SIGTERM, Ctrl-C: drain and end.
    Stop,
    /// SIGHUP, the admin API: read the configuration again. With who asks for it.
    Reload(String, Reply),
    /// The admin API: another configuration is wanted. With whoever waits until it runs.
    Apply(Change, oneshot::Sender<Applied>),
    /// SIGUSR2: let a new process take over.
    HandOver,
}

/// Whoever waits for the outcome, if anybody does.
pub(crate) struct Reply(Option<oneshot::Sender<ReloadResult>>);

impl Reply {
    pub(crate) fn answer(self, result: ReloadResult) {
        if let Some(reply) = self.0 {
            // The client may have gone; what was done stays.
            let _ = reply.send(result);
        }
    }
}

/// The sources of events.
pub(crate) struct Events {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user: Signal,
    requests: mpsc::Receiver<ConfigRequest>,
}

impl Events {
    /// From here on none of the signals ends the process by itself.
    pub(crate) fn new(requests: mpsc::Receiver<ConfigRequest>) -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user: signal(SignalKind::user_defined2())?,
            requests,
        })
    }

    /// Waits for a signal to stop, and leaves all others for later.
    pub(crate) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    pub(crate) async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.terminate.recv() => Event::Stop,
            _ = self.interrupt.recv() => Event::Stop,
            _ = self.hangup.recv() => Event::Reload(SIGNAL.to_owned(), Reply(None)),
            _ = self.user.recv() => Event::HandOver,
            Some(request) = self.requests.recv() => match request {
                ConfigRequest::Reload { author, reply } => Event::Reload(author, Reply(Some(reply))),
                ConfigRequest::Apply { change, reply } => Event::Apply(change, reply),
            },
        }
    }
}
