//! Listening sockets: one a worker on the same port (`SO_REUSEPORT`), so that the kernel spreads
//! connections and workers share nothing.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use super::builder::StartError;
use super::tls::TlsConfig;
use crate::networks::Networks;

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

/// The sockets of one listener.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) address: SocketAddr,
    pub(super) sockets: Vec<TcpListener>,
    pub(super) entry: Entry,
}

pub(super) fn bind(listener: Listener, count: usize) -> Result<Bound, StartError> {
    let Listener { address, entry } = listener;
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::Busy(address),
        _ => StartError::Bind { address, source },
    };
    // With SO_REUSEPORT a second server of the same user would bind without an error and take
    // half of the connections; a plain bind tells whether the port is free.
    let probe = socket(address, false).map_err(failed)?;
    let address = probe.local_addr().map_err(failed)?;
    drop(probe);
    let sockets =
        (0..count).map(|_| socket(address, true)).collect::<io::Result<Vec<_>>>().map_err(failed)?;
    Ok(Bound { address, sockets, entry })
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
