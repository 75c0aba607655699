//! Servers behind us: which one, over which connection, and what is safe to repeat.
//!
//! | file | holds |
//! |---|---|
//! | `settings`, `address` | what an upstream is made of |
//! | `forward` | one request through an upstream: **start reading here** |
//! | `exchange` | server after server, connection after connection, until it is answered |
//! | `choose` | which server a request goes to next |
//! | `balance` | the ways to spread requests over servers |
//! | `sticky` | keeping a client with one server |
//! | `limits`, `ticket` | bounds on requests at a time, and the queue before them |
//! | `retry`, `hedge` | what is sent again, or to a second server, and how much of it |
//! | `server` | one server: its connections, whether requests may go to it |
//! | `health` | active checks, outlier ejection |
//! | `h1` | HTTP/1.1 as it is spoken to a server |
//! | `pool`, `h2`, `sender` | idle connections of HTTP/1.1, shared ones of HTTP/2, and what both can do |
//! | `connect`, `resolve` | how a new connection is made, and where to |
//! | `body` | the response body that returns its connection |
//! | `informational` | 103 on to the client, 100 for a body that waits for it |
//! | `place` | servers that come, go and move at run time |
//! | `tunnel` | WebSocket: connections and streams that switch protocols |
//! | `status`, `metrics` | what operators see and may do |

mod address;
mod balance;
mod body;
mod choose;
mod connect;
mod exchange;
mod forward;
pub(crate) mod h1;
mod h2;
mod health;
mod hedge;
mod informational;
mod limits;
mod metrics;
mod place;
mod pool;
mod resolve;
mod retry;
mod sender;
mod server;
mod settings;
mod status;
mod sticky;
mod ticket;
mod tunnel;

use std::fmt;
use std::sync::Arc;

use http::{Request, Response};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

pub use balance::{Balance, HashBy};
pub use body::PooledBody;
pub use connect::{UpstreamTls, UpstreamTlsSettings};
pub use health::{Ejection, HealthCheck};
pub use hedge::Hedge;
pub use limits::InFlightLimits;
pub use place::Departed;
pub use pool::PoolStats;
pub use retry::Retry;
pub use settings::{Protocol, ServerSettings, UpstreamError, UpstreamSettings, WEIGHTS};
pub use status::{ServerState, ServerStatus, UpstreamStatus};
pub use sticky::Sticky;

use crate::body::Body;
use crate::connection::Connection;
use crate::error::Error;
use balance::Balancer;
pub(crate) use forward::forward;
pub(crate) use health::{is_expected, question};
use hedge::Hedging;
pub(crate) use informational::Gate;
use limits::Queue;
use metrics::UpstreamMetrics;
use place::Arrivals;
use retry::Budget;
use server::Server;
pub(crate) use tunnel::{Tunnel, TunnelSlot};

/// How many servers an upstream may have.
pub const MAX_SERVERS: usize = 256;

/// A group of equal servers that requests are proxied to.
///
/// A server that cannot be connected to is passed over for [`UpstreamSettings::fail_pause`], unless
/// no other is left. One that is drained, ejected or said to be unwell by its health checks gets no
/// requests at all; with none left the answer is 503.
pub struct Upstream {
    name: Arc<str>,
    servers: Box<[Arc<Server>]>,
    balancer: Balancer,
    settings: UpstreamSettings,
    queue: Queue,
    budget: Option<Budget>,
    hedging: Option<Hedging>,
    metrics: UpstreamMetrics,
    arrivals: Arrivals,
    /// Held while a server is ejected.
    ejecting: Mutex<()>,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Upstream {
    /// An upstream of `servers`, each in a form that [`ServerSettings::parse`] knows. Does no I/O.
    pub fn new<S: AsRef<str>>(
        name: impl Into<Arc<str>>,
        servers: impl IntoIterator<Item = S>,
        settings: UpstreamSettings,
    ) -> Result<Self, UpstreamError> {
        let servers = servers.into_iter().map(|server| ServerSettings::parse(server.as_ref()));
        let servers = servers.collect::<Result<Vec<_>, _>>()?;
        Self::with_servers(name, servers, settings)
    }

    /// An upstream of servers that have names or weights. Does no I/O.
    pub fn with_servers(
        name: impl Into<Arc<str>>,
        servers: impl IntoIterator<Item = ServerSettings>,
        settings: UpstreamSettings,
    ) -> Result<Self, UpstreamError> {
        let name = name.into();
        let servers: Vec<ServerSettings> = servers.into_iter().collect();
        ServerSettings::check(&servers)?;
        let servers: Box<[Arc<Server>]> = servers
            .into_iter()
            .map(|server| Server::new(&name, server, &settings).map(Arc::new))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            balancer: Balancer::new(&settings.balance, &servers, settings.slow_start.is_some()),
            queue: Queue::default(),
            budget: settings
                .retry
                .as_ref()
                .map(|retry| Budget::new(retry.budget_percent, retry.budget_floor)),
            hedging: settings.hedge.as_ref().map(Hedging::new),
            metrics: UpstreamMetrics::new(&name),
            arrivals: Arrivals::default(),
            ejecting: Mutex::default(),
            tasks: Mutex::default(),
            name,
            servers,
            settings,
        })
    }

    /// Begins what runs in the background on `runtime`: health checks, and resolving names. It ends
    /// with the upstream. A second call does nothing.
    pub fn start(self: &Arc<Self>, runtime: &Handle) {
        let mut tasks = self.tasks.lock();
        if !tasks.is_empty() {
            return;
        }
        for index in 0..self.servers.len() {
            if let Some(check) = &self.settings.health {
                let watch = health::watch(Arc::downgrade(self), index, check.clone());
                tasks.push(runtime.spawn(watch).abort_handle());
            }
            if let Some(refresh) = resolve::refresh(self, index) {
                tasks.push(runtime.spawn(refresh).abort_handle());
            }
        }
    }

    /// Sends a request of our own, with a path as its target and a `Host`, and returns the response with a
    /// streaming body. It is treated as a client's is, but tells of no client: what cannot be connected to leads to the next server, and
    /// nothing is sent twice unless [`UpstreamSettings::retry`] says so. To be called within a tokio runtime.
    ///
    /// # Errors
    /// As for clients: retryable ones mean that nothing was sent.
    pub async fn send(self: &Arc<Self>, request: Request<Body>) -> Result<Response<Body>, Error> {
        let connection = Arc::new(Connection::own());
        forward(self, &(), &(), &connection, Box::new(request), None).await
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
}

impl Drop for Upstream {
    fn drop(&mut self) {
        for task in self.tasks.get_mut() {
            task.abort();
        }
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
    fn a_weight_is_changed_by_name_or_address_within_its_bounds() {
        let upstream = Upstream::new("u", ["a", "b"], UpstreamSettings::default()).unwrap();
        assert_eq!(upstream.set_weight("b:80", 7), Ok(true));
        assert_eq!(upstream.set_weight("c:80", 7), Ok(false));
        for bad in [0, 1001] {
            assert_eq!(upstream.set_weight("b:80", bad), Err(UpstreamError::BadWeight("b:80".into())));
        }
        let weights = upstream.status().servers.into_iter().map(|one| (one.weight, one.configured_weight));
        assert_eq!(weights.collect::<Vec<_>>(), [(1, 1), (7, 1)]);
    }

    #[test]
    fn what_was_done_by_hand_is_taken_over_by_server() {
        let server = |address: &str, weight| ServerSettings::parse(address).unwrap().weight(weight);
        let upstream = |servers: [ServerSettings; 3]| {
            Upstream::with_servers("u", servers, UpstreamSettings::default()).unwrap()
        };
        let before = upstream([server("a", 2), server("b", 2), server("gone", 2)]);
        for name in ["a:80", "b:80", "gone:80"] {
            assert_eq!(before.set_weight(name, 6), Ok(true));
        }
        assert!(before.drain("a:80", true) && before.drain("gone:80", false));
        let after = upstream([server("new", 1), server("b", 3), server("a", 2)]);
        after.take_over(&before);
        let servers = after.status().servers;
        let seen = servers.iter().map(|one| (one.state.as_str(), one.weight, one.keeps_bound));
        assert_eq!(seen.collect::<Vec<_>>(), [("up", 1, false), ("up", 3, false), ("draining", 6, true)]);
        assert_eq!(servers.iter().map(|one| one.share).collect::<Vec<_>>(), [0.25, 0.75, 0.0]);
    }

    #[test]
    fn servers_that_contradict_each_other_are_refused() {
        let check = |servers: &[(&str, &'static str, u32)]| {
            let parse = |(address, name, weight): &(&str, &'static str, u32)| {
                let server = ServerSettings::parse(address).unwrap().weight(*weight);
                if name.is_empty() { server } else { server.name(*name) }
            };
            Upstream::with_servers("u", servers.iter().map(parse), UpstreamSettings::default()).err()
        };
        assert_eq!(check(&[("a", "x", 1), ("b", "y", 1000), ("c", "", 1)]), None);
        assert_eq!(check(&[]), Some(UpstreamError::Empty));
        assert_eq!(check(&[("a", "", 0)]), Some(UpstreamError::BadWeight("a:80".into())));
        assert_eq!(check(&[("a", "", 1001)]), Some(UpstreamError::BadWeight("a:80".into())));
        assert_eq!(check(&[("a", "x;y", 1)]), Some(UpstreamError::BadName("x;y".into())));
        assert_eq!(
            check(&[("a", "", 1), ("http://a:80", "", 1)]),
            Some(UpstreamError::Duplicate("a:80".into()))
        );
        assert_eq!(check(&[("a", "x", 1), ("b", "x", 1)]), Some(UpstreamError::Duplicate("x".into())));
        assert_eq!(check(&[("https://a", "", 1)]), Some(UpstreamError::NeedsTls("a:443".into())));
        let many: Vec<String> = (0..257).map(|n| format!("h{n}")).collect();
        assert!(matches!(
            Upstream::new("u", many, UpstreamSettings::default()),
            Err(UpstreamError::TooMany(257))
        ));
    }
}
