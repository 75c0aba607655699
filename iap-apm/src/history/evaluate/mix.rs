//! Distributions, merged. Buckets of any bounds go together: each is an interval over which its values
//! are taken to be spread evenly, so percentiles are within the widest bucket that they fall into.

use std::collections::BTreeMap;

use crate::model::{Buckets, Distribution, Exponents};

/// An interval, by keys that sort as its bounds do.
type Interval = (i64, i64);

/// Values by where they lie, with fractions of buckets.
#[derive(Debug, Default)]
pub(super) struct Mix {
    intervals: BTreeMap<Interval, f64>,
    /// Values, those that lie nowhere included.
    pub(super) count: f64,
    pub(super) sum: f64,
    /// Whether every part had a sum.
    pub(super) summed: bool,
    min: Option<f64>,
    max: Option<f64>,
}

impl Mix {
    pub(super) fn new() -> Self {
        Self { summed: true, ..Self::default() }
    }

    /// Adds a part of what a distribution counts.
    pub(super) fn add(&mut self, distribution: &Distribution, part: f64) {
        self.count += distribution.count as f64 * part;
        match distribution.sum {
            Some(sum) => self.sum += sum * part,
            None => self.summed = false,
        }
        let place = |count: u64, low: f64, high: f64, intervals: &mut BTreeMap<Interval, f64>| {
            if count > 0 {
                *intervals.entry((key(low), key(high.max(low)))).or_default() += count as f64 * part;
            }
        };
        each_bucket(distribution, |count, low, high| place(count, low, high, &mut self.intervals));
    }

    /// Takes the ends of what was measured, where the sender has kept them for just this time.
    pub(super) fn ends(&mut self, distribution: &Distribution) {
        let merge = |mine: &mut Option<f64>, other: Option<f64>, choose: fn(f64, f64) -> f64| {
            *mine = mine.map_or(other, |mine| Some(other.map_or(mine, |other| choose(mine, other))));
        };
        merge(&mut self.min, distribution.min, f64::min);
        merge(&mut self.max, distribution.max, f64::max);
    }

    /// The smallest value, or where the lowest bucket begins.
    pub(super) fn min(&self) -> Option<f64> {
        self.min.or_else(|| self.intervals.keys().next().map(|(low, _)| value(*low)))
    }

    /// The largest value, or where the highest bucket ends.
    pub(super) fn max(&self) -> Option<f64> {
        self.max.or_else(|| self.intervals.keys().map(|(_, high)| *high).max().map(value))
    }

    /// The value below which a part of all values lies; `None` when nothing is known of where they lie.
    pub(super) fn percentile(&self, quantile: f64) -> Option<f64> {
        let total: f64 = self.intervals.values().sum();
        if total <= 0.0 {
            return None;
        }
        let target = total * quantile;
        let found = self.sweep(target)?;
        let found = self.min.map_or(found, |min| found.max(min));
        Some(self.max.map_or(found, |max| found.min(max)))
    }

    /// Goes over all bounds in order, with the density of what lies between them.
    fn sweep(&self, target: f64) -> Option<f64> {
        // At each bound: what lies exactly there, and by how much the density changes.
        let mut bounds: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
        for ((low, high), count) in &self.intervals {
            let width = value(*high) - value(*low);
            if width > 0.0 && width.is_finite() {
                bounds.entry(*low).or_default().1 += count / width;
                bounds.entry(*high).or_default().1 -= count / width;
            } else {
                bounds.entry(*high).or_default().0 += count;
            }
        }
        let (mut seen, mut density, mut at) = (0.0, 0.0_f64, None);
        for (bound, (mass, change)) in &bounds {
            let bound = value(*bound);
            if let Some(last) = at {
                let between = density.max(0.0) * (bound - last);
                if seen + between >= target && between > 0.0 {
                    return Some(last + (target - seen) / between * (bound - last));
                }
                seen += between;
            }
            seen += mass;
            if seen >= target && *mass > 0.0 {
                return Some(bound);
            }
            density += change;
            at = Some(bound);
        }
        at
    }
}

/// Calls `each` with the count and the bounds of every bucket.
fn each_bucket(distribution: &Distribution, mut each: impl FnMut(u64, f64, f64)) {
    match &distribution.buckets {
        Buckets::Explicit { bounds, counts } => {
            for (at, count) in counts.iter().enumerate() {
                let low = at.checked_sub(1).and_then(|at| bounds.get(at)).copied();
                let high = bounds.get(at).copied();
                let (low, high) = match (low, high) {
                    (Some(low), Some(high)) => (low, high),
                    (None, Some(high)) => (distribution.min.unwrap_or(0.0).min(high), high),
                    (Some(low), None) => (low, distribution.max.unwrap_or(low)),
                    (None, None) => match (distribution.min, distribution.max) {
                        (Some(min), Some(max)) => (min, max),
                        _ => continue,
                    },
                };
                each(*count, low, high);
            }
        }
        Buckets::Exponential { scale, zero_count, zero_threshold, positive, negative } => {
            let lowest = if negative.counts.is_empty() { 0.0 } else { -zero_threshold };
            each(*zero_count, lowest, *zero_threshold);
            let bound = |index: i64| (index as f64 * (-f64::from(*scale)).exp2()).exp2().min(f64::MAX);
            for (count, index) in indexed(positive) {
                each(count, bound(index), bound(index + 1));
            }
            for (count, index) in indexed(negative) {
                each(count, -bound(index + 1), -bound(index));
            }
        }
    }
}

fn indexed(exponents: &Exponents) -> impl Iterator<Item = (u64, i64)> {
    let offset = i64::from(exponents.offset);
    exponents.counts.iter().zip(offset..).map(|(count, index)| (*count, index))
}

/// An integer that sorts as a number does.
fn key(value: f64) -> i64 {
    // Both zeros are the same.
    let bits = (value + 0.0).to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

fn value(key: i64) -> f64 {
    f64::from_bits((key ^ (((key >> 63) as u64) >> 1) as i64) as u64)
}
