//! Reads that the server remembers, so that it tells us when what was read changes (RESP3, `CLIENT
//! TRACKING` with `OPTIN`).
//!
//! They have a connection of their own. Each read travels in one pipeline behind `CLIENT CACHING YES`; on
//! a connection that was made anew and does not track yet that is an error, so an answer is only kept if
//! the server has promised, on that very connection, to tell of a change. fred has an option that says it
//! sends `CLIENT CACHING`, but 10.1 does not.
//!
//! What can be missed ends with the near cache's deadline: fred drops the empty invalidation by which a
//! server tells of `FLUSHALL`, and a broken connection is noticed later than the change.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::{EventInterface, TrackingInterface};
use fred::types::Value;
use fred::types::{Key, RespVersion};
use parking_lot::RwLock;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::AbortHandle;

use crate::id::SessionKey;
use crate::store::{Change, ChangeListener};

use super::config::RedisConfig;
use super::connection::Request;
use super::durable::exchange;
use super::failure::not_connected;
use super::pool::{Lease, Pool};

/// Changes that may wait to be passed on. With more nothing in the cache is believed.
const QUEUE: usize = 4096;

/// The connection of tracked reads.
pub(super) struct Tracking {
    pool: Pool,
    listeners: Arc<Listeners>,
    command_timeout: std::time::Duration,
    starting: Arc<AtomicBool>,
}

/// Who is told, and which keys mean what.
struct Listeners {
    prefix: String,
    all: RwLock<Vec<Arc<dyn ChangeListener>>>,
}

impl Tracking {
    pub(super) async fn open(config: &RedisConfig) -> Result<Option<Self>, Error> {
        if !config.tracking {
            return Ok(None);
        }
        let mut builder = config.connector()?;
        builder.with_config(|config| config.version = RespVersion::RESP3);
        builder.with_performance_config(|performance| performance.broadcast_channel_capacity = QUEUE);
        let listeners = Arc::new(Listeners { prefix: config.prefix.clone(), all: RwLock::default() });
        let told = listeners.clone();
        let prepare = move |client: &Client| Some(watch(client, told.clone()));
        let waits = (config.connect_timeout, config.unresponsive_after);
        Ok(Some(Self {
            pool: Pool::open(builder, 1, waits, Box::new(prepare)).await?,
            listeners,
            command_timeout: config.command_timeout,
            starting: Arc::default(),
        }))
    }

    pub(super) fn listen(&self, listener: Arc<dyn ChangeListener>) {
        self.listeners.all.write().push(listener);
    }

    /// Sends a read. The flag says whether the server will tell of changes.
    pub(super) async fn read(&self, request: &Request) -> Result<(Value, bool), Error> {
        let lease = self.pool.lease().ok_or_else(not_connected)?;
        let begun = Instant::now();
        let before = [("CLIENT", &["CACHING", "YES"][..])];
        let result = exchange(lease.client(), request, None, &before, self.command_timeout).await;
        match result {
            Err(error) if error.details().starts_with("ERR CLIENT CACHING") => {
                self.start(&lease);
                let result = exchange(lease.client(), request, None, &[], self.command_timeout).await;
                lease.ended(begun, request.slot, &result);
                Ok((result?, false))
            }
            result => {
                lease.ended(begun, request.slot, &result);
                Ok((result?, true))
            }
        }
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    /// Turns tracking on again, beside the read: it is for the next one.
    fn start(&self, lease: &Lease<'_>) {
        if self.starting.swap(true, Ordering::SeqCst) {
            return;
        }
        let (client, starting, listeners) =
            (lease.client().clone(), self.starting.clone(), self.listeners.clone());
        self.pool.spawn(async move {
            listeners.tell(Change::All);
            start_tracking(&client).await;
            starting.store(false, Ordering::SeqCst);
        });
    }
}

async fn start_tracking(client: &Client) {
    let none: Vec<String> = Vec::new();
    if let Err(error) = client.start_tracking(none, false, true, false, false).await {
        tracing::debug!(%error, "reads of sessions cannot be tracked at the moment");
    }
}

/// Passes on what a client is told, as long as it lives.
fn watch(client: &Client, listeners: Arc<Listeners>) -> AbortHandle {
    let mut changes = client.invalidation_rx();
    let mut connected = client.reconnect_rx();
    let mut errors = client.error_rx();
    let client = client.clone();
    let task = tokio::spawn(async move {
        loop {
            tokio::select! {
                change = changes.recv() => match change {
                    Ok(change) => change.keys.iter().for_each(|key| listeners.tell_of(key)),
                    Err(RecvError::Lagged(_)) => listeners.tell(Change::All),
                    Err(RecvError::Closed) => break,
                },
                node = connected.recv() => {
                    if matches!(node, Err(RecvError::Closed)) {
                        break;
                    }
                    start_tracking(&client).await;
                    listeners.tell(Change::All);
                }
                error = errors.recv() => {
                    if matches!(error, Err(RecvError::Closed)) {
                        break;
                    }
                    listeners.tell(Change::All);
                }
            }
        }
        listeners.tell(Change::All);
    });
    task.abort_handle()
}

impl Listeners {
    fn tell(&self, change: Change<'_>) {
        for listener in self.all.read().iter() {
            listener.changed(change);
        }
    }

    fn tell_of(&self, key: &Key) {
        let name = key.as_str().and_then(|name| name.strip_prefix(self.prefix.as_str())?.strip_prefix(':'));
        let change = match name.and_then(|name| name.split_once(':')) {
            Some(("s", hex)) => SessionKey::from_hex(hex).map(Change::Session),
            Some(("u", user)) => Some(Change::User(user)),
            _ => None,
        };
        self.tell(change.unwrap_or(Change::All));
    }
}
