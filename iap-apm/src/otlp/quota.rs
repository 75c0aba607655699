//! How much is taken of each service, so that a noisy one leaves room for the others: in the history, whose
//! oldest files go when it is full, and in the queue of what is written.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;

use super::Signal;
use super::access::Sender;
use super::parameters::SqlParameters;

/// Seconds for which an unused quota is saved up.
const SAVED_S: u64 = 10;
/// Services with a quota of their own at the same time; the others share one.
const MAX_SERVICES: usize = 1_000;
/// Services that our metrics name.
const MAX_NAMED: usize = 100;
/// The name of those that have to share.
const OTHER: &str = "other";
/// How often services are forgotten whose quota is whole.
const LOOK_US: u64 = 10_000_000;

/// Why a record is refused beyond the quota.
pub(super) const OVER: &str = "the service sends more than its quota";
const FOREIGN: &str = "the token is not for this service";

/// Records a second that are taken of each service; what is unused is saved up for ten seconds. `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OtlpQuota {
    /// Spans.
    pub spans: Option<u32>,
    /// Log lines.
    pub logs: Option<u32>,
    /// Points of metrics.
    pub points: Option<u32>,
}

impl OtlpQuota {
    fn of(self, signal: Signal) -> Option<u64> {
        let limit = match signal {
            Signal::Traces => self.spans,
            Signal::Logs => self.logs,
            Signal::Metrics => self.points,
        };
        limit.map(u64::from)
    }
}

/// What is left of a service's quota: a token bucket, in millionths of a record.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: u64,
    at_us: u64,
}

impl Bucket {
    fn full(per_second: u64, now_us: u64) -> Self {
        Self { left: Self::size(per_second), at_us: now_us }
    }

    fn size(per_second: u64) -> u64 {
        per_second * SAVED_S * 1_000_000
    }

    fn refill(&mut self, per_second: u64, now_us: u64) {
        let more = now_us.saturating_sub(self.at_us).saturating_mul(per_second);
        self.left = self.left.saturating_add(more).min(Self::size(per_second));
        self.at_us = self.at_us.max(now_us);
    }

    fn take(&mut self) -> bool {
        let left = self.left.checked_sub(1_000_000);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}

#[derive(Default)]
struct State {
    /// By signal.
    buckets: [HashMap<String, Bucket>; 3],
    looked_us: u64,
    named: HashSet<String>,
}

/// The quotas of all services.
#[derive(Default)]
pub(super) struct Quotas {
    quota: OtlpQuota,
    state: Mutex<State>,
}

impl Quotas {
    pub(super) fn new(quota: OtlpQuota) -> Self {
        Self { quota, state: Mutex::default() }
    }

    /// Takes one record of a service, if its quota has one left.
    fn take(&self, signal: Signal, service: &str, now_us: u64) -> bool {
        let Some(per_second) = self.quota.of(signal) else { return true };
        let mut state = self.state.lock();
        let at = signal as usize;
        if let Some(bucket) = state.buckets[at].get_mut(service) {
            bucket.refill(per_second, now_us);
            return bucket.take();
        }
        if state.buckets[at].len() >= MAX_SERVICES && now_us.saturating_sub(state.looked_us) >= LOOK_US {
            state.looked_us = now_us;
            // A whole bucket is as good as a new one.
            state.buckets[at].retain(|_, bucket| {
                bucket.refill(per_second, now_us);
                bucket.left < Bucket::size(per_second)
            });
        }
        let full = state.buckets[at].len() >= MAX_SERVICES;
        let name = if full { OTHER } else { service };
        let new = || Bucket::full(per_second, now_us);
        let bucket = state.buckets[at].entry(name.to_owned()).or_insert_with(new);
        bucket.refill(per_second, now_us);
        bucket.take()
    }

    /// Gives records back.
    fn give_back(&self, signal: Signal, taken: &HashMap<String, u64>) {
        let Some(per_second) = self.quota.of(signal) else { return };
        let mut state = self.state.lock();
        for (service, number) in taken {
            let buckets = &mut state.buckets[signal as usize];
            let name = if buckets.contains_key(service) { service } else { OTHER };
            if let Some(bucket) = buckets.get_mut(name) {
                let left = bucket.left.saturating_add(number.saturating_mul(1_000_000));
                bucket.left = left.min(Bucket::size(per_second));
            }
        }
    }

    /// Counts what was over the quota, by service; the first hundred of them have their names.
    pub(super) fn count(&self, signal: Signal, over: &HashMap<String, u64>) {
        for (service, number) in over {
            let mut state = self.state.lock();
            if state.named.len() < MAX_NAMED {
                state.named.insert(service.clone());
            }
            let service = if state.named.contains(service) { service } else { OTHER }.to_owned();
            drop(state);
            let what = signal.record();
            metrics::counter!("iap_apm_otlp_over_quota_total", "service" => service, "what" => what)
                .increment(*number);
        }
    }
}

/// What decides about the records of one request. What was admitted is given back when it goes, unless it was
/// [kept](Self::kept): the request was malformed, say, or the history had no room.
pub(super) struct Gate {
    kept: bool,
    signal: Signal,
    sender: Sender,
    quotas: Arc<Quotas>,
    /// What is kept of the values that statements were given.
    pub(super) parameters: SqlParameters,
    now_us: u64,
    taken: HashMap<String, u64>,
    over: HashMap<String, u64>,
}

impl Gate {
    pub(super) fn new(
        signal: Signal,
        sender: Sender,
        quotas: Arc<Quotas>,
        parameters: SqlParameters,
        now_us: u64,
    ) -> Self {
        let (taken, over) = (HashMap::new(), HashMap::new());
        Self { kept: false, signal, sender, quotas, parameters, now_us, taken, over }
    }

    /// Whether a record of a service may come in, and why not.
    pub(super) fn admit(&mut self, service: &str) -> Result<(), &'static str> {
        if !self.sender.may_report(service) {
            return Err(FOREIGN);
        }
        if self.quotas.quota.of(self.signal).is_none() {
            return Ok(());
        }
        let taken = self.quotas.take(self.signal, service, self.now_us);
        let counts = if taken { &mut self.taken } else { &mut self.over };
        match counts.get_mut(service) {
            Some(count) => *count += 1,
            None => drop(counts.insert(service.to_owned(), 1)),
        }
        if taken { Ok(()) } else { Err(OVER) }
    }

    /// The records are in the history.
    pub(super) fn kept(&mut self) {
        self.kept = true;
    }

    /// What was over quotas, by service.
    pub(super) fn over(&self) -> &HashMap<String, u64> {
        &self.over
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if !self.kept {
            self.quotas.give_back(self.signal, &self.taken);
        }
    }
}
