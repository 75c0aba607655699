//! Aggregates over a window.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::sketch::Sketch;

/// A span of time: from `from_us` up to, but not including, `to_us` (Unix microseconds).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Window {
    /// The first microsecond.
    pub from_us: u64,
    /// The first microsecond after it.
    pub to_us: u64,
}

impl Window {
    /// From `from_us` up to, but not including, `to_us`.
    pub fn new(from_us: u64, to_us: u64) -> Self {
        Self { from_us, to_us }
    }

    /// All of time.
    pub fn all() -> Self {
        Self { from_us: 0, to_us: i64::MAX as u64 }
    }

    /// The `length_us` before `end_us`.
    pub fn last(length_us: u64, end_us: u64) -> Self {
        Self { from_us: end_us.saturating_sub(length_us), to_us: end_us }
    }

    /// Whether `time_us` lies in it.
    pub fn contains(&self, time_us: u64) -> bool {
        (self.from_us..self.to_us).contains(&time_us)
    }

    /// Its length.
    pub fn length_us(&self) -> u64 {
        self.to_us.saturating_sub(self.from_us)
    }
}

/// What one route did in a window. Counts are exact also where not every transaction was kept; durations
/// are then estimated by those that were. Percentiles are exact below 64 us, else within 1.6 %.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RouteStats {
    /// The route; `other` collects those beyond the reader's limit.
    pub route: String,
    /// Transactions.
    pub count: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// The sum of their durations.
    pub total_us: u64,
    /// Half of them were at most this long.
    pub p50_us: u64,
    /// 95 % of them were at most this long.
    pub p95_us: u64,
    /// 99 % of them were at most this long.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

impl RouteStats {
    pub(crate) fn of(route: String, errors: u64, durations: &Sketch) -> Self {
        Self {
            route,
            count: durations.count(),
            errors,
            total_us: durations.total(),
            p50_us: durations.percentile(50),
            p95_us: durations.percentile(95),
            p99_us: durations.percentile(99),
            max_us: durations.max(),
        }
    }

    /// The order that all engines answer in: by falling total time, then by name.
    pub(crate) fn sort(stats: &mut [Self]) {
        stats.sort_by(|a, b| b.total_us.cmp(&a.total_us).then_with(|| a.route.cmp(&b.route)));
    }
}

/// How many transactions of a route in a window were fast enough, for several ideas of that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RouteCounts {
    /// The route; `other` collects those beyond the reader's limit.
    pub route: String,
    /// Transactions.
    pub count: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Of each limit asked for, those that did not fail and took no longer.
    pub within: Vec<u64>,
}

impl RouteCounts {
    /// Apdex, 0 to 1, of those within a threshold and those within four times of it: the satisfied, and half of the
    /// others who still tolerate it, of all. 1 without transactions. See <https://www.apdex.org/>.
    pub fn apdex(&self, satisfied: u64, tolerated: u64) -> f64 {
        if self.count == 0 {
            return 1.0;
        }
        (satisfied as f64 + tolerated.saturating_sub(satisfied) as f64 / 2.0) / self.count as f64
    }
}

/// One step of a series. Percentiles are 0 where nothing happened; see [`RouteStats`] for precision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SeriesPoint {
    /// The beginning of the step.
    pub start_us: u64,
    /// Transactions that began in it.
    pub count: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Half of them were at most this long.
    pub p50_us: u64,
    /// 95 % of them were at most this long.
    pub p95_us: u64,
    /// 99 % of them were at most this long.
    pub p99_us: u64,
}

impl SeriesPoint {
    pub(crate) fn of(start_us: u64, errors: u64, durations: &Sketch) -> Self {
        Self {
            start_us,
            count: durations.count(),
            errors,
            p50_us: durations.percentile(50),
            p95_us: durations.percentile(95),
            p99_us: durations.percentile(99),
        }
    }
}
