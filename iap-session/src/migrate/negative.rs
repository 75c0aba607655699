//! What was asked for in vain a moment ago.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::id::SessionKey;

/// Keys that are known to lead nowhere, for a while. Bounded: the oldest one makes room.
pub(super) struct Negative {
    keys: Mutex<Keys>,
    capacity: usize,
    lifetime: Duration,
}

#[derive(Default)]
struct Keys {
    known: HashSet<SessionKey>,
    /// Oldest first; each key once.
    order: VecDeque<(Instant, SessionKey)>,
}

impl Negative {
    pub(super) fn new(capacity: usize, lifetime: Duration) -> Self {
        Self { keys: Mutex::default(), capacity, lifetime }
    }

    pub(super) fn contains(&self, key: &SessionKey) -> bool {
        let mut keys = self.keys.lock();
        keys.purge(|at| at.elapsed() >= self.lifetime);
        keys.known.contains(key)
    }

    pub(super) fn insert(&self, key: SessionKey) {
        let mut keys = self.keys.lock();
        if self.capacity == 0 || !keys.known.insert(key) {
            return;
        }
        keys.order.push_back((Instant::now(), key));
        let mut over = keys.order.len().saturating_sub(self.capacity);
        keys.purge(|at| {
            let goes = over > 0 || at.elapsed() >= self.lifetime;
            over = over.saturating_sub(1);
            goes
        });
    }
}

impl Keys {
    /// Takes keys away from the old end while `goes` says so.
    fn purge(&mut self, mut goes: impl FnMut(Instant) -> bool) {
        while let Some((at, key)) = self.order.front().copied() {
            if !goes(at) {
                return;
            }
            self.order.pop_front();
            self.known.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::SessionIds;

    #[test]
    fn it_is_bounded_and_the_oldest_goes() {
        let negative = Negative::new(3, Duration::from_secs(3600));
        let ids = SessionIds::ephemeral();
        let keys: Vec<_> = (0..5).map(|_| ids.generate().1).collect();
        for key in keys.iter().chain(&keys[4..]) {
            negative.insert(*key);
        }
        let known: Vec<_> = keys.iter().map(|key| negative.contains(key)).collect();
        assert_eq!(known, [false, false, true, true, true]);
    }

    #[test]
    fn nothing_is_believed_after_its_time() {
        let negative = Negative::new(3, Duration::ZERO);
        let key = SessionIds::ephemeral().generate().1;
        negative.insert(key);
        assert!(!negative.contains(&key));
        assert!(negative.keys.lock().order.is_empty(), "and nothing is kept");
    }
}
