//! What becomes of sessions that end by themselves.

use crate::events::EventKind;

use super::MemoryStore;
use super::shard::Changes;

impl MemoryStore {
    /// Takes what a shard has lost out of the user sets, counts it and tells of it.
    pub(super) fn note(&self, changes: &Changes) {
        if changes.live != 0 {
            self.metrics.live.increment(changes.live as f64);
        }
        self.metrics.expired.increment(changes.expired.len() as u64);
        self.metrics.evicted.increment(changes.evicted.len() as u64);
        for record in changes.expired.iter().chain(&changes.evicted) {
            self.users.remove(&self.ids, record);
        }
        if let Some(emitter) = &self.events {
            changes.expired.iter().for_each(|record| emitter.ended(EventKind::Expired, record));
            changes.evicted.iter().for_each(|record| emitter.ended(EventKind::Evicted, record));
        }
    }

    /// Removes all sessions whose time is over. Every operation removes a few, so it is needed only where their ends are
    /// waited for: then about once a second.
    pub fn sweep(&self) {
        let now = self.clock.now_ms();
        for shard in &self.shards {
            loop {
                let mut shard = shard.lock();
                let is_left = shard.purge(now);
                let changes = shard.take_changes();
                drop(shard);
                self.note(&changes);
                if !is_left {
                    break;
                }
            }
        }
    }
}
