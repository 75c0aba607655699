//! Guarded action: what may be done about a problem, by whom, within which bounds, and how it is taken back. No I/O: the host
//! does what a [`Book`] lets through.
//!
//! ```
//! use iap_ops::actions::{Action, Book, By, Policy, Request, State};
//!
//! let mut book = Book::new(Policy::default(), Vec::new());
//! let drain = Action::Drain { upstream: "shop".into(), server: "10.0.0.7:8080".into() };
//! let request = Request { action: drain, why: "its disk is full".into(), incident: None };
//! let id = book.propose(request, By::Person("kim".into()), vec!["1 of 3 servers".into()], 1_000)?.id;
//!
//! // Nothing happens until somebody answers for it.
//! let approved = book.approve(id, By::Person("lee".into()), "seen it as well", 2_000)?;
//! assert_eq!(approved.state, State::Running);
//! # Ok::<_, iap_ops::actions::Refusal>(())
//! ```
//!
//! | module | what it has |
//! |---|---|
//! | [`Action`] | what can be done: few, and what can be taken back names how |
//! | [`Policy`] | who decides about each kind, and the bounds |
//! | [`Book`] | what was proposed, and what became of it |
//! | [`Gate`] | whether things are worse than before: then it is taken back |
//! | [`suggest`], [`suggest_rollback`] | what would help against an incident |

mod book;
mod gate;
mod policy;
mod suggest;

use std::fmt;

use iap_apm::history::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::book::{Book, By, Decision, Proposal, Refusal, Request, State};
pub use self::gate::{Gate, Health, Verdict};
pub use self::policy::{Mode, Policy};
pub use self::suggest::{RunningRevision, suggest, suggest_rollback};

/// Which sessions: all conditions hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SessionFilter {
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// An address or a network, of creation or login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The gateway that created it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The route that created it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
}

impl SessionFilter {
    /// Whether it has no condition, and so means all sessions.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Something that changes what runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Action {
    /// A server gets no new requests; those that run are finished.
    Drain {
        /// The upstream.
        upstream: String,
        /// Its server, by address or name.
        server: String,
    },
    /// A server gets requests again.
    Undrain {
        /// The upstream.
        upstream: String,
        /// Its server.
        server: String,
    },
    /// The instances of a managed process are replaced, one after the other.
    Restart {
        /// The process.
        process: String,
    },
    /// Sessions are ended.
    EndSessions {
        /// Which.
        filter: SessionFilter,
    },
    /// A server gets another share of the requests of its upstream.
    Weight {
        /// The upstream.
        upstream: String,
        /// Its server, by address or name.
        server: String,
        /// Its weight now.
        from: u32,
        /// The one that it is to have, 1 to 1000.
        to: u32,
    },
    /// A limit of the configuration is raised or lowered.
    Limit {
        /// The setting, as `routes[shop].limits.in_flight`.
        setting: String,
        /// Its value now.
        from: u64,
        /// The one that it is to have.
        to: u64,
    },
    /// A configuration of before runs again.
    Rollback {
        /// The revision that runs.
        from: u64,
        /// The one that is to run again.
        to: u64,
    },
}

/// What kind of action: what policies are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ActionKind {
    /// [`Action::Drain`] and [`Action::Undrain`].
    Drain,
    /// [`Action::Restart`].
    Restart,
    /// [`Action::EndSessions`].
    EndSessions,
    /// [`Action::Rollback`].
    Rollback,
    /// [`Action::Weight`].
    Weight,
    /// [`Action::Limit`].
    Limit,
}

/// The actions as they are written in `kind`, for whoever offers them: all that [`Action`] reads, which a test holds it to.
pub const KINDS: [&str; 7] = ["drain", "undrain", "weight", "limit", "restart", "rollback", "end_sessions"];

impl Action {
    /// Its kind.
    pub fn kind(&self) -> ActionKind {
        match self {
            Self::Drain { .. } | Self::Undrain { .. } => ActionKind::Drain,
            Self::Restart { .. } => ActionKind::Restart,
            Self::EndSessions { .. } => ActionKind::EndSessions,
            Self::Rollback { .. } => ActionKind::Rollback,
            Self::Weight { .. } => ActionKind::Weight,
            Self::Limit { .. } => ActionKind::Limit,
        }
    }

    /// What takes it back, where anything does.
    pub fn inverse(&self) -> Option<Self> {
        match self.clone() {
            Self::Drain { upstream, server } => Some(Self::Undrain { upstream, server }),
            Self::Undrain { upstream, server } => Some(Self::Drain { upstream, server }),
            Self::Rollback { from, to } => Some(Self::Rollback { from: to, to: from }),
            Self::Weight { upstream, server, from, to } => {
                Some(Self::Weight { upstream, server, from: to, to: from })
            }
            Self::Limit { setting, from, to } => Some(Self::Limit { setting, from: to, to: from }),
            Self::Restart { .. } | Self::EndSessions { .. } => None,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drain { upstream, server } => write!(f, "drain {upstream} {server}"),
            Self::Undrain { upstream, server } => write!(f, "undrain {upstream} {server}"),
            Self::Restart { process } => write!(f, "restart {process}"),
            Self::Weight { upstream, server, from, to } => {
                write!(f, "weight of {upstream} {server} from {from} to {to}")
            }
            Self::Limit { setting, from, to } => write!(f, "limit {setting} from {from} to {to}"),
            Self::Rollback { from, to } => write!(f, "rollback from revision {from} to {to}"),
            Self::EndSessions { filter } => {
                f.write_str("end sessions")?;
                let conditions = [
                    ("user", &filter.user),
                    ("address", &filter.address),
                    ("node", &filter.node),
                    ("route", &filter.route),
                ];
                for (name, value) in conditions {
                    if let Some(value) = value {
                        write!(f, " {name}={value}")?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// Takes proposals up, after a dry run. The host implements it; there is no way to do anything through it.
pub trait Proposer: Send + Sync + 'static {
    /// Looks at what an action would do, and keeps it for a person to decide.
    fn propose(&self, request: Request, by: By) -> BoxFuture<'_, Result<Proposal, Refusal>>;
}

#[cfg(test)]
mod tests;
