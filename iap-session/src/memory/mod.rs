//! Sessions in the memory of this process.
//!
//! Bounded by count and by bytes. When it is full, the session that was idle longest goes, those
//! without a user first: a flood of anonymous visitors costs anonymous sessions, not logins, and
//! a login still succeeds under it. Each such loss is counted (`iap_session_evicted_total`).
//!
//! That a session was taken over from another system is remembered here as long as the process lives and there is room:
//! marks of takeovers count towards the bounds, and give way after sessions without a user.
//!
//! Sessions are spread over shards, each with its own lock and its share of the bounds. A shard
//! keeps its entries ordered by deadline; every operation removes at most a few expired ones, so
//! none pays for a sweep. Reads share the stored record and copy nothing.

mod import;
mod shard;
mod snapshot;
mod sweep;
mod users;

use std::sync::Arc;
use std::time::Duration;

use iap_core::{Clock, SystemClock};
use parking_lot::Mutex;

use crate::error::{StoreError, StoreErrorKind};
use crate::events::Emitter;
use crate::id::{SessionIds, SessionKey};
use crate::limits::{Limits, check_user};
use crate::metrics::StoreMetrics;
use crate::record::{Created, Loaded, Record, Summary};
use crate::store::{BoxFuture, ScanPage, ScanQuery, SessionStore, StoreStats};
use crate::write::{Commit, Imported, Login, NewSession, Reason, Rotation};

use shard::{Entry, Shard, State};
use users::Users;

/// How a [`MemoryStore`] is set up.
#[derive(Clone)]
pub struct MemoryConfig {
    /// What a session may hold.
    pub limits: Limits,
    /// The most sessions.
    pub max_sessions: usize,
    /// The most bytes: attributes, and a fixed overhead for each session.
    pub max_bytes: usize,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Tells those who listen of sessions that end by themselves, if anybody does.
    pub events: Option<Emitter>,
}

/// 100,000 sessions, 256 MiB, the system's clock.
impl Default for MemoryConfig {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            max_sessions: 100_000,
            max_bytes: 256 << 20,
            clock: Arc::new(SystemClock),
            events: None,
        }
    }
}

/// A store in memory. See the [module page](self).
pub struct MemoryStore {
    ids: SessionIds,
    limits: Limits,
    clock: Arc<dyn Clock>,
    shards: Box<[Mutex<Shard>]>,
    users: Users,
    metrics: StoreMetrics,
    events: Option<Emitter>,
}

impl MemoryStore {
    /// A store with default bounds.
    pub fn new(ids: SessionIds) -> Self {
        Self::with_config(ids, MemoryConfig::default())
    }

    /// A store as configured. Few sessions are kept in few shards, so that the bounds stay exact.
    pub fn with_config(ids: SessionIds, config: MemoryConfig) -> Self {
        let by_bytes = config.max_bytes / (4 * config.limits.session_bytes.max(1));
        let shards = (config.max_sessions / 1024).min(by_bytes).clamp(1, 64);
        let sessions = config.max_sessions.div_ceil(shards).max(1);
        let bytes = config.max_bytes.div_ceil(shards);
        Self {
            ids,
            limits: config.limits,
            clock: config.clock,
            shards: (0..shards).map(|_| Mutex::new(Shard::new(sessions, bytes))).collect(),
            users: Users::default(),
            metrics: StoreMetrics::new(),
            events: config.events,
        }
    }

    fn index(&self, key: &SessionKey) -> usize {
        usize::from(key.as_bytes()[0]) % self.shards.len()
    }

    /// Runs `work` on the shard of `key`, after removing a few expired sessions from it. What the
    /// shard has lost meanwhile is taken out of the user sets and counted, with no lock held.
    fn with<T>(&self, key: &SessionKey, work: impl FnOnce(&mut Shard, u64) -> T) -> T {
        let now = self.clock.now_ms();
        let mut shard = self.shards[self.index(key)].lock();
        shard.purge(now);
        let result = work(&mut shard, now);
        let changes = shard.take_changes();
        drop(shard);
        self.note(&changes);
        result
    }

    /// The key that `key` leads to, and the live record there.
    fn find(&self, key: SessionKey) -> Result<Option<Arc<Record>>, StoreError> {
        let mut key = key;
        for _ in 0..MAX_HOPS {
            match self.with(&key, |shard, now| shard.get(&key, now).cloned()) {
                None | Some(State::Taken) => return Ok(None),
                Some(State::Live(record)) => return Ok(Some(record)),
                Some(State::Ended(reason)) => return Err(StoreError::revoked(reason)),
                Some(State::Rotated(next)) => key = next,
            }
        }
        Ok(None)
    }

    /// Changes a live session in place, following rotations.
    fn change<T>(
        &self,
        key: SessionKey,
        change: impl Fn(&mut Record, &mut usize, u64) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut key = key;
        for _ in 0..MAX_HOPS {
            let outcome = self.with(&key, |shard, now| match shard.get(&key, now) {
                None | Some(State::Taken) => Err(StoreError::gone()),
                Some(State::Ended(reason)) => Err(StoreError::revoked(*reason)),
                Some(State::Rotated(next)) => Ok(Err(*next)),
                Some(State::Live(record)) => {
                    if !self.users.admits(&self.ids, record) {
                        return Err(StoreError::revoked(Reason::Evicted));
                    }
                    shard.update(&key, |record, bytes| change(record, bytes, now)).map(Ok)
                }
            })?;
            match outcome {
                Ok(result) => return Ok(result),
                Err(next) => key = next,
            }
        }
        Err(StoreError::gone())
    }

    /// Takes a place in the user's set for `record`; sessions that have to go for it are ended.
    fn admit(&self, record: &Record, login: &Login) -> Result<(), StoreError> {
        // Expired sessions give up their places first.
        for key in self.users.keys(&self.ids, &login.user) {
            self.with(&key, |shard, now| shard.get(&key, now).is_some());
        }
        let evicted = self.users.admit(&self.ids, record, login)?;
        for key in evicted {
            if !self.end(key, Reason::Evicted) {
                continue;
            }
            self.metrics.displaced.increment(1);
            if let Some(emitter) = &self.events {
                emitter.revoked(key, Some(login.user.clone()), Reason::Evicted, None);
            }
        }
        Ok(())
    }

    /// Leaves a mark in the place of a live session.
    fn end(&self, key: SessionKey, reason: Reason) -> bool {
        let ended = self.with(&key, |shard, now| match shard.get(&key, now).cloned() {
            Some(State::Live(record)) => {
                shard.put(key, Entry::mark_after(&record, State::Ended(reason), record.deadline_ms()));
                Some(record)
            }
            _ => None,
        });
        ended.inspect(|record| self.users.remove(&self.ids, record)).is_some()
    }

    fn create_now(&self, new: &NewSession) -> Result<Created, StoreError> {
        let (id, key) = self.ids.generate();
        let record = Arc::new(Record::new(key, new, &self.limits, self.clock.now_ms())?);
        if let Some(login) = &new.login {
            check_user(&login.user)?;
            self.admit(&record, login)?;
        }
        self.with(&key, |shard, _| shard.put(key, Entry::live(record.clone())));
        Ok(Created { id, record })
    }

    fn rotate_now(&self, key: SessionKey, rotation: &Rotation) -> Result<Created, StoreError> {
        if let Some(login) = &rotation.login {
            check_user(&login.user)?;
        }
        let (id, new_key) = self.ids.generate();
        for _ in 0..ROTATE_ATTEMPTS {
            let old = self.find(key)?.ok_or_else(StoreError::gone)?;
            if old.key != key {
                return Err(StoreError::new(
                    StoreErrorKind::Conflict,
                    "the session's id was already changed",
                ));
            }
            if !self.users.admits(&self.ids, &old) {
                return Err(StoreError::revoked(Reason::Evicted));
            }
            let next = old.rotated(new_key, rotation, &self.limits, self.clock.now_ms())?;
            let next = Arc::new(next);
            if let Some(login) = &rotation.login {
                self.admit(&next, login)?;
            }
            // The new session stands before the old id leads to it; nobody knows its id yet.
            self.with(&new_key, |shard, _| shard.put(new_key, Entry::live(next.clone())));
            let until = self.clock.now_ms().saturating_add(crate::record::millis(rotation.grace));
            let swapped = self.with(&key, |shard, now| match shard.get(&key, now) {
                Some(State::Live(current)) if current.version == old.version => {
                    shard.put(key, Entry::mark_after(&old, State::Rotated(new_key), until));
                    true
                }
                _ => false,
            });
            if swapped {
                if old.handle == next.handle {
                    self.users.repoint(&self.ids, &next);
                } else {
                    self.users.remove(&self.ids, &old);
                }
                return Ok(Created { id, record: next });
            }
            self.with(&new_key, |shard, _| shard.remove(&new_key));
            if old.handle != next.handle {
                self.users.remove(&self.ids, &next);
            }
        }
        Err(StoreError::new(StoreErrorKind::Conflict, "the session is changed by too many requests"))
    }

    fn scan_now(&self, query: &ScanQuery) -> Result<ScanPage, StoreError> {
        let now = self.clock.now_ms();
        if let Some(user) = &query.user {
            let keys = self.users.keys(&self.ids, user);
            let sessions = keys.iter().filter_map(|key| self.find(*key).ok().flatten());
            return Ok(ScanPage { sessions: sessions.map(|record| record.summary()).collect(), next: None });
        }
        let start = match &query.cursor {
            None => (0, None),
            Some(cursor) => parse_cursor(cursor, self.shards.len())?,
        };
        let (mut index, mut after) = start;
        let mut sessions: Vec<Summary> = Vec::new();
        let wanted = query.page_size();
        while index < self.shards.len() {
            let records = self.shards[index].lock().page(after, wanted - sessions.len(), now);
            sessions.extend(records.iter().map(|record| record.summary()));
            if sessions.len() >= wanted {
                let last = sessions.last().expect("a full page has a last line").key;
                return Ok(ScanPage { sessions, next: Some(format!("{index}.{last}")) });
            }
            (index, after) = (index + 1, None);
        }
        Ok(ScanPage { sessions, next: None })
    }

    fn stats_now(&self) -> StoreStats {
        let now = self.clock.now_ms();
        let mut stats = StoreStats { backend: "memory", exact: true, ..StoreStats::default() };
        let mut bytes = 0;
        for shard in &self.shards {
            let shard = shard.lock();
            stats.live += shard.live_at(now);
            stats.expired += shard.expired_total();
            stats.evicted += shard.evicted_total();
            bytes += shard.bytes() as u64;
        }
        stats.bytes = Some(bytes);
        stats
    }
}

/// A chain of rotations within one grace that is longer than this leads nowhere.
const MAX_HOPS: usize = 4;
const ROTATE_ATTEMPTS: usize = 8;

fn parse_cursor(cursor: &str, shards: usize) -> Result<(usize, Option<SessionKey>), StoreError> {
    cursor
        .split_once('.')
        .and_then(|(index, key)| Some((index.parse().ok()?, Some(SessionKey::from_hex(key)?))))
        .filter(|(index, _)| *index < shards)
        .ok_or_else(|| StoreError::new(StoreErrorKind::Invalid, "not a cursor of this store"))
}

impl SessionStore for MemoryStore {
    fn ids(&self) -> &SessionIds {
        &self.ids
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn create(&self, new: NewSession) -> BoxFuture<'_, Result<Created, StoreError>> {
        Box::pin(async move { self.create_now(&new) })
    }

    fn load(&self, key: SessionKey, known: Option<u64>) -> BoxFuture<'_, Result<Option<Loaded>, StoreError>> {
        Box::pin(async move {
            let Some(record) = self.find(key)? else { return Ok(None) };
            if !self.users.admits(&self.ids, &record) {
                return Err(StoreError::revoked(Reason::Evicted));
            }
            let now_ms = self.clock.now_ms();
            if known == Some(record.version) {
                return Ok(Some(Loaded::Unchanged { now_ms }));
            }
            Ok(Some(Loaded::Found { record, now_ms }))
        })
    }

    fn commit(&self, key: SessionKey, commit: Commit) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            let (version, left) = self.change(key, |record, bytes, now| {
                let place = commit.logout.then(|| (record.user.clone(), record.handle.clone()));
                record.apply_to(bytes, &commit, &self.limits, now).map(|version| (version, place))
            })?;
            if let Some((Some(user), handle)) = left {
                self.users.leave(&self.ids, &user, &handle);
            }
            Ok(version)
        })
    }

    fn touch(&self, key: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.change(key, |record, _, now| {
                record.touch(now);
                Ok(())
            })
        })
    }

    fn rotate(&self, key: SessionKey, rotation: Rotation) -> BoxFuture<'_, Result<Created, StoreError>> {
        Box::pin(async move { self.rotate_now(key, &rotation) })
    }

    fn revoke(&self, key: SessionKey, reason: Reason) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            match self.find(key) {
                Ok(Some(record)) => Ok(self.end(record.key, reason)),
                Ok(None) | Err(_) => Ok(false),
            }
        })
    }

    fn import(&self, key: SessionKey, imported: Imported) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move { self.import_now(key, &imported) })
    }

    fn settle(&self, key: SessionKey, grace: Duration) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.settle_now(key, grace) })
    }

    fn scan(&self, query: ScanQuery) -> BoxFuture<'_, Result<ScanPage, StoreError>> {
        Box::pin(async move { self.scan_now(&query) })
    }

    fn stats(&self) -> BoxFuture<'_, Result<StoreStats, StoreError>> {
        Box::pin(async move { Ok(self.stats_now()) })
    }
}

#[cfg(test)]
mod tests;
