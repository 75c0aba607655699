//! How many transactions were good enough.

use std::collections::BTreeMap;

use super::files::Files;
use super::read::{Counted, MAX_ROUTES, scan};
use crate::error::HistoryError;
use crate::model::{RouteCounts, Window};

pub(super) fn route_counts(
    files: &Files,
    window: Window,
    limits_us: &[u64],
) -> Result<Vec<RouteCounts>, HistoryError> {
    let mut routes: BTreeMap<String, RouteCounts> = BTreeMap::new();
    scan(files, window, None, |Counted { route, duration_us, failed, weight, .. }| {
        let full = routes.len() >= MAX_ROUTES && !routes.contains_key(route);
        let route = if full { "other" } else { route };
        if !routes.contains_key(route) {
            let within = vec![0; limits_us.len()];
            let none = RouteCounts { route: route.to_owned(), count: 0, errors: 0, within };
            routes.insert(route.to_owned(), none);
        }
        let Some(counts) = routes.get_mut(route) else { return };
        counts.count += weight;
        if failed {
            counts.errors += weight;
            return;
        }
        for (within, limit_us) in counts.within.iter_mut().zip(limits_us) {
            *within += if duration_us <= *limit_us { weight } else { 0 };
        }
    })?;
    Ok(routes.into_values().collect())
}
