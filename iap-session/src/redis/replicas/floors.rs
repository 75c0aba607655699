//! The versions of sessions that this process has seen.

use std::mem;

use parking_lot::Mutex;

use crate::id::{RandomKeyed, SessionKey};

const SHARDS: usize = 16;
/// Sessions of one generation in one shard: 65,536 to 131,072 sessions in all, of about 100 bytes each.
const GENERATION: usize = 4096;

/// The lowest version that may be believed, for the sessions that were used last. What is forgotten for want of
/// room is read from the primary again.
pub(super) struct Floors {
    shards: Box<[Mutex<Shard>]>,
}

/// What is used moves to the new generation; when that is full the old one goes.
#[derive(Default)]
struct Shard {
    new: RandomKeyed<SessionKey, u64>,
    old: RandomKeyed<SessionKey, u64>,
}

impl Floors {
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    pub(super) fn get(&self, key: &SessionKey) -> Option<u64> {
        let mut shard = self.shard(key).lock();
        if let Some(version) = shard.new.get(key) {
            return Some(*version);
        }
        let version = shard.old.remove(key)?;
        shard.insert(*key, version);
        Some(version)
    }

    /// A version never goes down, in whatever order answers come.
    pub(super) fn raise(&self, key: SessionKey, version: u64) {
        let mut shard = self.shard(&key).lock();
        if let Some(known) = shard.new.get_mut(&key) {
            *known = version.max(*known);
            return;
        }
        let known = shard.old.remove(&key).unwrap_or(0);
        shard.insert(key, version.max(known));
    }

    /// No version of the session is good enough any more, whatever reads that were on their way bring.
    pub(super) fn close(&self, key: SessionKey) {
        self.raise(key, u64::MAX);
    }

    pub(super) fn forget(&self, key: &SessionKey) {
        let mut shard = self.shard(key).lock();
        shard.new.remove(key);
        shard.old.remove(key);
    }

    fn shard(&self, key: &SessionKey) -> &Mutex<Shard> {
        &self.shards[usize::from(key.as_bytes()[0]) % SHARDS]
    }
}

impl Shard {
    fn insert(&mut self, key: SessionKey, version: u64) {
        if self.new.len() >= GENERATION {
            self.old = mem::take(&mut self.new);
        }
        self.new.insert(key, version);
    }
}
