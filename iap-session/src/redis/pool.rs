//! The connections of a store, and when one is given up.
//!
//! fred makes a lost connection anew by itself. What it does not see is a server that hangs under load:
//! its check for unresponsive connections counts from the last write, so a connection that is written
//! to never counts as one; and a write to a full socket stops its whole task. So each client is watched
//! from outside: when the oldest unanswered command has waited too long, the client is thrown away with
//! its task, and another one takes its place.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, ClusterInterface};
use fred::types::config::{Server, ServerConfig};
use fred::types::{Builder, ClientState, ConnectHandle};
use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// How long a replacement waits after a failed attempt, at first and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

pub(super) struct Pool {
    slots: Box<[Arc<Slot>]>,
    next: AtomicUsize,
    settings: Arc<Settings>,
}

struct Settings {
    builder: Builder,
    connect_timeout: Duration,
    unresponsive_after: Duration,
    is_cluster: bool,
    /// Where the tasks of the clients live: they outlive the worker that happens to ask.
    runtime: Handle,
    closed: AtomicBool,
    prepare: Prepare,
}

/// Called with each client before it is used, also with those that take the place of others. A task that
/// it starts ends with the client.
pub(super) type Prepare = Box<dyn Fn(&Client) -> Option<AbortHandle> + Send + Sync>;

/// A place for a client.
struct Slot {
    live: RwLock<Option<Arc<Live>>>,
    replacing: AtomicBool,
}

/// A client, with what it owes.
pub(super) struct Live {
    client: Client,
    router: ConnectHandle,
    /// Ends with the client.
    _companion: Companion,
    /// Since when the servers owe replies; a server alone has no name.
    owing: Mutex<HashMap<Option<Server>, Instant>>,
    owes: AtomicBool,
}

struct Companion(Option<AbortHandle>);

impl Drop for Companion {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// A client in use by one command.
pub(super) struct Lease<'a> {
    pool: &'a Pool,
    slot: &'a Arc<Slot>,
    live: Arc<Live>,
}

impl Pool {
    /// Connects all clients, or none.
    pub(super) async fn open(
        builder: Builder,
        size: usize,
        (connect_timeout, unresponsive_after): (Duration, Duration),
        prepare: Prepare,
    ) -> Result<Self, Error> {
        let is_cluster = builder.get_config().is_some_and(|config| config.server.is_clustered());
        let settings = Arc::new(Settings {
            builder,
            connect_timeout,
            unresponsive_after,
            is_cluster,
            runtime: Handle::current(),
            closed: AtomicBool::new(false),
            prepare,
        });
        let mut attempts = tokio::task::JoinSet::new();
        for _ in 0..size {
            let settings = settings.clone();
            attempts.spawn(async move { settings.client(&settings.builder).await });
        }
        let mut slots = Vec::with_capacity(size);
        while let Some(attempt) = attempts.join_next().await {
            let live = attempt.map_err(|_| Error::new(ErrorKind::Canceled, "the runtime ends"))??;
            let live = RwLock::new(Some(Arc::new(live)));
            slots.push(Arc::new(Slot { live, replacing: AtomicBool::new(false) }));
        }
        Ok(Self { slots: slots.into(), next: AtomicUsize::new(0), settings })
    }

    /// A client that stands, if there is one. While the server is away requests fail at once rather
    /// than fill the queue of commands that wait for it.
    pub(super) fn lease(&self) -> Option<Lease<'_>> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        (0..self.slots.len()).find_map(|step| self.lease_at(first.wrapping_add(step) % self.slots.len()))
    }

    /// One client of all, if it stands.
    pub(super) fn lease_at(&self, index: usize) -> Option<Lease<'_>> {
        let slot = &self.slots[index];
        let live = slot.live.read().clone()?;
        if live.has_ended() {
            self.replace(slot);
            return None;
        }
        let stands = live.client.state() == ClientState::Connected;
        stands.then_some(Lease { pool: self, slot, live })
    }

    /// A connection to another place with the same settings. It ends when it is dropped.
    pub(super) async fn connect_to(&self, server: ServerConfig) -> Result<Live, Error> {
        let mut builder = self.settings.builder.clone();
        builder.with_config(|config| config.server = server);
        let settings = self.settings.clone();
        // On the runtime that lives as long as the store, not on that of the request.
        let task = self.settings.runtime.spawn(async move { settings.client(&builder).await });
        task.await.map_err(|_| Error::new(ErrorKind::Canceled, "the runtime ends"))?
    }

    /// Runs a task that outlives the request.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.settings.runtime.spawn(task);
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.settings.is_cluster
    }

    /// Says good-bye to the server.
    pub(super) async fn close(&self) {
        for live in self.take_all() {
            let _ = timeout(Duration::from_secs(1), live.client.quit()).await;
        }
    }

    fn take_all(&self) -> Vec<Arc<Live>> {
        self.settings.closed.store(true, Ordering::SeqCst);
        self.slots.iter().filter_map(|slot| slot.live.write().take()).collect()
    }

    /// Puts another client in the place of one that is of no use, once.
    fn replace(&self, slot: &Arc<Slot>) {
        if slot.replacing.swap(true, Ordering::SeqCst) {
            return;
        }
        // The other nodes of a cluster may still be served by the old one.
        if !self.settings.is_cluster {
            abort(slot.live.write().take());
        }
        let (slot, settings) = (Arc::downgrade(slot), self.settings.clone());
        self.settings.runtime.spawn(replacement(slot, settings));
    }
}

/// Without a runtime nobody waits for a good-bye.
impl Drop for Pool {
    fn drop(&mut self) {
        for live in self.take_all() {
            self.settings.runtime.spawn(async move {
                let _ = timeout(Duration::from_secs(1), live.client.quit()).await;
            });
        }
    }
}

impl Settings {
    async fn client(&self, builder: &Builder) -> Result<Live, Error> {
        let client = builder.build()?;
        let _companion = Companion((self.prepare)(&client));
        let router = match timeout(self.connect_timeout, client.init()).await {
            Ok(router) => router?,
            Err(_) => {
                let text = format!("no answer within {:?}", self.connect_timeout);
                return Err(Error::new(ErrorKind::Timeout, text));
            }
        };
        Ok(Live { client, router, _companion, owing: Mutex::default(), owes: AtomicBool::new(false) })
    }
}

async fn replacement(slot: Weak<Slot>, settings: Arc<Settings>) {
    let mut wait = BACKOFF.0;
    loop {
        let attempt = settings.client(&settings.builder).await;
        let Some(slot) = slot.upgrade() else { return };
        if settings.closed.load(Ordering::SeqCst) {
            return;
        }
        if let Ok(live) = attempt {
            abort(slot.live.write().replace(Arc::new(live)));
            slot.replacing.store(false, Ordering::SeqCst);
            return;
        }
        drop(slot);
        // Many gateways that have lost one server come back out of step.
        let jitter = u64::from(crate::id::random::<1>()[0]);
        tokio::time::sleep(wait + Duration::from_millis(jitter)).await;
        wait = (wait * 2).min(BACKOFF.1);
    }
}

/// Ends a client although commands wait for it: they fail at once.
fn abort(live: Option<Arc<Live>>) {
    if let Some(live) = live {
        live.router.abort();
    }
}

impl Live {
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Whether it will never come back.
    pub(super) fn has_ended(&self) -> bool {
        self.router.is_finished()
    }
}

/// Ends the client at once: its commands fail, its sockets close.
impl Drop for Live {
    fn drop(&mut self) {
        self.router.abort();
    }
}

impl Lease<'_> {
    pub(super) fn client(&self) -> &Client {
        &self.live.client
    }

    /// Notes how a command ended that was sent at `begun`, to the node of `slot` in a cluster.
    pub(super) fn ended<T>(&self, begun: Instant, slot: Option<u16>, result: &Result<T, Error>) {
        let late = matches!(result, Err(error) if *error.kind() == ErrorKind::Timeout);
        if !late && !self.live.owes.load(Ordering::Relaxed) {
            return;
        }
        let node = slot.filter(|_| self.pool.settings.is_cluster).and_then(|slot| {
            let state = self.live.client.cached_cluster_state()?;
            state.get_server(slot).cloned()
        });
        let mut owing = self.live.owing.lock();
        if !late {
            owing.remove(&node);
            self.live.owes.store(!owing.is_empty(), Ordering::Relaxed);
            return;
        }
        let since = *owing.entry(node).or_insert(begun);
        self.live.owes.store(true, Ordering::Relaxed);
        drop(owing);
        if since.elapsed() >= self.pool.settings.unresponsive_after {
            self.pool.replace(self.slot);
        }
    }
}
