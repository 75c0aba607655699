//! What is known of a client connection; shared by all requests on it.

use std::net::SocketAddr;

use http::HeaderValue;

/// One client connection: created once when it is accepted, shared by its requests.
#[derive(Debug)]
pub struct Connection {
    peer: SocketAddr,
    local: SocketAddr,
    tls: bool,
    forwarded_for: HeaderValue,
}

impl Connection {
    /// Describes a connection from `peer` to `local`.
    pub fn new(peer: SocketAddr, local: SocketAddr, tls: bool) -> Self {
        let forwarded_for = HeaderValue::from_str(&peer.ip().to_canonical().to_string())
            .expect("an IP address is a valid header value");
        Self { peer, local, tls, forwarded_for }
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

    /// The value for `X-Forwarded-For`, made once a connection.
    pub fn forwarded_for(&self) -> &HeaderValue {
        &self.forwarded_for
    }
}
