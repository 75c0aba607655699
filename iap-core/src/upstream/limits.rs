//! Bounds on requests at a time, and the queue before them.
//!
//! A request that finds no room waits. Whoever leaves hands its place to the first one in the queue
//! that can use it, so that nobody who comes later is faster.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::Upstream;
use super::balance::ServerSet;
use super::ticket::Ticket;
use crate::error::{Error, Kind, Origin};

/// How many requests may be at an upstream at a time, counted to the end of their responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InFlightLimits {
    /// At all of its servers together. Default: no bound.
    pub total: Option<usize>,
    /// At each of its servers. Default: no bound.
    pub per_server: Option<usize>,
    /// Connections to each server. With HTTP/1.1 that bounds requests too; with HTTP/2 each has
    /// room for [`UpstreamSettings::max_streams`](super::UpstreamSettings::max_streams) of them.
    /// Default: no bound.
    pub connections_per_server: Option<usize>,
    /// How many requests wait when there is no room; further ones are answered with 503 at once.
    /// Default: 100.
    pub queue: usize,
    /// How long a request waits before it is answered with 503. Default: 5 s.
    pub queue_timeout: Duration,
}

impl Default for InFlightLimits {
    fn default() -> Self {
        Self {
            total: None,
            per_server: None,
            connections_per_server: None,
            queue: 100,
            queue_timeout: Duration::from_secs(5),
        }
    }
}

/// The requests that wait.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiters: Mutex<VecDeque<Waiter>>,
    /// Their number, to be read without the lock.
    length: AtomicUsize,
    /// Requests that are in, of all servers; counted only where there are limits.
    in_flight: AtomicUsize,
}

#[derive(Debug)]
struct Waiter {
    accepts: ServerSet,
    place: oneshot::Sender<Ticket>,
}

impl Queue {
    /// How many wait and have not given up.
    pub(super) fn waiting(&self) -> usize {
        self.waiters.lock().iter().filter(|waiter| !waiter.place.is_closed()).count()
    }
}

impl Upstream {
    /// Counts a request in, if the server has room for it.
    pub(super) fn enter(self: &Arc<Self>, index: usize) -> Option<Ticket> {
        let server = &self.servers[index];
        let is_probe = server.outlier.enter()?;
        let Some(limits) = &self.settings.limits else {
            server.requests.in_flight.fetch_add(1, Ordering::Relaxed);
            server.requests.all.fetch_add(1, Ordering::Relaxed);
            return Some(Ticket::new(self.clone(), index, is_probe));
        };
        let streams = if server.may_speak_http2() { self.settings.max_streams } else { 1 };
        let by_connections = limits.connections_per_server.map(|limit| limit.saturating_mul(streams));
        let bounds = [limits.per_server, by_connections];
        let room = bounds.into_iter().flatten().min().unwrap_or(usize::MAX);
        if !add_below(&self.queue.in_flight, limits.total.unwrap_or(usize::MAX)) {
            if is_probe {
                server.outlier.leave();
            }
            return None;
        }
        if !add_below(&server.requests.in_flight, room) {
            self.queue.in_flight.fetch_sub(1, Ordering::SeqCst);
            if is_probe {
                server.outlier.leave();
            }
            return None;
        }
        server.requests.all.fetch_add(1, Ordering::Relaxed);
        Some(Ticket::new(self.clone(), index, is_probe))
    }

    /// Counts a request out; for [`Ticket`] only.
    pub(super) fn leave(self: &Arc<Self>, index: usize, is_probe: bool) {
        let server = &self.servers[index];
        server.requests.in_flight.fetch_sub(1, Ordering::SeqCst);
        if is_probe {
            server.outlier.leave();
        }
        if self.settings.limits.is_some() {
            self.queue.in_flight.fetch_sub(1, Ordering::SeqCst);
            if self.queue.length.load(Ordering::SeqCst) > 0 {
                self.hand_out();
            }
        }
    }

    /// Waits for a place at one of the servers.
    pub(super) async fn wait(
        self: &Arc<Self>,
        limits: &InFlightLimits,
        accepts: ServerSet,
    ) -> Result<Ticket, Error> {
        let (place, granted) = oneshot::channel();
        {
            let mut waiters = self.queue.waiters.lock();
            if waiters.len() >= limits.queue {
                waiters.retain(|waiter| !waiter.place.is_closed());
            }
            if waiters.len() >= limits.queue {
                self.metrics.refused.increment(1);
                return Err(busy("the queue is full"));
            }
            waiters.push_back(Waiter { accepts, place });
            self.queue.length.store(waiters.len(), Ordering::SeqCst);
        }
        // Somebody may have left before this one stood in the queue.
        self.hand_out();
        let since = Instant::now();
        let result = tokio::time::timeout(limits.queue_timeout, granted).await;
        self.metrics.queue_time.record(since.elapsed());
        match result {
            Ok(Ok(ticket)) => Ok(ticket),
            _ => {
                self.metrics.refused.increment(1);
                Err(busy("no server had room in time"))
            }
        }
    }

    /// Counts a request in at one of the servers that has room, as the balance would.
    fn enter_any(self: &Arc<Self>, mut accepts: ServerSet) -> Option<Ticket> {
        let is_open =
            |accepts: &ServerSet, index| accepts.contains(index) && self.servers[index].is_open(true);
        // Where servers are chosen by a key, only one is accepted.
        while let Some(index) = self.balancer.pick(&self.servers, 0, |index| is_open(&accepts, index)) {
            if let Some(ticket) = self.enter(index) {
                return Some(ticket);
            }
            accepts.remove(index);
        }
        None
    }

    /// Whether no server can take a request, whatever room it has itself.
    fn is_full(&self) -> bool {
        let total = self.settings.limits.as_ref().and_then(|limits| limits.total);
        total.is_some_and(|total| self.queue.in_flight.load(Ordering::SeqCst) >= total)
    }

    /// Gives what is free to those that wait, in their order.
    fn hand_out(self: &Arc<Self>) {
        // Places of those that have given up; dropped without the lock, since that takes it again.
        let mut returned = Vec::new();
        let mut waiters = self.queue.waiters.lock();
        let mut position = 0;
        while let Some(waiter) = waiters.get(position) {
            if waiter.place.is_closed() {
                waiters.remove(position);
                continue;
            }
            if self.is_full() {
                break;
            }
            match self.enter_any(waiter.accepts) {
                None => position += 1,
                Some(ticket) => {
                    let waiter = waiters.remove(position);
                    let sent = waiter.map(|waiter| waiter.place.send(ticket));
                    returned.extend(sent.and_then(Result::err));
                }
            }
        }
        self.queue.length.store(waiters.len(), Ordering::SeqCst);
        drop(waiters);
        drop(returned);
    }
}

fn add_below(counter: &AtomicUsize, limit: usize) -> bool {
    let more = |count: usize| (count < limit).then_some(count + 1);
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok()
}

fn busy(why: &'static str) -> Error {
    Error::new(Kind::Unavailable, Origin::Internal, "too many requests are waiting for the upstream")
        .retryable()
        .retry_after(Duration::from_secs(1))
        .with_source(why)
}
