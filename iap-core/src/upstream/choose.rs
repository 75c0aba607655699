//! Which server a request goes to next.

use std::sync::Arc;

use http::Request;

use super::Upstream;
use super::balance::{Balancer, ServerSet, hash_key};
use super::ticket::Ticket;
use crate::body::Body;
use crate::connection::Connection;

/// What ties a request to certain servers.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Affinity {
    /// The server that its client is bound to.
    pub(super) bound: Option<usize>,
    /// Its key, where servers are chosen by a key.
    key: u64,
    /// Whether another server is no substitute for one that is only busy.
    is_strict: bool,
}

impl Affinity {
    pub(super) fn is_strict(&self) -> bool {
        self.is_strict
    }
}

enum Choice {
    Wanted(usize),
    /// It could not be connected to a moment ago.
    LastResort(usize),
}

impl Upstream {
    pub(super) fn affinity(&self, request: &Request<Body>, connection: &Connection) -> Affinity {
        let mut affinity = Affinity::default();
        if let Balancer::Hash(by) = &self.balancer {
            affinity.key = hash_key(by, request, connection);
            affinity.is_strict = true;
        }
        if let Some(sticky) = &self.settings.sticky {
            affinity.bound = sticky.find(request, &self.servers);
            affinity.is_strict |= affinity.bound.is_some();
        }
        affinity
    }

    /// A place at a server, without waiting. Servers that were looked at are added to `passed`, those without room
    /// to `full`.
    pub(super) fn admit_now(
        self: &Arc<Self>,
        affinity: &Affinity,
        passed: &mut ServerSet,
        full: &mut ServerSet,
    ) -> Option<Ticket> {
        while let Some(choice) = self.choose(affinity, passed) {
            let index = match choice {
                Choice::LastResort(_) if !full.is_empty() => break,
                Choice::Wanted(index) | Choice::LastResort(index) => index,
            };
            if let Some(ticket) = self.enter(index) {
                return Some(ticket);
            }
            passed.insert(index);
            // Without limits it was ejected, or tried out by others, this very moment.
            if self.settings.limits.is_some() {
                full.insert(index);
                if affinity.is_strict {
                    break;
                }
            }
        }
        None
    }

    fn choose(&self, affinity: &Affinity, passed: &ServerSet) -> Option<Choice> {
        if let Some(bound) = affinity.bound
            && !passed.contains(bound)
            && self.servers[bound].is_open(true)
            && !self.servers[bound].is_down()
        {
            return Some(Choice::Wanted(bound));
        }
        let is_open = |index: usize| !passed.contains(index) && self.servers[index].is_open(false);
        let is_wanted = |index: usize| is_open(index) && !self.servers[index].is_down();
        if let Some(index) = self.balancer.pick(&self.servers, affinity.key, is_wanted) {
            return Some(Choice::Wanted(index));
        }
        self.balancer.pick(&self.servers, affinity.key, is_open).map(Choice::LastResort)
    }
}
