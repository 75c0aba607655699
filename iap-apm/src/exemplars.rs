//! For each bucket of a request duration the last transaction in it that can be looked up.

use std::collections::HashMap;

use iap_core::TraceId;
use parking_lot::Mutex;

use crate::metrics::BUCKETS;

/// The labels of the histogram: route, method, class of status.
pub(crate) type HttpLabels = [String; 3];

/// One transaction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Exemplar {
    pub(crate) trace_id: TraceId,
    pub(crate) seconds: f64,
    /// When it ended.
    pub(crate) time_us: u64,
}

/// By labels, of which there are no more than the metrics have, and by bucket, the last one without a bound.
#[derive(Default)]
pub(crate) struct Exemplars(Mutex<HashMap<HttpLabels, [Option<Exemplar>; BUCKETS.len() + 1]>>);

impl Exemplars {
    pub(crate) fn note(&self, labels: HttpLabels, exemplar: Exemplar) {
        let bucket = BUCKETS.partition_point(|bound| *bound < exemplar.seconds);
        self.0.lock().entry(labels).or_default()[bucket] = Some(exemplar);
    }

    /// The one of a bucket, by its upper bound.
    pub(crate) fn find(&self, labels: &HttpLabels, bound: f64) -> Option<Exemplar> {
        let bucket = BUCKETS.partition_point(|known| *known < bound);
        self.0.lock().get(labels)?[bucket]
    }
}
