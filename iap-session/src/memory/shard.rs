//! One shard: a map, ordered twice: by deadline to expire, by last access to make room.
//!
//! An access moves a session back in both orders. That is not done at once: a session stands where it stood
//! when it was put there, and is moved when it comes to the front. Nothing comes too late, since a session never
//! stands behind its true place.

use std::collections::BTreeSet;
use std::mem;
use std::ops::Bound;
use std::sync::Arc;

use crate::error::StoreError;
use crate::id::{RandomKeyed, SessionKey};
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
    /// A session that was taken over from another system was here. It is not taken over again.
    Taken,
}

/// A state, and where it stands in the orders.
#[derive(Clone)]
pub(super) struct Entry {
    state: State,
    /// Of a mark: when it goes. Of a session: its place by deadline.
    deadline_ms: u64,
    /// Its place by last access, without the key.
    rank: Rank,
    /// Of a mark: until when a takeover is remembered, if it stands for one.
    claim_ms: u64,
    /// Bytes of the attributes alone.
    attributes: usize,
}

/// With a user or not, last access.
type Rank = (bool, u64);

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
    entries: RandomKeyed<SessionKey, Entry>,
    by_deadline: BTreeSet<(u64, SessionKey)>,
    /// The first one goes first.
    by_access: BTreeSet<(Rank, SessionKey)>,
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
        let (deadline_ms, rank, attributes) = (record.deadline_ms(), rank_of(&record), record.bytes());
        Self { state: State::Live(record), deadline_ms, rank, claim_ms: 0, attributes }
    }

    pub(super) fn mark(state: State, deadline_ms: u64) -> Self {
        Self { state, deadline_ms, rank: (false, deadline_ms), claim_ms: 0, attributes: 0 }
    }

    /// The same, in the place of a session whose takeover is remembered.
    pub(super) fn mark_after(record: &Record, state: State, deadline_ms: u64) -> Self {
        let claim_ms = record.taken.map_or(0, |taken| taken.until_ms);
        Self::claimed(state, deadline_ms, claim_ms)
    }

    /// A mark that is remembered.
    pub(super) fn claimed(state: State, deadline_ms: u64, claim_ms: u64) -> Self {
        Self { claim_ms, ..Self::mark(state, deadline_ms) }
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// Until when a mark of the takeover stays, if the session was taken over.
    pub(super) fn claim_ms(&self) -> u64 {
        match &self.state {
            State::Live(record) => record.taken.map_or(0, |taken| taken.until_ms),
            State::Rotated(_) | State::Ended(_) | State::Taken => self.claim_ms,
        }
    }

    /// When it goes.
    pub(super) fn ends_ms(&self) -> u64 {
        match &self.state {
            State::Live(record) => record.deadline_ms(),
            State::Rotated(_) | State::Ended(_) | State::Taken => self.deadline_ms,
        }
    }

    /// Its true place by last access.
    fn true_rank(&self) -> Rank {
        match &self.state {
            State::Live(record) => rank_of(record),
            State::Rotated(_) | State::Ended(_) | State::Taken => self.rank,
        }
    }

    fn bytes(&self) -> usize {
        let user = match &self.state {
            State::Live(record) => record.user.as_ref().map_or(0, |user| user.len()),
            State::Rotated(_) | State::Ended(_) | State::Taken => 0,
        };
        OVERHEAD + self.attributes + user
    }
}

fn rank_of(record: &Record) -> Rank {
    (record.user.is_some(), record.accessed_ms)
}

impl Shard {
    pub(super) fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self {
            entries: RandomKeyed::default(),
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
        if self.entries.get(key)?.ends_ms() <= now_ms {
            self.expire(key, now_ms);
        }
        self.entries.get(key).map(|entry| &entry.state)
    }

    /// Puts an entry in place and drops others until the bounds hold again.
    pub(super) fn put(&mut self, key: SessionKey, entry: Entry) {
        self.remove(&key);
        self.bytes += entry.bytes();
        self.changes.live += i64::from(matches!(entry.state, State::Live(_)));
        self.by_deadline.insert((entry.deadline_ms, key));
        self.by_access.insert((entry.rank, key));
        self.keys.insert(key);
        self.entries.insert(key, entry);
        self.make_room(&key);
    }

    /// Changes the live session under `key`, which is there, in its place. `change` gets the bytes of its attributes
    /// and keeps them right.
    pub(super) fn update<T>(
        &mut self,
        key: &SessionKey,
        change: impl FnOnce(&mut Record, &mut usize) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let entry = self.entries.get_mut(key).ok_or_else(StoreError::gone)?;
        let before = entry.bytes();
        let State::Live(record) = &mut entry.state else { return Err(StoreError::gone()) };
        let result = change(Arc::make_mut(record), &mut entry.attributes)?;
        self.bytes = self.bytes - before + entry.bytes();
        // A logout moves it to the front, where it would not be looked for.
        let rank = entry.true_rank();
        if rank < entry.rank {
            self.by_access.remove(&(entry.rank, *key));
            self.by_access.insert((rank, *key));
            entry.rank = rank;
        }
        self.make_room(key);
        Ok(result)
    }

    pub(super) fn remove(&mut self, key: &SessionKey) -> Option<State> {
        let entry = self.entries.remove(key)?;
        self.bytes -= entry.bytes();
        self.changes.live -= i64::from(matches!(entry.state, State::Live(_)));
        self.by_deadline.remove(&(entry.deadline_ms, *key));
        self.by_access.remove(&(entry.rank, *key));
        self.keys.remove(key);
        Some(entry.state)
    }

    /// Keeps the mark of a takeover at least so long.
    pub(super) fn remember(&mut self, key: &SessionKey, until_ms: u64) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.claim_ms = entry.claim_ms.max(until_ms);
        if matches!(entry.state, State::Taken) {
            self.put(*key, Entry::mark(State::Taken, until_ms));
        }
    }

    /// Looks at a few entries whose time may be over; whether there may be more.
    pub(super) fn purge(&mut self, now_ms: u64) -> bool {
        for _ in 0..PURGE {
            let Some((place, key)) = self.by_deadline.first().copied().filter(|(place, _)| *place <= now_ms)
            else {
                return false;
            };
            match self.entries.get_mut(&key) {
                // It has been used since it was put there.
                Some(entry) if entry.ends_ms() > now_ms => {
                    entry.deadline_ms = entry.ends_ms();
                    self.by_deadline.remove(&(place, key));
                    self.by_deadline.insert((entry.deadline_ms, key));
                }
                _ => self.expire(&key, now_ms),
            }
        }
        true
    }

    /// Drops entries until the bounds hold, but never `newest`, unless it is alone.
    fn make_room(&mut self, newest: &SessionKey) {
        while self.entries.len() > self.max_entries || self.bytes > self.max_bytes {
            let mut candidates = self.by_access.iter().filter(|(_, key)| key != newest);
            let Some((place, victim)) = candidates.next().copied() else { break };
            if let Some(entry) = self.entries.get_mut(&victim)
                && entry.true_rank() > place
            {
                entry.rank = entry.true_rank();
                self.by_access.remove(&(place, victim));
                self.by_access.insert((entry.rank, victim));
                continue;
            }
            if let Some(State::Live(record)) = self.remove(&victim) {
                self.evicted += 1;
                self.changes.evicted.push(record);
            }
        }
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

    /// Everything that is there.
    pub(super) fn entries(&self) -> Vec<(SessionKey, Entry)> {
        self.entries.iter().map(|(key, entry)| (*key, entry.clone())).collect()
    }

    pub(super) fn take_changes(&mut self) -> Changes {
        mem::take(&mut self.changes)
    }

    /// Live sessions; walks the shard.
    pub(super) fn live_at(&self, now_ms: u64) -> u64 {
        let live = |entry: &&Entry| matches!(entry.state, State::Live(_)) && entry.ends_ms() > now_ms;
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
        let bytes: usize = self.entries.values().map(Entry::bytes).sum();
        assert_eq!(self.bytes, bytes);
        for entry in self.entries.values() {
            assert!(entry.deadline_ms <= entry.ends_ms() && entry.rank <= entry.true_rank());
            if let State::Live(record) = &entry.state {
                assert_eq!(entry.attributes, record.bytes());
            }
        }
        for length in [self.by_deadline.len(), self.by_access.len(), self.keys.len()] {
            assert_eq!(length, self.entries.len());
        }
        assert!(self.entries.len() <= self.max_entries);
    }

    fn expire(&mut self, key: &SessionKey, now_ms: u64) {
        let claim_ms = self.entries.get(key).map_or(0, Entry::claim_ms);
        if let Some(State::Live(record)) = self.remove(key) {
            self.expired += 1;
            self.changes.expired.push(record);
        }
        if claim_ms > now_ms {
            self.put(*key, Entry::mark(State::Taken, claim_ms));
        }
    }
}
