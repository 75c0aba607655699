//! One server of an upstream: its address, its connections, and whether requests may go to it.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::address::{Address, Place, Scheme};
use super::connect::{Connector, connector};
use super::health::Outlier;
use super::metrics::ServerMetrics;
use super::place::Spot;
use super::pool::Pool;
use super::resolve::Addresses;
use super::settings::{Protocol, ServerSettings, UpstreamError, UpstreamSettings};
use crate::error::Error;

/// What times are counted from; they are stored as atomic numbers.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// No new requests go there.
const DRAINS: u8 = 1;
/// Nor those of clients that are bound to it.
const DRAINS_STICKY: u8 = 2;
/// Its health checks fail.
const UNHEALTHY: u8 = 4;
/// It has no address.
const ABSENT: u8 = 8;

/// The share that a server in its slow start begins with.
const FIRST_PERCENT: u64 = 10;

#[derive(Debug)]
pub(super) struct Server {
    /// As it was set. Where it is now, `spot` says.
    pub(super) address: Address,
    spot: ArcSwap<Spot>,
    pub(super) name: Option<Arc<str>>,
    /// Stable across restarts and gateways: what hashes and cookies refer to.
    pub(super) id: u64,
    pub(super) tls: Option<Connector>,
    weight: AtomicU32,
    pub(super) configured_weight: u32,
    slow_start: Option<Duration>,
    pub(super) pool: Pool,
    pub(super) addresses: Addresses,
    pub(super) outlier: Outlier,
    pub(super) metrics: ServerMetrics,
    pub(super) requests: Apart<Requests>,
    open: Arc<AtomicUsize>,
    /// What it speaks, as far as is known: 1 or 2; 0 before the first connection.
    speaks: AtomicU8,
    flags: AtomicU8,
    /// Until when it is passed over, in milliseconds since [`START`].
    down_until: AtomicU64,
    /// Whether the last attempt to connect failed; a change of it is logged.
    failing: AtomicBool,
    /// When it came back, in milliseconds since [`START`]; 0 for never.
    returned: AtomicU64,
    last_error: Mutex<Option<Arc<str>>>,
}

/// What is counted of requests that were let in.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// To the end of their responses.
    pub(super) in_flight: AtomicUsize,
    /// Since the start.
    pub(super) all: AtomicU64,
    /// Those that got the head of a response.
    pub(super) answered: AtomicU64,
    /// How long these took for it, added up, in microseconds.
    pub(super) waited_us: AtomicU64,
}

impl Requests {
    /// The head of a response has come.
    pub(super) fn answered(&self, after: Duration) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.waited_us.fetch_add(after.as_micros() as u64, Ordering::Relaxed);
    }
}

/// Keeps what changes with each request off the cache lines of what is only read.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Apart<T>(T);

impl<T> Deref for Apart<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Counts one open connection, or one that is being made.
#[derive(Debug)]
pub(super) struct OpenConnection {
    all: Arc<AtomicUsize>,
    spot: Arc<Spot>,
    /// Of the pool, when it began.
    pub(super) generation: u32,
}

impl OpenConnection {
    /// Where it leads.
    pub(super) fn place(&self) -> &Place {
        &self.spot.place
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::Relaxed);
        self.spot.leave();
    }
}

/// Milliseconds since the first call, at least 1.
pub(super) fn now_ms() -> u64 {
    START.elapsed().as_millis() as u64 + 1
}

/// How long it is until a time of [`now_ms`] that is to come.
pub(super) fn remaining(until_ms: u64) -> Option<Duration> {
    until_ms.checked_sub(now_ms()).filter(|left| *left > 0).map(Duration::from_millis)
}

impl Server {
    pub(super) fn new(
        upstream: &str,
        server: ServerSettings,
        settings: &UpstreamSettings,
    ) -> Result<Self, UpstreamError> {
        let tls = connector(&server, settings)?;
        let ServerSettings { address, name, weight } = server;
        let shown = name.as_ref().unwrap_or(&address.shown);
        Ok(Self {
            id: super::balance::hash(shown.as_bytes()),
            metrics: ServerMetrics::new(upstream, shown),
            weight: AtomicU32::new(weight),
            configured_weight: weight,
            slow_start: settings.slow_start,
            pool: Pool::new(settings),
            addresses: Addresses::default(),
            outlier: Outlier::new(settings.ejection.as_ref()),
            requests: Apart::default(),
            open: Arc::default(),
            speaks: AtomicU8::new(spoken(address.scheme, settings.protocol)),
            flags: AtomicU8::new(if address.place == Place::Nowhere { ABSENT } else { 0 }),
            spot: ArcSwap::new(Spot::new(address.place.clone())),
            down_until: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            returned: AtomicU64::new(0),
            last_error: Mutex::default(),
            address,
            name,
            tls,
        })
    }

    /// Its name, or else its address.
    pub(super) fn label(&self) -> &Arc<str> {
        self.name.as_ref().unwrap_or(&self.address.shown)
    }

    /// Whether a shared connection is possible.
    pub(super) fn may_speak_http2(&self) -> bool {
        self.speaks.load(Ordering::Relaxed) != 1
    }

    /// Whether HTTP/2 is spoken without asking.
    pub(super) fn is_http2_only(&self, protocol: Protocol) -> bool {
        self.address.scheme == Scheme::H2c || protocol == Protocol::Http2
    }

    pub(super) fn speaks(&self, protocol: Protocol) {
        self.speaks.store(if protocol == Protocol::Http2 { 2 } else { 1 }, Ordering::Relaxed);
    }

    /// Counts a connection in, before it is made: whoever moves the server waits for it from then on.
    pub(super) fn open_connection(&self) -> OpenConnection {
        self.open.fetch_add(1, Ordering::Relaxed);
        loop {
            let (generation, spot) = (self.pool.generation(), self.spot.load_full());
            spot.enter();
            if Arc::ptr_eq(&spot, &self.spot.load()) {
                return OpenConnection { all: self.open.clone(), spot, generation };
            }
            spot.leave();
        }
    }

    /// Takes it to another place, as a new server. What is on its way to the former one is finished.
    pub(super) fn move_to(&self, place: Place) -> Arc<Spot> {
        let is_absent = place == Place::Nowhere;
        if is_absent {
            self.flags.fetch_or(ABSENT, Ordering::SeqCst);
        }
        let former = self.spot.swap(Spot::new(place));
        self.pool.clear();
        if !is_absent {
            self.outlier.reset();
            self.down_until.store(0, Ordering::Relaxed);
            self.failing.store(false, Ordering::Relaxed);
            self.comes_back();
            self.flags.fetch_and(!(ABSENT | UNHEALTHY), Ordering::SeqCst);
        }
        former
    }

    /// Whether it has no address.
    pub(super) fn is_absent(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & ABSENT != 0
    }

    pub(super) fn open_connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Takes note of an attempt to connect. After a failure the server is passed over for `pause`.
    pub(super) fn note(&self, upstream: &str, attempt: Result<(), &Error>, pause: Duration) {
        self.pool.count(attempt.is_ok());
        let failed = attempt.is_err();
        if let Err(error) = attempt {
            let until = now_ms().saturating_add(pause.as_millis() as u64);
            self.down_until.store(until, Ordering::Relaxed);
            self.note_error(error);
        }
        // One line a change, however many requests meet it.
        if self.failing.load(Ordering::Relaxed) == failed
            || self.failing.swap(failed, Ordering::Relaxed) == failed
        {
            return;
        }
        let server = &*self.address.shown;
        match attempt {
            Err(error) => tracing::warn!(upstream, server, %error, "a server is passed over"),
            Ok(()) => {
                self.comes_back();
                self.down_until.store(0, Ordering::Relaxed);
                tracing::info!(upstream, server, "a server is reachable again");
            }
        }
    }

    /// Keeps an error for the status.
    pub(super) fn note_error(&self, error: &dyn std::fmt::Display) {
        *self.last_error.lock() = Some(error.to_string().into());
    }

    pub(super) fn last_error(&self) -> Option<Arc<str>> {
        self.last_error.lock().clone()
    }

    /// Whether it could not be connected to a moment ago: it is taken only if no other is left.
    pub(super) fn is_down(&self) -> bool {
        let until = self.down_until.load(Ordering::Relaxed);
        until != 0 && now_ms() < until
    }

    /// For how long it is still passed over after a failure to connect.
    pub(super) fn down_for(&self) -> Option<Duration> {
        remaining(self.down_until.load(Ordering::Relaxed))
    }

    /// Whether requests may go to it; `is_bound` for those of a client that is bound to it.
    pub(super) fn is_open(&self, is_bound: bool) -> bool {
        let flags = self.flags.load(Ordering::Relaxed);
        (flags == 0 || (flags == DRAINS && is_bound)) && self.outlier.may_enter()
    }

    pub(super) fn is_unhealthy(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & UNHEALTHY != 0
    }

    /// What its health checks say. True when that is a change.
    pub(super) fn set_healthy(&self, healthy: bool) -> bool {
        if healthy {
            let was = self.flags.fetch_and(!UNHEALTHY, Ordering::Relaxed);
            let changed = was & UNHEALTHY != 0;
            if changed {
                self.comes_back();
                self.down_until.store(0, Ordering::Relaxed);
            }
            return changed;
        }
        self.flags.fetch_or(UNHEALTHY, Ordering::Relaxed) & UNHEALTHY == 0
    }

    pub(super) fn is_draining(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & DRAINS != 0
    }

    /// Whether it drains, and clients that are bound to it still reach it.
    pub(super) fn keeps_bound(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & (DRAINS | DRAINS_STICKY) == DRAINS
    }

    pub(super) fn drain(&self, keep_bound: bool) {
        self.flags.fetch_or(if keep_bound { DRAINS } else { DRAINS | DRAINS_STICKY }, Ordering::Relaxed);
        if keep_bound {
            self.flags.fetch_and(!DRAINS_STICKY, Ordering::Relaxed);
        }
        self.pool.clear();
    }

    pub(super) fn undrain(&self) {
        if self.flags.fetch_and(!(DRAINS | DRAINS_STICKY), Ordering::Relaxed) & DRAINS != 0 {
            self.comes_back();
        }
    }

    /// Begins its slow start.
    pub(super) fn comes_back(&self) {
        self.returned.store(now_ms(), Ordering::Relaxed);
    }

    /// The weight that counts now.
    pub(super) fn weight(&self) -> u32 {
        self.weight.load(Ordering::Relaxed)
    }

    pub(super) fn set_weight(&self, weight: u32) {
        self.weight.store(weight, Ordering::Relaxed);
    }

    /// Its share at the moment: a hundred times its weight, less in its slow start.
    pub(super) fn share(&self) -> u64 {
        let full = u64::from(self.weight()) * 100;
        let Some(slow) = self.slow_start else { return full };
        let returned = self.returned.load(Ordering::Relaxed);
        if returned == 0 {
            return full;
        }
        let (since, slow) = (now_ms().saturating_sub(returned), slow.as_millis().max(1) as u64);
        let percent = FIRST_PERCENT + (100 - FIRST_PERCENT) * since.min(slow) / slow;
        full / 100 * percent
    }
}

fn spoken(scheme: Scheme, protocol: Protocol) -> u8 {
    match (scheme, protocol) {
        (Scheme::H2c, _) | (_, Protocol::Http2) => 2,
        (Scheme::Https, Protocol::Auto) => 0,
        _ => 1,
    }
}
