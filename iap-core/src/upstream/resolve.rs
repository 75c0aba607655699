//! The addresses of a server's name, resolved in the background.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;

use super::Upstream;
use super::address::Place;

/// How many addresses of a name are used.
pub(super) const MAX_ADDRESSES: usize = 16;

/// What a name stands for at the moment.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    known: ArcSwapOption<Vec<SocketAddr>>,
    next: AtomicUsize,
}

impl Addresses {
    /// All addresses in the order in which this connection tries them: each time another one is
    /// first. `None` before the name was resolved.
    pub(super) fn next(&self) -> Option<Vec<SocketAddr>> {
        let known = self.known.load();
        let mut addresses = (**known.as_ref()?).clone();
        let first = self.next.fetch_add(1, Ordering::Relaxed) % addresses.len();
        addresses.rotate_left(first);
        Some(addresses)
    }

    /// All addresses.
    pub(super) fn list(&self) -> Vec<SocketAddr> {
        self.known.load().as_ref().map(|known| known.to_vec()).unwrap_or_default()
    }

    /// Takes over what the resolver has found; nothing keeps what is known. True when an address
    /// has gone, so that connections to it should not be used again.
    pub(super) fn replace(&self, mut found: Vec<SocketAddr>) -> bool {
        found.sort_unstable();
        found.dedup();
        found.truncate(MAX_ADDRESSES);
        if found.is_empty() {
            return false;
        }
        let known = self.list();
        if known == found {
            return false;
        }
        let is_gone = known.iter().any(|address| !found.contains(address));
        self.known.store(Some(found.into()));
        is_gone
    }
}

/// The task that resolves a server's name again and again; `None` for an address.
pub(super) fn refresh(upstream: &Arc<Upstream>, index: usize) -> Option<impl Future<Output = ()> + use<>> {
    let server = &upstream.servers[index];
    let Place::Name { host, port } = &server.address.place else { return None };
    let (name, every) = (upstream.name.clone(), upstream.settings.resolve_every);
    let (server, host, port) = (server.clone(), host.clone(), *port);
    Some(async move {
        loop {
            match tokio::net::lookup_host((&*host, port)).await {
                Ok(found) => {
                    if server.addresses.replace(found.collect()) {
                        tracing::info!(
                            upstream = &*name,
                            server = &*server.address.shown,
                            "an address has gone"
                        );
                        server.pool.clear();
                    }
                }
                Err(error) => {
                    tracing::debug!(upstream = &*name, server = &*server.address.shown, %error, "not resolved");
                    server.note_error(&format_args!("not resolved: {error}"));
                }
            }
            tokio::time::sleep(every).await;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_are_used_in_turn_and_the_last_good_ones_stay() {
        let list = |ports: &[u16]| -> Vec<SocketAddr> {
            ports.iter().map(|port| ([127, 0, 0, 1], *port).into()).collect()
        };
        let addresses = Addresses::default();
        assert_eq!(addresses.next(), None);
        assert!(!addresses.replace(list(&[2, 1, 2])));
        assert_eq!(addresses.next(), Some(list(&[1, 2])));
        assert_eq!(addresses.next(), Some(list(&[2, 1])));
        assert!(!addresses.replace(Vec::new()), "a name that vanishes");
        assert_eq!(addresses.list(), list(&[1, 2]));
        assert!(!addresses.replace(list(&[1, 2, 3])), "one more leaves connections alone");
        assert!(addresses.replace(list(&[2, 3])));
        let many: Vec<u16> = (1..100).collect();
        addresses.replace(list(&many));
        assert_eq!(addresses.list().len(), MAX_ADDRESSES);
    }
}
