//! What is asked and answered about configurations.

use std::sync::Arc;

use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use crate::revisions::{Applied, Other, Revision, SettingChange, Shown};

/// What the file has that does not run.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ConfigDrift")]
pub(in crate::admin) enum Drifted {
    /// Settings that differ.
    Changes(Vec<SettingChange>),
    /// It cannot be read, or means nothing.
    Error(String),
}

/// What a text would be as a configuration.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "JudgedConfig")]
pub(in crate::admin) struct Judged {
    pub(super) valid: bool,
    pub(super) errors: Vec<Wrong>,
    /// What would happen, where it is valid.
    #[serde(flatten)]
    pub(super) plan: Option<Plan>,
}

/// What would happen.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Plan {
    pub(super) hash: String,
    /// A unified diff, without secrets.
    pub(super) diff: String,
    pub(super) changes: Vec<SettingChange>,
    /// Other instances of the file that it is about as well.
    pub(super) instances: Vec<Other>,
    /// Parts of the platform that would be made anew.
    pub(super) sections: Vec<&'static str>,
    /// The setting that only a new process can take up.
    pub(super) needs_hand_over: Option<&'static str>,
}

/// What is wrong with a text, and where.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ConfigError")]
pub(in crate::admin) struct Wrong {
    pub(super) line: Option<u64>,
    pub(super) column: Option<u64>,
    pub(super) message: String,
}

impl Wrong {
    pub(in crate::admin) fn new(place: Option<(u64, u64)>, message: String) -> Self {
        let (line, column) = place.unzip();
        Self { line, column, message }
    }
}

/// What [`apply`](super::apply) answers: what has happened, or what would.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "AppliedConfig")]
#[allow(dead_code)] // It is answered in parts; this is their description.
pub(in crate::admin) enum Outcome {
    Applied { revision: Revision, etag: String, trial: Option<Shown> },
    Judged(Judged),
}

/// A text that is to be taken up.
pub(in crate::admin) struct Asked {
    pub(in crate::admin) text: Arc<str>,
    pub(in crate::admin) reason: String,
    pub(in crate::admin) overwrite: bool,
}

/// What became of it: it runs or is tried out, it was refused, or it was not asked for rightly.
pub(in crate::admin) type Taken = Result<Applied, Box<Response>>;
