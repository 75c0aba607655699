//! The life of one client connection: wait for the first byte, who it is, TLS, HTTP/1.1 or HTTP/2, drain.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;

use super::client_stream::ClientStream;
use super::listener::Entry;
use super::peek::peek_until;
use super::per_client::PerClient;
use super::tls::TlsConfig;
use super::worker::OpenSlot;
use super::{Phase, h1, h2, proxy_protocol};
use crate::connection::{Connection, TlsInfo};
use crate::hooks::Hooks;
use crate::pipeline::Pipeline;

/// What an HTTP/2 client with prior knowledge sends first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How often the rest of the preface is waited for: 1 ms, 2 ms, 4 ms, and so on.
const PREFACE_PAUSES: u32 = 10;
/// How long a connection may still begin once the drain has.
pub(super) const FIRST_REQUEST_GRACE: Duration = Duration::from_secs(1);
/// Largest request head and read buffer, in bytes.
pub(super) const MAX_HEAD: usize = 64 * 1024;
/// HTTP/2: streams at once, and remotely reset streams that may pile up before a GOAWAY.
pub(super) const MAX_STREAMS: u32 = 256;
pub(super) const MAX_PENDING_RESETS: usize = 64;

/// How long a client may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From accept to the first byte. Default: 60 s.
    pub first_byte: Duration,
    /// For a TLS handshake. Default: 10 s.
    pub handshake: Duration,
    /// For a request head, counted from the end of the response before it, so this bounds an
    /// idle keep-alive connection as well. An HTTP/2 connection without requests is closed after
    /// once to twice that time. Default: 60 s.
    pub head: Duration,
    /// For a client that reads nothing, from the first byte that it does not take. Default: 60 s.
    pub write: Duration,
    /// HTTP/2: how long a ping may stay unanswered before the connection is dead; one is sent
    /// in each such interval. Default: 20 s.
    pub ping: Duration,
    /// How long a tunnel (WebSocket) may carry nothing either way. It is closed after once to twice
    /// that time. Default: 1 h.
    pub tunnel: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(60),
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(60),
            write: Duration::from_secs(60),
            ping: Duration::from_secs(20),
            tunnel: Duration::from_secs(3600),
        }
    }
}

/// What all connections of a server share.
#[derive(Debug)]
pub(super) struct Common<H: Hooks> {
    pub(super) pipeline: Arc<Pipeline<H>>,
    pub(super) timeouts: Timeouts,
    pub(super) max_connections: usize,
    pub(super) per_client: PerClient,
    pub(super) open: Arc<AtomicUsize>,
    /// How many sockets are accepted from.
    pub(super) accepting: Arc<AtomicUsize>,
}

/// What a connection has of its server: few bytes, since there may be many that are idle.
#[derive(Debug)]
pub(super) struct Shared<H: Hooks> {
    pub(super) common: Arc<Common<H>>,
    pub(super) phase: watch::Receiver<Phase>,
}

impl<H: Hooks> Clone for Shared<H> {
    fn clone(&self) -> Self {
        Self { common: self.common.clone(), phase: self.phase.clone() }
    }
}

impl<H: Hooks> std::ops::Deref for Shared<H> {
    type Target = Common<H>;

    fn deref(&self) -> &Common<H> {
        &self.common
    }
}

/// Serves one connection to its end. Each stage is boxed, so that an untouched connection costs little more
/// than a task and a socket, and an idle one nothing of the stages behind it.
pub(super) async fn serve<H: Hooks>(
    mut stream: TcpStream,
    socket_peer: SocketAddr,
    entry: Arc<Entry>,
    mut shared: Shared<H>,
    slot: OpenSlot,
) {
    let by = Instant::now() + shared.timeouts.first_byte;
    let mut head = [0; PREFACE.len()];
    let seen = tokio::select! {
        seen = tokio::time::timeout_at(by, stream.peek(&mut head)) => seen,
        () = grace_over(&mut shared.phase) => return,
    };
    let Ok(Ok(seen @ 1..)) = seen else { return };
    let greeting = match is_preface(&head[..seen]) {
        Some(is_h2) if entry.proxy_protocol.is_none() => Some((socket_peer, is_h2)),
        _ => Box::pin(greet(&mut stream, socket_peer, &entry, &mut shared.phase, by)).await,
    };
    let Some((peer, is_h2)) = greeting else { return };
    let _ = stream.set_nodelay(true);
    let Ok(local) = stream.local_addr() else { return };
    let connection = Arc::new(Connection::accepted(peer, socket_peer, local, entry.tls.is_some()));
    let _opened = Opened::new(shared.pipeline.hooks().clone(), connection.clone());
    let stream = ClientStream::new(stream, connection.clone(), shared.timeouts.write, slot);
    let Some(tls) = &entry.tls else {
        return match is_h2 {
            true => Box::pin(h2::serve(stream, &connection, &mut shared)).await,
            false => Box::pin(h1::serve(stream, &connection, &mut shared)).await,
        };
    };
    let limit = shared.timeouts.handshake;
    let Some(stream) = Box::pin(handshake(stream, tls, &connection, limit)).await else { return };
    match stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        true => Box::pin(h2::serve(stream, &connection, &mut shared)).await,
        false => Box::pin(h1::serve(stream, &connection, &mut shared)).await,
    }
}

/// Ends some time after the drain has begun. Whoever has just connected is about to ask something, and has
/// no reason to think that nobody would answer.
async fn grace_over(phase: &mut watch::Receiver<Phase>) {
    // An error means that the server is gone.
    if phase.wait_for(|phase| *phase != Phase::Run).await.is_ok() {
        let stopped = phase.wait_for(|phase| *phase == Phase::Stop);
        let _ = Box::pin(tokio::time::timeout(FIRST_REQUEST_GRACE, stopped)).await;
    }
}

/// Finds out who speaks, and whether it is HTTP/2 with prior knowledge. `None` if nobody does in time, or
/// whoever may not.
async fn greet(
    stream: &mut TcpStream,
    socket_peer: SocketAddr,
    entry: &Entry,
    phase: &mut watch::Receiver<Phase>,
    by: Instant,
) -> Option<(SocketAddr, bool)> {
    let known = async {
        let peer = peer_of(stream, socket_peer, entry).await?;
        Ok::<_, std::io::Error>((peer, starts_with_preface(stream).await?))
    };
    tokio::select! {
        known = tokio::time::timeout_at(by, known) => known.ok()?.ok(),
        () = grace_over(phase) => None,
    }
}

/// The client, which is who a proxy speaks for where the listener expects one.
async fn peer_of(
    stream: &mut TcpStream,
    socket_peer: SocketAddr,
    entry: &Entry,
) -> std::io::Result<SocketAddr> {
    let Some(proxies) = &entry.proxy_protocol else { return Ok(socket_peer) };
    let header = match proxies.contains(socket_peer.ip()) {
        true => proxy_protocol::read(stream).await,
        false => Err(std::io::ErrorKind::PermissionDenied.into()),
    };
    let source = header.inspect_err(|_| {
        metrics::counter!("iap_connections_refused_total", "reason" => "proxy_protocol").increment(1);
    })?;
    Ok(source.unwrap_or(socket_peer))
}

/// `None` where the handshake fails or takes too long.
async fn handshake(
    stream: ClientStream,
    tls: &TlsConfig,
    connection: &Connection,
    limit: Duration,
) -> Option<Box<TlsStream<ClientStream>>> {
    let accept = tokio_rustls::TlsAcceptor::from(tls.server.clone()).accept(stream);
    let stream = match tokio::time::timeout(limit, accept).await {
        Ok(Ok(stream)) => Box::new(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "TLS handshake failed");
            return None;
        }
        Err(_) => {
            tracing::debug!("TLS handshake took too long");
            return None;
        }
    };
    let tls = stream.get_ref().1;
    let version = match tls.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
        _ => "TLSv1.2",
    };
    let client = tls.peer_certificates().and_then(<[_]>::first);
    connection.set_tls(TlsInfo {
        version,
        server_name: tls.server_name().map(Into::into),
        client_certificate: client.map(|certificate| Bytes::copy_from_slice(certificate)),
    });
    Some(stream)
}

/// Tells the observer of a connection, and of its end, however it ends.
struct Opened<H: Hooks>(H, Arc<Connection>);

impl<H: Hooks> Opened<H> {
    fn new(hooks: H, connection: Arc<Connection>) -> Self {
        hooks.connection_opened(&connection);
        Self(hooks, connection)
    }
}

impl<H: Hooks> Drop for Opened<H> {
    fn drop(&mut self) {
        self.0.connection_closed(&self.1);
    }
}

/// Looks at the first bytes without taking them. An end of the stream is an error. Whoever sends a
/// part of the preface and stops has about a second; then it counts as HTTP/1, which has its own
/// limits.
async fn starts_with_preface(stream: &TcpStream) -> std::io::Result<bool> {
    let mut head = [0; PREFACE.len()];
    Ok(peek_until(stream, &mut head, PREFACE_PAUSES, is_preface).await?.unwrap_or(false))
}

/// Whether the first bytes are the preface; `None` where they may become it.
fn is_preface(seen: &[u8]) -> Option<bool> {
    match PREFACE.strip_prefix(seen) {
        None => Some(false),
        Some(rest) => rest.is_empty().then_some(true),
    }
}

/// Waits for the next thing a connection is asked to do.
pub(super) async fn next_phase(phase: &mut watch::Receiver<Phase>, draining: bool) -> Phase {
    let changed = phase.wait_for(|phase| *phase == Phase::Stop || (!draining && *phase == Phase::Drain));
    changed.await.map_or(Phase::Stop, |phase| *phase)
}

pub(super) fn log_end(result: hyper::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(%error, "a client connection ended early");
    }
}
