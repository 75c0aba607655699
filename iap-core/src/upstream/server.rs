//! One server of an upstream: its address, its idle connections, and whether it is passed over.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use super::pool::Pool;
use super::{UpstreamError, UpstreamSettings};

/// What times are counted from; they are stored as atomic numbers.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

#[derive(Debug)]
pub(super) struct Server {
    /// `host:port`, resolved at each connect, so that a changed DNS entry is followed.
    pub(super) address: Arc<str>,
    pub(super) pool: Arc<Pool>,
    /// Until when it is passed over, in milliseconds since [`START`].
    down_until: AtomicU64,
}

impl Server {
    /// Reads `http://host[:port]` or `host:port`.
    pub(super) fn parse(text: &str, settings: UpstreamSettings) -> Result<Self, UpstreamError> {
        let bad = || UpstreamError::BadAddress(text.to_owned());
        if text.starts_with("https://") {
            return Err(UpstreamError::Https(text.to_owned()));
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
        })
    }

    /// Passes the server over for a while: it could not be connected to.
    pub(super) fn mark_down(&self, pause: Duration) {
        let until = START.elapsed().saturating_add(pause).as_millis() as u64;
        self.down_until.store(until, Ordering::Relaxed);
    }

    pub(super) fn is_down(&self) -> bool {
        let until = self.down_until.load(Ordering::Relaxed);
        until != 0 && (START.elapsed().as_millis() as u64) < until
    }
}
