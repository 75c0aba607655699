//! Root cause by metrics alone: when did something change, and what changed most for what it is.
//!
//! No graph is learnt. The change point is where the windows before and after it differ most, over all metrics
//! together; the score of a metric is how far it got from its median before, in its own quartile distances.

use serde::{Deserialize, Serialize};

use crate::detect::robust::centre_and_iqr;

/// Values on either side that a change point is judged by.
const SIDE: usize = 60;
/// The least of them.
const LEAST: usize = 4;
/// How much one metric may say for a change point: one wild metric must not decide alone.
const MOST: f64 = 400.0;

/// A metric is out of order from this score on.
const OUT_OF_ORDER: f64 = 10.0;

/// Memory explains processor time when its score is at least this part of the other's: a little memory goes with any load.
const EXPLAINS: f64 = 0.1;

/// What a metric is measured in: how small a spread may be before it is no spread but rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MetricUnit {
    /// Hundredths of a processor, or of anything that has a whole.
    Percent,
    /// A part of one.
    Ratio,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// Things, or things in a time.
    Count,
    /// Not known.
    Other,
}

impl MetricUnit {
    /// The smallest spread of a metric with this median.
    pub fn floor(self, median: f64) -> f64 {
        let (absolute, relative) = match self {
            Self::Percent => (0.1, 0.02),
            Self::Ratio => (0.001, 0.0),
            Self::Bytes => (f64::from(1 << 20), 0.01),
            Self::Seconds => (0.001, 0.02),
            Self::Count => (1.0, 0.02),
            Self::Other => (1e-9, 0.02),
        };
        (median.abs() * relative).max(absolute)
    }
}

/// One metric over time; all of one ranking have the same steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it was measured of: a service, a host.
    pub component: String,
    /// Its unit.
    pub unit: MetricUnit,
    /// A value a step; `NaN` where there is none.
    pub values: Vec<f64>,
}

/// A metric with how much it changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// The metric.
    pub name: String,
    /// The farthest from the median before the change, in quartile distances.
    pub score: f64,
    /// The median before the change.
    pub before: f64,
    /// The value that is farthest from it.
    pub after: f64,
}

/// The step from which on things are otherwise: where the means of the windows before and after differ most,
/// for all metrics together. `None` with too few steps, or where nothing differs.
pub fn change_point(columns: &[Column]) -> Option<usize> {
    let steps = columns.iter().map(|column| column.values.len()).min()?;
    let mut evidence = vec![0.0; steps];
    for column in columns {
        let sums = Sums::of(&column.values[..steps], column.unit);
        for (at, sum) in evidence.iter_mut().enumerate().take((steps + 1).saturating_sub(LEAST)).skip(LEAST) {
            *sum += sums.evidence(at).min(MOST);
        }
    }
    // Of equals the first: the change is where it begins.
    let best = evidence.iter().copied().fold(0.0, f64::max);
    (best > 0.0).then(|| evidence.iter().position(|sum| *sum >= best).unwrap_or(0))
}

/// Running sums, for means and variances of any window.
struct Sums {
    count: Vec<f64>,
    sum: Vec<f64>,
    squares: Vec<f64>,
    floor: f64,
}

impl Sums {
    fn of(values: &[f64], unit: MetricUnit) -> Self {
        let mut known: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        let (centre, _) = centre_and_iqr(&mut known);
        let (mut count, mut sum, mut squares) = (vec![0.0], vec![0.0], vec![0.0]);
        let (mut n, mut s, mut q) = (0.0, 0.0, 0.0);
        for value in values {
            if value.is_finite() {
                let away = value - centre;
                (n, s, q) = (n + 1.0, s + away, q + away * away);
            }
            count.push(n);
            sum.push(s);
            squares.push(q);
        }
        Self { count, sum, squares, floor: unit.floor(centre) }
    }

    /// Number, sum and squared distance from the mean in a window.
    fn window(&self, from: usize, to: usize) -> (f64, f64, f64) {
        let n = self.count[to] - self.count[from];
        let s = self.sum[to] - self.sum[from];
        let q = self.squares[to] - self.squares[from];
        (n, s, (q - s * s / n.max(1.0)).max(0.0))
    }

    /// The logarithm of how much better two means explain the windows than one.
    fn evidence(&self, at: usize) -> f64 {
        let (from, to) = (at.saturating_sub(SIDE), (at + SIDE).min(self.count.len() - 1));
        let (n1, s1, q1) = self.window(from, at);
        let (n2, s2, q2) = self.window(at, to);
        if n1 < LEAST as f64 || n2 < LEAST as f64 {
            return 0.0;
        }
        let n = n1 + n2;
        let floor = self.floor * self.floor;
        let within = (q1 + q2) / n + floor;
        let apart = s1 / n1 - s2 / n2;
        let between = n1 * n2 / (n * n) * apart * apart;
        // As many values as both windows have at least: short windows at the ends weigh less.
        n1.min(n2) * (1.0 + between / within).ln()
    }
}

/// The metrics by how much they changed at a step, the most first; of equals the first by name.
///
/// Where both memory and processor time of one component are out of order, its memory comes first: to allocate, to
/// collect and to page costs processor time, and processor time costs no memory.
pub fn rank(columns: &[Column], change: usize) -> Vec<Ranked> {
    let scored = columns.iter().filter_map(|column| Some((column, score(column, change)?)));
    let mut scored: Vec<(&Column, Ranked)> = scored.collect();
    let first = |a: &Ranked, b: &Ranked| b.score.total_cmp(&a.score).then_with(|| a.name.cmp(&b.name));
    scored.sort_by(|(_, a), (_, b)| first(a, b));
    for at in 1..scored.len() {
        let (column, memory) = &scored[at];
        if column.unit != MetricUnit::Bytes || memory.score < OUT_OF_ORDER {
            continue;
        }
        let effect = |(other, processor): &(&Column, Ranked)| {
            let same = other.component == column.component && other.unit == MetricUnit::Percent;
            same && memory.score >= processor.score * EXPLAINS
        };
        if let Some(place) = scored[..at].iter().position(effect) {
            scored[place..=at].rotate_right(1);
        }
    }
    scored.into_iter().map(|(_, ranked)| ranked).collect()
}

fn score(column: &Column, change: usize) -> Option<Ranked> {
    let (before, after) = column.values.split_at_checked(change)?;
    let mut before: Vec<f64> = before.iter().copied().filter(|value| value.is_finite()).collect();
    let (centre, iqr) = centre_and_iqr(&mut before);
    let away = |value: &&f64| (**value - centre).abs();
    let farthest =
        after.iter().filter(|value| value.is_finite()).max_by(|a, b| away(a).total_cmp(&away(b)))?;
    let scale = iqr.max(column.unit.floor(centre));
    let score = (farthest - centre).abs() / scale;
    Some(Ranked { name: column.name.clone(), score, before: centre, after: *farthest })
}

#[cfg(test)]
mod tests;
