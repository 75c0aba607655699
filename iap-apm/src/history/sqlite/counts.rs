//! How many transactions were good enough.

use std::collections::HashMap;

use super::aggregate::{Counted, of_route, scan};
use super::files::Files;
use crate::error::HistoryError;
use crate::model::{RouteCounts, Window};

pub(super) fn route_counts(
    files: &Files,
    window: Window,
    limits_us: &[u64],
) -> Result<Vec<RouteCounts>, HistoryError> {
    let mut routes: HashMap<String, RouteCounts> = HashMap::new();
    let mut add = |route: &str, count, errors, within: &dyn Fn(u64) -> u64| {
        let counts = of_route(&mut routes, route, |route| {
            let within = vec![0; limits_us.len()];
            RouteCounts { route: route.to_owned(), count: 0, errors: 0, within }
        });
        counts.count += count;
        counts.errors += errors;
        for (sum, limit_us) in counts.within.iter_mut().zip(limits_us) {
            *sum += within(*limit_us);
        }
    };
    scan(files, window, None, |Counted { route, duration_us, failed, weight, .. }| {
        let errors = if failed { weight } else { 0 };
        add(route, weight, errors, &|limit_us| if !failed && duration_us <= limit_us { weight } else { 0 });
    })?;
    // Of what is kept as minutes only, durations are known by their buckets.
    files.long_term.read(window, None, |_, route, tally| {
        let (ok, failed) = (&tally.ok, &tally.failed);
        add(route, ok.count() + failed.count(), failed.count(), &|limit_us| ok.within(limit_us));
    })?;
    let mut counts: Vec<_> = routes.into_values().collect();
    counts.sort_by(|a, b| a.route.cmp(&b.route));
    Ok(counts)
}
