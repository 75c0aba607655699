//! One server of an upstream: its address, its idle connections, and whether it is passed over.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use super::pool::Pool;
use super::{UpstreamError, UpstreamSettings};
use crate::error::Error;

/// What times are counted from; they are stored as atomic numbers.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

#[derive(Debug)]
pub(super) struct Server {
    /// `host:port`, resolved at each connect, so that a changed DNS entry is followed.
    pub(super) address: Arc<str>,
    pub(super) pool: Arc<Pool>,
    /// Until when it is passed over, in milliseconds since [`START`].
    down_until: AtomicU64,
    /// Whether the last attempt to connect failed; a change of it is logged.
    failing: AtomicBool,
}

impl Server {
    /// Reads `http://host[:port]` or `host:port`.
    pub(super) fn parse(text: &str, settings: UpstreamSettings) -> Result<Self, UpstreamError> {
        // What stands before an `@` may be a password.
        let shown = || text.rsplit_once('@').map_or(text.to_owned(), |(_, host)| format!("...@{host}"));
        let bad = || UpstreamError::BadAddress(shown());
        if text.starts_with("https://") {
            return Err(UpstreamError::Https(shown()));
        }
        let rest = text.strip_prefix("http://").unwrap_or(text);
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let authority: http::uri::Authority = rest.parse().map_err(|_| bad())?;
        if authority.host().is_empty() || rest.contains('@') {
            return Err(bad());
        }
        let port = match rest.strip_prefix(authority.host()) {
            Some("") => 80,
            Some(port) => port.strip_prefix(':').and_then(|port| port.parse::<u16>().ok()).ok_or_else(bad)?,
            None => return Err(bad()),
        };
        Ok(Self {
            address: format!("{}:{port}", authority.host()).into(),
            pool: Arc::new(Pool::new(settings)),
            down_until: AtomicU64::new(0),
            failing: AtomicBool::new(false),
        })
    }

    /// Takes note of an attempt to connect. After a failure the server is passed over for `pause`.
    pub(super) fn note(&self, upstream: &str, attempt: Result<(), &Error>, pause: Duration) {
        self.pool.count(attempt.is_ok());
        let failed = attempt.is_err();
        if failed {
            let until = START.elapsed().saturating_add(pause).as_millis() as u64;
            self.down_until.store(until, Ordering::Relaxed);
        }
        // One line a change, however many requests meet it.
        if self.failing.load(Ordering::Relaxed) == failed
            || self.failing.swap(failed, Ordering::Relaxed) == failed
        {
            return;
        }
        match attempt {
            Err(error) => tracing::warn!(upstream, server = %self.address, %error, "a server is passed over"),
            Ok(()) => tracing::info!(upstream, server = %self.address, "a server is reachable again"),
        }
    }

    pub(super) fn is_down(&self) -> bool {
        let until = self.down_until.load(Ordering::Relaxed);
        until != 0 && (START.elapsed().as_millis() as u64) < until
    }
}
