//! Settings of an upstream and its servers.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::address::Address;
use super::balance::Balance;
use super::connect::UpstreamTls;
use super::health::{Ejection, HealthCheck};
use super::hedge::Hedge;
use super::limits::InFlightLimits;
use super::retry::Retry;
use super::sticky::Sticky;

/// Times, limits and policies of an [`Upstream`](super::Upstream). What is `None` is off.
#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    /// How long making a connection may take, TLS included. Default: 5 s.
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
    /// Which version of HTTP is spoken. Default: [`Protocol::Auto`].
    pub protocol: Protocol,
    /// How many requests share one connection of HTTP/2. Less where the server allows less.
    /// Default: 100.
    pub max_streams: usize,
    /// How servers with `https://` are verified, and who we are to them. Needed with such servers.
    pub tls: Option<UpstreamTls>,
    /// Which server a request goes to. Default: [`Balance::RoundRobin`].
    pub balance: Balance,
    /// Keeps a client with one server.
    pub sticky: Option<Sticky>,
    /// A server that comes back gets its full share only after this time.
    pub slow_start: Option<Duration>,
    /// Asks each server regularly whether it is well.
    pub health: Option<HealthCheck>,
    /// Takes a server out after failures of requests.
    pub ejection: Option<Ejection>,
    /// Sends a request again that failed on a server. A connection that could not be made leads to
    /// the next server in any case.
    pub retry: Option<Retry>,
    /// Asks a second server when the first one is late.
    pub hedge: Option<Hedge>,
    /// Bounds on requests at a time, and the queue before them.
    pub limits: Option<InFlightLimits>,
    /// Whether servers are told of the client in `Forwarded` (RFC 7239) too, not in `X-Forwarded-*` only.
    pub forwarded: bool,
    /// How often names are resolved anew; needs [`Upstream::start`](super::Upstream::start), without
    /// which they are resolved at each connect. Default: 30 s.
    pub resolve_every: Duration,
    /// How long a request waits for a server to come, when there is none that can be connected to: an
    /// instance of a process that starts anew ([`Upstream::place`](super::Upstream::place)).
    pub start_wait: Option<Duration>,
}

/// The version of HTTP that an upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// HTTP/1.1, and behind TLS what the server prefers of HTTP/2 and HTTP/1.1 (ALPN, RFC 7301).
    #[default]
    Auto,
    /// HTTP/1.1 only.
    Http1,
    /// HTTP/2 only: by ALPN behind TLS, else by prior knowledge.
    Http2,
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
            protocol: Protocol::Auto,
            max_streams: 100,
            tls: None,
            balance: Balance::RoundRobin,
            sticky: None,
            slow_start: None,
            health: None,
            ejection: None,
            retry: None,
            hedge: None,
            limits: None,
            forwarded: false,
            resolve_every: Duration::from_secs(30),
            start_wait: None,
        }
    }
}

/// What a server's weight may be.
pub const WEIGHTS: RangeInclusive<u32> = 1..=1000;

/// One server of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    pub(super) address: Address,
    pub(super) name: Option<Arc<str>>,
    pub(super) weight: u32,
}

impl ServerSettings {
    /// A server at `http://host[:port]`, `https://host[:port]`, `h2c://host[:port]` (HTTP/2 without
    /// TLS), `host[:port]` or `unix:/path/to.sock`, with a weight of 1.
    pub fn parse(address: &str) -> Result<Self, UpstreamError> {
        Ok(Self { address: Address::parse(address)?, name: None, weight: 1 })
    }

    /// A server that has no address yet: [`Upstream::place`](super::Upstream::place) gives it one. No
    /// requests go to it until then. `name` is its name, `shown` what logs and spans call it.
    pub fn placed_later(name: impl Into<Arc<str>>, shown: impl Into<Arc<str>>) -> Self {
        let address = Address {
            shown: shown.into(),
            place: super::address::Place::Nowhere,
            scheme: super::address::Scheme::Http,
        };
        Self { address, name: Some(name.into()), weight: 1 }
    }

    /// A name for status, drain and sticky cookies: what an application server calls its route.
    #[must_use]
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Its share of the requests in comparison with the others: 1 to 1000. Default: 1.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Checks what no single server can know, and what a cookie or a hash would trip over: their
    /// number, weights, names, and that each is there once.
    pub fn check(servers: &[Self]) -> Result<(), UpstreamError> {
        match servers.len() {
            0 => return Err(UpstreamError::Empty),
            count if count > super::MAX_SERVERS => return Err(UpstreamError::TooMany(count)),
            _ => {}
        }
        let mut labels = HashSet::new();
        for server in servers {
            let shown = || server.address.shown.to_string();
            if !WEIGHTS.contains(&server.weight) {
                return Err(UpstreamError::BadWeight(shown()));
            }
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            if let Some(name) = &server.name
                && (name.is_empty() || name.len() > 64 || !name.bytes().all(is_plain))
            {
                return Err(UpstreamError::BadName(name.to_string()));
            }
            for label in [Some(&server.address.shown), server.name.as_ref()].into_iter().flatten() {
                if !labels.insert(label) {
                    return Err(UpstreamError::Duplicate(label.to_string()));
                }
            }
        }
        Ok(())
    }

    /// Whether it is reached over TLS, so that [`UpstreamSettings::tls`] is needed.
    pub fn is_tls(&self) -> bool {
        self.address.scheme == super::address::Scheme::Https
    }
}

/// Why an upstream was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// No server was given.
    #[error("an upstream needs at least one server")]
    Empty,
    /// More servers than are supported.
    #[error("an upstream has at most {max} servers, not {0}", max = super::MAX_SERVERS)]
    TooMany(usize),
    /// A server's address has none of the known forms.
    #[error(
        "`{0}` is not a server address: write `http://host:port`, `https://host:port`, `h2c://host:port` \
         or `unix:/path/to.sock`"
    )]
    BadAddress(String),
    /// A weight is out of range.
    #[error("the weight of `{0}` must be from 1 to 1000")]
    BadWeight(String),
    /// A name can be no part of a cookie.
    #[error("`{0}` is no name for a server: write letters, digits, `-` and `_`")]
    BadName(String),
    /// Two servers have the same address or name.
    #[error("two servers are called `{0}`")]
    Duplicate(String),
    /// There is no server of that name.
    #[error("there is no server `{0}`")]
    Unknown(String),
    /// A server is reached over TLS, but [`UpstreamSettings::tls`] is `None`.
    #[error("`{0}` is reached over TLS: say how it is verified")]
    NeedsTls(String),
}
