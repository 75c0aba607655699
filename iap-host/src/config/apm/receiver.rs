//! Who may send telemetry and how much, and how long figures outlive it.

use iap_apm::{OtlpQuota, Rollups};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{Rate, SecretRef, Span};

/// A secret that senders show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OtlpTokenConfig {
    pub(crate) secret: SecretRef,
    /// The services that it may report for; any when there are none.
    #[serde(default)]
    pub(crate) services: Vec<String>,
}

/// Records a second of each service; ten seconds of an unused quota are saved up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct OtlpQuotaConfig {
    pub(crate) spans: Rate,
    pub(crate) logs: Rate,
    pub(crate) points: Rate,
}

impl Default for OtlpQuotaConfig {
    fn default() -> Self {
        Self {
            spans: Rate::PerSecond(20_000),
            logs: Rate::PerSecond(20_000),
            points: Rate::PerSecond(50_000),
        }
    }
}

impl OtlpQuotaConfig {
    pub(super) fn check(&self) -> Result<(), String> {
        if [self.spans, self.logs, self.points].contains(&Rate::PerSecond(0)) {
            return Err("spans, logs and points must be larger than zero, or `all`".to_owned());
        }
        Ok(())
    }
}

impl From<&OtlpQuotaConfig> for OtlpQuota {
    fn from(config: &OtlpQuotaConfig) -> Self {
        let limit = |rate: Rate| match rate {
            Rate::PerSecond(number) => Some(number),
            Rate::All => None,
        };
        Self { spans: limit(config.spans), logs: limit(config.logs), points: limit(config.points) }
    }
}

/// Figures of routes after their details were removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RollupsConfig {
    pub(crate) minute: Span,
    pub(crate) five_minutes: Span,
    pub(crate) hour: Span,
}

impl Default for RollupsConfig {
    fn default() -> Self {
        let Rollups { minute, five_minutes, hour } = Rollups::default();
        Self { minute: Span(minute), five_minutes: Span(five_minutes), hour: Span(hour) }
    }
}

impl RollupsConfig {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.minute > self.five_minutes || self.five_minutes > self.hour {
            return Err(
                "coarser figures must be kept as long as finer ones: minute, five_minutes, hour".to_owned()
            );
        }
        Ok(())
    }
}

impl From<&RollupsConfig> for Rollups {
    fn from(config: &RollupsConfig) -> Self {
        Self { minute: config.minute.0, five_minutes: config.five_minutes.0, hour: config.hour.0 }
    }
}
