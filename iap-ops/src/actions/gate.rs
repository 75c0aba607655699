//! Whether things are worse after an action than before.

use iap_apm::SeriesPoint;

/// When an action is taken back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gate {
    /// How long it is watched, milliseconds; the time before it is as long.
    pub watch_ms: u64,
    /// By how many points the share of failed requests may rise, in percent.
    pub worse_percent: f64,
    /// By which factor the 95th percentile may grow.
    pub slower: f64,
    /// Fewer requests than this after it say nothing.
    pub min_requests: u64,
}

impl Default for Gate {
    fn default() -> Self {
        Self { watch_ms: 60_000, worse_percent: 5.0, slower: 2.0, min_requests: 20 }
    }
}

/// How requests went in some time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Health {
    /// Requests.
    pub count: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// The 95th percentile of their durations, microseconds.
    pub p95_us: u64,
}

/// What a gate says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// Not worse.
    Fine,
    /// Too few requests to tell.
    TooFew,
    /// More fail: percent before and after.
    MoreFail(f64, f64),
    /// It is slower: microseconds before and after.
    Slower(u64, u64),
}

/// Differences below this are nobody's slowness, microseconds.
const NOTICED_US: u64 = 20_000;

impl Health {
    /// Of the steps of a series, usually one: what percentiles of several are cannot be told from them, so it is the highest.
    pub fn of(steps: &[SeriesPoint]) -> Self {
        steps.iter().fold(Self::default(), |all, step| Self {
            count: all.count + step.count,
            errors: all.errors + step.errors,
            p95_us: all.p95_us.max(step.p95_us),
        })
    }

    fn failed_percent(&self) -> f64 {
        if self.count == 0 { 0.0 } else { 100.0 * self.errors as f64 / self.count as f64 }
    }
}

impl Gate {
    /// Compares the time after an action with the one before.
    pub fn judge(&self, before: &Health, after: &Health) -> Verdict {
        if after.count < self.min_requests {
            return Verdict::TooFew;
        }
        let (was, is) = (before.failed_percent(), after.failed_percent());
        if is - was > self.worse_percent {
            return Verdict::MoreFail(was, is);
        }
        let limit_us = (before.p95_us as f64 * self.slower) as u64;
        if before.count >= self.min_requests && after.p95_us > limit_us.max(before.p95_us + NOTICED_US) {
            return Verdict::Slower(before.p95_us, after.p95_us);
        }
        Verdict::Fine
    }
}
