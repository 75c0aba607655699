//! What an answer is waiting for.

use serde::Serialize;
use tokio::sync::mpsc;

use crate::llm::ErrorKind;
use crate::question::Intent;

/// Who has done a part of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "WordedBy")]
pub enum By {
    /// The templates, or the rules.
    #[default]
    Template,
    /// A language model.
    Model,
}

/// A step on the way to an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// It is known what the question means.
    Understood {
        /// What it means.
        intent: Intent,
        /// By whom it was found out.
        by: By,
    },
    /// Something was looked at: `telemetry`, `runbooks`, or what a tool reads.
    LookedAt {
        /// What.
        what: &'static str,
    },
    /// A language model is asked.
    Asking {
        /// The provider's name.
        provider: String,
        /// The model.
        model: String,
    },
    /// It gave no answer.
    Failed {
        /// The provider's name.
        provider: String,
        /// Why.
        why: ErrorKind,
    },
}

/// Where steps are told. Those that nobody takes in time are lost.
#[derive(Debug, Clone)]
pub struct Progress(mpsc::Sender<Step>);

impl Progress {
    /// Steps go to whoever holds the other end.
    pub fn new(steps: mpsc::Sender<Step>) -> Self {
        Self(steps)
    }

    /// Tells a step, if anybody listens.
    pub(crate) fn tell(progress: Option<&Self>, step: Step) {
        if let Some(Self(steps)) = progress {
            let _ = steps.try_send(step);
        }
    }
}
