//! Which server a request goes to.
//!
//! | file | holds |
//! |---|---|
//! | `round_robin` | one after the other |
//! | `smooth` | one after the other, in proportion to weights |
//! | `least` | the less busy one of two |
//! | `rendezvous` | always the same one for the same key |
//! | `key` | what such a key is made of |
//! | `set` | a set of servers |

mod key;
mod least;
mod rendezvous;
mod round_robin;
mod set;
mod smooth;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderName;

use super::server::Server;

pub(super) use key::hash_key;
pub(super) use set::ServerSet;

/// How requests are spread over the servers of an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Balance {
    /// One after the other, in proportion to their weights.
    #[default]
    RoundRobin,
    /// Of two servers chosen at random, the one with fewer requests in flight for its weight.
    LeastRequests,
    /// The same server for the same key, in proportion to weights. When a server leaves, only its
    /// own keys move.
    Hash(HashBy),
}

/// What a request's key is. A request without it goes by the client's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashBy {
    /// The client's address, without the port.
    Client,
    /// The first value of a header field.
    Header(HeaderName),
    /// The value of a cookie.
    Cookie(Box<str>),
    /// The path, without the query.
    Path,
}

/// The chosen way, with what it has to remember.
#[derive(Debug)]
pub(super) enum Balancer {
    InTurn(InTurn),
    Least(least::LeastRequests),
    Hash(HashBy),
}

/// One after the other: without reckoning while all have the same share.
#[derive(Debug)]
pub(super) struct InTurn {
    is_even: AtomicBool,
    slow_start: bool,
    even: round_robin::RoundRobin,
    weighted: smooth::Smooth,
}

impl Balancer {
    pub(super) fn new(balance: &Balance, servers: &[Arc<Server>], slow_start: bool) -> Self {
        match balance {
            Balance::RoundRobin => Self::InTurn(InTurn {
                is_even: AtomicBool::new(!slow_start && are_even(servers)),
                slow_start,
                even: Default::default(),
                weighted: smooth::Smooth::new(servers.len()),
            }),
            Balance::LeastRequests => Self::Least(Default::default()),
            Balance::Hash(by) => Self::Hash(by.clone()),
        }
    }

    /// Servers have other weights than before.
    pub(super) fn weights_changed(&self, servers: &[Arc<Server>]) {
        if let Self::InTurn(state) = self {
            state.weighted.clear();
            state.is_even.store(!state.slow_start && are_even(servers), Ordering::Relaxed);
        }
    }

    /// One of the servers that `eligible` admits. `key` counts only for [`Balancer::Hash`].
    pub(super) fn pick(
        &self,
        servers: &[Arc<Server>],
        key: u64,
        eligible: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        if servers.len() == 1 {
            return eligible(0).then_some(0);
        }
        match self {
            Self::InTurn(state) if state.is_even.load(Ordering::Relaxed) => {
                state.even.pick(servers.len(), eligible)
            }
            Self::InTurn(state) => state.weighted.pick(servers, eligible),
            Self::Least(state) => state.pick(servers, eligible),
            Self::Hash(_) => rendezvous::pick(servers, key, eligible),
        }
    }
}

fn are_even(servers: &[Arc<Server>]) -> bool {
    servers.iter().all(|server| server.weight() == servers[0].weight())
}

/// A hash that stays the same across restarts, builds and gateways: FNV-1a, then mixed.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    mix(bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)))
}

/// Spreads what differs in few bits over all of them (the finalizer of SplitMix64).
fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests;
