//! What was decided about traces lately, for what comes late or from elsewhere.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use iap_core::TraceId;

/// Traces that are remembered: some ten seconds under full load. 2 MiB.
const SLOTS: usize = 1 << 18;
/// The bits of a slot that hold the mark; the others tell the trace.
const MARK_BITS: u64 = 3;

/// What is known of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A part of it is in the history, or will be.
    Begun = 1,
    /// A transaction of it was not kept.
    LetGo = 2,
}

/// A table in which newer traces take the places of older ones. What was forgotten is treated as
/// unknown.
pub(crate) struct Marks {
    slots: Box<[AtomicU64]>,
}

impl Marks {
    pub(crate) fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect() }
    }

    pub(crate) fn get(&self, trace_id: TraceId) -> Option<Mark> {
        let (slot, key) = self.place(trace_id);
        mark(slot.load(Relaxed), key)
    }

    /// A part of the trace is about to be written; `false` when it was let go before.
    pub(crate) fn begin(&self, trace_id: TraceId) -> bool {
        self.set(trace_id, Mark::Begun, Mark::LetGo)
    }

    /// A transaction of the trace is not kept; `false` when a part of it has been.
    pub(crate) fn let_go(&self, trace_id: TraceId) -> bool {
        self.set(trace_id, Mark::LetGo, Mark::Begun)
    }

    /// Marks the trace whatever was decided before.
    pub(crate) fn overrule(&self, trace_id: TraceId, to: Mark) {
        let (slot, key) = self.place(trace_id);
        slot.store(key | to as u64, Relaxed);
    }

    fn set(&self, trace_id: TraceId, to: Mark, unless: Mark) -> bool {
        let (slot, key) = self.place(trace_id);
        let change = |now| (mark(now, key) != Some(unless)).then_some(key | to as u64);
        slot.fetch_update(Relaxed, Relaxed, change).is_ok()
    }

    fn place(&self, trace_id: TraceId) -> (&AtomicU64, u64) {
        let hash = spread(trace_id);
        (&self.slots[(hash >> 40) as usize % SLOTS], hash & !MARK_BITS)
    }
}

fn mark(slot: u64, key: u64) -> Option<Mark> {
    match slot ^ key {
        1 => Some(Mark::Begun),
        2 => Some(Mark::LetGo),
        _ => None,
    }
}

/// A number by which traces are chosen, evenly spread and the same in every process. Of the id's last
/// eight bytes: those are random also where a sender fills up shorter ids, and by the W3C's level 2.
pub(crate) fn spread(trace_id: TraceId) -> u64 {
    let mut x = u128::from_be_bytes(trace_id.0) as u64;
    // The finalizer of MurmurHash3, which leaves no pattern of the input.
    x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::trace_id;

    #[test]
    fn the_first_of_two_decisions_stays_until_it_is_overruled() {
        let marks = Marks::new();
        assert_eq!(marks.get(trace_id(1)), None);
        assert!(marks.begin(trace_id(1)) && marks.begin(trace_id(1)));
        assert!(!marks.let_go(trace_id(1)), "a part is written");
        assert!(marks.let_go(trace_id(2)) && !marks.begin(trace_id(2)));
        marks.overrule(trace_id(2), Mark::Begun);
        assert_eq!([1, 2, 3].map(|n| marks.get(trace_id(n))), [Some(Mark::Begun), Some(Mark::Begun), None]);
    }

    #[test]
    fn traces_in_one_place_are_told_apart() {
        let marks = Marks::new();
        let all = 4 * SLOTS as u64;
        (1..=all).for_each(|n| assert!(marks.let_go(trace_id(n))));
        let known = (1..=all).filter(|n| marks.get(trace_id(*n)).is_some()).count();
        assert!(known <= SLOTS && known > SLOTS / 2, "{known}");
        assert_eq!(marks.get(trace_id(all)), Some(Mark::LetGo), "the newest is known");
        assert_eq!(marks.get(trace_id(all + 1)), None);
    }

    #[test]
    fn ids_are_spread_evenly_also_where_they_only_count() {
        let below = (1..=100_000).filter(|n| spread(trace_id(*n)) < u64::MAX / 100).count();
        assert!((900..1_100).contains(&below), "{below} of 1,000");
    }
}
