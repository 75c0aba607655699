//! One shard: a map, ordered twice: by deadline to expire, by last access to make room.

use std::collections::{BTreeSet, HashMap};
use std::mem;
use std::ops::Bound;
use std::sync::Arc;

use crate::id::SessionKey;
use crate::record::Record;
use crate::write::Reason;

/// What stands under a key.
#[derive(Clone)]
pub(super) enum State {
    /// A session.
    Live(Arc<Record>),
    /// The session has this key now.
    Rotated(SessionKey),
    /// The session was ended; the mark keeps a late write from being told "gone".
    Ended(Reason),
}

/// A state, and when it goes.
pub(super) struct Entry {
    state: State,
    deadline_ms: u64,
    bytes: usize,
}

/// What operations on a shard have changed since it was last asked.
#[derive(Default)]
pub(super) struct Changes {
    /// More or fewer live sessions.
    pub(super) live: i64,
    /// Sessions whose time was over.
    pub(super) expired: Vec<Arc<Record>>,
    /// Sessions that were dropped to make room.
    pub(super) evicted: Vec<Arc<Record>>,
}

pub(super) struct Shard {
    entries: HashMap<SessionKey, Entry>,
    by_deadline: BTreeSet<(u64, SessionKey)>,
    /// With a user or not, last access: the first one goes first.
    by_access: BTreeSet<(bool, u64, SessionKey)>,
    /// All keys in order, so that a scan can go on where it stopped.
    keys: BTreeSet<SessionKey>,
    bytes: usize,
    max_entries: usize,
    max_bytes: usize,
    changes: Changes,
    expired: u64,
    evicted: u64,
}

/// The map's and the orders' share of one session, roughly.
const OVERHEAD: usize = 512;
/// How many expired entries one operation removes: more than it can add.
const PURGE: usize = 4;

impl Entry {
    pub(super) fn live(record: Arc<Record>) -> Self {
        let bytes = record.bytes() + record.user.as_ref().map_or(0, |user| user.len());
        Self { deadline_ms: record.deadline_ms(), bytes: bytes + OVERHEAD, state: State::Live(record) }
    }

    pub(super) fn mark(state: State, deadline_ms: u64) -> Self {
        Self { state, deadline_ms, bytes: OVERHEAD }
    }

    fn rank(&self, key: SessionKey) -> (bool, u64, SessionKey) {
        match &self.state {
            State::Live(record) => (record.user.is_some(), record.accessed_ms, key),
            State::Rotated(_) | State::Ended(_) => (false, self.deadline_ms, key),
        }
    }
}

impl Shard {
    pub(super) fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self {
            entries: HashMap::new(),
            by_deadline: BTreeSet::new(),
            by_access: BTreeSet::new(),
            keys: BTreeSet::new(),
            bytes: 0,
            max_entries,
            max_bytes,
            changes: Changes::default(),
            expired: 0,
            evicted: 0,
        }
    }

    /// What stands under `key` now; what is past its deadline is removed.
    pub(super) fn get(&mut self, key: &SessionKey, now_ms: u64) -> Option<&State> {
        if self.entries.get(key)?.deadline_ms <= now_ms {
            self.expire(key);
            return None;
        }
        self.entries.get(key).map(|entry| &entry.state)
    }

    /// Puts an entry in place and drops others until the bounds hold again.
    pub(super) fn put(&mut self, key: SessionKey, entry: Entry) {
        self.remove(&key);
        self.bytes += entry.bytes;
        self.changes.live += i64::from(matches!(entry.state, State::Live(_)));
        self.by_deadline.insert((entry.deadline_ms, key));
        self.by_access.insert(entry.rank(key));
        self.keys.insert(key);
        self.entries.insert(key, entry);
        while self.entries.len() > self.max_entries || self.bytes > self.max_bytes {
            // Never the entry that was just put there, unless it is alone.
            let mut candidates = self.by_access.iter().map(|(_, _, key)| *key);
            let Some(victim) = candidates.find(|candidate| *candidate != key) else { break };
            if let Some(State::Live(record)) = self.remove(&victim) {
                self.evicted += 1;
                self.changes.evicted.push(record);
            }
        }
    }

    pub(super) fn remove(&mut self, key: &SessionKey) -> Option<State> {
        let entry = self.entries.remove(key)?;
        self.bytes -= entry.bytes;
        self.changes.live -= i64::from(matches!(entry.state, State::Live(_)));
        self.by_deadline.remove(&(entry.deadline_ms, *key));
        self.by_access.remove(&entry.rank(*key));
        self.keys.remove(key);
        Some(entry.state)
    }

    /// Removes a few entries whose time is over; whether there may be more.
    pub(super) fn purge(&mut self, now_ms: u64) -> bool {
        for _ in 0..PURGE {
            match self.by_deadline.first() {
                Some((deadline, key)) if *deadline <= now_ms => {
                    let key = *key;
                    self.expire(&key);
                }
                _ => return false,
            }
        }
        true
    }

    /// Up to `limit` live records in key order, from after `after`.
    pub(super) fn page(&self, after: Option<SessionKey>, limit: usize, now_ms: u64) -> Vec<Arc<Record>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let keys = self.keys.range((from, Bound::Unbounded));
        keys.filter_map(|key| match &self.entries.get(key)?.state {
            State::Live(record) if !record.is_expired(now_ms) => Some(record.clone()),
            _ => None,
        })
        .take(limit)
        .collect()
    }

    pub(super) fn take_changes(&mut self) -> Changes {
        mem::take(&mut self.changes)
    }

    /// Live sessions; walks the shard.
    pub(super) fn live_at(&self, now_ms: u64) -> u64 {
        let live = |entry: &&Entry| matches!(entry.state, State::Live(_)) && entry.deadline_ms > now_ms;
        self.entries.values().filter(live).count() as u64
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn expired_total(&self) -> u64 {
        self.expired
    }

    pub(super) fn evicted_total(&self) -> u64 {
        self.evicted
    }

    /// Panics where the orders or the sum of bytes do not fit the entries.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let bytes: usize = self.entries.values().map(|entry| entry.bytes).sum();
        assert_eq!(self.bytes, bytes);
        for length in [self.by_deadline.len(), self.by_access.len(), self.keys.len()] {
            assert_eq!(length, self.entries.len());
        }
        assert!(self.entries.len() <= self.max_entries);
    }

    fn expire(&mut self, key: &SessionKey) {
        if let Some(State::Live(record)) = self.remove(key) {
            self.expired += 1;
            self.changes.expired.push(record);
        }
    }
}
