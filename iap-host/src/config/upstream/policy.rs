//! The blocks of an upstream. What is absent is off.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::Span;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ProtocolConfig {
    /// What a server with `https://` prefers; HTTP/1.1 with others.
    #[default]
    Auto,
    Http1,
    Http2,
}

/// TLS to servers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct UpstreamTlsConfig {
    /// A PEM file with the authorities that are trusted; those of the system when absent.
    pub(crate) ca: Option<PathBuf>,
    /// The name that certificates must be for; the host of each server when absent.
    pub(crate) server_name: Option<String>,
    /// Our own certificate chain and its key, PEM files, for servers that ask for one.
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    /// Believes any certificate.
    pub(crate) insecure_skip_verify: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BalanceConfig {
    #[default]
    RoundRobin,
    LeastRequests,
    /// The same server for the same key.
    Hash(HashConfig),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum HashConfig {
    Client,
    Path,
    Header(String),
    Cookie(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StickyConfig {
    /// A cookie of ours.
    Cookie(String),
    /// The cookie in which an application server appends the name of a server to its session ids.
    Route(String),
}

/// Active checks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HealthConfig {
    /// `null` is content with a connection.
    pub(crate) path: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) interval: Span,
    pub(crate) timeout: Span,
    /// A status code, or two with a `-` between them.
    pub(crate) expect: String,
    pub(crate) rise: u32,
    pub(crate) fall: u32,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            path: Some("/".into()),
            host: None,
            interval: Span::seconds(5),
            timeout: Span::seconds(2),
            expect: "200-399".into(),
            rise: 2,
            fall: 3,
        }
    }
}

/// Outlier ejection and circuit breaker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EjectionConfig {
    pub(crate) failures: u32,
    pub(crate) base_time: Span,
    pub(crate) max_time: Span,
    pub(crate) max_percent: u8,
    pub(crate) probes: u32,
}

impl Default for EjectionConfig {
    fn default() -> Self {
        Self {
            failures: 5,
            base_time: Span::seconds(30),
            max_time: Span::seconds(300),
            max_percent: 50,
            probes: 1,
        }
    }
}

/// What is sent again to another server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RetryConfig {
    pub(crate) attempts: u32,
    pub(crate) statuses: Vec<u16>,
    pub(crate) on_broken: bool,
    pub(crate) on_timeout: bool,
    pub(crate) budget_percent: u32,
    /// A second.
    pub(crate) budget_floor: u32,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            attempts: 1,
            statuses: vec![502, 503, 504],
            on_broken: true,
            on_timeout: false,
            budget_percent: 20,
            budget_floor: 3,
        }
    }
}

/// A second server is asked when the first one is late.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HedgeConfig {
    pub(crate) after: Span,
    #[serde(default = "five")]
    pub(crate) budget_percent: u32,
}

fn five() -> u32 {
    5
}

/// Bounds on requests at a time; no bound where absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct InFlightConfig {
    pub(crate) total: Option<usize>,
    pub(crate) per_server: Option<usize>,
    pub(crate) connections_per_server: Option<usize>,
    pub(crate) queue: usize,
    pub(crate) queue_timeout: Span,
}

impl Default for InFlightConfig {
    fn default() -> Self {
        Self {
            total: None,
            per_server: None,
            connections_per_server: None,
            queue: 100,
            queue_timeout: Span::seconds(5),
        }
    }
}
