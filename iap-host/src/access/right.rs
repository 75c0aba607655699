//! What each role may do.

use schemars::JsonSchema;
use serde::Serialize;

use crate::config::Role;

/// Something that not everybody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Right {
    /// How things are: rates, latencies, upstreams, incidents, alerts.
    View,
    /// Single requests, statements, log lines, questions and reports.
    Detail,
    /// Whose they are: users, sessions, addresses. Without it they are taken out of all answers.
    Person,
    /// Acting on what runs: drain, restart, revoke, silence, acknowledge, ask a JVM.
    Operate,
    /// The platform itself: its configuration, who is signed in, who has done what.
    Administer,
}

impl Right {
    pub(crate) const ALL: [Self; 5] =
        [Self::View, Self::Detail, Self::Person, Self::Operate, Self::Administer];

    /// Whether a role has it.
    pub(crate) fn is_of(self, role: Role) -> bool {
        let least = match self {
            Self::View => Role::Viewer,
            Self::Detail => Role::Developer,
            Self::Person | Self::Operate => Role::Operator,
            Self::Administer => Role::Admin,
        };
        role >= least
    }

    /// What somebody is told who has not got it.
    pub(crate) fn missing(self) -> &'static str {
        match self {
            Self::View => "this needs the role viewer",
            Self::Detail => "this needs the role developer",
            Self::Person | Self::Operate => "this needs the role operator",
            Self::Administer => "this needs the role admin",
        }
    }
}
