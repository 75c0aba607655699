//! Many series: each has a name, a detector and an end.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rule::{Direction, Measure};
use super::series::Detector;

/// Series that are watched at once, unless said otherwise.
pub const MAX_SERIES: usize = 2_000;
/// Seconds without a sample after which a series is forgotten.
const FORGOTTEN_S: u64 = 3_600;
/// Seconds without a sample after which the event of a series is over: nothing says that it goes on.
const SILENT_S: u64 = 120;

/// What a series is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "name", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Entity {
    /// A route: a transaction group.
    Route(String),
    /// An upstream.
    Upstream(String),
    /// The sessions of all routes.
    Sessions,
    /// The store of the sessions.
    SessionStore,
    /// A process, or an event loop of ours, by its name and instance.
    Process(String),
    /// What a service logs.
    Log(String),
    /// A metric of the history, by its name.
    Metric(String),
}

impl Entity {
    /// The name of the thing; empty where there is one only.
    pub fn name(&self) -> &str {
        match self {
            Self::Route(name)
            | Self::Upstream(name)
            | Self::Process(name)
            | Self::Log(name)
            | Self::Metric(name) => name,
            Self::Sessions | Self::SessionStore => "",
        }
    }
}

/// The name of a series.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct SeriesKey {
    /// What it is about.
    pub entity: Entity,
    /// What is measured: `errors`, `p95`, `requests`.
    pub signal: String,
}

impl fmt::Display for SeriesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.entity {
            Entity::Sessions => write!(f, "sessions {}", self.signal),
            Entity::SessionStore => write!(f, "session store {}", self.signal),
            entity => write!(f, "{} {}", entity.name(), self.signal),
        }
    }
}

/// One measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Of which series.
    pub key: SeriesKey,
    /// What it measures.
    pub measure: Measure,
    /// Which side hurts.
    pub direction: Direction,
    /// The value.
    pub value: f64,
    /// Of how many things, where it is a share or a percentile of them.
    pub weight: f64,
}

/// An event of a series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "IncidentAlert")]
pub struct Alert {
    /// Of which series.
    pub key: SeriesKey,
    /// What it measures.
    pub measure: Measure,
    /// When it began, Unix seconds: the change point.
    pub since_s: u64,
    /// When it was seen.
    pub at_s: u64,
    /// What was expected.
    pub expected: f64,
    /// What came.
    pub value: f64,
    /// How surprising that is, in standard deviations over a short window.
    pub score: f64,
}

/// What one round of samples has changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// Events that began.
    pub begun: Vec<Alert>,
    /// Series whose events have ended.
    pub ended: Vec<SeriesKey>,
    /// Events that go on, with what came now.
    pub going_on: Vec<Alert>,
}

#[derive(Debug)]
struct Watched {
    detector: Detector,
    seen_s: u64,
}

/// Watches series.
#[derive(Debug)]
pub struct Monitor {
    series: BTreeMap<SeriesKey, Watched>,
    limit: usize,
    left_out: u64,
}

impl Default for Monitor {
    fn default() -> Self {
        Self::new(MAX_SERIES)
    }
}

impl Monitor {
    /// Watches at most `limit` series.
    pub fn new(limit: usize) -> Self {
        Self { series: BTreeMap::new(), limit: limit.max(1), left_out: 0 }
    }

    /// Series that are watched.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether nothing is watched.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Whether an event of a series goes on.
    pub fn is_event(&self, key: &SeriesKey) -> bool {
        self.series.get(key).is_some_and(|watched| watched.detector.is_event())
    }

    /// Samples that were not looked at since there are too many series.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Takes up what was measured at a moment (Unix seconds).
    pub fn feed(&mut self, at_s: u64, samples: &[Sample]) -> Changes {
        let mut changes = Changes::default();
        for sample in samples {
            if !self.series.contains_key(&sample.key) && self.series.len() >= self.limit {
                self.left_out += 1;
                continue;
            }
            let watched = self.series.entry(sample.key.clone()).or_insert_with(|| Watched {
                detector: Detector::new(sample.measure, sample.direction),
                seen_s: at_s,
            });
            watched.seen_s = at_s;
            let judged = watched.detector.push(at_s, sample.value, sample.weight);
            let alert = |since_s| Alert {
                key: sample.key.clone(),
                measure: sample.measure,
                since_s,
                at_s,
                expected: judged.expected.unwrap_or(0.0),
                value: sample.value,
                score: judged.score,
            };
            match (judged.since_s, judged.changed) {
                (Some(since_s), true) => changes.begun.push(alert(since_s)),
                (Some(since_s), false) => changes.going_on.push(alert(since_s)),
                (None, true) => changes.ended.push(sample.key.clone()),
                (None, false) => {}
            }
        }
        self.silent(at_s, &mut changes);
        changes
    }

    /// Ends the events of series that say nothing any more, and forgets those that are gone.
    fn silent(&mut self, at_s: u64, changes: &mut Changes) {
        self.series.retain(|key, watched| {
            let silent_s = at_s.saturating_sub(watched.seen_s);
            if silent_s >= SILENT_S && watched.detector.is_event() {
                watched.detector.stop();
                changes.ended.push(key.clone());
            }
            silent_s < FORGOTTEN_S
        });
    }
}

#[cfg(test)]
mod tests;
