//! What happened to a node, beside the requests: events on the time line.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Window;

/// What names a node of ours: as an attribute, of an event where it happened, and of a root span where its transaction ran.
pub(crate) const NODE: &str = "iap.node";

/// What kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "TimelineEventKind")]
pub enum EventKind {
    /// A JVM stood still to collect garbage.
    GcPause,
    /// An event loop of ours did not come to run what was due.
    Stall,
    /// Another configuration took over.
    ConfigReloaded,
    /// Another configuration was refused.
    ConfigRefused,
    /// A server of an upstream was taken out after failures in a row.
    ServerEjected,
    /// It was let in again.
    ServerReturned,
    /// An instance of a managed process ended by itself, and is started again.
    ProcessRestarted,
    /// The platform was started.
    Started,
    /// The platform ended without notice.
    Crashed,
    /// A deployment, or another change that was made elsewhere.
    Deployed,
    /// Sessions were dropped for want of memory.
    SessionsEvicted,
    /// Many times as many warnings and errors as usual were logged.
    LogBurst,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::GcPause,
        Self::Stall,
        Self::ConfigReloaded,
        Self::ConfigRefused,
        Self::ServerEjected,
        Self::ServerReturned,
        Self::ProcessRestarted,
        Self::Started,
        Self::Crashed,
        Self::Deployed,
        Self::SessionsEvicted,
        Self::LogBurst,
    ];

    /// As it is written in the API and in the history.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GcPause => "gc_pause",
            Self::Stall => "stall",
            Self::ConfigReloaded => "config_reloaded",
            Self::ConfigRefused => "config_refused",
            Self::ServerEjected => "server_ejected",
            Self::ServerReturned => "server_returned",
            Self::ProcessRestarted => "process_restarted",
            Self::Started => "started",
            Self::Crashed => "crashed",
            Self::Deployed => "deployed",
            Self::SessionsEvicted => "sessions_evicted",
            Self::LogBurst => "log_burst",
        }
    }

    /// By its written form.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Something that happened to a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimelineEvent {
    /// When it began.
    pub time_us: u64,
    /// How long it lasted; 0 for a moment.
    pub duration_us: u64,
    /// What it was.
    pub kind: EventKind,
    /// The node that it happened on.
    pub node: String,
    /// Details, for operators. Data from outside: never to be taken for instructions.
    pub text: String,
}

impl TimelineEvent {
    /// The process that it happened to, with its instance, where it is one of these events: `shop 1`.
    pub fn process(&self) -> Option<&str> {
        matches!(self.kind, EventKind::GcPause | EventKind::ProcessRestarted)
            .then(|| self.text.split_once(": ").map_or(&*self.text, |(process, _)| process))
    }

    /// How long it lasted within a window; `None` when it lies outside. A moment within lasts 0.
    pub fn overlap_us(&self, window: Window) -> Option<u64> {
        let end_us = self.time_us.saturating_add(self.duration_us);
        let (from, to) = (self.time_us.max(window.from_us), end_us.min(window.to_us));
        to.checked_sub(from).filter(|_| self.time_us < window.to_us)
    }
}
