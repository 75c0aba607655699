//! What is known of a client connection; shared by all requests on it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::HeaderValue;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::upstream::Tunnel;

/// The client of a request: created when its connection is accepted, shared by its requests. Behind
/// a trusted proxy each request has one of its own, which says who is behind the proxy.
#[derive(Debug)]
pub struct Connection {
    peer: SocketAddr,
    local: SocketAddr,
    tls: bool,
    forwarded_for: HeaderValue,
    is_forwarded: bool,
    /// Whether nobody is behind it: this process itself asks.
    is_own: bool,
    socket: Arc<Socket>,
}

/// The state of the socket itself, whoever is behind it.
#[derive(Debug)]
struct Socket {
    peer: SocketAddr,
    is_tls: bool,
    tls: OnceLock<TlsInfo>,
    /// How many have begun; it may wrap.
    requests: AtomicU32,
    awaits: AtomicU8,
    /// Told once, when the first request begins.
    first_request: Notify,
    lingers: AtomicBool,
    has_switched: AtomicBool,
    has_hints: AtomicBool,
    hints: Mutex<Vec<u8>>,
    tunnel: Mutex<Option<Tunnel>>,
}

/// What was agreed on in the TLS handshake of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsInfo {
    /// The protocol version: `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The host name that the client asked for (SNI, RFC 6066 section 3), in lower case.
    pub server_name: Option<Box<str>>,
    /// The client's certificate, DER, where it presented one that our CA has signed.
    pub client_certificate: Option<Bytes>,
}

/// What a connection of HTTP/1 waits for from its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Awaits {
    /// A request is being answered.
    Nothing,
    /// The first byte of the next one.
    Request,
    RestOfHead,
}

/// The most bytes of informational responses that wait to be sent on one connection.
const MAX_HINTS: usize = 64 * 1024;

impl Connection {
    /// Describes a connection from `peer` to `local`.
    pub fn new(peer: SocketAddr, local: SocketAddr, tls: bool) -> Self {
        Self::accepted(peer, peer, local, tls)
    }

    /// Describes a connection from `peer`, which is behind `socket_peer` where a proxy has said so.
    pub(crate) fn accepted(peer: SocketAddr, socket_peer: SocketAddr, local: SocketAddr, tls: bool) -> Self {
        let socket = Socket {
            peer: socket_peer,
            is_tls: tls,
            tls: OnceLock::new(),
            requests: AtomicU32::new(0),
            awaits: AtomicU8::new(Awaits::Request as u8),
            first_request: Notify::new(),
            lingers: AtomicBool::new(false),
            has_switched: AtomicBool::new(false),
            has_hints: AtomicBool::new(false),
            hints: Mutex::default(),
            tunnel: Mutex::default(),
        };
        Self {
            peer,
            local,
            tls: socket.is_tls,
            forwarded_for: address_value(peer.ip()),
            is_forwarded: false,
            is_own: false,
            socket: Arc::new(socket),
        }
    }

    /// For a request of our own: there is no client to tell of.
    pub(crate) fn own() -> Self {
        let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { is_own: true, ..Self::new(nobody, nobody, false) }
    }

    /// Whether this process itself asks.
    pub(crate) fn is_own(&self) -> bool {
        self.is_own
    }

    /// The same socket, with the client that a trusted proxy speaks for: its address, whether it came
    /// by TLS, and the chain of addresses to send on.
    pub(crate) fn on_behalf_of(&self, client: IpAddr, tls: bool, chain: HeaderValue) -> Self {
        Self {
            peer: SocketAddr::new(client, 0),
            local: self.local,
            tls,
            forwarded_for: chain,
            is_forwarded: true,
            is_own: false,
            socket: self.socket.clone(),
        }
    }

    /// The client's address. Behind a trusted proxy it is the one the proxy names, with port 0.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The address at the other end of the socket: the client's, or a proxy's.
    pub fn socket_peer(&self) -> SocketAddr {
        self.socket.peer
    }

    /// The address of the listener that took the connection.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// `https` behind TLS, else `http`.
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// Whether the client speaks TLS, to us or to a trusted proxy in front of us.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// What was agreed on when the socket speaks TLS with us.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.socket.tls.get()
    }

    /// Notes what the handshake brought, once.
    pub(crate) fn set_tls(&self, info: TlsInfo) {
        let _ = self.socket.tls.set(info);
    }

    /// Whether a trusted proxy has spoken for the client.
    pub fn is_forwarded(&self) -> bool {
        self.is_forwarded
    }

    /// The value for `X-Forwarded-For`, made once a connection.
    pub fn forwarded_for(&self) -> &HeaderValue {
        &self.forwarded_for
    }

    /// Notes that a request has begun.
    pub(crate) fn begin_request(&self) {
        if self.socket.requests.fetch_add(1, Ordering::Relaxed) == 0 {
            self.socket.first_request.notify_one();
        }
    }

    /// How many requests have begun; it may wrap.
    pub(crate) fn requests(&self) -> u32 {
        self.socket.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn set_awaits(&self, awaits: Awaits) {
        self.socket.awaits.store(awaits as u8, Ordering::Relaxed);
    }

    pub(crate) fn awaits(&self) -> Awaits {
        match self.socket.awaits.load(Ordering::Relaxed) {
            1 => Awaits::Request,
            2 => Awaits::RestOfHead,
            _ => Awaits::Nothing,
        }
    }

    /// Waits for the first request to begin, if none has.
    pub(crate) async fn first_request(&self) {
        if self.requests() == 0 {
            self.socket.first_request.notified().await;
        }
    }

    /// Notes that the client may still be sending a head or a body that was refused.
    pub(crate) fn linger(&self) {
        self.socket.lingers.store(true, Ordering::Relaxed);
    }

    pub(crate) fn lingers(&self) -> bool {
        self.socket.lingers.load(Ordering::Relaxed)
    }

    /// From here on the connection speaks another protocol than HTTP.
    pub(crate) fn switch_protocols(&self) {
        self.socket.has_switched.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_switched(&self) -> bool {
        self.socket.has_switched.load(Ordering::Relaxed)
    }

    /// What the connection becomes when its HTTP ends with a switch of protocols.
    pub(crate) fn set_tunnel(&self, tunnel: Tunnel) {
        *self.socket.tunnel.lock() = Some(tunnel);
    }

    pub(crate) fn take_tunnel(&self) -> Option<Tunnel> {
        self.socket.tunnel.lock().take()
    }

    /// Queues informational responses, as they are sent. Where too many wait, they are dropped: they
    /// are hints.
    pub(crate) fn push_hint(&self, bytes: &[u8]) {
        let mut hints = self.socket.hints.lock();
        if hints.len() + bytes.len() <= MAX_HINTS {
            hints.extend_from_slice(bytes);
            self.socket.has_hints.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn take_hints(&self) -> Option<Bytes> {
        if !self.socket.has_hints.load(Ordering::Relaxed) {
            return None;
        }
        let mut hints = self.socket.hints.lock();
        self.socket.has_hints.store(false, Ordering::Relaxed);
        Some(std::mem::take(&mut *hints).into())
    }
}

fn address_value(address: IpAddr) -> HeaderValue {
    HeaderValue::from_str(&address.to_canonical().to_string()).expect("an IP address is a valid header value")
}
