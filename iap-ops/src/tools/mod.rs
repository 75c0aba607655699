//! What an AI assistant may ask: named tools with checked arguments and small answers. Transport-free; all only
//! read, but for one that leaves a proposal to people.
//!
//! An answer is `{data, unit, window, evidence, truncated, next_cursor}`, at most [`MAX_REPLY`] bytes, masked. Text that came from
//! outside stands in a field `untrusted` beside what it belongs to.

mod act;
mod arguments;
mod look;
mod reply;
mod search;
mod spec;

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use self::arguments::Arguments;
pub(crate) use self::arguments::length_us;
pub use self::reply::MAX_REPLY;
use self::reply::Rows;
pub use self::spec::{Argument, Kind, PROPOSE, TOOLS, Tool};
use crate::actions::Proposer;
use crate::assistant::Assistant;
use crate::masking::{Masked, MaskedJson, Masker};
use crate::telemetry::TelemetryError;

/// Why a tool gives no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ToolError {
    /// There is no tool of that name.
    #[error("{0}")]
    Unknown(Masked),
    /// The arguments are not right; the text says which are.
    #[error("{0}")]
    Arguments(Masked),
    /// Telemetry cannot be read now.
    #[error("telemetry cannot be read now")]
    Unavailable,
}

/// What stands between an argument and an answer.
enum Refused {
    Arguments(String),
    Telemetry(TelemetryError),
}

impl From<TelemetryError> for Refused {
    fn from(error: TelemetryError) -> Self {
        Self::Telemetry(error)
    }
}

fn refused<T>(text: impl Into<String>) -> Result<T, Refused> {
    Err(Refused::Arguments(text.into()))
}

/// The tools over what the assistant reads.
#[derive(Clone)]
pub struct Tools {
    assistant: Assistant,
    masker: Arc<Masker>,
    proposer: Option<Arc<dyn Proposer>>,
}

impl fmt::Debug for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tools").field("proposes", &self.proposer.is_some()).finish_non_exhaustive()
    }
}

impl Tools {
    /// Tools that read what `assistant` reads; what they give is masked by `masker`.
    pub fn new(assistant: Assistant, masker: Arc<Masker>) -> Self {
        Self { assistant, masker, proposer: None }
    }

    /// Lets assistants propose actions; a person decides.
    #[must_use]
    pub fn with_actions(mut self, proposer: Arc<dyn Proposer>) -> Self {
        self.proposer = Some(proposer);
        self
    }

    /// The tools that there are.
    pub fn list(&self) -> impl Iterator<Item = &'static Tool> + use<> {
        TOOLS.iter().chain(self.proposer.is_some().then_some(&PROPOSE))
    }

    /// Calls a tool.
    ///
    /// # Errors
    /// When there is no such tool, an argument is unknown or wrong, or telemetry cannot be read.
    pub async fn call(&self, name: &str, arguments: Map<String, Value>) -> Result<MaskedJson, ToolError> {
        let Some(tool) = self.list().find(|tool| tool.name == name) else {
            let names: Vec<_> = self.list().map(|tool| tool.name).collect();
            let name: String = name.chars().take(64).collect();
            let text = format!("there is no tool `{}`: {}", name.escape_debug(), names.join(", "));
            return Err(ToolError::Unknown(self.masker.mask(&text)));
        };
        match self.rows(tool, arguments).await {
            Ok(rows) => Ok(self.masker.mask_json(rows.into_reply(tool.units, &self.masker))),
            Err(Refused::Arguments(text)) => Err(ToolError::Arguments(self.masker.mask(&text))),
            Err(Refused::Telemetry(error)) => {
                tracing::warn!(%error, tool = tool.name, "a tool could not read telemetry");
                Err(ToolError::Unavailable)
            }
        }
    }

    async fn rows(&self, tool: &Tool, arguments: Map<String, Value>) -> Result<Rows, Refused> {
        let given = Arguments::read(tool, arguments, &self.assistant).map_err(Refused::Arguments)?;
        match tool.name {
            "get_session_status" => self.session_status(&given).await,
            "list_incidents" => self.list_incidents(&given),
            "explain_incident" => self.explain_incident(&given).await,
            "query_metrics" => self.query_metrics(&given).await,
            "search_traces" => self.search_traces(&given).await,
            "aggregate_traces" => self.aggregate_traces(&given).await,
            "get_trace" => self.get_trace(&given).await,
            "search_logs" => self.search_logs(&given).await,
            "list_fields" => self.list_fields(&given).await,
            "forecast_exceedance" => self.forecast(&given).await,
            "propose_action" => self.propose(&given).await,
            _ => self.report(&given).await,
        }
    }
}

#[cfg(test)]
mod tests;
