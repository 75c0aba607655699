//! A ClickHouse as the history.

use std::time::Duration;

use iap_apm::Retention;
use iap_apm::history::{check_database, check_url};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::upstream::UpstreamTlsConfig;
use crate::config::{SecretRef, Span};

/// Where telemetry is kept instead of in files of this node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClickHouseConfig {
    pub(crate) url: String,
    #[serde(default = "database")]
    pub(crate) database: String,
    #[serde(default)]
    pub(crate) user: Option<String>,
    #[serde(default)]
    pub(crate) password: Option<SecretRef>,
    #[serde(default)]
    pub(crate) tls: Option<UpstreamTlsConfig>,
    /// How long one statement may take.
    #[serde(default = "thirty_seconds")]
    pub(crate) timeout: Span,
    /// The shortest time between two writes.
    #[serde(default = "fifth_of_a_second")]
    pub(crate) pace: Span,
    #[serde(default)]
    pub(crate) retention: RetentionConfig,
}

/// How long each kind is kept; `apm.max_age` where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RetentionConfig {
    pub(crate) transactions: Option<Span>,
    pub(crate) spans: Option<Span>,
    pub(crate) logs: Option<Span>,
    pub(crate) metrics: Option<Span>,
    pub(crate) events: Option<Span>,
}

impl RetentionConfig {
    pub(crate) fn or(&self, max_age: Span) -> Retention {
        let time = |kind: Option<Span>| kind.unwrap_or(max_age).0;
        Retention {
            transactions: time(self.transactions),
            spans: time(self.spans),
            logs: time(self.logs),
            metrics: time(self.metrics),
            events: time(self.events),
        }
    }
}

impl ClickHouseConfig {
    pub(super) fn check(&self, max_age: Span) -> Result<(), String> {
        check_url(&self.url).map_err(|why| format!("url: {why}"))?;
        check_database(&self.database).map_err(|why| format!("database: {why}"))?;
        if self.password.is_some() && self.user.is_none() {
            return Err("password: it needs a user".to_owned());
        }
        if self.timeout < Span::seconds(1) || self.pace > Span::seconds(10) {
            return Err("timeout must be at least `1s`, and pace at most `10s`".to_owned());
        }
        let Retention { transactions, spans, logs, metrics, events } = self.retention.or(max_age);
        let hour = Duration::from_secs(3_600);
        let fits = |time: &Duration| (hour..=Retention::LONGEST).contains(time);
        if ![transactions, spans, logs, metrics, events].iter().all(fits) {
            return Err("retention: each time must be between `1h` and `3650d`".to_owned());
        }
        if self.tls.is_some() && !self.url.starts_with("https://") {
            return Err("tls is set, but the url is not written with https://".to_owned());
        }
        self.tls.as_ref().map_or(Ok(()), UpstreamTlsConfig::check)
    }
}

fn database() -> String {
    "iap".to_owned()
}

fn thirty_seconds() -> Span {
    Span::seconds(30)
}

fn fifth_of_a_second() -> Span {
    Span(Duration::from_millis(200))
}
