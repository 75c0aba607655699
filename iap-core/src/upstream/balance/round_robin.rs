//! One after the other.

use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug, Default)]
pub(in super::super) struct RoundRobin {
    next: AtomicUsize,
}

impl RoundRobin {
    pub(super) fn pick(&self, count: usize, eligible: impl Fn(usize) -> bool) -> Option<usize> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        (0..count).map(|offset| first.wrapping_add(offset) % count).find(|index| eligible(*index))
    }
}
