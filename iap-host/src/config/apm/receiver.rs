//! Who may send telemetry and how much, whose is all kept, and how long figures outlive it.

use std::net::IpAddr;

use iap_apm::{Follow, MAX_FOLLOWED, OtlpQuota, Rollups};
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

/// Whose transactions are kept whatever `keep` says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct FollowConfig {
    pub(crate) users: Vec<String>,
    /// By their keys for operators.
    pub(crate) sessions: Vec<String>,
    /// By their addresses.
    pub(crate) clients: Vec<IpAddr>,
    pub(crate) routes: Vec<String>,
}

impl FollowConfig {
    pub(super) fn check(&self) -> Result<(), String> {
        match self.all().count() {
            ..=MAX_FOLLOWED => Ok(()),
            many => Err(format!("at most {MAX_FOLLOWED} can be followed, and these are {many}")),
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = Follow> {
        let users = self.users.iter().cloned().map(Follow::User);
        let sessions = self.sessions.iter().cloned().map(Follow::Session);
        let clients = self.clients.iter().copied().map(Follow::Client);
        let routes = self.routes.iter().cloned().map(Follow::Route);
        users.chain(sessions).chain(clients).chain(routes)
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
