//! Idle connections to one server, sharded by worker.
//!
//! A worker takes from its own shard, whose lock nobody else contends for. When that is empty, it takes over a
//! connection that another worker has not needed for a while, or when there may be no more: otherwise the
//! reuse rate would drop with the number of cores. What it takes over moves to its own runtime for good.
//! Connections of HTTP/2 are never idle in this sense; they are shared, see `h2`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::UpstreamSettings;
use super::h2::Multiplexer;
use super::sender::Sender;
use super::server::{OpenConnection, Server};
use super::ticket::Ticket;
use crate::idle::IdleTimer;
use crate::server::worker::{self, Home};

/// How long a connection must have been idle before another worker takes it: those that are needed all the time
/// would go to and fro.
const SPARE_AFTER: Duration = Duration::from_millis(100);
/// How often idle connections are looked at.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// A connection that can send requests, or a stream of one. It is boxed once, since it moves with each
/// request.
#[derive(Debug)]
pub(super) struct Pooled {
    pub(super) sender: Sender,
    /// What the request that runs on it counts for.
    pub(super) ticket: Option<Ticket>,
    /// Bounds pauses between a request and its answer; each begins with a limit of its own.
    pub(super) answer_idle: IdleTimer,
    /// Bounds pauses in response bodies; one timer for all of a connection's life.
    pub(super) body_idle: IdleTimer,
    /// Whether what it still has to send will never come.
    pub(super) is_spent: bool,
    idle_since: Instant,
    home: Home,
    generation: u32,
    /// Of a connection that is not shared.
    open: Option<OpenConnection>,
}

impl Pooled {
    /// A connection to `server`, whose bodies may stand still for `body_idle`; `open` counts one that is
    /// not shared.
    pub(super) fn new(
        sender: Sender,
        body_idle: Duration,
        server: &Server,
        open: Option<OpenConnection>,
    ) -> Box<Self> {
        Box::new(Self {
            sender,
            ticket: None,
            answer_idle: IdleTimer::new(None),
            body_idle: IdleTimer::new(Some(body_idle)),
            is_spent: false,
            idle_since: Instant::now(),
            home: Home::here(),
            generation: open.as_ref().map_or_else(|| server.pool.generation(), |open| open.generation),
            open,
        })
    }

    /// Whether it is of no use any more.
    fn has_ended(&mut self, idle_timeout: Duration) -> bool {
        self.sender.has_ended() || self.idle_since.elapsed() >= idle_timeout
    }

    /// Whether this thread's runtime drives it now.
    fn move_here(&mut self) -> bool {
        self.home = Home::here();
        self.answer_idle.move_here();
        self.body_idle.move_here();
        match &mut self.sender {
            Sender::Http1(connection) => connection.move_here().is_ok(),
            Sender::Http2(_) => false,
        }
    }

    /// The connection, for what it has switched to, and what counts as long as that goes on.
    pub(super) fn into_parts(self) -> (Sender, (Option<Ticket>, Option<OpenConnection>)) {
        (self.sender, (self.ticket, self.open))
    }
}

#[derive(Debug)]
pub(super) struct Pool {
    shards: Arc<[Mutex<Shard>]>,
    pub(super) multiplexer: Multiplexer,
    idle_timeout: Duration,
    max_idle: usize,
    max_connections: Option<usize>,
    body_idle: Duration,
    /// Changes when connections from before must not be used again.
    generation: AtomicU32,
    opened: AtomicU64,
    failed: AtomicU64,
    reused: AtomicU64,
}

/// The idle connections of one worker.
#[derive(Debug, Default)]
struct Shard {
    /// In the order of their return: the one that is idle longest is at the front.
    idle: VecDeque<Box<Pooled>>,
    /// Whose task looks after them.
    swept_by: Option<Home>,
}

/// Looks after the idle connections that live on this thread's runtime, once a second: those that have
/// ended, or are too old, go. Ends when there are none left.
async fn sweep(shards: Weak<[Mutex<Shard>]>, own: usize, idle_timeout: Duration) {
    let sweeper = Sweeper { shards, own, home: Home::here() };
    while sweeper.sweep(|pooled| pooled.has_ended(idle_timeout)) {
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}

/// Dropped with its runtime, it takes the connections that live there with it.
struct Sweeper {
    shards: Weak<[Mutex<Shard>]>,
    own: usize,
    home: Home,
}

impl Sweeper {
    /// Whether there are some left.
    fn sweep(&self, is_over: impl Fn(&mut Pooled) -> bool) -> bool {
        let Some(shards) = self.shards.upgrade() else { return false };
        let mut shard = shards[self.own].lock();
        let mut left = false;
        shard.idle.retain_mut(|pooled| {
            let is_ours = pooled.home == self.home;
            let stays = !is_ours || !is_over(pooled);
            left |= is_ours && stays;
            stays
        });
        if !left && shard.swept_by == Some(self.home) {
            shard.swept_by = None;
        }
        left
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.sweep(|_| true);
    }
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
    pub(super) fn new(settings: &UpstreamSettings) -> Self {
        let shards = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            multiplexer: Multiplexer::new(shards, settings.max_streams, settings.idle_timeout),
            idle_timeout: settings.idle_timeout,
            max_idle: settings.max_idle,
            max_connections: settings.limits.and_then(|limits| limits.connections_per_server),
            body_idle: settings.body_idle,
            generation: AtomicU32::new(0),
            opened: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            reused: AtomicU64::new(0),
        }
    }

    /// A stream of a shared connection, or the most recently used idle connection that is alive: the caller's
    /// own first, then one that another worker can spare.
    pub(super) fn take(&self, server: &Server) -> Option<Box<Pooled>> {
        let found = self.take_stream(server).or_else(|| {
            let spare_after = if self.is_full(server) { Duration::ZERO } else { SPARE_AFTER };
            let (own, count) = (self.own_shard(), self.shards.len());
            (0..count).find_map(|offset| self.take_from((own + offset) % count, spare_after))
        });
        if found.is_some() {
            self.reused.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    /// A stream of a shared connection.
    pub(super) fn take_stream(&self, server: &Server) -> Option<Box<Pooled>> {
        let stream = self.multiplexer.take(|| self.is_full(server))?;
        Some(Pooled::new(Sender::Http2(stream), self.body_idle, server, None))
    }

    /// Whether there may be no more connections.
    fn is_full(&self, server: &Server) -> bool {
        self.max_connections.is_some_and(|limit| server.open_connections() >= limit)
    }

    fn own_shard(&self) -> usize {
        worker::index() % self.shards.len()
    }

    fn take_from(&self, shard: usize, spare_after: Duration) -> Option<Box<Pooled>> {
        let here = Home::here();
        loop {
            let mut pooled = self.pop(shard, here, spare_after)?;
            if pooled.home == here || pooled.move_here() {
                return Some(pooled);
            }
        }
    }

    /// The most recently used one that lives here, or has been idle for so long elsewhere.
    fn pop(&self, shard: usize, here: Home, spare_after: Duration) -> Option<Box<Pooled>> {
        let idle = &mut self.shards[shard].lock().idle;
        let mut at = idle.len();
        while at > 0 {
            at -= 1;
            let pooled = &mut idle[at];
            if pooled.has_ended(self.idle_timeout) {
                drop(idle.remove(at));
            } else if pooled.home == here
                || (pooled.home.lasts() && pooled.idle_since.elapsed() >= spare_after)
            {
                return idle.remove(at);
            }
        }
        None
    }

    /// Keeps a connection for the next request. Those that nobody has taken for too long go, and
    /// the oldest where there are too many.
    pub(super) fn put(&self, mut pooled: Box<Pooled>) {
        let is_old = pooled.generation != self.generation.load(Ordering::Relaxed);
        let Sender::Http1(connection) = &mut pooled.sender else { return };
        if is_old || !connection.is_free() {
            return;
        }
        connection.rest();
        pooled.idle_since = Instant::now();
        let own = self.own_shard();
        let mut shard = self.shards[own].lock();
        let home = Home::here();
        if shard.swept_by != Some(home)
            && let Ok(runtime) = Handle::try_current()
        {
            shard.swept_by = Some(home);
            runtime.spawn(sweep(Arc::downgrade(&self.shards), own, self.idle_timeout));
        }
        let idle = &mut shard.idle;
        // At most two, more than one put can add: what ends then is not paid for by one request.
        for _ in 0..2 {
            if idle.len() >= self.max_idle
                || idle.front_mut().is_some_and(|oldest| oldest.has_ended(self.idle_timeout))
            {
                idle.pop_front();
            }
        }
        if idle.len() < self.max_idle {
            idle.push_back(pooled);
        }
    }

    /// Changes with each [`clear`](Self::clear).
    pub(super) fn generation(&self) -> u32 {
        self.generation.load(Ordering::SeqCst)
    }

    /// Lets go of all connections: idle ones now, those in use after their request.
    pub(super) fn clear(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.multiplexer.clear();
        for shard in self.shards.iter() {
            let idle = std::mem::take(&mut shard.lock().idle);
            drop(idle);
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
            idle: self.shards.iter().map(|shard| shard.lock().idle.len()).sum(),
        }
    }
}
