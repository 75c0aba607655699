//! Servers behind us: which one, over which connection, and what is safe to repeat.
//!
//! | file | holds |
//! |---|---|
//! | `pool` | idle connections, one shard a worker |
//! | `server` | one server: its address, its pool, whether it is passed over |
//! | `connect` | how a new connection is made |
//! | `forward` | one request through an upstream |
//! | `body` | the response body that returns its connection |
//! | `informational` | 103 on to the client, 100 for a body that waits for it |
//! | `tunnel` | WebSocket: connections that switch protocols |

mod body;
mod connect;
mod forward;
mod informational;
mod pool;
mod server;
mod tunnel;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub use body::PooledBody;
pub use pool::PoolStats;

pub(crate) use forward::forward;
pub(crate) use informational::Gate;
use server::Server;
pub(crate) use tunnel::Tunnel;

/// A group of equal servers that requests are proxied to, over HTTP/1.1.
///
/// Requests go round robin over the servers; one that cannot be connected to is passed over for
/// [`UpstreamSettings::fail_pause`], unless no other is left.
pub struct Upstream {
    name: Arc<str>,
    servers: Box<[Server]>,
    next: AtomicUsize,
    settings: UpstreamSettings,
}

/// Times and limits of an [`Upstream`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// How long making a connection may take. Default: 5 s.
    pub connect_timeout: Duration,
    /// How long the upstream may take to its response head. It counts anew as long as the request
    /// body moves, so that an upload may take its time. Default: 60 s.
    pub response_timeout: Duration,
    /// How long the upstream may send nothing in the middle of a body, before the response is broken
    /// off. Default: 60 s.
    pub body_idle: Duration,
    /// How long a server that could not be connected to is passed over. Default: 2 s.
    pub fail_pause: Duration,
    /// How long an idle connection is kept. Default: 30 s.
    pub idle_timeout: Duration,
    /// How many idle connections one worker keeps. Default: 256.
    pub max_idle: usize,
}

impl Default for UpstreamSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(60),
            body_idle: Duration::from_secs(60),
            fail_pause: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(30),
            max_idle: 256,
        }
    }
}

/// Why an upstream was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// No server was given.
    #[error("an upstream needs at least one server")]
    Empty,
    /// A server is not `http://host:port` or `host:port`.
    #[error("`{0}` is not a server address: write `http://host:port`")]
    BadAddress(String),
    /// TLS to upstreams is not there yet.
    #[error("`{0}`: https to an upstream is not supported yet: use http")]
    Https(String),
}

impl Upstream {
    /// An upstream of `servers`, each `http://host[:port]` or `host:port`.
    pub fn new<S: AsRef<str>>(
        name: impl Into<Arc<str>>,
        servers: impl IntoIterator<Item = S>,
        settings: UpstreamSettings,
    ) -> Result<Self, UpstreamError> {
        let servers: Box<[Server]> = servers
            .into_iter()
            .map(|server| Server::parse(server.as_ref(), settings))
            .collect::<Result<_, _>>()?;
        if servers.is_empty() {
            return Err(UpstreamError::Empty);
        }
        Ok(Self { name: name.into(), servers, next: AtomicUsize::new(0), settings })
    }

    /// The upstream's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// How the connections are used.
    pub fn stats(&self) -> PoolStats {
        let stats = self.servers.iter().map(|server| server.pool.stats());
        stats.fold(PoolStats::default(), |sum, one| PoolStats {
            opened: sum.opened + one.opened,
            failed: sum.failed + one.failed,
            reused: sum.reused + one.reused,
            idle: sum.idle + one.idle,
        })
    }

    /// The servers in the order in which this request tries them: round robin, those that are
    /// passed over at the end.
    fn candidates(&self) -> impl Iterator<Item = (usize, &Server)> {
        let count = self.servers.len();
        let first = if count == 1 { 0 } else { self.next.fetch_add(1, Ordering::Relaxed) };
        // Looked at once, so that a server that fails meanwhile does not come up again. Servers
        // beyond the 64th are taken for up.
        let down = match count {
            1 => 0,
            _ => self
                .servers
                .iter()
                .take(64)
                .enumerate()
                .fold(0, |bits, (index, server)| bits | u64::from(server.is_down()) << index),
        };
        let order = move |wanted: bool| {
            (0..count)
                .map(move |offset| first.wrapping_add(offset) % count)
                .filter(move |index| (*index < 64 && down >> index & 1 == 1) == wanted)
        };
        order(false).chain(order(true)).map(|index| (index, &self.servers[index]))
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("name", &self.name)
            .field("servers", &self.servers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_addresses_are_checked() {
        let parse = |text: &str| {
            Server::parse(text, UpstreamSettings::default()).map(|server| server.address.to_string())
        };
        assert_eq!(parse("http://127.0.0.1:8080").unwrap(), "127.0.0.1:8080");
        assert_eq!(parse("app.internal").unwrap(), "app.internal:80");
        assert_eq!(parse("http://[::1]:81/").unwrap(), "[::1]:81");
        assert_eq!(parse("http://u:secret@h"), Err(UpstreamError::BadAddress("...@h".to_owned())));
        for bad in ["", "http://", "http://a/b", "h:99999", "ftp://x"] {
            assert_eq!(parse(bad), Err(UpstreamError::BadAddress(bad.to_owned())), "{bad}");
        }
        assert!(matches!(parse("https://a"), Err(UpstreamError::Https(_))));
    }
}
