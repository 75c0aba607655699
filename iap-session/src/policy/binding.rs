//! What a session is bound to, so that a stolen id is of less use.

use std::net::IpAddr;
use std::sync::Arc;

use crate::id::SessionIds;

use super::Visitor;

/// What of a client must stay the same for a session to be its own. Off by default: addresses of phones change
/// with the network they are in.
///
/// A session notes a keyed hash of these traits when it begins and when somebody logs in. A request with other
/// ones is told that there is no such session, which is logged and counted; the session stays, for whoever it
/// belongs to. Sessions that began while nothing was bound are not bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Binding {
    /// The `User-Agent` without its digits: versions change while a session lives.
    pub user_agent: bool,
    /// The client's network: the first 24 bits of an IPv4 address, the first 64 of an IPv6 one.
    pub address: bool,
}

impl Binding {
    /// The hash that a session of this client has; `None` where nothing is bound.
    pub(crate) fn of(
        &self,
        visitor: &Visitor,
        address: Option<IpAddr>,
        ids: &SessionIds,
    ) -> Option<Arc<str>> {
        if !self.user_agent && !self.address {
            return None;
        }
        let mut traits = Vec::with_capacity(128);
        if self.user_agent {
            traits.push(b'u');
            let agent = visitor.user_agent().unwrap_or_default();
            traits.extend(agent.iter().filter(|byte| !byte.is_ascii_digit()));
        }
        if self.address {
            // A byte that no `User-Agent` can have.
            traits.extend(b"\na");
            match address.map(|address| address.to_canonical()) {
                Some(IpAddr::V4(address)) => traits.extend(&address.octets()[..3]),
                Some(IpAddr::V6(address)) => traits.extend(&address.octets()[..8]),
                None => {}
            }
        }
        Some(ids.traits_key(&traits).into())
    }
}
