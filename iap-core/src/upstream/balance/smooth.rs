//! One after the other in proportion to weights, heavy servers spread out between the light ones.
//!
//! Each pick gives every server credit for its share, takes the one with the most, and charges it
//! for all of what was given out: 5, 1, 1 becomes a a b a c a a, and not a a a a a b c.

use std::sync::Arc;

use parking_lot::Mutex;

use super::super::server::Server;
use crate::server::worker;

#[derive(Debug)]
pub(in super::super) struct Smooth {
    /// Each worker counts for itself, so that no two wait for each other.
    shards: Box<[Mutex<Box<[i64]>>]>,
}

impl Smooth {
    pub(super) fn new(servers: usize) -> Self {
        let shards = std::thread::available_parallelism().map_or(1, usize::from);
        Self { shards: (0..shards).map(|_| Mutex::new(vec![0; servers].into())).collect() }
    }

    /// Forgets what is owed: it was reckoned by other weights.
    pub(super) fn clear(&self) {
        for shard in &self.shards {
            shard.lock().fill(0);
        }
    }

    pub(super) fn pick(&self, servers: &[Arc<Server>], eligible: impl Fn(usize) -> bool) -> Option<usize> {
        let mut credit = self.shards[worker::index() % self.shards.len()].lock();
        let (mut total, mut best) = (0, None);
        for (index, server) in servers.iter().enumerate() {
            if !eligible(index) {
                continue;
            }
            let share = server.share() as i64;
            total += share;
            credit[index] += share;
            if best.is_none_or(|best: usize| credit[index] > credit[best]) {
                best = Some(index);
            }
        }
        let best = best?;
        credit[best] -= total;
        Some(best)
    }
}
