//! The public side: listeners, limits, time-outs.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::units::one_minute;
use super::{ByteSize, Span};

/// The public side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServerConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) tls: Option<ServerTlsConfig>,
    /// Worker threads; one a core when absent.
    pub(crate) workers: Option<usize>,
    /// How long `/readyz` says no before the drain begins, so that a load balancer looks elsewhere.
    pub(crate) drain_delay: Span,
    /// How long running requests may go on after that.
    pub(crate) drain: Span,
    pub(crate) max_connections: usize,
    pub(crate) max_body: ByteSize,
    pub(crate) timeouts: TimeoutsConfig,
}

/// How long a client may stand still.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TimeoutsConfig {
    /// Before a request head is complete; also an idle connection.
    pub(crate) head: Span,
    /// In the middle of a request body.
    pub(crate) body: Span,
    /// Without reading what it asked for.
    pub(crate) write: Span,
}

impl Default for TimeoutsConfig {
    fn default() -> Self {
        Self { head: one_minute(), body: one_minute(), write: one_minute() }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: ([127, 0, 0, 1], 8080).into(),
            tls: None,
            workers: None,
            drain_delay: Span::seconds(0),
            drain: Span::seconds(30),
            max_connections: 65_536,
            max_body: ByteSize(64 << 20),
            timeouts: TimeoutsConfig::default(),
        }
    }
}

/// A second listener for TLS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerTlsConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}
