//! Order statistics: what a few wild values cannot move.

/// The standard deviation of a normal distribution, by its median absolute deviation.
pub(crate) const SIGMA_OF_MAD: f64 = 1.4826;

/// The value below which a part of the sorted values lies, between neighbours in proportion; 0 of none.
pub(crate) fn quantile(sorted: &[f64], part: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let at = part.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    low + (high - low) * at.fract()
}

/// The median; the values are sorted on the way. 0 of none.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    quantile(values, 0.5)
}

/// The median and the spread of values, which are sorted on the way: as a standard deviation, by the median absolute
/// deviation or by where the outer 2.5 % begin on the farther side, whichever is wider. The second one sees tails that the
/// first is blind to.
pub(crate) fn centre_and_spread(values: &mut [f64]) -> (f64, f64) {
    let centre = median(values);
    let tail = (quantile(values, 0.975) - centre).max(centre - quantile(values, 0.025)) / 1.96;
    let mut away: Vec<f64> = values.iter().map(|value| (value - centre).abs()).collect();
    (centre, (median(&mut away) * SIGMA_OF_MAD).max(tail))
}

/// The median and the distance between the quartiles; the values are sorted on the way.
pub(crate) fn centre_and_iqr(values: &mut [f64]) -> (f64, f64) {
    let centre = median(values);
    (centre, quantile(values, 0.75) - quantile(values, 0.25))
}
