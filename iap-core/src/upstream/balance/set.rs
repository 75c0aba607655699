//! A set of servers of one upstream, without an allocation.

use super::super::MAX_SERVERS;

/// Which servers, by their index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct ServerSet([u64; MAX_SERVERS / 64]);

impl ServerSet {
    pub(in super::super) fn insert(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }

    pub(in super::super) fn remove(&mut self, index: usize) {
        self.0[index / 64] &= !(1 << (index % 64));
    }

    pub(in super::super) fn contains(&self, index: usize) -> bool {
        self.0[index / 64] >> (index % 64) & 1 == 1
    }

    pub(in super::super) fn is_empty(&self) -> bool {
        self.0.iter().all(|bits| *bits == 0)
    }
}
