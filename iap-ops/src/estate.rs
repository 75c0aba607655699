//! What the process knows of itself at this moment: users, servers, processes, changes.

use iap_apm::Window;
use iap_apm::history::BoxFuture;
use iap_core::BoxError;
use serde::Serialize;

use crate::detect::Incident;

/// Different users, counted in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AudienceKind {
    /// The way: `address`, `session`, `user`, `cookie:NAME`.
    pub by: String,
    /// In the last minute.
    pub now: u64,
    /// In the window.
    pub window: u64,
    /// In its steps: where one begins (Unix milliseconds), and how many.
    pub points: Vec<(u64, u64)>,
}

/// A server of an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServerState {
    /// The upstream.
    pub upstream: String,
    /// The server's address.
    pub address: String,
    /// `up`, or why it gets no requests.
    pub state: String,
    /// Requests that run there.
    pub in_flight: u64,
    /// Its open connections.
    pub connections: u64,
    /// Connections that could not be made.
    pub failed: u64,
    /// What the last failure said. Untrusted text.
    pub last_error: Option<String>,
}

impl ServerState {
    /// Whether it gets requests, or an operator has taken it out.
    pub fn is_well(&self) -> bool {
        matches!(self.state.as_str(), "up" | "draining")
    }
}

/// An instance of a managed process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstanceState {
    /// The process.
    pub process: String,
    /// Its number, from 0.
    pub number: u64,
    /// `ready`, or what it is doing.
    pub state: String,
    /// Since when, Unix milliseconds.
    pub since_ms: u64,
    /// How often it was started again after an end that nobody asked for.
    pub restarts: u64,
    /// How it ended last.
    pub last_exit: Option<String>,
}

impl InstanceState {
    /// Whether it works, or was stopped on purpose.
    pub fn is_well(&self) -> bool {
        matches!(self.state.as_str(), "ready" | "starting" | "replacing" | "stopping" | "stopped")
    }
}

/// What has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChangeKind {
    /// This process was started.
    Started,
    /// Another configuration was taken.
    Reloaded,
    /// Another configuration was refused; the one before runs on.
    Refused,
    /// An instance of a managed process was replaced, or began anew.
    Instance,
    /// Somebody has told of it: a deployment, a migration.
    Deployed,
    /// A guarded action was done, or taken back.
    Acted,
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// When, Unix milliseconds.
    pub at_ms: u64,
    /// What kind of change.
    pub kind: ChangeKind,
    /// The sections, the process, or the error.
    pub what: String,
}

/// What this process knows of itself; the host implements it.
pub trait Estate: Send + Sync + 'static {
    /// Different users; `None` where they are not counted.
    fn audience(&self, window: Window) -> BoxFuture<'_, Result<Option<Vec<AudienceKind>>, BoxError>>;
    /// The servers of all upstreams.
    fn servers(&self) -> Vec<ServerState>;
    /// The instances of all managed processes.
    fn instances(&self) -> Vec<InstanceState>;
    /// The latest changes, in any order.
    fn changes(&self) -> Vec<Change>;
    /// The incidents that overlap a window, the latest first; `None` where nobody looks for them.
    fn incidents(&self, _window: Window) -> Option<Vec<Incident>> {
        None
    }
}
