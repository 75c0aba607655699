//! What a series measures, and from when on a difference matters.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which side of usual hurts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More is worse.
    Up,
    /// Less is worse.
    Down,
    /// Either.
    Both,
}

/// What a series measures: decides the scale that differences are seen on, the least spread that is believed, and the
/// least difference that matters to anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Measure {
    /// A part of one, of as many things as the sample weighs: a share of failures, a hit rate.
    Ratio,
    /// Seconds; seen as factors.
    Duration,
    /// Events in a step; seen as counts are, whose spread grows with their root.
    Events,
    /// Any other number.
    Level,
}

/// Milliseconds below which a duration is as good as none.
const NEGLIGIBLE_S: f64 = 0.002;

impl Measure {
    /// A value on the scale where equal differences are equally surprising.
    pub(super) fn scaled(self, value: f64) -> f64 {
        match self {
            Self::Duration => (value.max(0.0) + NEGLIGIBLE_S).ln(),
            // Anscombe: the spread of a count becomes that of one.
            Self::Events => 2.0 * (value.max(0.0) + 0.375).sqrt(),
            Self::Ratio | Self::Level => value,
        }
    }

    /// Back from that scale.
    pub(super) fn unscaled(self, value: f64) -> f64 {
        match self {
            Self::Duration => (value.exp() - NEGLIGIBLE_S).max(0.0),
            Self::Events => ((value / 2.0).max(0.0).powi(2) - 0.375).max(0.0),
            Self::Ratio | Self::Level => value,
        }
    }

    /// The least spread of a sample around what is expected, on the scale.
    pub(super) fn least_spread(self, expected: f64, weight: f64) -> f64 {
        match self {
            Self::Duration => 0.15,
            Self::Events => (0.1 * expected).max(1.0),
            Self::Level => (0.02 * expected.abs()).max(1e-9),
            Self::Ratio => {
                // Of few things a share varies by itself; one success and one failure more than were seen.
                let n = weight.max(1.0);
                let p = ((expected.clamp(0.0, 1.0) * n + 1.0) / (n + 2.0)).clamp(0.0, 1.0);
                (p * (1.0 - p) / n).sqrt().max(0.01)
            }
        }
    }

    /// Whether a difference matters to anybody, however unusual it is.
    pub(super) fn matters(self, expected: f64, value: f64) -> bool {
        let (low, high) = if expected < value { (expected, value) } else { (value, expected) };
        match self {
            Self::Ratio => high - low >= 0.05,
            Self::Duration => high >= low * 1.5 && high - low >= 0.02,
            Self::Events => high >= low * 2.0 && high - low >= 5.0,
            Self::Level => true,
        }
    }
}
