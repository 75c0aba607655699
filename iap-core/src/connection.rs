//! What is known of a client connection; shared by all requests on it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderValue;

/// One client connection: created once when it is accepted, shared by its requests.
#[derive(Debug)]
pub struct Connection {
    peer: SocketAddr,
    local: SocketAddr,
    tls: bool,
    forwarded_for: HeaderValue,
    lingers: AtomicBool,
}

impl Connection {
    /// Describes a connection from `peer` to `local`.
    pub fn new(peer: SocketAddr, local: SocketAddr, tls: bool) -> Self {
        let forwarded_for = HeaderValue::from_str(&peer.ip().to_canonical().to_string())
            .expect("an IP address is a valid header value");
        Self { peer, local, tls, forwarded_for, lingers: AtomicBool::new(false) }
    }

    /// The client's address.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The address of the listener that took the connection.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// `https` behind TLS, else `http`.
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// Whether the client speaks TLS to us.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Notes that the client may still be sending a body that was refused.
    pub(crate) fn linger(&self) {
        self.lingers.store(true, Ordering::Relaxed);
    }

    pub(crate) fn lingers(&self) -> bool {
        self.lingers.load(Ordering::Relaxed)
    }

    /// The value for `X-Forwarded-For`, made once a connection.
    pub fn forwarded_for(&self) -> &HeaderValue {
        &self.forwarded_for
    }
}
