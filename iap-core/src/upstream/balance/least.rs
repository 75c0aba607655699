//! The less busy one of two servers chosen at random.
//!
//! Nearly as even as the least busy one of all, and unlike it a server that has just come back is
//! not flooded. Source: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::server::Server;
use super::mix;

#[derive(Debug, Default)]
pub(in super::super) struct LeastRequests {
    /// The state of SplitMix64, a generator of random numbers that several threads can share.
    state: AtomicU64,
}

impl LeastRequests {
    pub(super) fn pick(&self, servers: &[Arc<Server>], eligible: impl Fn(usize) -> bool) -> Option<usize> {
        // Asked once for each server: the answer may change meanwhile.
        let mut open = super::ServerSet::default();
        let mut count = 0;
        for index in (0..servers.len()).filter(|index| eligible(*index)) {
            open.insert(index);
            count += 1;
        }
        let nth = |n| (0..servers.len()).filter(|index| open.contains(*index)).nth(n);
        if count < 2 {
            return nth(0);
        }
        let random = mix(self.state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)) as usize;
        let first = random % count;
        let second = (first + 1 + (random >> 32) % (count - 1)) % count;
        let (first, second) = (nth(first)?, nth(second)?);
        let load = |index: usize| servers[index].requests.in_flight.load(Ordering::Relaxed) as u64 + 1;
        let (a, b) = (load(first) * servers[second].share(), load(second) * servers[first].share());
        Some(if b < a { second } else { first })
    }
}
