//! Servers behind us: which one, over which connection, and what is safe to repeat.
//!
//! | file | holds |
//! |---|---|
//! | `pool` | idle connections, one shard a worker |
//! | `connect` | how a new connection is made |
//! | `forward` | one request through an upstream |
//! | `body` | the response body that returns its connection |

mod body;
mod connect;
mod forward;
mod pool;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

pub use body::PooledBody;
pub use pool::PoolStats;

pub(crate) use forward::forward;

/// A group of equal servers that requests are proxied to, over HTTP/1.1.
///
/// Requests go round robin over the servers; one that cannot be connected to is passed over.
pub struct Upstream {
    name: Arc<str>,
    servers: Box<[Server]>,
    next: AtomicUsize,
    settings: UpstreamSettings,
    pool: Arc<pool::Pool>,
}

/// Times and limits of an [`Upstream`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// How long making a connection may take. Default: 5 s.
    pub connect_timeout: Duration,
    /// How long the upstream may take from the end of the request head to its response head.
    /// Default: 60 s.
    pub response_timeout: Duration,
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
            idle_timeout: Duration::from_secs(30),
            max_idle: 256,
        }
    }
}

/// One server of an upstream.
#[derive(Debug, Clone)]
struct Server {
    /// `host:port`, resolved at each connect, so that a changed DNS entry is followed.
    address: Arc<str>,
}

/// Why an upstream was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
        let servers: Box<[Server]> =
            servers.into_iter().map(|server| Server::parse(server.as_ref())).collect::<Result<_, _>>()?;
        if servers.is_empty() {
            return Err(UpstreamError::Empty);
        }
        let pool = Arc::new(pool::Pool::new(settings));
        Ok(Self { name: name.into(), servers, next: AtomicUsize::new(0), settings, pool })
    }

    /// The upstream's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// How the connections are used.
    pub fn stats(&self) -> PoolStats {
        self.pool.stats()
    }

    /// The servers in the order in which this request tries them.
    fn candidates(&self) -> impl Iterator<Item = (usize, &Server)> {
        let count = self.servers.len();
        let first = if count == 1 { 0 } else { self.next.fetch_add(1, Ordering::Relaxed) };
        (0..count).map(move |offset| {
            let index = first.wrapping_add(offset) % count;
            (index, &self.servers[index])
        })
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

impl Server {
    fn parse(text: &str) -> Result<Self, UpstreamError> {
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
        Ok(Self { address: format!("{}:{port}", authority.host()).into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_addresses_are_checked() {
        let parse = |text: &str| Server::parse(text).map(|server| server.address.to_string());
        assert_eq!(parse("http://127.0.0.1:8080").unwrap(), "127.0.0.1:8080");
        assert_eq!(parse("app.internal").unwrap(), "app.internal:80");
        assert_eq!(parse("http://[::1]:81/").unwrap(), "[::1]:81");
        for bad in ["", "http://", "http://a/b", "http://u:p@h", "h:99999", "ftp://x"] {
            assert_eq!(parse(bad), Err(UpstreamError::BadAddress(bad.to_owned())), "{bad}");
        }
        assert!(matches!(parse("https://a"), Err(UpstreamError::Https(_))));
    }
}
