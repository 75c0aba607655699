//! What may be done about a problem, and by whom.

use iap_ops::actions::{ActionKind, Gate, Mode, Policy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;

/// Guarded actions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ActionsConfig {
    /// Taking a server out of an upstream, and back.
    #[schemars(with = "String")]
    pub(crate) drain: Mode,
    /// Replacing the instances of a process.
    #[schemars(with = "String")]
    pub(crate) restart: Mode,
    /// Ending sessions.
    #[schemars(with = "String")]
    pub(crate) end_sessions: Mode,
    /// Taking a configuration of before again.
    #[schemars(with = "String")]
    pub(crate) rollback: Mode,
    /// Shifting the weight of a server.
    #[schemars(with = "String")]
    pub(crate) weight: Mode,
    /// Raising or lowering a limit of the configuration.
    #[schemars(with = "String")]
    pub(crate) limit: Mode,
    /// At most so many.
    pub(crate) per_hour: usize,
    /// Whether the one who approves must be another than the one who proposed.
    pub(crate) four_eyes: bool,
    /// How sure the cause of an incident must be for a proposal, 0 to 1.
    pub(crate) confidence: f64,
    /// How long a proposal waits.
    pub(crate) expires: Span,
    /// That are ended at a time, at most.
    pub(crate) max_sessions: u64,
    /// How long it is watched whether things get worse.
    pub(crate) watch: Span,
    /// Points by which the share of failed requests may rise, in percent.
    pub(crate) worse: f64,
    /// The factor by which the 95th percentile may grow.
    pub(crate) slower: f64,
}

impl Default for ActionsConfig {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            drain: Mode::Approve,
            restart: Mode::Approve,
            end_sessions: Mode::Approve,
            rollback: Mode::Approve,
            weight: Mode::Approve,
            limit: Mode::Approve,
            per_hour: policy.per_hour,
            four_eyes: policy.four_eyes,
            confidence: policy.confidence,
            expires: Span::seconds(3_600),
            max_sessions: policy.max_sessions,
            watch: Span::seconds(60),
            worse: policy.gate.worse_percent,
            slower: policy.gate.slower,
        }
    }
}

impl ActionsConfig {
    /// What is wrong with it, if anything.
    pub(super) fn check(&self) -> Result<(), String> {
        let is_within = |value: f64, least: f64, most: f64| value >= least && value <= most;
        if !is_within(self.confidence, 0.0, 1.0) {
            return Err("ops.actions.confidence: from 0 to 1".to_owned());
        }
        if !is_within(self.worse, 0.0, 100.0) {
            return Err("ops.actions.worse: percent, from 0 to 100".to_owned());
        }
        if !is_within(self.slower, 1.0, 1_000.0) {
            return Err("ops.actions.slower: a factor from 1 to 1000".to_owned());
        }
        if !(1..=3_600).contains(&self.watch.0.as_secs()) {
            return Err("ops.actions.watch: from 1s to 1h".to_owned());
        }
        if self.expires.0.is_zero() {
            return Err("ops.actions.expires: more than nothing, like `1h`".to_owned());
        }
        Ok(())
    }

    pub(crate) fn policy(&self) -> Policy {
        let milliseconds = |span: Span| u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX);
        let modes = [
            (ActionKind::Drain, self.drain),
            (ActionKind::Restart, self.restart),
            (ActionKind::EndSessions, self.end_sessions),
            (ActionKind::Rollback, self.rollback),
            (ActionKind::Weight, self.weight),
            (ActionKind::Limit, self.limit),
        ];
        let gate = Gate {
            watch_ms: milliseconds(self.watch),
            worse_percent: self.worse,
            slower: self.slower,
            ..Gate::default()
        };
        Policy {
            modes: modes.into(),
            per_hour: self.per_hour,
            four_eyes: self.four_eyes,
            confidence: self.confidence,
            expires_ms: milliseconds(self.expires),
            max_sessions: self.max_sessions,
            gate,
        }
    }
}
