//! Servers that come, go and move at run time: those of managed processes.
//!
//! A server keeps its number, name, metrics and clients; only where it is changes. So nothing on the way
//! of a request has to know, but the one place where connections are made.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::Notify;

use super::Upstream;
use super::address::{Address, Place};
use super::settings::UpstreamError;

/// How many requests wait for a server to come; further ones are answered with 503 at once.
const MAX_WAITING: usize = 1000;

/// Where a server is, or was.
#[derive(Debug)]
pub(super) struct Spot {
    pub(super) place: Place,
    /// Connections to it, those that are being made included.
    open: AtomicUsize,
    closed: Notify,
}

impl Spot {
    pub(super) fn new(place: Place) -> Arc<Self> {
        Arc::new(Self { place, open: AtomicUsize::new(0), closed: Notify::new() })
    }

    pub(super) fn enter(&self) {
        self.open.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn leave(&self) {
        if self.open.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.closed.notify_waiters();
        }
    }
}

/// The place that a server has left: requests that were there already are finished.
#[derive(Debug)]
pub struct Departed(Arc<Spot>);

impl Departed {
    /// Connections that are still open there. No new ones are made.
    pub fn connections(&self) -> usize {
        self.0.open.load(Ordering::SeqCst)
    }

    /// Waits until none is.
    pub async fn gone(&self) {
        loop {
            let closed = self.0.closed.notified();
            let mut closed = std::pin::pin!(closed);
            closed.as_mut().enable();
            if self.connections() == 0 {
                return;
            }
            closed.await;
        }
    }
}

/// Tells requests that a server has come.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    count: AtomicU64,
    arrived: Notify,
    waiting: AtomicUsize,
}

/// How long one request still waits for a server, and what it has seen.
#[derive(Debug)]
pub(super) struct Patience {
    seen: u64,
    deadline: Instant,
}

/// Counts a request that waits.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Upstream {
    /// Says where a server is from now on, in a form that [`ServerSettings::parse`] knows without names
    /// and TLS (`127.0.0.1:8080`, `unix:/path`); `None` takes it out, until it has a place again.
    /// `server` is its name. Requests at the place before are finished there.
    ///
    /// [`ServerSettings::parse`]: super::ServerSettings::parse
    pub fn place(&self, server: &str, address: Option<&str>) -> Result<Departed, UpstreamError> {
        let unknown = || UpstreamError::Unknown(server.to_owned());
        let found = self.find(server).ok_or_else(unknown)?;
        let place = match address.map(Address::parse).transpose()? {
            None => Place::Nowhere,
            Some(Address { place: place @ (Place::Ip(_) | Place::Unix(_)), .. }) => place,
            Some(address) => return Err(UpstreamError::BadAddress(address.shown.to_string())),
        };
        let departed = Departed(found.move_to(place));
        if address.is_some() {
            self.arrivals.count.fetch_add(1, Ordering::SeqCst);
            self.arrivals.arrived.notify_waiters();
        }
        Ok(departed)
    }

    /// Whether a request that no server could take should look at them again, after waiting for one to
    /// come where that is wanted.
    pub(super) async fn await_server(&self, patience: &mut Option<Box<Patience>>) -> bool {
        let Some(limit) = self.settings.start_wait else { return false };
        let arrivals = &self.arrivals;
        let Some(patience) = patience else {
            // One may have come after it was looked for, and before the count is read.
            let (seen, deadline) = (arrivals.count.load(Ordering::SeqCst), Instant::now() + limit);
            *patience = Some(Box::new(Patience { seen, deadline }));
            return true;
        };
        let waiting = Waiting(&arrivals.waiting);
        if arrivals.waiting.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            self.metrics.refused.increment(1);
            return false;
        }
        let left = patience.deadline.saturating_duration_since(Instant::now());
        let came = tokio::time::timeout(left, arrivals.after(patience.seen)).await;
        drop(waiting);
        came.map(|count| patience.seen = count).is_ok()
    }
}

impl Arrivals {
    /// Waits for more than `seen`.
    async fn after(&self, seen: u64) -> u64 {
        loop {
            let arrived = self.arrived.notified();
            let mut arrived = std::pin::pin!(arrived);
            arrived.as_mut().enable();
            match self.count.load(Ordering::SeqCst) {
                count if count != seen => return count,
                _ => arrived.await,
            }
        }
    }
}
