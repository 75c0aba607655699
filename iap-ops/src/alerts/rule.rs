//! What an operator wants to be told of.

use std::collections::BTreeMap;
use std::time::Duration;

use iap_apm::MetricFunction;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How grave it is that a rule is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "AlertSeverity")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look at it today.
    #[default]
    Warning,
    /// Somebody should look at it now.
    Critical,
}

impl Severity {
    /// The name in configurations and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What a rule measures, each [`Rule::over`] again.
#[derive(Debug, Clone, PartialEq)]
pub enum Signal {
    /// The transactions of one route, or of each.
    Route {
        /// `None` judges each route on its own.
        route: Option<String>,
        /// What of them.
        measure: Measure,
    },
    /// How fast a service level objective is used up: 1 means that its budget lasts just as long as its
    /// period, 10 that it is gone in a tenth of it. Two windows have to agree, a long one that says that it matters and a
    /// short one (a twelfth of it) that says that it goes on.
    Burn {
        /// `None` judges each route on its own.
        route: Option<String>,
        /// The part of requests that has to be good, in percent: 99.9.
        objective: f64,
        /// A request is good that does not fail and, if given, takes no longer.
        faster_than: Option<Duration>,
    },
    /// A metric of an application or of the platform, as the metrics query computes it.
    Metric {
        /// Its name.
        name: String,
        /// Of one service.
        service: Option<String>,
        /// What is computed; what is usual for its kind when absent.
        function: Option<MetricFunction>,
        /// Only series with these labels.
        filter: BTreeMap<String, String>,
        /// Labels to tell apart: each group is judged on its own.
        by: Vec<String>,
    },
}

/// What is measured of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Requests a second.
    Rate,
    /// The part that fails, in percent.
    ErrorPercent,
    /// The time that half of them take at most, in milliseconds.
    P50,
    /// The same of 95 %.
    P95,
    /// The same of 99 %.
    P99,
    /// Apdex, 0 to 1: of all requests those that took at most this long, and half of those that took at most
    /// four times as long; a failed one counts for nothing.
    Apdex(Duration),
}

/// When a rule is broken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// The value is larger.
    Above(f64),
    /// The value is smaller.
    Below(f64),
    /// There is no value at all: nobody asks, or nobody reports.
    Absent,
}

/// A rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// What it is called; the same name is the same rule after a change of settings.
    pub name: String,
    /// What whoever is woken by it should know.
    pub description: Option<String>,
    /// How grave it is.
    pub severity: Severity,
    /// What is measured ...
    pub signal: Signal,
    /// ... over this long, up to now.
    pub over: Duration,
    /// When it is broken.
    pub bound: Bound,
    /// How long it has to be broken before anybody is told.
    pub lasts: Duration,
    /// The value has to come back to here before it counts as mended; the bound itself when absent.
    pub recovers_at: Option<f64>,
    /// Of fewer requests nothing is said: one failure of two is no outage.
    pub min_requests: u64,
    /// The channels that are told.
    pub channels: Vec<String>,
}

/// The shortest and the longest [`Rule::over`].
pub const OVER: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(24 * 3600));

impl Rule {
    /// What is wrong with it, if anything; the text begins with the name of the setting.
    ///
    /// # Errors
    /// A rule that can never, or always, be broken, or that would cost too much.
    pub fn check(&self) -> Result<(), String> {
        if self.name.is_empty() || self.name.len() > 100 || self.name.chars().any(char::is_control) {
            return Err("name: 1 to 100 letters".to_owned());
        }
        if !(OVER.0..=OVER.1).contains(&self.over) {
            return Err("over: from 10s to 24h".to_owned());
        }
        let (shortest, longest) = match self.signal {
            Signal::Burn { .. } => (Duration::from_secs(12 * 60), OVER.1),
            // These are computed of all transactions in the window, each time.
            Signal::Route { measure: Measure::P50 | Measure::P95 | Measure::P99, .. } => {
                (OVER.0, Duration::from_secs(3600))
            }
            _ => OVER,
        };
        if !(shortest..=longest).contains(&self.over) {
            return Err("over: 12m to 24h for a budget, 10s to 1h for a percentile".to_owned());
        }
        if self.lasts > OVER.1 {
            return Err("for: at most 24h".to_owned());
        }
        match (&self.signal, self.bound) {
            (Signal::Route { measure: Measure::Rate, .. }, Bound::Absent) => {}
            (Signal::Route { .. } | Signal::Burn { .. }, Bound::Absent) => {
                return Err("absent: of a route only its rate can be absent".to_owned());
            }
            (Signal::Burn { .. }, Bound::Below(_)) => {
                return Err("below: a budget is used up above a bound".to_owned());
            }
            (Signal::Route { route: None, measure: Measure::Rate }, _) if self.min_requests > 1 => {
                return Err("min_requests: a rate is judged whatever it is".to_owned());
            }
            _ => {}
        }
        if let Signal::Burn { objective, .. } = self.signal
            && !(objective > 0.0 && objective < 100.0)
        {
            return Err("objective: more than 0 and less than 100 percent".to_owned());
        }
        if let Signal::Metric { by, .. } = &self.signal
            && by.len() > 4
        {
            return Err("by: at most 4 labels".to_owned());
        }
        match (self.bound, self.recovers_at) {
            (Bound::Above(bound), _) | (Bound::Below(bound), _) if !bound.is_finite() => {
                Err("above, below: a number".to_owned())
            }
            (Bound::Above(bound), Some(at)) if at > bound => {
                Err("recovers_at: not above the bound".to_owned())
            }
            (Bound::Below(bound), Some(at)) if at < bound => {
                Err("recovers_at: not below the bound".to_owned())
            }
            (Bound::Absent, Some(_)) => Err("recovers_at: what is absent has no value".to_owned()),
            _ => Ok(()),
        }
    }

    /// Whether it is broken by too little: that can only be said of a time in which somebody has looked.
    pub(super) fn asks_for_more(&self) -> bool {
        let rate = matches!(self.signal, Signal::Route { measure: Measure::Rate, .. });
        self.bound == Bound::Absent || (rate && matches!(self.bound, Bound::Below(_)))
    }

    /// Whether a value breaks the rule.
    pub(super) fn is_broken(&self, value: Option<f64>) -> bool {
        match (self.bound, value) {
            (Bound::Above(bound), Some(value)) => value > bound,
            (Bound::Below(bound), Some(value)) => value < bound,
            (Bound::Absent, value) => value.is_none(),
            (_, None) => false,
        }
    }

    /// Whether a value is good again, after it was not.
    pub(super) fn is_mended(&self, value: Option<f64>) -> bool {
        match (self.bound, value) {
            (Bound::Above(bound), Some(value)) => value <= self.recovers_at.unwrap_or(bound),
            (Bound::Below(bound), Some(value)) => value >= self.recovers_at.unwrap_or(bound),
            (Bound::Absent, value) => value.is_some(),
            // Nobody can say that it goes on.
            (_, None) => true,
        }
    }
}
