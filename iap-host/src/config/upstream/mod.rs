//! Servers behind us.
//!
//! | file | holds |
//! |---|---|
//! | `policy` | blocks of an upstream: TLS, health, ejection, retries, limits, balance |
//! | `text_or` | settings with a short form |
//! | `build` | what the core is told, and checks on the way |

mod build;
mod policy;
mod text_or;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;
use super::units::one_minute;

pub(super) use build::{balance, check, statuses, sticky};
pub(crate) use policy::{
    BalanceConfig, EjectionConfig, HealthConfig, HedgeConfig, InFlightConfig, ProtocolConfig, RetryConfig,
    StickyConfig, UpstreamTlsConfig,
};
pub(crate) use text_or::TextOr;

/// Where a route leads: the name of an upstream, or one of its own.
pub(crate) type UpstreamRef = TextOr<Box<UpstreamConfig>>;

/// A group of equal servers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpstreamConfig {
    /// Addresses, or blocks with an address.
    pub(crate) servers: Vec<TextOr<ServerConfig>>,
    #[serde(default)]
    pub(crate) protocol: ProtocolConfig,
    /// For servers with `https://`; verified by the authorities of the system when absent.
    #[serde(default)]
    pub(crate) tls: Option<UpstreamTlsConfig>,
    #[serde(default)]
    pub(crate) balance: BalanceConfig,
    #[serde(default)]
    pub(crate) sticky: Option<StickyConfig>,
    /// How long a server that comes back gets less than its share.
    #[serde(default)]
    pub(crate) slow_start: Option<Span>,
    #[serde(default)]
    pub(crate) health: Option<HealthConfig>,
    #[serde(default)]
    pub(crate) ejection: Option<EjectionConfig>,
    #[serde(default)]
    pub(crate) retry: Option<RetryConfig>,
    #[serde(default)]
    pub(crate) hedge: Option<HedgeConfig>,
    #[serde(default)]
    pub(crate) limits: Option<InFlightConfig>,
    /// Whether the standard field `Forwarded` is sent as well.
    #[serde(default)]
    pub(crate) forwarded: bool,
    #[serde(default = "five_seconds")]
    pub(crate) connect_timeout: Span,
    #[serde(default = "one_minute")]
    pub(crate) response_timeout: Span,
    /// How long a response body may stand still.
    #[serde(default = "one_minute")]
    pub(crate) body_timeout: Span,
    /// How long an idle connection is kept.
    #[serde(default = "half_a_minute")]
    pub(crate) idle_timeout: Span,
    /// Idle connections that one worker keeps to one server.
    #[serde(default = "max_idle")]
    pub(crate) max_idle: usize,
    /// Requests that share one connection of HTTP/2.
    #[serde(default = "max_streams")]
    pub(crate) max_streams: usize,
    /// How long a server that could not be connected to is passed over.
    #[serde(default = "two_seconds")]
    pub(crate) fail_pause: Span,
    /// How often names are resolved anew.
    #[serde(default = "half_a_minute")]
    pub(crate) resolve_every: Span,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerConfig {
    pub(crate) url: String,
    /// For status, drain and sticky clients.
    #[serde(default)]
    pub(crate) name: Option<String>,
    #[serde(default = "one")]
    pub(crate) weight: u32,
}

fn one() -> u32 {
    1
}

fn two_seconds() -> Span {
    Span::seconds(2)
}

fn five_seconds() -> Span {
    Span::seconds(5)
}

fn half_a_minute() -> Span {
    Span::seconds(30)
}

fn max_idle() -> usize {
    256
}

fn max_streams() -> usize {
    100
}

#[cfg(test)]
mod tests;
