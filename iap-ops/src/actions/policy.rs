//! Who decides, and within which bounds.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ActionKind, Gate};

/// Who decides about a kind of action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ActionMode")]
pub enum Mode {
    /// It is not even proposed.
    Off,
    /// It is proposed, and done elsewhere, by hand.
    Propose,
    /// It is done when a person approves.
    #[default]
    Approve,
    /// What is proposed for an incident is done at once; the rest as with `approve`.
    Automatic,
}

/// What may be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Who decides; [`Mode::Approve`] for kinds that are not named.
    pub modes: BTreeMap<ActionKind, Mode>,
    /// Actions in an hour, at most; those that are taken back count.
    pub per_hour: usize,
    /// Whether the one who approves must be another than the one who proposed.
    pub four_eyes: bool,
    /// How sure the cause of an incident must be for a proposal, 0 to 1.
    pub confidence: f64,
    /// How long a proposal can be approved, milliseconds.
    pub expires_ms: u64,
    /// Sessions that are ended at a time, at most.
    pub max_sessions: u64,
    /// When it is taken back.
    pub gate: Gate,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            modes: BTreeMap::new(),
            per_hour: 6,
            four_eyes: false,
            confidence: 0.8,
            expires_ms: 3_600_000,
            max_sessions: 1_000,
            gate: Gate::default(),
        }
    }
}

impl Policy {
    /// Who decides about a kind.
    pub fn mode(&self, kind: ActionKind) -> Mode {
        self.modes.get(&kind).copied().unwrap_or_default()
    }
}
