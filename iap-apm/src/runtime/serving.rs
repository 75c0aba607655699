//! Which server of an upstream a JVM is: the one at whose address it listens. So it has the name that operators know it by,
//! and its pauses are told from those of others on the machine.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use super::procfs::{self, Listening};

/// A server of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedServer {
    /// The name of the upstream.
    pub upstream: Arc<str>,
    /// The server, as it is shown: `host:port`. One that is not on this machine is left aside.
    pub address: Arc<str>,
}

impl WatchedServer {
    /// Where it listens, if that is here. No name is looked up but `localhost`.
    fn here(&self) -> Option<(Vec<IpAddr>, u16)> {
        if let Some(port) = self.address.strip_prefix("localhost:") {
            return Some((vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()], port.parse().ok()?));
        }
        let address: SocketAddr = self.address.parse().ok()?;
        let ip = address.ip();
        // An address can be bound on the machine that has it.
        (ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()).then(|| (vec![ip], address.port()))
    }
}

/// The server that each of some processes is, where it is one.
pub(super) fn serving(
    pids: &[u32],
    servers: &[WatchedServer],
    sockets: &[Listening],
) -> BTreeMap<u32, WatchedServer> {
    let mut found = BTreeMap::new();
    if pids.is_empty() {
        return found;
    }
    let sockets_of = |server: &WatchedServer| -> Vec<u64> {
        let Some((ips, port)) = server.here() else { return Vec::new() };
        let is_its = |at: &SocketAddr| {
            at.port() == port && (at.ip().is_unspecified() || ips.contains(&at.ip().to_canonical()))
        };
        sockets.iter().filter(|socket| is_its(&socket.address)).map(|socket| socket.inode).collect()
    };
    let known: Vec<_> = servers.iter().map(|server| (server, sockets_of(server))).collect();
    if known.iter().all(|(_, inodes)| inodes.is_empty()) {
        return found;
    }
    for &pid in pids {
        let own = procfs::sockets_of(pid);
        let server = known.iter().find(|(_, inodes)| inodes.iter().any(|inode| own.contains(inode)));
        if let Some((server, _)) = server {
            found.insert(pid, (*server).clone());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn server(address: impl ToString) -> WatchedServer {
        WatchedServer { upstream: "shop".into(), address: address.to_string().into() }
    }

    #[test]
    fn a_process_is_the_server_at_whose_address_it_listens() {
        let exact = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (one, all) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("[::]:0").unwrap());
        let [one, all] = [&one, &all].map(|listener| listener.local_addr().unwrap().port());
        let me = std::process::id();
        let of = |address: String| {
            serving(&[me, 4_000_000_000], &[server(&address)], &procfs::listening_sockets(["tcp", "tcp6"]))
        };
        for address in [
            format!("127.0.0.1:{one}"),
            format!("localhost:{one}"),
            format!("127.0.0.1:{all}"),
            format!("[::1]:{all}"),
        ] {
            assert_eq!(of(address.clone()), BTreeMap::from([(me, server(&address))]));
        }
        for address in [
            exact.to_string(),
            format!("127.0.0.2:{one}"),
            format!("192.0.2.1:{all}"),
            format!("shop.example:{all}"),
            "unix:/run/shop.sock".to_owned(),
            "127.0.0.1".to_owned(),
        ] {
            assert_eq!(of(address.clone()), BTreeMap::new(), "{address}");
        }
    }

    #[test]
    fn of_two_servers_each_process_is_its_own() {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [first, second] = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
        let mut sockets = procfs::listening_sockets(["tcp"]);
        // The first one is somebody else's.
        sockets.iter_mut().filter(|socket| socket.address == first).for_each(|socket| socket.inode = 1);
        let me = std::process::id();
        let found = serving(&[me], &[server(first), server(second)], &sockets);
        assert_eq!(found, BTreeMap::from([(me, server(second))]));
    }
}
