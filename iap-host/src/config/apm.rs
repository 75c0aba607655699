//! Application performance monitoring.

mod clickhouse;
mod export;
mod receiver;

use std::net::SocketAddr;
use std::path::PathBuf;

use iap_apm::SqlParameters;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use self::clickhouse::ClickHouseConfig;
pub(crate) use self::export::{ExportConfig, RemoteWriteConfig};
pub(crate) use self::receiver::OtlpTokenConfig;
use self::receiver::{FollowConfig, OtlpQuotaConfig, RollupsConfig};
use super::{ByteSize, DetectionConfig, Rate, RuntimeConfig, Span};

/// Application performance monitoring.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ApmConfig {
    pub(crate) enabled: bool,
    /// The directory of the history; in memory when absent.
    pub(crate) history: Option<PathBuf>,
    /// Keeps the telemetry in a ClickHouse; the directory then has only what belongs to this node.
    pub(crate) clickhouse: Option<ClickHouseConfig>,
    pub(crate) max_age: Span,
    pub(crate) max_size: ByteSize,
    /// Ordinary transactions that are kept whole; beyond, some stand for others.
    pub(crate) keep: Rate,
    /// Whose transactions are kept besides, all of them.
    pub(crate) follow: FollowConfig,
    /// From when on a transaction is slow: those and failed ones are always kept.
    pub(crate) slow: Span,
    /// Within this time a request satisfies: the threshold of Apdex.
    pub(crate) apdex: Span,
    /// Where applications send their spans, logs and metrics, by OTLP/HTTP or OTLP/gRPC.
    pub(crate) otlp: SocketAddr,
    /// What senders must show; anybody may send when there are none.
    pub(crate) otlp_tokens: Vec<OtlpTokenConfig>,
    /// Records a second that are taken of each service.
    pub(crate) otlp_quota: OtlpQuotaConfig,
    /// What is kept of the values that statements were given: `omit`, `mask` or `keep`.
    pub(crate) sql_parameters: SqlParameters,
    /// How long figures of routes are kept once their details are gone.
    pub(crate) rollups: RollupsConfig,
    /// Series of metrics that are taken of all services together.
    pub(crate) max_series: usize,
    /// The same of one service.
    pub(crate) max_series_per_service: usize,
    /// Sends our own metrics, spans and log lines to others.
    pub(crate) export: Option<ExportConfig>,
    /// The process itself, the machine and the JVMs on it.
    pub(crate) runtime: RuntimeConfig,
    /// Looks for incidents.
    pub(crate) detection: DetectionConfig,
}

impl Default for ApmConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            history: Some("data/history".into()),
            clickhouse: None,
            max_age: Span::seconds(7 * 24 * 3600),
            max_size: ByteSize(2 << 30),
            keep: Rate::PerSecond(200),
            follow: FollowConfig::default(),
            slow: Span::seconds(1),
            apdex: Span(std::time::Duration::from_millis(500)),
            otlp: ([127, 0, 0, 1], 4318).into(),
            otlp_tokens: Vec::new(),
            otlp_quota: OtlpQuotaConfig::default(),
            sql_parameters: SqlParameters::default(),
            rollups: RollupsConfig::default(),
            max_series: 100_000,
            max_series_per_service: 10_000,
            export: None,
            runtime: RuntimeConfig::default(),
            detection: DetectionConfig::default(),
        }
    }
}

impl ApmConfig {
    /// What is wrong with it, if anything.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.history.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
            return Err("apm.history: write a directory, or null to keep the history in memory".to_owned());
        }
        if let Some(clickhouse) = &self.clickhouse {
            clickhouse.check(self.max_age).map_err(|message| format!("apm.clickhouse.{message}"))?;
        }
        if self.max_series == 0 || self.max_series_per_service == 0 {
            return Err("apm.max_series and apm.max_series_per_service must be larger than zero".to_owned());
        }
        if let Some(token) = self.otlp_tokens.iter().find(|token| token.services.iter().any(String::is_empty))
        {
            return Err(format!("apm.otlp_tokens: a service of {:?} has no name", token.secret));
        }
        self.follow.check().map_err(|message| format!("apm.follow: {message}"))?;
        self.otlp_quota.check().map_err(|message| format!("apm.otlp_quota: {message}"))?;
        self.rollups.check().map_err(|message| format!("apm.rollups: {message}"))?;
        self.runtime.check().map_err(|message| format!("apm.runtime.{message}"))?;
        self.detection.check().map_err(|message| format!("apm.detection.{message}"))?;
        match &self.export {
            Some(_) if !self.enabled => Err("apm.export needs apm.enabled".to_owned()),
            Some(export) => export.check().map_err(|message| format!("apm.export.{message}")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
