//! Passive health: outlier ejection and circuit breaker, which are one mechanism.
//!
//! Closed: requests go to the server. After so many failures in a row it is ejected (open) for a
//! while, which grows with each time. Then few requests at a time go to it (half-open): the first
//! that goes well closes it, the first that fails ejects it again.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::super::Upstream;
use super::super::server::{now_ms, remaining};

/// When a server is taken out because of failed requests. A failure is an answer of 5xx, a broken
/// or late one, or a connection that could not be made. What breaks after the response head, and what
/// a client breaks, does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ejection {
    /// After how many failures in a row. Default: 5.
    pub failures: u32,
    /// For how long the first time; each further time doubles it. Default: 30 s.
    pub base_time: Duration,
    /// For how long at most. A server that went well for so long starts anew. Default: 300 s.
    pub max_time: Duration,
    /// How many of the servers may be out at a time, in percent. At 100 all may be: requests are
    /// then refused with 503 at once. Default: 50.
    pub max_percent: u8,
    /// How many requests at a time try a server out after that. Default: 1.
    pub probes: u32,
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            failures: 5,
            base_time: Duration::from_secs(30),
            max_time: Duration::from_secs(300),
            max_percent: 50,
            probes: 1,
        }
    }
}

/// What outcomes say about one server.
#[derive(Debug, Default)]
pub(in super::super) struct Outlier {
    /// In a row.
    failures: AtomicU32,
    /// Until when it is out, see [`now_ms`]; 0 while it is in.
    until: AtomicU64,
    /// How often in succession it was ejected.
    times: AtomicU32,
    /// When it was let in again.
    closed: AtomicU64,
    probing: AtomicU32,
    max_probes: u32,
}

impl Outlier {
    pub(in super::super) fn new(ejection: Option<&Ejection>) -> Self {
        Self { max_probes: ejection.map_or(0, |ejection| ejection.probes), ..Self::default() }
    }

    /// Whether a request may go to the server now.
    pub(in super::super) fn may_enter(&self) -> bool {
        match self.until.load(Ordering::Relaxed) {
            0 => true,
            until => until <= now_ms() && self.probing.load(Ordering::Relaxed) < self.max_probes,
        }
    }

    /// Lets a request in, and says whether it tries the server out; such a one has to [`leave`](Self::leave).
    pub(in super::super) fn enter(&self) -> Option<bool> {
        match self.until.load(Ordering::Relaxed) {
            0 => Some(false),
            until if until > now_ms() => None,
            _ => {
                let more = |probing| (probing < self.max_probes).then_some(probing + 1);
                let entered = self.probing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
                entered.is_ok().then_some(true)
            }
        }
    }

    /// Forgets all: another server stands in its place.
    pub(in super::super) fn reset(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.times.store(0, Ordering::Relaxed);
        self.until.store(0, Ordering::Relaxed);
    }

    pub(in super::super) fn leave(&self) {
        self.probing.fetch_sub(1, Ordering::Relaxed);
    }

    /// `None` while it is in; else whether it is being tried out.
    pub(in super::super) fn ejected(&self) -> Option<bool> {
        let until = self.until.load(Ordering::Relaxed);
        (until != 0).then(|| until <= now_ms())
    }

    /// For how long it is still out, before it is tried out.
    pub(in super::super) fn out_for(&self) -> Option<Duration> {
        remaining(self.until.load(Ordering::Relaxed))
    }

    /// Puts it out for longer than the last time, and says for how long.
    fn eject(&self, ejection: &Ejection) -> Duration {
        let now = now_ms();
        let since = now.saturating_sub(self.closed.load(Ordering::Relaxed));
        if self.ejected().is_none() && u128::from(since) >= ejection.max_time.as_millis() {
            self.times.store(0, Ordering::Relaxed);
        }
        let times = self.times.fetch_add(1, Ordering::Relaxed).min(16);
        let time = ejection.base_time.saturating_mul(1 << times).min(ejection.max_time);
        self.failures.store(0, Ordering::Relaxed);
        self.until.store(now.saturating_add(time.as_millis() as u64), Ordering::Relaxed);
        time
    }
}

impl Upstream {
    /// Takes note of how a request to a server went. What the client caused does not count.
    pub(in super::super) fn note_outcome(&self, index: usize, well: bool) {
        let Some(ejection) = &self.settings.ejection else { return };
        let server = &self.servers[index];
        let outlier = &server.outlier;
        match (outlier.ejected(), well) {
            (None, true) if outlier.failures.load(Ordering::Relaxed) == 0 => {}
            (None, true) => outlier.failures.store(0, Ordering::Relaxed),
            (None, false) => {
                let failures = outlier.failures.fetch_add(1, Ordering::Relaxed) + 1;
                if failures >= ejection.failures {
                    self.eject(index, ejection);
                }
            }
            (Some(true), true) => {
                outlier.closed.store(now_ms(), Ordering::Relaxed);
                outlier.until.store(0, Ordering::Relaxed);
                server.comes_back();
                tracing::info!(
                    upstream = &*self.name,
                    server = &*server.address.shown,
                    "a server is let in again"
                );
            }
            (Some(true), false) => self.eject(index, ejection),
            // A request from before.
            (Some(false), _) => {}
        }
    }

    fn eject(&self, index: usize, ejection: &Ejection) {
        // One at a time, so that two do not go beyond the share together.
        let _turn = self.ejecting.lock();
        let server = &self.servers[index];
        if server.outlier.ejected() == Some(false) {
            return;
        }
        let others = (0..self.servers.len()).filter(|other| *other != index);
        let out = others.filter(|other| self.servers[*other].outlier.ejected().is_some()).count() + 1;
        if out * 100 > usize::from(ejection.max_percent) * self.servers.len() {
            return;
        }
        let time = server.outlier.eject(ejection);
        self.metrics.ejections.increment(1);
        tracing::warn!(
            upstream = &*self.name,
            server = &*server.address.shown,
            seconds = time.as_secs_f32(),
            "a server is ejected after failures in a row"
        );
    }
}
