//! Listening sockets: one a worker on the same port (`SO_REUSEPORT`), so that the kernel spreads
//! connections and workers share nothing.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use super::builder::StartError;
use super::tls::TlsConfig;
use crate::networks::Networks;

/// How often a port that the system chooses is tried.
const MAX_TRIES: u32 = 16;
/// How many connections may wait to be accepted, per socket.
const BACKLOG: i32 = 1024;

/// Where and how a server listens.
#[derive(Debug, Clone)]
pub struct Listener {
    pub(super) address: SocketAddr,
    pub(super) entry: Entry,
}

/// What connections of a listener begin with.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    pub(super) tls: Option<TlsConfig>,
    pub(super) proxy_protocol: Option<Networks>,
}

impl Listener {
    /// Listens on an address for HTTP/1.1 and HTTP/2 with prior knowledge.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, entry: Entry::default() }
    }

    /// Speaks TLS; ALPN chooses HTTP/2 or HTTP/1.1.
    #[must_use]
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.entry.tls = Some(tls);
        self
    }

    /// Expects the PROXY protocol (version 1 or 2) before anything else, from `proxies` only. Whoever
    /// else connects, and whoever begins without it, is disconnected: both could pass for any client.
    #[must_use]
    pub fn proxy_protocol(mut self, proxies: Networks) -> Self {
        self.entry.proxy_protocol = Some(proxies);
        self
    }
}

/// Listening sockets that are there already: passed on by systemd, by the process before this one, or by
/// a server that this one takes over from. Connections that wait in them are not lost.
#[derive(Debug, Default)]
pub struct Sockets(Vec<TcpListener>);

impl Sockets {
    /// Takes sockets that listen.
    pub fn new(sockets: Vec<TcpListener>) -> Self {
        Self(sockets)
    }

    /// Adds those of another listener.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// The addresses that they listen on.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let mut addresses: Vec<_> = self.0.iter().filter_map(|socket| socket.local_addr().ok()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }

    /// Takes out those that listen on `address`.
    pub fn take(&mut self, address: SocketAddr) -> Self {
        let is_there = |socket: &mut TcpListener| socket.local_addr().is_ok_and(|local| local == address);
        Self(self.0.extract_if(.., is_there).collect())
    }

    /// The sockets themselves, to pass them on.
    pub fn into_vec(self) -> Vec<TcpListener> {
        self.0
    }
}

/// The sockets of one listener, by worker.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) address: SocketAddr,
    pub(super) sockets: Vec<Vec<TcpListener>>,
    pub(super) entry: Entry,
}

impl Bound {
    /// The same sockets once more.
    pub(super) fn duplicates(&self) -> io::Result<Vec<TcpListener>> {
        self.sockets.iter().flatten().map(TcpListener::try_clone).collect()
    }
}

pub(super) fn bind(listener: Listener, present: &mut Sockets, workers: usize) -> Result<Bound, StartError> {
    let Listener { address, entry } = listener;
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::Busy(address),
        _ => StartError::Bind { address, source },
    };
    let present = present.take(address).into_vec();
    if !present.is_empty() {
        let sockets = spread(present, workers).map_err(failed)?;
        return Ok(Bound { address, sockets, entry });
    }
    // Of a port that the system chooses somebody else may be quicker, between the two binds.
    let mut tries = if address.port() == 0 { MAX_TRIES } else { 1 };
    loop {
        tries -= 1;
        match bind_anew(address, workers) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            bound => {
                let (address, sockets) = bound.map_err(failed)?;
                return Ok(Bound { address, sockets, entry });
            }
        }
    }
}

/// A socket for each worker, and the address with its port.
fn bind_anew(address: SocketAddr, workers: usize) -> io::Result<(SocketAddr, Vec<Vec<TcpListener>>)> {
    // With SO_REUSEPORT a second server of the same user would bind without an error and take
    // half of the connections; a plain bind tells whether the port is free.
    let probe = socket(address, false)?;
    let address = probe.local_addr()?;
    drop(probe);
    let sockets = (0..workers).map(|_| Ok(vec![socket(address, true)?])).collect::<io::Result<_>>()?;
    Ok((address, sockets))
}

/// Gives each socket a worker and each worker a socket; nobody else would accept from one left over.
fn spread(sockets: Vec<TcpListener>, workers: usize) -> io::Result<Vec<Vec<TcpListener>>> {
    let mut spread: Vec<Vec<TcpListener>> = Vec::new();
    spread.resize_with(workers, Vec::new);
    for worker in sockets.len()..workers {
        spread[worker].push(sockets[worker % sockets.len()].try_clone()?);
    }
    for (index, socket) in sockets.into_iter().enumerate() {
        socket.set_nonblocking(true)?;
        spread[index % workers].push(socket);
    }
    Ok(spread)
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
