//! A part of the near cache, under one lock.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use crate::id::{RandomKeyed, SessionKey};
use crate::record::Record;

/// What an entry weighs beside its attributes.
const OVERHEAD: usize = 512;

/// A session as it was read.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) record: Arc<Record>,
    /// The store's time, the clock's and the process's when it was read.
    pub(super) store_ms: u64,
    pub(super) read_ms: u64,
    pub(super) read_at: Instant,
    /// The store has told of changes ever since.
    pub(super) trusted: bool,
    /// The user's name as indices know it.
    pub(super) user: Option<Arc<str>>,
}

struct Slot {
    entry: Entry,
    bytes: usize,
    /// Used since the hand passed it last.
    used: bool,
}

/// Entries in the order of a clock (second chance): what was not used for a whole round goes.
pub(super) struct Shard {
    entries: RandomKeyed<SessionKey, Slot>,
    hand: VecDeque<SessionKey>,
    users: HashMap<Arc<str>, Vec<SessionKey>>,
    /// Old ids that lead to new ones.
    aliases: RandomKeyed<SessionKey, SessionKey>,
    /// Changes with everything that is forgotten: what was read before is not kept after it.
    generation: u64,
    bytes: usize,
    max_entries: usize,
    max_bytes: usize,
}

impl Shard {
    pub(super) fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self {
            entries: RandomKeyed::default(),
            hand: VecDeque::new(),
            users: HashMap::new(),
            aliases: RandomKeyed::default(),
            generation: 0,
            bytes: 0,
            max_entries,
            max_bytes,
        }
    }

    pub(super) fn get(&mut self, key: &SessionKey) -> Option<&Entry> {
        let slot = self.entries.get_mut(key)?;
        slot.used = true;
        Some(&slot.entry)
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Keeps an entry, unless something was forgotten since `generation`.
    pub(super) fn insert(&mut self, entry: Entry, generation: u64) {
        let bytes = entry.record.bytes() + OVERHEAD;
        if generation != self.generation || bytes > self.max_bytes {
            return;
        }
        let key = entry.record.key;
        self.remove(&key);
        if let Some(user) = &entry.user {
            self.users.entry(user.clone()).or_default().push(key);
        }
        self.bytes += bytes;
        self.hand.push_back(key);
        self.entries.insert(key, Slot { entry, bytes, used: false });
        while self.entries.len() > self.max_entries || self.bytes > self.max_bytes {
            self.evict();
        }
    }

    /// Notes that an entry was found to be the same at a later time.
    pub(super) fn refresh(
        &mut self,
        key: &SessionKey,
        version: u64,
        times: (u64, u64, Instant),
        generation: u64,
    ) {
        if generation != self.generation {
            return;
        }
        if let Some(slot) = self.entries.get_mut(key).filter(|slot| slot.entry.record.version == version) {
            (slot.entry.store_ms, slot.entry.read_ms, slot.entry.read_at) = times;
            slot.entry.trusted = true;
        }
    }

    /// Forgets a session; the id that its own leads to, if it was changed.
    pub(super) fn forget(&mut self, key: &SessionKey) -> Option<SessionKey> {
        self.generation += 1;
        self.remove(key);
        self.aliases.get(key).copied()
    }

    pub(super) fn forget_user(&mut self, user: &str) {
        self.generation += 1;
        for key in self.users.remove(user).unwrap_or_default() {
            self.remove(&key);
        }
    }

    /// Believes nothing any more without asking. What is there still saves transfers, and helps in an outage.
    pub(super) fn distrust(&mut self) {
        self.generation += 1;
        self.entries.values_mut().for_each(|slot| slot.entry.trusted = false);
    }

    /// Notes that one id leads to another. Without it the change is only seen when the store tells of it.
    pub(super) fn alias(&mut self, old: SessionKey, new: SessionKey) {
        if self.aliases.len() >= self.max_entries {
            self.aliases.clear();
        }
        self.aliases.insert(old, new);
    }

    pub(super) fn size(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes)
    }

    fn remove(&mut self, key: &SessionKey) {
        let Some(slot) = self.entries.remove(key) else { return };
        self.bytes -= slot.bytes;
        if let Some(user) = &slot.entry.user
            && let Some(keys) = self.users.get_mut(user)
        {
            keys.retain(|other| other != key);
            if keys.is_empty() {
                self.users.remove(user);
            }
        }
        // What the hand points to and is not there any more is passed over; it must not pile up.
        if self.hand.len() > 2 * self.entries.len() + 16 {
            self.hand.retain(|key| self.entries.contains_key(key));
        }
    }

    fn evict(&mut self) {
        while let Some(key) = self.hand.pop_front() {
            match self.entries.get_mut(&key) {
                None => {}
                Some(slot) if slot.used => {
                    slot.used = false;
                    self.hand.push_back(key);
                }
                Some(_) => return self.remove(&key),
            }
        }
    }
}
