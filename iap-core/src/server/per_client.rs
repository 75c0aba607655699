//! How many connections each client has open.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::networks::{Networks, client_network};

/// Counts connections by client. Holds no more entries than there are connections.
#[derive(Debug, Clone)]
pub(super) struct PerClient(Option<Arc<Counts>>);

#[derive(Debug)]
struct Counts {
    most: usize,
    exempt: Networks,
    open: Mutex<HashMap<IpAddr, usize>>,
}

impl PerClient {
    /// At most `most` connections a client, but any number for those in `exempt`.
    pub(super) fn new(most: usize, exempt: Networks) -> Self {
        Self((most < usize::MAX).then(|| Arc::new(Counts { most, exempt, open: Mutex::default() })))
    }

    /// Counts a connection until the guard is dropped; `None` where it is one too many.
    pub(super) fn enter(&self, address: IpAddr) -> Option<PerClientSlot> {
        let Some(counts) = self.0.as_ref().filter(|counts| !counts.exempt.contains(address)) else {
            return Some(PerClientSlot(None));
        };
        let client = client_network(address);
        let mut open = counts.open.lock();
        let count = open.entry(client).or_default();
        if *count >= counts.most {
            return None;
        }
        *count += 1;
        Some(PerClientSlot(Some((counts.clone(), client))))
    }
}

/// One open connection of a client.
#[derive(Debug)]
pub(super) struct PerClientSlot(Option<(Arc<Counts>, IpAddr)>);

impl Drop for PerClientSlot {
    fn drop(&mut self) {
        let Some((counts, client)) = &self.0 else { return };
        let mut open = counts.open.lock();
        if let Some(count) = open.get_mut(client) {
            *count -= 1;
            if *count == 0 {
                open.remove(client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_its_own_count_and_leaves_nothing_behind() {
        let limit = PerClient::new(2, Networks::parse(["10.0.0.0/8"]).unwrap());
        let enter = |address: &str| limit.enter(address.parse().unwrap());
        let slots = [enter("192.0.2.1"), enter("::ffff:192.0.2.1"), enter("192.0.2.2"), enter("2001:db8::1")];
        assert!(slots.iter().all(Option::is_some));
        assert!(enter("192.0.2.1").is_none());
        let neighbour = enter("2001:db8::2:1");
        assert!(neighbour.is_some() && enter("2001:db8::3").is_none(), "one network of 64 bits");
        assert!(enter("2001:db8:0:1::1").is_some());
        let proxies: Vec<_> = (0..9).map(|_| enter("10.1.1.1")).collect();
        assert!(proxies.iter().all(Option::is_some));
        drop((slots, neighbour, proxies));
        assert!(enter("192.0.2.1").is_some());
        assert!(limit.0.as_ref().unwrap().open.lock().is_empty());
    }
}
