//! What is watched for incidents.

use iap_apm::MetricFunction;
use iap_ops::detect::Direction;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Span;

/// Detection of incidents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DetectionConfig {
    pub(crate) enabled: bool,
    /// How often it is looked at what happened.
    pub(crate) interval: Span,
    /// How long resolved incidents are kept.
    pub(crate) max_age: Span,
    /// How many of them.
    pub(crate) max_incidents: usize,
    /// Series that are watched at once.
    pub(crate) max_series: usize,
    /// Metrics of the history that are watched too.
    pub(crate) metrics: Vec<WatchedMetric>,
}

impl Default for DetectionConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Span::seconds(10),
            max_age: Span::seconds(90 * 24 * 3600),
            max_incidents: 1_000,
            max_series: 2_000,
            metrics: Vec::new(),
        }
    }
}

/// A metric that applications send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WatchedMetric {
    pub(crate) name: String,
    /// Of one service, or of all.
    #[serde(default)]
    pub(crate) service: Option<String>,
    /// What is computed; what is usual for its kind when absent.
    #[serde(default, rename = "fn")]
    #[schemars(with = "Option<String>")]
    pub(crate) function: Option<MetricFunction>,
    /// Labels of which each value is a series of its own.
    #[serde(default)]
    pub(crate) by: Vec<String>,
    /// Which side hurts.
    #[serde(default = "both")]
    #[schemars(with = "String")]
    pub(crate) worse: Direction,
}

fn both() -> Direction {
    Direction::Both
}

/// Metrics that may be named.
const MAX_METRICS: usize = 100;

impl DetectionConfig {
    /// What is wrong with it, if anything.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.interval < Span::seconds(1) || self.interval > Span::seconds(60) {
            return Err("interval must be from `1s` to `60s`".to_owned());
        }
        if self.max_age.0.is_zero() || self.max_incidents == 0 || self.max_series == 0 {
            return Err("max_age, max_incidents and max_series must be larger than zero".to_owned());
        }
        if self.metrics.len() > MAX_METRICS {
            return Err(format!("metrics: at most {MAX_METRICS} are watched"));
        }
        match self.metrics.iter().find(|metric| metric.name.is_empty() || metric.by.len() > 4) {
            Some(_) => Err("metrics: each has a name, and at most four labels in `by`".to_owned()),
            None => Ok(()),
        }
    }
}
