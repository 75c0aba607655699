//! How many transactions were good enough.

use std::collections::BTreeMap;

use super::aggregate::{Counted, MAX_ROUTES, scan};
use super::files::Files;
use crate::error::HistoryError;
use crate::model::{RouteCounts, Window};

pub(super) fn route_counts(
    files: &Files,
    window: Window,
    limits_us: &[u64],
) -> Result<Vec<RouteCounts>, HistoryError> {
    let mut routes: BTreeMap<String, RouteCounts> = BTreeMap::new();
    let mut add = |route: &str, count, errors, within: &dyn Fn(u64) -> u64| {
        let full = routes.len() >= MAX_ROUTES && !routes.contains_key(route);
        let route = if full { "other" } else { route };
        if !routes.contains_key(route) {
            let within = vec![0; limits_us.len()];
            let none = RouteCounts { route: route.to_owned(), count: 0, errors: 0, within };
            routes.insert(route.to_owned(), none);
        }
        let Some(counts) = routes.get_mut(route) else { return };
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
    Ok(routes.into_values().collect())
}
