//! The life of one client connection: wait for the first byte, TLS, HTTP/1.1 or HTTP/2, drain.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use http::Request;
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::Phase;
use super::activity::{Activity, Counted};
use super::client_stream::ClientStream;
use super::tls::TlsConfig;
use super::worker::OpenSlot;
use crate::body::Body;
use crate::connection::Connection;
use crate::hooks::Hooks;
use crate::pipeline::Pipeline;

/// What an HTTP/2 client with prior knowledge sends first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How often the rest of the preface is waited for: 1 ms, 2 ms, 4 ms, and so on.
const PREFACE_PAUSES: u32 = 10;
/// Largest request head and read buffer, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// Largest number of header fields.
const MAX_HEADERS: usize = 128;
/// HTTP/2: streams at once, and remotely reset streams that may pile up before a GOAWAY.
const MAX_STREAMS: u32 = 256;
const MAX_PENDING_RESETS: usize = 64;

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
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(60),
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(60),
            write: Duration::from_secs(60),
            ping: Duration::from_secs(20),
        }
    }
}

/// What all connections of a server share.
#[derive(Debug)]
pub(super) struct Shared<H: Hooks> {
    pub(super) pipeline: Arc<Pipeline<H>>,
    pub(super) timeouts: Timeouts,
    pub(super) max_connections: usize,
    pub(super) open: Arc<AtomicUsize>,
    pub(super) phase: watch::Receiver<Phase>,
}

impl<H: Hooks> Clone for Shared<H> {
    fn clone(&self) -> Self {
        Self {
            pipeline: self.pipeline.clone(),
            timeouts: self.timeouts,
            max_connections: self.max_connections,
            open: self.open.clone(),
            phase: self.phase.clone(),
        }
    }
}

/// Serves one connection to its end. `_slot` counts it as open until then.
pub(super) async fn serve<H: Hooks>(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsConfig>,
    mut shared: Shared<H>,
    _slot: OpenSlot,
) {
    // An untouched connection costs a task and a socket only: no HTTP state before its first byte.
    let timeouts = shared.timeouts;
    let first = tokio::select! {
        first = tokio::time::timeout(timeouts.first_byte, starts_with_preface(&stream)) => first,
        _ = shared.phase.wait_for(|phase| *phase != Phase::Run) => return,
    };
    let Ok(Ok(is_h2)) = first else { return };
    let _ = stream.set_nodelay(true);
    let Ok(local) = stream.local_addr() else { return };
    let connection = Arc::new(Connection::new(peer, local, tls.is_some()));
    let _opened = Opened::new(shared.pipeline.hooks().clone(), connection.clone());
    let stream = ClientStream::new(stream, connection.clone(), timeouts.write);
    match tls {
        None if is_h2 => serve_h2(TokioIo::new(stream), &connection, &mut shared).await,
        None => serve_h1(TokioIo::new(stream), &connection, &mut shared).await,
        Some(TlsConfig(config)) => {
            let accept = tokio_rustls::TlsAcceptor::from(config).accept(stream);
            match tokio::time::timeout(timeouts.handshake, accept).await {
                Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                    serve_h2(TokioIo::new(stream), &connection, &mut shared).await;
                }
                Ok(Ok(stream)) => serve_h1(TokioIo::new(stream), &connection, &mut shared).await,
                Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                Err(_) => tracing::debug!("TLS handshake took too long"),
            }
        }
    }
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
    for pause in 0..PREFACE_PAUSES {
        let read = stream.peek(&mut head).await?;
        let seen = &head[..read];
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if !PREFACE.starts_with(seen) {
            return Ok(false);
        }
        if read == PREFACE.len() {
            return Ok(true);
        }
        // A part of the preface: the socket stays readable, so waiting for it would spin.
        tokio::time::sleep(Duration::from_millis(1 << pause)).await;
    }
    Ok(false)
}

async fn serve_h1<I, H>(io: I, connection: &Arc<Connection>, shared: &mut Shared<H>)
where
    I: Read + Write + Unpin + Send + 'static,
    H: Hooks,
{
    let (pipeline, client) = (shared.pipeline.clone(), connection.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let (pipeline, client) = (pipeline.clone(), client.clone());
        async move {
            let request = request.map(Body::incoming);
            let has_body = !request.body().is_end_stream();
            let response = pipeline.handle(&client, request).await;
            if has_body && (response.status().is_client_error() || response.status().is_server_error()) {
                client.linger();
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut server = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(shared.timeouts.head)
            .half_close(true)
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .serve_connection(io, service)
    );
    let mut draining = false;
    loop {
        tokio::select! {
            result = server.as_mut() => return log_end(result),
            phase = next_phase(&mut shared.phase, draining) => match phase {
                Phase::Stop => return,
                _ => {
                    draining = true;
                    server.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

async fn serve_h2<I, H>(io: I, connection: &Arc<Connection>, shared: &mut Shared<H>)
where
    I: Read + Write + Unpin + Send + 'static,
    H: Hooks,
{
    let (pipeline, client) = (shared.pipeline.clone(), connection.clone());
    let idle_limit = shared.timeouts.head;
    let activity = Arc::new(Activity::default());
    let watched = activity.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (pipeline, client) = (pipeline.clone(), client.clone());
        let running = activity.begin();
        async move {
            let response = pipeline.handle(&client, request.map(Body::incoming)).await;
            Ok::<_, Infallible>(response.map(|body| Counted::new(body, running)))
        }
    });
    let mut server = std::pin::pin!(
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
            .max_header_list_size(MAX_HEAD as u32)
            .keep_alive_interval(shared.timeouts.ping)
            .keep_alive_timeout(shared.timeouts.ping)
            .serve_connection(io, service)
    );
    let mut draining = false;
    let mut look = std::pin::pin!(tokio::time::sleep(idle_limit));
    loop {
        tokio::select! {
            result = server.as_mut() => return log_end(result),
            () = look.as_mut(), if !draining => {
                if watched.was_idle() {
                    draining = true;
                    server.as_mut().graceful_shutdown();
                }
                look.as_mut().reset(tokio::time::Instant::now() + idle_limit);
            }
            phase = next_phase(&mut shared.phase, draining) => match phase {
                Phase::Stop => return,
                _ => {
                    draining = true;
                    server.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// Waits for the next thing a connection is asked to do.
async fn next_phase(phase: &mut watch::Receiver<Phase>, draining: bool) -> Phase {
    let changed = phase.wait_for(|phase| *phase == Phase::Stop || (!draining && *phase == Phase::Drain));
    changed.await.map_or(Phase::Stop, |phase| *phase)
}

fn log_end(result: hyper::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(%error, "a client connection ended early");
    }
}
