//! What came between two points of a cumulative stream.

use crate::model::{Buckets, Distribution, Exponents};

/// What `now` counts more than `before`; `None` when that cannot be told, as after a reset.
pub(super) fn since(now: &Distribution, before: &Distribution) -> Option<Distribution> {
    let count = now.count.checked_sub(before.count)?;
    let buckets = match (&now.buckets, &before.buckets) {
        (
            Buckets::Explicit { bounds, counts },
            Buckets::Explicit { bounds: old_bounds, counts: old_counts },
        ) if bounds == old_bounds && counts.len() == old_counts.len() => {
            Buckets::Explicit { bounds: bounds.clone(), counts: minus(counts, old_counts) }
        }
        (now @ Buckets::Exponential { .. }, before @ Buckets::Exponential { .. }) => {
            exponential_since(now, before)?
        }
        _ => return None,
    };
    let sum = now.sum.zip(before.sum).map(|(now, before)| now - before);
    Some(Distribution { count, sum, min: now.min, max: now.max, buckets })
}

/// Buckets become wider as values come that lie further apart; the older ones are made as wide.
fn exponential_since(now: &Buckets, before: &Buckets) -> Option<Buckets> {
    let (
        Buckets::Exponential { scale, zero_count, zero_threshold, positive, negative },
        Buckets::Exponential {
            scale: old_scale,
            zero_count: old_zero,
            positive: old_positive,
            negative: old_negative,
            ..
        },
    ) = (now, before)
    else {
        return None;
    };
    let common = (*scale).min(*old_scale);
    let difference = |now: &Exponents, before: &Exponents| {
        let (now, before) = (widen(now, *scale, common), widen(before, *old_scale, common));
        let counts = now.counts.iter().zip(i64::from(now.offset)..).map(|(count, index)| {
            let at = usize::try_from(index - i64::from(before.offset)).ok();
            count.saturating_sub(at.and_then(|at| before.counts.get(at)).copied().unwrap_or(0))
        });
        Exponents { offset: now.offset, counts: counts.collect() }
    };
    Some(Buckets::Exponential {
        scale: common,
        zero_count: zero_count.saturating_sub(*old_zero),
        zero_threshold: *zero_threshold,
        positive: difference(positive, old_positive),
        negative: difference(negative, old_negative),
    })
}

/// The same values in the buckets of a smaller scale: each is the union of two of the next larger one.
fn widen(exponents: &Exponents, from: i32, to: i32) -> Exponents {
    let shift = from.saturating_sub(to).clamp(0, 31) as u32;
    let index = |at: usize| (i64::from(exponents.offset) + at as i64) >> shift;
    let offset = index(0);
    let mut counts = Vec::new();
    for (at, count) in exponents.counts.iter().enumerate() {
        let place = (index(at) - offset) as usize;
        if place >= counts.len() {
            counts.resize(place + 1, 0);
        }
        counts[place] += count;
    }
    Exponents { offset: offset as i32, counts }
}

fn minus(now: &[u64], before: &[u64]) -> Vec<u64> {
    now.iter().zip(before).map(|(now, before)| now.saturating_sub(*before)).collect()
}
