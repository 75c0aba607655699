//! What operators see of a process.

use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::error::{Error, Kind, Origin};

/// A process at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProcessStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Lines of output that the log could not follow.
    pub dropped_lines: u64,
    /// Its instances, by number.
    pub instances: Vec<InstanceStatus>,
}

/// One instance at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct InstanceStatus {
    /// From 1.
    pub number: usize,
    /// How it is.
    pub state: InstanceState,
    /// Since when.
    pub since: SystemTime,
    /// The command's number in the system, while it runs.
    pub pid: Option<u32>,
    /// Where it listens, while it runs: `127.0.0.1:port` or `unix:/path`.
    pub address: Option<String>,
    /// How often it was started anew after it had ended by itself, or had not got ready.
    pub restarts: u64,
    /// How often it was replaced.
    pub replaced: u64,
    /// Why it ended the last time: `code 1`, `signal 9`, `not ready in time`.
    pub last_exit: Option<String>,
}

/// How an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InstanceState {
    /// It runs, but is not ready yet.
    Starting,
    /// It gets requests.
    Ready,
    /// It runs and gets requests; another one is starting in its place.
    Replacing,
    /// It has ended, and is started again in a moment.
    Waiting,
    /// The same, after many failures in a row: somebody should look at it.
    CrashLoop,
    /// It finishes its requests, or has been told to end.
    Stopping,
    /// It has ended, and is not started again.
    Stopped,
}

impl InstanceState {
    /// The stable name, in snake case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Replacing => "replacing",
            Self::Waiting => "waiting",
            Self::CrashLoop => "crash_loop",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }
}

/// The status of all instances.
#[derive(Debug)]
pub(super) struct Board {
    instances: Mutex<Vec<InstanceStatus>>,
    changed: Notify,
}

impl Board {
    pub(super) fn new(instances: usize) -> Self {
        let start = |number| InstanceStatus {
            number,
            state: InstanceState::Starting,
            since: SystemTime::now(),
            pid: None,
            address: None,
            restarts: 0,
            replaced: 0,
            last_exit: None,
        };
        Self { instances: Mutex::new((1..=instances).map(start).collect()), changed: Notify::new() }
    }

    pub(super) fn list(&self) -> Vec<InstanceStatus> {
        self.instances.lock().clone()
    }

    /// Changes what is known of one.
    pub(super) fn update(&self, number: usize, change: impl FnOnce(&mut InstanceStatus)) {
        {
            let mut instances = self.instances.lock();
            let status = &mut instances[number - 1];
            let before = status.state;
            change(status);
            if status.state != before {
                status.since = SystemTime::now();
            }
        }
        self.changed.notify_waiters();
    }

    pub(super) fn set(&self, number: usize, state: InstanceState) {
        self.update(number, |status| status.state = state);
    }

    /// Waits until all are ready, or one is not and will not be soon.
    pub(super) async fn all_ready(&self) -> Result<(), Error> {
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            let states: Vec<_> = self.instances.lock().iter().map(|status| status.state).collect();
            if states.iter().all(|state| matches!(state, InstanceState::Ready | InstanceState::Replacing)) {
                return Ok(());
            }
            if states.iter().any(|state| {
                !matches!(state, InstanceState::Ready | InstanceState::Starting | InstanceState::Replacing)
            }) {
                return Err(Error::new(
                    Kind::Unavailable,
                    Origin::App,
                    "an instance of the process has ended",
                ));
            }
            changed.await;
        }
    }
}
