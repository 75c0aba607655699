//! Metrics that applications report: series, and the points in them.
//!
//! Source: the OpenTelemetry metrics data model, <https://opentelemetry.io/docs/specs/otel/metrics/data-model/>.

use std::collections::BTreeMap;

use iap_core::{SpanId, TraceId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hex;

/// Labels of a series, sorted by name. Values that are not text are written as JSON.
pub type Labels = BTreeMap<String, String>;

/// What a metric is, which decides what may be asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MetricKind {
    /// A level that was measured.
    Gauge,
    /// A sum that only grows until its process starts again.
    Counter,
    /// A sum that grows and shrinks.
    UpDownCounter,
    /// Values in buckets with given bounds.
    Histogram,
    /// Values in buckets whose bounds are powers of a base.
    ExponentialHistogram,
    /// Quantiles that the sender has computed, which cannot be merged.
    Summary,
}

impl MetricKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Gauge,
        Self::Counter,
        Self::UpDownCounter,
        Self::Histogram,
        Self::ExponentialHistogram,
        Self::Summary,
    ];

    /// As it is written in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::UpDownCounter => "up_down_counter",
            Self::Histogram => "histogram",
            Self::ExponentialHistogram => "exponential_histogram",
            Self::Summary => "summary",
        }
    }
}

/// What the points of a series count from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Temporality {
    /// Each point counts from the point before.
    Delta,
    /// Each point counts from the start of its stream. Gauges are of this kind, too.
    Cumulative,
}

/// Which series a point belongs to: all but `unit` and `description` are its identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MetricSeries {
    /// The service that reports it.
    pub service: String,
    /// The name of the metric.
    pub name: String,
    /// What it is.
    pub kind: MetricKind,
    /// What its points count from.
    pub temporality: Temporality,
    /// The attributes of its points; with `service.instance.id` and `otel.scope.name` where the sender
    /// names them.
    pub labels: Labels,
    /// The unit, as UCUM writes it; empty when unknown.
    pub unit: String,
    /// What the sender says about it.
    pub description: String,
}

/// One report of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricPoint {
    /// When it was taken.
    pub time_us: u64,
    /// When its stream, or its interval, began; 0 when unknown. Of a cumulative stream a new start is a
    /// reset.
    pub start_us: u64,
    /// What was reported.
    pub value: MetricValue,
}

/// A value that went into a series, with the trace that it was measured in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct MetricExemplar {
    /// When.
    pub time_us: u64,
    /// The value.
    pub value: f64,
    /// The trace.
    #[serde(with = "hex::trace")]
    #[schemars(with = "String")]
    pub trace_id: TraceId,
    /// The span.
    #[serde(with = "hex::span_opt")]
    #[schemars(with = "Option<String>")]
    pub span_id: Option<SpanId>,
}

/// The content of a point. Numbers are finite.
#[derive(Debug, Clone, PartialEq)]
pub enum MetricValue {
    /// Of gauges and sums.
    Number(f64),
    /// Of both kinds of histograms.
    Distribution(Distribution),
    /// Of summaries.
    Quantiles(Quantiles),
}

/// How values are spread.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    /// How many values there are.
    pub count: u64,
    /// Their sum, where the sender keeps it.
    pub sum: Option<f64>,
    /// The smallest.
    pub min: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
    /// Where they lie.
    pub buckets: Buckets,
}

/// Counts of values by where they lie.
#[derive(Debug, Clone, PartialEq)]
pub enum Buckets {
    /// `counts[i]` values in `(bounds[i - 1], bounds[i]]`, the first and the last one without an end. Both
    /// are empty when only the count is known.
    Explicit {
        /// Rising; one fewer than counts.
        bounds: Vec<f64>,
        /// Values in each bucket.
        counts: Vec<u64>,
    },
    /// Bucket `i` holds the values in `(base^i, base^(i + 1)]`, where `base` is `2^(2^-scale)`.
    Exponential {
        /// How narrow the buckets are.
        scale: i32,
        /// Values that are taken for zero.
        zero_count: u64,
        /// Up to where a value is taken for zero.
        zero_threshold: f64,
        /// Above zero.
        positive: Exponents,
        /// The absolute values of those below zero.
        negative: Exponents,
    },
}

/// Counts of exponential buckets, without gaps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exponents {
    /// The index of the first one.
    pub offset: i32,
    /// Values in each, from there on.
    pub counts: Vec<u64>,
}

/// A summary.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantiles {
    /// Values since the start.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// Pairs of a quantile, 0 to 1, and its value.
    pub values: Vec<(f64, f64)>,
}
