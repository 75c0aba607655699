//! What can be asked about metrics.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{HistoryError, HistoryErrorKind};
use crate::history::MAX_SERIES_POINTS;
use crate::model::{Labels, MetricExemplar, MetricKind, Window};

/// The most metrics that a list holds.
pub const MAX_METRICS: usize = 5_000;

/// The most groups of an answer; of more, the first by their labels are told.
pub const MAX_GROUPS: usize = 100;

/// The most exemplars of an answer.
pub const MAX_EXEMPLARS: usize = 100;

/// The most values of an answer, in all groups together.
pub const MAX_VALUES: u64 = 200_000;

/// Series of one metric that a query looks at.
pub(super) const MAX_SERIES_READ: usize = 50_000;
/// Points that a query reads.
pub(super) const MAX_POINTS_READ: usize = 5_000_000;
/// Exemplars that a query reads.
pub(super) const MAX_EXEMPLARS_READ: usize = 5_000;

pub(super) fn too_many_points() -> HistoryError {
    let message = "the window is too large for as many points: take a shorter one, or one service";
    HistoryError::new(HistoryErrorKind::InvalidQuery, message)
}

pub(super) fn too_many_series() -> HistoryError {
    let message = "name: the metric has too many series: ask for one service";
    HistoryError::new(HistoryErrorKind::InvalidQuery, message)
}

/// Exemplars as they are told: by time, thinned out evenly when there are more than an answer holds.
pub(super) fn spread(mut found: Vec<MetricExemplar>) -> Vec<MetricExemplar> {
    found.sort_by_key(|exemplar| (exemplar.time_us, exemplar.trace_id, exemplar.span_id));
    // A cumulative histogram reports the same ones until others take their place.
    found.dedup();
    let every = found.len().div_ceil(MAX_EXEMPLARS).max(1);
    found.into_iter().step_by(every).collect()
}

/// What is computed of the points in a step.
///
/// What is reported over an interval is spread evenly over it, so steps may be shorter than intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MetricFunction {
    /// Counters, delta sums: what was added each second. Histograms, summaries: values each second.
    Rate,
    /// Counters, delta sums: what was added in the step. Histograms, summaries: the sum of the values in
    /// it. Levels: the last value of each series, added up.
    Sum,
    /// Levels: the mean of the points. Histograms, summaries: the mean of the values.
    Avg,
    /// Levels: the smallest point. Histograms: the smallest value, or where the lowest bucket begins.
    Min,
    /// Levels: the largest point. Histograms: the largest value, or where the highest bucket ends.
    Max,
    /// Levels and counters: the latest point.
    Last,
    /// Histograms: the median, of the merged buckets. Summaries: as the sender says, and only where one
    /// series reports.
    P50,
    /// As [`P50`](Self::P50), of 95 %.
    P95,
    /// As [`P50`](Self::P50), of 99 %.
    P99,
}

impl MetricFunction {
    /// The part of the values that lies below, for percentiles.
    pub fn quantile(self) -> Option<f64> {
        match self {
            Self::P50 => Some(0.5),
            Self::P95 => Some(0.95),
            Self::P99 => Some(0.99),
            _ => None,
        }
    }

    /// Whether it can be computed of a metric.
    pub fn fits(self, kind: MetricKind, delta: bool) -> bool {
        use MetricKind::{Counter, ExponentialHistogram, Gauge, Histogram, Summary, UpDownCounter};
        match kind {
            Counter => matches!(self, Self::Rate | Self::Sum | Self::Last),
            UpDownCounter if delta => matches!(self, Self::Rate | Self::Sum | Self::Last),
            Gauge | UpDownCounter => {
                matches!(self, Self::Sum | Self::Avg | Self::Min | Self::Max | Self::Last)
            }
            Histogram | ExponentialHistogram => self != Self::Last,
            Summary => !matches!(self, Self::Last | Self::Min | Self::Max),
        }
    }

    /// What shows most of a kind.
    pub fn usual(kind: MetricKind, delta: bool) -> Self {
        match kind {
            MetricKind::Counter | MetricKind::Summary => Self::Rate,
            MetricKind::UpDownCounter if delta => Self::Rate,
            MetricKind::Gauge | MetricKind::UpDownCounter => Self::Avg,
            MetricKind::Histogram | MetricKind::ExponentialHistogram => Self::P95,
        }
    }
}

/// Which metrics to list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricNamesQuery {
    /// When they were reported.
    pub window: Window,
    /// Of one service, or of all.
    pub service: Option<String>,
}

/// A metric in the list.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MetricInfo {
    /// Its name.
    pub name: String,
    /// What it is. A name that is used in two ways is listed twice.
    pub kind: MetricKind,
    /// The unit, as one of the services says.
    pub unit: String,
    /// What one of the services says about it.
    pub description: String,
    /// Who reports it, sorted.
    pub services: Vec<String>,
    /// The names of its labels, sorted.
    pub labels: Vec<String>,
    /// How many series there are.
    pub series: u64,
}

/// Which series to compute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricQuery {
    /// The time it covers; the first step begins with it.
    pub window: Window,
    /// The length of a step.
    pub step_us: u64,
    /// The metric.
    pub name: String,
    /// Of one kind; needed only when a name is used for several.
    pub kind: Option<MetricKind>,
    /// Of one service, or of all.
    pub service: Option<String>,
    /// Only series with these labels.
    pub filter: Labels,
    /// Labels to tell apart; `service` stands for the service.
    pub by: Vec<String>,
    /// What to compute; what is usual for its kind when absent.
    pub function: Option<MetricFunction>,
}

impl MetricQuery {
    /// Everything of one metric in 60 steps.
    pub fn new(name: impl Into<String>, window: Window) -> Self {
        Self {
            window,
            step_us: (window.length_us() / 60).max(1),
            name: name.into(),
            kind: None,
            service: None,
            filter: Labels::new(),
            by: Vec::new(),
            function: None,
        }
    }

    /// How many steps there are.
    ///
    /// # Errors
    /// [`HistoryErrorKind::InvalidQuery`] when there are none, or too many.
    pub fn steps(&self) -> Result<u64, HistoryError> {
        let steps = self
            .window
            .length_us()
            .checked_div(self.step_us)
            .map(|whole| whole + u64::from(!self.window.length_us().is_multiple_of(self.step_us)));
        let invalid = |message| HistoryError::new(HistoryErrorKind::InvalidQuery, message);
        match steps {
            None => Err(invalid("step_s: a step is longer than zero")),
            Some(0) => Err(invalid("the window is empty")),
            Some(steps) if steps > MAX_SERIES_POINTS => {
                Err(invalid("step_s: the step is too small for the window"))
            }
            Some(steps) => Ok(steps),
        }
    }
}

/// What a metric did, step by step.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MetricAnswer {
    /// What it is; `None` when nothing was reported.
    pub kind: Option<MetricKind>,
    /// Its unit.
    pub unit: String,
    /// What was computed.
    pub function: Option<MetricFunction>,
    /// The time covered.
    pub window: Window,
    /// The length of a step.
    pub step_us: u64,
    /// By the labels asked for, sorted by them.
    pub groups: Vec<MetricGroup>,
    /// Groups beyond [`MAX_GROUPS`].
    pub left_out: u64,
    /// Values of the series asked for with the trace that each was measured in, by time; at most
    /// [`MAX_EXEMPLARS`], spread over the window.
    pub exemplars: Vec<MetricExemplar>,
}

/// The values of one group.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MetricGroup {
    /// The labels asked for, without those that its series do not have.
    pub labels: Labels,
    /// A value a step; `None` where nothing was reported.
    pub values: Vec<Option<f64>>,
}
