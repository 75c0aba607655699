//! Servers behind us.

use serde::{Deserialize, Serialize};

use super::Span;
use super::units::one_minute;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpstreamConfig {
    pub(crate) servers: Vec<String>,
    #[serde(default = "five_seconds")]
    pub(crate) connect_timeout: Span,
    #[serde(default = "one_minute")]
    pub(crate) response_timeout: Span,
    /// How long a response body may stand still.
    #[serde(default = "one_minute")]
    pub(crate) body_timeout: Span,
}

fn five_seconds() -> Span {
    Span::seconds(5)
}
