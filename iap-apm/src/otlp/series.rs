//! How many series there may be. Each costs memory here, a row an hour in the history, and a line in every
//! chart, so a label with a value for every user must not take the room of all others.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use parking_lot::Mutex;

use crate::model::MetricSeries;

/// A series that was not reported for so long does not count any more.
const FORGET_US: u64 = 3_600_000_000;
/// How often a full service is looked through for those.
const LOOK_US: u64 = 60_000_000;

/// The series that were reported lately.
pub(super) struct SeriesLimits {
    per_service: usize,
    total: usize,
    hasher: RandomState,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// By service, when each series was reported last.
    services: HashMap<String, HashMap<u64, u64>>,
    total: usize,
    looked_us: u64,
}

impl SeriesLimits {
    pub(super) fn new(per_service: usize, total: usize) -> Self {
        Self { per_service, total, hasher: RandomState::new(), known: Mutex::default() }
    }

    /// Whether a series is known or has room, and why not.
    pub(super) fn admit(&self, series: &MetricSeries, now_us: u64) -> Result<(), &'static str> {
        let id = self.hasher.hash_one((&series.name, series.kind, series.temporality, &series.labels));
        let mut known = self.known.lock();
        if let Some(seen) = known.services.get_mut(&series.service).and_then(|of| of.get_mut(&id)) {
            *seen = now_us;
            return Ok(());
        }
        let full = |known: &Known| {
            let of_service = known.services.get(&series.service).map_or(0, HashMap::len);
            match () {
                () if of_service >= self.per_service => Some("the service has too many series"),
                () if known.total >= self.total => Some("there are too many series"),
                () => None,
            }
        };
        if full(&known).is_some() && now_us.saturating_sub(known.looked_us) >= LOOK_US {
            known.forget(now_us);
        }
        if let Some(reason) = full(&known) {
            return Err(reason);
        }
        known.total += 1;
        known.services.entry(series.service.clone()).or_default().insert(id, now_us);
        Ok(())
    }
}

impl Known {
    fn forget(&mut self, now_us: u64) {
        self.looked_us = now_us;
        let since = now_us.saturating_sub(FORGET_US);
        self.services.retain(|_, series| {
            series.retain(|_, seen| *seen > since);
            !series.is_empty()
        });
        self.total = self.services.values().map(HashMap::len).sum();
    }
}
