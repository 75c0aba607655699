//! What is kept of configurations that have run, and how one that comes over the API is tried out.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;

/// The longest trial: whoever applies something waits for it.
const MAX_WATCH: Duration = Duration::from_secs(90);
const MAX_KEEP: usize = 10_000;

/// Revisions of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RevisionsConfig {
    /// Where they are kept; `null`: in memory, until the process ends.
    pub(crate) directory: Option<PathBuf>,
    /// How many, at most. The one that runs and the last stable one are kept beyond it.
    pub(crate) keep: usize,
    /// How long one that comes over the API is watched before it counts as stable.
    pub(crate) watch: Span,
    /// Points by which the share of failed requests may rise meanwhile, in percent.
    pub(crate) worse: f64,
    /// Fewer requests than this say nothing.
    pub(crate) min_requests: u64,
}

impl Default for RevisionsConfig {
    fn default() -> Self {
        Self {
            directory: Some("data/revisions".into()),
            keep: 100,
            watch: Span::seconds(10),
            worse: 5.0,
            min_requests: 10,
        }
    }
}

impl RevisionsConfig {
    /// What is wrong with it, if anything.
    pub(super) fn check(&self) -> Result<(), String> {
        if !(1..=MAX_KEEP).contains(&self.keep) {
            return Err(format!("admin.revisions.keep: 1 to {MAX_KEEP}"));
        }
        if self.watch.0 > MAX_WATCH {
            return Err(format!(
                "admin.revisions.watch: at most {}s; `0s` tries nothing out",
                MAX_WATCH.as_secs()
            ));
        }
        match (0.0..=100.0).contains(&self.worse) {
            true => Ok(()),
            false => Err("admin.revisions.worse: 0 to 100, in percent".to_owned()),
        }
    }
}
