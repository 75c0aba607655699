//! A cache of reads in the process, in front of a store that is far away.
//!
//! A warm read asks nobody. The store tells what has changed ([`SessionStore::listen`]); what it does not
//! tell, or too late, ends with a deadline: nothing that was read longer ago than
//! [`NearCacheConfig::max_staleness`] is believed without asking. What this process writes is seen by it at
//! once. Absence is never remembered.
//!
//! After the deadline an entry still saves the transfer: the store is asked whether the version is the same.
//!
//! A read that was on its way while something changed is not kept: each part of the cache counts what it
//! forgets, and a read that began before the last time leaves nothing.

mod shard;

use std::sync::Arc;
use std::time::{Duration, Instant};

use iap_core::hooks::Stage;
use iap_core::{Clock, SystemClock, Transaction};
use metrics::{Counter, Gauge, counter, gauge};
use parking_lot::Mutex;

use crate::error::StoreError;
use crate::id::{SessionIds, SessionKey};
use crate::limits::Limits;
use crate::record::{Created, Loaded, Record, millis};
use crate::store::{
    BoxFuture, Change, ChangeListener, Pressure, ScanPage, ScanQuery, SessionStore, StoreStats, Watched,
};
use crate::write::{Commit, Imported, NewSession, Reason, Rotation};

use shard::{Entry, Shard};

/// The bounds of a [`NearCache`].
#[derive(Clone)]
pub struct NearCacheConfig {
    /// The most sessions. Default 10,000.
    pub max_entries: usize,
    /// The most bytes: attributes, and a fixed overhead for each session. Default 64 MiB.
    pub max_bytes: usize,
    /// How long a read is believed without asking again. Default two seconds.
    pub max_staleness: Duration,
    /// Where time comes from. Ages are measured by it and by a monotonic clock; the older one counts.
    pub clock: Arc<dyn Clock>,
}

impl Default for NearCacheConfig {
    fn default() -> Self {
        Self {
            max_entries: 10_000,
            max_bytes: 64 << 20,
            max_staleness: Duration::from_secs(2),
            clock: Arc::new(SystemClock),
        }
    }
}

/// A store with a cache in front. See the [module page](self).
///
/// ```
/// use iap_session::{MemoryStore, NearCache, NearCacheConfig, SessionIds};
///
/// let far_away = MemoryStore::new(SessionIds::ephemeral());
/// let store = NearCache::new(far_away, NearCacheConfig::default());
/// ```
pub struct NearCache<S> {
    store: S,
    cache: Arc<Cache>,
}

struct Cache {
    shards: Box<[Mutex<Shard>]>,
    config: NearCacheConfig,
    metrics: Metrics,
}

struct Metrics {
    hits: Counter,
    refreshed: Counter,
    misses: Counter,
    flushes: Counter,
    entries: Gauge,
    bytes: Gauge,
}

const SHARDS: usize = 16;
/// How far a chain of changed ids is followed.
const MAX_HOPS: usize = 4;

impl<S: SessionStore> NearCache<S> {
    /// Puts a cache in front of `store`.
    pub fn new(store: S, config: NearCacheConfig) -> Self {
        let shards = if config.max_entries < SHARDS * 16 { 1 } else { SHARDS };
        let (entries, bytes) = (config.max_entries.div_ceil(shards), config.max_bytes.div_ceil(shards));
        let cache = Arc::new(Cache {
            shards: (0..shards).map(|_| Mutex::new(Shard::new(entries, bytes))).collect(),
            config,
            metrics: Metrics::new(),
        });
        store.listen(cache.clone());
        Self { store, cache }
    }

    /// The store behind the cache.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Who the store tells of changes.
    #[cfg(test)]
    pub(crate) fn listener(&self) -> &impl ChangeListener {
        &*self.cache
    }

    async fn load_now(&self, key: SessionKey, known: Option<u64>) -> Result<Option<Loaded>, StoreError> {
        let cached = match self.cache.look(&key) {
            Look::Fresh(record, now_ms) => {
                self.cache.metrics.hits.increment(1);
                // Of no length, so that a tree shows why nobody was asked.
                drop(Transaction::current().map(|here| here.span(Stage::Custom("near-cache hit".into()))));
                return Ok(Some(answer(record, now_ms, known)));
            }
            Look::Stale(record) => Some(record),
            Look::Absent => None,
        };
        let generation = self.cache.shard(&key).lock().generation();
        let version = cached.as_ref().map(|record| record.version).or(known);
        let Watched { loaded, watched } = self.store.load_watched(key, version).await?;
        match loaded {
            Some(Loaded::Unchanged { now_ms }) => {
                let Some(record) = cached else {
                    self.cache.metrics.misses.increment(1);
                    return Ok(Some(Loaded::Unchanged { now_ms }));
                };
                self.cache.metrics.refreshed.increment(1);
                if watched {
                    let times = (now_ms, self.cache.config.clock.now_ms(), Instant::now());
                    self.cache.shard(&key).lock().refresh(&key, record.version, times, generation);
                }
                Ok(Some(answer(record, now_ms, known)))
            }
            Some(Loaded::Found { record, now_ms }) => {
                self.cache.metrics.misses.increment(1);
                if record.key != key {
                    self.cache.shard(&key).lock().alias(key, record.key);
                } else if watched {
                    self.keep(&record, now_ms, generation);
                }
                Ok(Some(answer(record, now_ms, known)))
            }
            None => {
                self.cache.metrics.misses.increment(1);
                Ok(None)
            }
        }
    }

    fn keep(&self, record: &Arc<Record>, now_ms: u64, generation: u64) {
        let entry = Entry {
            record: record.clone(),
            store_ms: now_ms,
            read_ms: self.cache.config.clock.now_ms(),
            read_at: Instant::now(),
            trusted: true,
            user: record.user.as_deref().map(|user| self.store.ids().user_key(user).into()),
        };
        self.cache.shard(&record.key).lock().insert(entry, generation);
    }

    /// Runs a write; whatever comes of it, what it may have changed is forgotten.
    async fn writing<T>(
        &self,
        key: Option<SessionKey>,
        user: Option<&str>,
        write: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let user = user.map(|user| self.store.ids().user_key(user));
        let _forget = Forget { cache: &self.cache, key, user };
        write.await
    }
}

/// Forgets when it is dropped: also when a write is given up half way.
struct Forget<'a> {
    cache: &'a Cache,
    key: Option<SessionKey>,
    user: Option<String>,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.cache.forget(key);
        }
        if let Some(user) = &self.user {
            self.cache.changed(Change::User(user));
        }
    }
}

enum Look {
    Fresh(Arc<Record>, u64),
    Stale(Arc<Record>),
    Absent,
}

fn answer(record: Arc<Record>, now_ms: u64, known: Option<u64>) -> Loaded {
    if known == Some(record.version) {
        Loaded::Unchanged { now_ms }
    } else {
        Loaded::Found { record, now_ms }
    }
}

impl Cache {
    fn shard(&self, key: &SessionKey) -> &Mutex<Shard> {
        &self.shards[usize::from(key.as_bytes()[1]) % self.shards.len()]
    }

    fn look(&self, key: &SessionKey) -> Look {
        let now_ms = self.config.clock.now_ms();
        let mut shard = self.shard(key).lock();
        let Some(entry) = shard.get(key) else { return Look::Absent };
        let record = entry.record.clone();
        let young = entry.trusted && entry.read_at.elapsed() < self.config.max_staleness;
        // A clock that runs backwards says nothing about an age.
        let Some(age_ms) = now_ms.checked_sub(entry.read_ms).filter(|_| young) else {
            return Look::Stale(record);
        };
        let store_ms = entry.store_ms + age_ms;
        let fresh = Duration::from_millis(age_ms) < self.config.max_staleness;
        // Whether a session has ended by time is for the store to say: it may have been touched since.
        if fresh && !record.is_expired(store_ms) {
            Look::Fresh(record, store_ms)
        } else {
            Look::Stale(record)
        }
    }

    fn forget(&self, key: SessionKey) {
        let mut next = Some(key);
        for _ in 0..MAX_HOPS {
            let Some(key) = next else { return };
            next = self.shard(&key).lock().forget(&key);
        }
    }

    /// What was read of a session at most so long ago, whatever has become of it since.
    fn stale(&self, key: &SessionKey, max_age: Duration) -> Option<Arc<Record>> {
        let now_ms = self.config.clock.now_ms();
        let mut shard = self.shard(key).lock();
        let entry = shard.get(key)?;
        let age = entry.read_at.elapsed().max(Duration::from_millis(now_ms.checked_sub(entry.read_ms)?));
        let is_over = entry.record.is_expired(entry.store_ms.saturating_add(millis(age)));
        (age <= max_age && !is_over).then(|| entry.record.clone())
    }

    /// Brings the gauges up to date.
    fn measure(&self) {
        let sizes = self.shards.iter().map(|shard| shard.lock().size());
        let (entries, bytes) = sizes.fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1));
        self.metrics.entries.set(entries as f64);
        self.metrics.bytes.set(bytes as f64);
    }
}

impl ChangeListener for Cache {
    fn changed(&self, change: Change<'_>) {
        match change {
            Change::Session(key) => self.forget(key),
            Change::User(user) => self.shards.iter().for_each(|shard| shard.lock().forget_user(user)),
            Change::All => {
                self.metrics.flushes.increment(1);
                self.shards.iter().for_each(|shard| shard.lock().distrust());
            }
        }
    }
}

impl Metrics {
    fn new() -> Self {
        crate::metrics::describe_metrics();
        let reads = |result: &'static str| counter!("iap_session_near_reads_total", "result" => result);
        Self {
            hits: reads("hit"),
            refreshed: reads("unchanged"),
            misses: reads("miss"),
            flushes: counter!("iap_session_near_flushes_total"),
            entries: gauge!("iap_session_near_entries"),
            bytes: gauge!("iap_session_near_bytes"),
        }
    }
}

impl<S: SessionStore> SessionStore for NearCache<S> {
    fn ids(&self) -> &SessionIds {
        self.store.ids()
    }

    fn limits(&self) -> &Limits {
        self.store.limits()
    }

    fn create(&self, new: NewSession) -> BoxFuture<'_, Result<Created, StoreError>> {
        Box::pin(async move {
            let user = new.login.as_ref().map(|login| login.user.clone());
            self.writing(None, user.as_deref(), self.store.create(new)).await
        })
    }

    fn load(&self, key: SessionKey, known: Option<u64>) -> BoxFuture<'_, Result<Option<Loaded>, StoreError>> {
        Box::pin(self.load_now(key, known))
    }

    fn stale(&self, key: SessionKey, max_age: Duration) -> Option<Arc<Record>> {
        self.cache.stale(&key, max_age)
    }

    fn commit(&self, key: SessionKey, commit: Commit) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.writing(Some(key), None, self.store.commit(key, commit)))
    }

    fn touch(&self, key: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.writing(Some(key), None, self.store.touch(key)))
    }

    fn rotate(&self, key: SessionKey, rotation: Rotation) -> BoxFuture<'_, Result<Created, StoreError>> {
        Box::pin(async move {
            let user = rotation.login.as_ref().map(|login| login.user.clone());
            let rotated = self.writing(Some(key), user.as_deref(), self.store.rotate(key, rotation)).await?;
            self.cache.shard(&key).lock().alias(key, rotated.record.key);
            Ok(rotated)
        })
    }

    fn revoke(&self, key: SessionKey, reason: Reason) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.writing(Some(key), None, self.store.revoke(key, reason)))
    }

    fn import(&self, key: SessionKey, imported: Imported) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let user = imported.login.as_ref().map(|login| login.user.clone());
            self.writing(Some(key), user.as_deref(), self.store.import(key, imported)).await
        })
    }

    fn settle(&self, key: SessionKey, grace: Duration) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.writing(Some(key), None, self.store.settle(key, grace)))
    }

    fn scan(&self, query: ScanQuery) -> BoxFuture<'_, Result<ScanPage, StoreError>> {
        self.store.scan(query)
    }

    fn stats(&self) -> BoxFuture<'_, Result<StoreStats, StoreError>> {
        self.cache.measure();
        self.store.stats()
    }

    fn pressure(&self) -> BoxFuture<'_, Result<Pressure, StoreError>> {
        self.store.pressure()
    }

    fn listen(&self, listener: Arc<dyn ChangeListener>) {
        self.store.listen(listener);
    }
}

#[cfg(test)]
mod tests;
