//! What is known of one group in one step.

use super::mix::Mix;
use crate::history::MetricFunction;
use crate::model::Quantiles;

/// Grows with every series of the group.
#[derive(Debug, Default)]
pub(super) struct Cell {
    /// Whether anything was reported for it.
    pub(super) reported: bool,
    /// What was added; of summaries, the sum of the values.
    pub(super) amount: f64,
    /// What was added each second, or values each second.
    pub(super) rate: f64,
    /// Values of summaries.
    pub(super) values: f64,
    /// The last level of each series, added up.
    levels: Option<f64>,
    points: Level,
    mix: Option<Box<Mix>>,
    quoted: Quoted,
}

/// Quantiles that senders have computed.
#[derive(Debug, Default)]
enum Quoted {
    #[default]
    Nothing,
    /// By one series.
    By(usize, Vec<(f64, f64)>),
    /// By several, which cannot be merged.
    Several,
}

/// Points of levels.
#[derive(Debug, Default)]
pub(super) struct Level {
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    last: (u64, f64),
}

impl Level {
    pub(super) fn add(&mut self, time_us: u64, number: f64) {
        self.merge(&Self { count: 1, sum: number, min: number, max: number, last: (time_us, number) });
    }

    fn merge(&mut self, other: &Self) {
        if self.count == 0 {
            (self.min, self.max) = (other.min, other.max);
        }
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        if other.last.0 >= self.last.0 {
            self.last = other.last;
        }
    }
}

impl Cell {
    pub(super) fn mix(&mut self) -> &mut Mix {
        self.mix.get_or_insert_with(|| Box::new(Mix::new()))
    }

    /// Adds the levels of one series.
    pub(super) fn add_level(&mut self, level: &Level) {
        *self.levels.get_or_insert(0.0) += level.last.1;
        self.points.merge(level);
    }

    pub(super) fn take_latest(&mut self, time_us: u64, number: f64) {
        self.points.add(time_us, number);
    }

    pub(super) fn quote(&mut self, series: usize, quantiles: &Quantiles) {
        self.quoted = match &self.quoted {
            Quoted::Nothing => Quoted::By(series, quantiles.values.clone()),
            Quoted::By(known, _) if *known == series => Quoted::By(series, quantiles.values.clone()),
            _ => Quoted::Several,
        };
    }

    pub(super) fn compute(&self, function: MetricFunction) -> Option<f64> {
        use MetricFunction::{Avg, Last, Max, Min, P50, P95, P99, Rate, Sum};
        let points = (self.points.count > 0).then_some(&self.points);
        let found = match function {
            Rate => self.reported.then_some(self.rate),
            Sum => match &self.mix {
                Some(mix) => mix.summed.then_some(mix.sum),
                None => self.levels.or(self.reported.then_some(self.amount)),
            },
            Avg => match &self.mix {
                Some(mix) => (mix.summed && mix.count > 0.0).then(|| mix.sum / mix.count),
                None if self.values > 0.0 => Some(self.amount / self.values),
                None => points.map(|points| points.sum / points.count as f64),
            },
            Min => self.mix.as_ref().map_or(points.map(|points| points.min), |mix| mix.min()),
            Max => self.mix.as_ref().map_or(points.map(|points| points.max), |mix| mix.max()),
            Last => points.map(|points| points.last.1),
            P50 | P95 | P99 => {
                let quantile = function.quantile()?;
                match (&self.mix, &self.quoted) {
                    (Some(mix), _) => mix.percentile(quantile),
                    (None, Quoted::By(_, values)) => {
                        let same = |(known, _): &&(f64, f64)| (known - quantile).abs() < 1e-9;
                        values.iter().find(same).map(|(_, value)| *value)
                    }
                    _ => None,
                }
            }
        };
        found.filter(|value| value.is_finite())
    }
}
