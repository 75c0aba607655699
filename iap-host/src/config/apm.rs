//! Application performance monitoring.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ByteSize, Rate, Span};

/// Application performance monitoring.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ApmConfig {
    pub(crate) enabled: bool,
    /// The directory of the history; in memory when absent.
    pub(crate) history: Option<PathBuf>,
    pub(crate) max_age: Span,
    pub(crate) max_size: ByteSize,
    /// Ordinary transactions that are kept whole; beyond, some stand for others.
    pub(crate) keep: Rate,
    /// From when on a transaction is slow: those and failed ones are always kept.
    pub(crate) slow: Span,
    /// Where applications send their spans, logs and metrics, by OTLP/HTTP or OTLP/gRPC.
    pub(crate) otlp: SocketAddr,
    /// Series of metrics that are taken of all services together.
    pub(crate) max_series: usize,
    /// The same of one service.
    pub(crate) max_series_per_service: usize,
}

impl Default for ApmConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            history: Some("data/history".into()),
            max_age: Span::seconds(7 * 24 * 3600),
            max_size: ByteSize(2 << 30),
            keep: Rate::PerSecond(200),
            slow: Span::seconds(1),
            otlp: ([127, 0, 0, 1], 4318).into(),
            max_series: 100_000,
            max_series_per_service: 10_000,
        }
    }
}
