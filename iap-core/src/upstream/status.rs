//! What an operator sees of an upstream and may do to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Upstream;
use super::pool::PoolStats;
use super::server::Server;
use super::settings::{UpstreamError, WEIGHTS};

/// An upstream at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UpstreamStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Requests that wait for a place.
    pub queued: usize,
    /// Its servers, in the order of the configuration.
    pub servers: Vec<ServerStatus>,
}

/// One server at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerStatus {
    /// `host:port` or `unix:/path`.
    pub address: Arc<str>,
    /// Its name, where it has one.
    pub name: Option<Arc<str>>,
    /// Whether requests go to it.
    pub state: ServerState,
    /// How long it stays [`ServerState::Ejected`] or [`ServerState::Unreachable`], if nothing happens before.
    pub out_for: Option<Duration>,
    /// It drains, and clients that are bound to it still reach it.
    pub keeps_bound: bool,
    /// Its weight now.
    pub weight: u32,
    /// Its weight by its settings.
    pub configured_weight: u32,
    /// Its part of the requests that are spread over the servers now, from 0 to 1, by the weights of those that get any and
    /// their slow starts. Requests that are bound to a server or go by a hash may be spread otherwise.
    pub share: f32,
    /// Requests at it, counted to the end of their responses.
    pub in_flight: usize,
    /// Requests that were sent there since the upstream began, retries and hedges included.
    pub requests: u64,
    /// Those of them that got the head of a response.
    pub answered: u64,
    /// How long these took for it, added up: from when the server was chosen, connecting included. Between two looks
    /// the mean is the difference of this over that of `answered`.
    pub waited: Duration,
    /// Open connections.
    pub connections: usize,
    /// How its connections are used.
    pub pool: PoolStats,
    /// The addresses of its name, once it was resolved in the background.
    pub addresses: Vec<SocketAddr>,
    /// The last failure, if there was one since the start. For operators: it names addresses.
    pub last_error: Option<Arc<str>>,
}

/// Whether requests go to a server, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerState {
    /// Requests go to it.
    Up,
    /// It could not be connected to a moment ago; requests go to it only if no other is left.
    Unreachable,
    /// Its health checks fail.
    Unhealthy,
    /// It was ejected after failures in a row.
    Ejected,
    /// It was ejected, and is tried out now.
    Probing,
    /// An operator has taken it out.
    Draining,
    /// It has no address: its process is not ready.
    Absent,
}

impl ServerState {
    /// The stable name, in snake case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Unreachable => "unreachable",
            Self::Unhealthy => "unhealthy",
            Self::Ejected => "ejected",
            Self::Probing => "probing",
            Self::Draining => "draining",
            Self::Absent => "absent",
        }
    }
}

impl Server {
    fn state(&self) -> ServerState {
        if self.is_absent() {
            return ServerState::Absent;
        }
        if self.is_draining() {
            return ServerState::Draining;
        }
        if self.is_unhealthy() {
            return ServerState::Unhealthy;
        }
        match self.outlier.ejected() {
            Some(true) => ServerState::Probing,
            Some(false) => ServerState::Ejected,
            None if self.is_down() => ServerState::Unreachable,
            None => ServerState::Up,
        }
    }
}

impl Upstream {
    /// How it is at the moment. Takes locks for an instant, so it is not for each request.
    pub fn status(&self) -> UpstreamStatus {
        let states: Vec<ServerState> = self.servers.iter().map(|server| server.state()).collect();
        let gets_any = |index: usize| states[index] == ServerState::Up;
        let all: u64 =
            (0..states.len()).filter(|index| gets_any(*index)).map(|index| self.servers[index].share()).sum();
        let share = |index: usize| match gets_any(index) {
            true => self.servers[index].share() as f32 / all.max(1) as f32,
            false => 0.0,
        };
        let servers = self.servers.iter().enumerate().map(|(index, server)| ServerStatus {
            address: server.address.shown.clone(),
            name: server.name.clone(),
            state: states[index],
            out_for: match states[index] {
                ServerState::Ejected => server.outlier.out_for(),
                ServerState::Unreachable => server.down_for(),
                _ => None,
            },
            keeps_bound: server.keeps_bound(),
            weight: server.weight(),
            configured_weight: server.configured_weight,
            share: share(index),
            in_flight: server.requests.in_flight.load(Ordering::Relaxed),
            requests: server.requests.all.load(Ordering::Relaxed),
            answered: server.requests.answered.load(Ordering::Relaxed),
            waited: Duration::from_micros(server.requests.waited_us.load(Ordering::Relaxed)),
            connections: server.open_connections(),
            pool: server.pool.stats(),
            addresses: server.addresses.list(),
            last_error: server.last_error(),
        });
        UpstreamStatus { name: self.name.clone(), queued: self.queue.waiting(), servers: servers.collect() }
    }

    /// Sends no new requests to a server, given by its name or address; those that run are
    /// finished. With `keep_bound`, requests of clients that are bound to it still go there
    /// ([`Sticky`](super::Sticky)), so that their sessions may come to an end. False when there is
    /// no such server.
    pub fn drain(&self, server: &str, keep_bound: bool) -> bool {
        self.with(server, |server| server.drain(keep_bound))
    }

    /// Undoes [`Upstream::drain`]. False when there is no such server.
    pub fn undrain(&self, server: &str) -> bool {
        self.with(server, Server::undrain)
    }

    /// Gives a server another weight, from 1 to 1000, until the upstream ends; one that replaces it may
    /// [take it over](Self::take_over). Requests that run stay where they are; with
    /// [`Balance::Hash`](super::Balance::Hash) keys move to it or away from it in proportion. False when there is no such
    /// server.
    ///
    /// # Errors
    /// [`UpstreamError::BadWeight`] for one that is out of range: to take a server out is [`Upstream::drain`].
    pub fn set_weight(&self, server: &str, weight: u32) -> Result<bool, UpstreamError> {
        if !WEIGHTS.contains(&weight) {
            return Err(UpstreamError::BadWeight(server.to_owned()));
        }
        let is_there = self.with(server, |server| server.set_weight(weight));
        self.balancer.weights_changed(&self.servers);
        Ok(is_there)
    }

    /// Does to the servers what was done by hand to those of the same address of an upstream that this one replaces: what was
    /// drained drains, and another weight than by the settings stays, unless the settings give that server another one now.
    pub fn take_over(&self, before: &Self) {
        for server in &self.servers {
            let same = |known: &&Arc<Server>| known.address.shown == server.address.shown;
            let Some(known) = before.servers.iter().find(same) else { continue };
            if known.is_draining() {
                server.drain(known.keeps_bound());
            }
            let by_hand = known.weight() != known.configured_weight;
            if by_hand && server.configured_weight == known.configured_weight {
                server.set_weight(known.weight());
            }
        }
        self.balancer.weights_changed(&self.servers);
    }

    fn with(&self, name: &str, act: impl Fn(&Server)) -> bool {
        self.find(name).map(|server| act(server)).is_some()
    }

    /// The server of that name or address.
    pub(super) fn find(&self, name: &str) -> Option<&Arc<Server>> {
        let is_meant = |server: &&Arc<Server>| &**server.label() == name || &*server.address.shown == name;
        self.servers.iter().find(is_meant)
    }
}
