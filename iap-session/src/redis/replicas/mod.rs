//! Reads that replicas answer, so that the primary has more time for writes.
//!
//! Two things bound what such a read may miss:
//!
//! - **A floor for each session.** This process knows the version of what it has read and written. A replica
//!   that has an older one, or none, is not believed and the primary is asked. A session that this process has
//!   not met yet is read from the primary: whoever comes here from a gateway that has died finds all it wrote there.
//! - **A horizon for each replica.** The primary is asked how far its log goes, and then the replica how far it
//!   has got: if it is there, it knows all that was written before the first question, whatever the clocks of
//!   the machines show. A replica whose horizon is farther away than [`ReplicaReads::max_lag`] is not asked.
//!
//! So this process sees its own writes at once and those of others after `max_lag` at the latest. A replica
//! only ever says what a session holds: that there is none, that it has ended or that its user was logged out
//! is asked of the primary.

mod floors;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fred::error::Error;
use fred::interfaces::ClientLike;
use fred::types::Value;
use fred::types::config::{Options, Server};
use metrics::{Counter, Gauge, counter, gauge};
use parking_lot::{Mutex, RwLock};
use tokio::task::JoinHandle;

use crate::id::SessionKey;
use crate::record::millis;

use super::config::{RedisConfig, ReplicaReads};
use super::connection::{Request, fail_fast};
use super::failure::not_connected;
use super::pool::{Live, Pool};

use floors::Floors;

/// The replicas of a primary.
pub(super) struct Replicas {
    shared: Arc<Shared>,
    watch: JoinHandle<()>,
}

/// What the reads share with the task that watches.
struct Shared {
    /// Asks the primary how far it is.
    primary: Pool,
    all: RwLock<Vec<Arc<Replica>>>,
    next: AtomicUsize,
    floors: Floors,
    max_lag: Duration,
    timeout: Duration,
    began: Instant,
    metrics: Metrics,
}

/// A server that follows the primary.
pub(super) struct Replica {
    server: Server,
    live: Mutex<Option<Arc<Live>>>,
    /// It has all that was written before, in milliseconds after [`Shared::began`]; 0 before it is known.
    horizon_ms: AtomicU64,
    timeout: Duration,
    /// Somebody looks at it at the moment.
    looked_at: AtomicBool,
}

struct Metrics {
    answered: Counter,
    behind: Counter,
    fresh: Gauge,
}

impl Replicas {
    /// `None` where all reads go to the primary. Replicas are looked for in the background.
    pub(super) async fn open(config: &RedisConfig) -> Result<Option<Self>, Error> {
        let Some(ReplicaReads { max_lag }) = config.replica_reads else { return Ok(None) };
        let waits = (config.connect_timeout, config.unresponsive_after);
        let shared = Arc::new(Shared {
            primary: Pool::open(config.connector()?, 1, waits, Box::new(|_| None)).await?,
            all: RwLock::default(),
            next: AtomicUsize::new(0),
            floors: Floors::new(),
            max_lag,
            // A replica that hangs leaves the primary enough time to answer in its place.
            timeout: config.command_timeout / 2,
            began: Instant::now(),
            metrics: Metrics {
                answered: counter!("iap_session_replica_reads_total", "result" => "answered"),
                behind: counter!("iap_session_replica_reads_total", "result" => "behind"),
                fresh: gauge!("iap_session_replicas"),
            },
        });
        let watch = tokio::spawn(watch::watch(Arc::downgrade(&shared)));
        Ok(Some(Self { shared, watch }))
    }

    /// A replica that may be asked for a session, and the version that it must have at least.
    pub(super) fn choose(&self, key: &SessionKey) -> Option<(Arc<Replica>, u64)> {
        let oldest_ms = self.shared.oldest_ms();
        let all = self.shared.all.read();
        let fresh = |replica: &&Arc<Replica>| replica.is_fresh(oldest_ms);
        let count = all.iter().filter(fresh).count();
        if count == 0 {
            return None;
        }
        let floor = self.shared.floors.get(key)?;
        let turn = self.shared.next.fetch_add(1, Ordering::Relaxed) % count;
        // One may have fallen behind since they were counted.
        let replica = all.iter().filter(fresh).nth(turn)?;
        Some((replica.clone(), floor))
    }

    /// Notes whether a replica has answered, or the primary is asked after all.
    pub(super) fn note(&self, answered: bool) {
        let metrics = &self.shared.metrics;
        if answered { &metrics.answered } else { &metrics.behind }.increment(1);
    }

    /// Notes the version of a session that this process has read or written.
    pub(super) fn seen(&self, key: SessionKey, version: u64) {
        self.shared.floors.raise(key, version);
    }

    /// Reads of a session that has ended, or has another id now, are for the primary.
    pub(super) fn ended(&self, key: SessionKey) {
        self.shared.floors.close(key);
    }

    /// The next read of a session is for the primary: nobody here knows what it holds.
    pub(super) fn unseen(&self, key: &SessionKey) {
        self.shared.floors.forget(key);
    }

    pub(super) async fn close(&self) {
        self.watch.abort();
        self.shared.all.write().clear();
        self.shared.primary.close().await;
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl Shared {
    fn now_ms(&self) -> u64 {
        millis(self.began.elapsed())
    }

    /// The oldest horizon of a replica that may be asked.
    fn oldest_ms(&self) -> u64 {
        self.now_ms().saturating_sub(millis(self.max_lag)).max(1)
    }
}

impl Replica {
    fn is_fresh(&self, oldest_ms: u64) -> bool {
        self.horizon_ms.load(Ordering::Acquire) >= oldest_ms
    }

    /// Sends a read.
    pub(super) async fn read(&self, request: &Request) -> Result<Value, Error> {
        let live = self.live.lock().clone().ok_or_else(not_connected)?;
        let options = Options { timeout: Some(self.timeout), ..fail_fast() };
        let client = live.client().with_options(&options);
        let reply = client.custom::<Value, Value>(request.command.clone(), request.args.clone()).await;
        if reply.is_err() {
            // Not again before it has shown that it is well.
            self.horizon_ms.store(0, Ordering::Release);
        }
        reply
    }
}

#[cfg(test)]
mod tests;
