//! Idle connections to one server, sharded by worker.
//!
//! A worker takes from its own shard, whose lock nobody else contends for, and from the others
//! only when its own is empty: otherwise the reuse rate would drop with the number of cores.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hyper::client::conn::http1::SendRequest;
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::UpstreamSettings;
use crate::body::Body;
use crate::idle::IdleTimer;
use crate::server::worker;

/// A connection that can send requests.
#[derive(Debug)]
pub(super) struct Pooled {
    pub(super) sender: SendRequest<Body>,
    /// Counts the frames of request bodies.
    pub(super) uploaded: Arc<AtomicU64>,
    /// Bounds pauses in response bodies; one timer for all of a connection's life.
    pub(super) body_idle: IdleTimer,
    /// Whether what it still has to send will never come.
    pub(super) is_spent: bool,
    idle_since: Instant,
    driver: Driver,
}

impl Pooled {
    /// `driver`: the task of the connection, which ends with it.
    pub(super) fn new(sender: SendRequest<Body>, driver: JoinHandle<()>, body_idle: Duration) -> Self {
        Self {
            sender,
            uploaded: Arc::default(),
            body_idle: IdleTimer::new(Some(body_idle)),
            is_spent: false,
            idle_since: Instant::now(),
            driver: Driver(Some(driver)),
        }
    }

    /// Leaves the connection to what it has switched to.
    pub(super) fn detach(mut self) {
        self.driver.0 = None;
    }
}

/// The task of a connection. Without its sender it would go on as long as a body is on its way.
#[derive(Debug)]
struct Driver(Option<JoinHandle<()>>);

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

#[derive(Debug)]
pub(super) struct Pool {
    /// In the order of their return: the one that is idle longest is at the front.
    shards: Box<[Mutex<VecDeque<Pooled>>]>,
    settings: UpstreamSettings,
    opened: AtomicU64,
    failed: AtomicU64,
    reused: AtomicU64,
}

/// How often connections of an upstream were reused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Connections made.
    pub opened: u64,
    /// Connections that could not be made.
    pub failed: u64,
    /// Requests that went over a connection that was there already.
    pub reused: u64,
    /// Connections idle at the moment.
    pub idle: usize,
}

impl Pool {
    pub(super) fn new(settings: UpstreamSettings) -> Self {
        let shards = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            settings,
            opened: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            reused: AtomicU64::new(0),
        }
    }

    /// The most recently used live connection: the caller's own first, then any other's.
    pub(super) fn take(&self) -> Option<Pooled> {
        let own = worker::index();
        let count = self.shards.len();
        let found = (0..count).find_map(|offset| self.take_from((own + offset) % count));
        if found.is_some() {
            self.reused.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    fn take_from(&self, shard: usize) -> Option<Pooled> {
        let mut idle = self.shards[shard].lock();
        while let Some(pooled) = idle.pop_back() {
            if !self.is_over(&pooled) {
                return Some(pooled);
            }
        }
        None
    }

    fn is_over(&self, pooled: &Pooled) -> bool {
        pooled.sender.is_closed() || pooled.idle_since.elapsed() >= self.settings.idle_timeout
    }

    /// Keeps a connection for the next request. Those that nobody has taken for too long go, and
    /// the oldest where there are too many.
    pub(super) fn put(&self, mut pooled: Pooled) {
        if pooled.sender.is_closed() {
            return;
        }
        pooled.idle_since = Instant::now();
        let mut idle = self.shards[worker::index() % self.shards.len()].lock();
        // At most two, more than one put can add: what ends then is not paid for by one request.
        for _ in 0..2 {
            if idle.len() >= self.settings.max_idle || idle.front().is_some_and(|oldest| self.is_over(oldest))
            {
                idle.pop_front();
            }
        }
        if idle.len() < self.settings.max_idle {
            idle.push_back(pooled);
        }
    }

    /// Counts an attempt to connect.
    pub(super) fn count(&self, connected: bool) {
        let counter = if connected { &self.opened } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> PoolStats {
        PoolStats {
            opened: self.opened.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            reused: self.reused.load(Ordering::Relaxed),
            idle: self.shards.iter().map(|shard| shard.lock().len()).sum(),
        }
    }
}
