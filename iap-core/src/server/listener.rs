//! Listening sockets: one a worker on the same port (`SO_REUSEPORT`), so that the kernel spreads
//! connections and workers share nothing.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use super::builder::StartError;
use super::tls::TlsConfig;

/// How many connections may wait to be accepted, per socket.
const BACKLOG: i32 = 1024;

/// The sockets of one listener.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) address: SocketAddr,
    pub(super) sockets: Vec<TcpListener>,
    pub(super) tls: Option<TlsConfig>,
}

pub(super) fn bind(address: SocketAddr, tls: Option<TlsConfig>, count: usize) -> Result<Bound, StartError> {
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
    Ok(Bound { address, sockets, tls })
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
