//! What is sampled of the process, the machine and the JVMs on it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;

/// What is sampled, and how often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RuntimeConfig {
    pub(crate) enabled: bool,
    /// How often a sample is taken.
    pub(crate) interval: Span,
    /// How often samples are written to the history.
    pub(crate) store: Span,
    /// From which delay on a stall of an event loop is an event.
    pub(crate) stall: Span,
    /// JVMs on this machine, by the counters that they show.
    pub(crate) jvms: bool,
    /// Whether JVMs may be asked for thread dumps and histograms of classes, which stops them for a moment.
    pub(crate) jvm_questions: bool,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Span::seconds(2),
            store: Span::seconds(10),
            stall: Span(std::time::Duration::from_millis(100)),
            jvms: true,
            jvm_questions: true,
        }
    }
}

impl RuntimeConfig {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.interval.0.as_millis() < 200 {
            return Err("interval must be at least `200ms`".to_owned());
        }
        if self.store < self.interval {
            return Err("store must not be shorter than interval".to_owned());
        }
        if self.stall.0.as_millis() < 10 {
            return Err("stall must be at least `10ms`".to_owned());
        }
        Ok(())
    }
}
