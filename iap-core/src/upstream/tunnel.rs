//! Connections that switch to another protocol: WebSocket (RFC 6455), by HTTP/1.1 upgrade
//! (RFC 9110 section 7.8) or by a stream of HTTP/2 (RFC 8441), on either side.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};

use super::pool::Pooled;
use super::sender::{Received, Sender};
use super::server::OpenConnection;
use super::ticket::Ticket;
use super::{h1, h2};
use crate::body::Body;
use crate::{headers, websocket};

/// A client's wish to switch to another protocol, which goes on to the upstream.
///
/// Only `websocket` goes on. Others are left out, and the request is an ordinary one, as RFC 9110
/// allows: `h2c` behind a gateway's back would pass all of its checks.
#[derive(Debug)]
pub(super) struct Wish {
    client: OnUpgrade,
    key: Option<HeaderValue>,
    /// Where the tunnel goes of a client that speaks HTTP/2.
    slot: Option<TunnelSlot>,
}

/// Where the tunnel of one stream is left for who answers on that stream. The key of such a request is
/// ours, so we are the ones to check what it is answered with.
#[derive(Debug, Clone, Default)]
pub(crate) struct TunnelSlot(Arc<Mutex<Option<Tunnel>>>);

impl TunnelSlot {
    pub(crate) fn take(&self) -> Option<Tunnel> {
        self.0.lock().take()
    }
}

impl Wish {
    /// Finds the wish in a request, before the fields of this hop are removed from it.
    pub(super) fn find(request: &mut Request<Body>) -> Option<Self> {
        if request.version() != Version::HTTP_11 || !request.headers().contains_key(UPGRADE) {
            return None;
        }
        let names_upgrade =
            request.headers().get_all(CONNECTION).iter().any(|value| headers::has_token(value, "upgrade"));
        if !names_upgrade || !websocket::is_named(request.headers()) {
            return None;
        }
        let (key, slot) =
            (request.headers().get(SEC_WEBSOCKET_KEY).cloned(), request.extensions_mut().remove());
        Some(Self { client: hyper::upgrade::on(request), key, slot })
    }

    /// The key of the request, which HTTP/2 has no place for.
    pub(super) fn key(&self) -> Option<&HeaderValue> {
        self.key.as_ref()
    }

    /// Where the tunnel is to be left, if the client's connection goes on as it is.
    pub(super) fn slot(&self) -> Option<&TunnelSlot> {
        self.slot.as_ref()
    }

    /// The upstream has switched: the tunnel, and the answer for the client. `None` where it has
    /// switched to something that was not asked for.
    /// `pooled` is the connection that it came by.
    pub(super) fn grant(
        self,
        mut response: Response<Received>,
        pooled: Pooled,
    ) -> Option<(Tunnel, Response<Body>)> {
        let (sender, place) = pooled.into_parts();
        let server = match sender {
            Sender::Http1(connection) => {
                let is_ours = self.slot.is_some();
                let is_proven = |key| websocket::is_accepted(response.headers(), key);
                let is_switched = websocket::is_named(response.headers())
                    && (!is_ours || self.key.as_ref().is_some_and(is_proven));
                Far::Http1(is_switched.then_some(connection)?)
            }
            Sender::Http2(stream) => Far::Http2(Box::new((hyper::upgrade::on(&mut response), stream))),
        };
        let mut response = response.map(|_| Body::empty());
        headers::remove_hop_by_hop(response.headers_mut());
        response.headers_mut().remove(CONTENT_LENGTH);
        websocket::express(response.headers_mut());
        if let (Far::Http2(_), Some(key)) = (&server, &self.key) {
            response.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, websocket::accept(key));
        }
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.version_mut() = Version::HTTP_11;
        Some((Tunnel { client: self.client, server, _place: place }, response))
    }
}

/// Whether an answer opens what was wished for, as far as its status tells. hyper knows no other one of
/// an extended CONNECT than 200.
pub(super) fn opens(response: &Response<Received>, is_http2: bool) -> bool {
    let status = if is_http2 { StatusCode::OK } else { StatusCode::SWITCHING_PROTOCOLS };
    response.status() == status
}

/// Two connections that have switched and carry each other's bytes.
#[derive(Debug)]
pub(crate) struct Tunnel {
    client: OnUpgrade,
    server: Far,
    /// Counts at the upstream as long as the tunnel is there.
    _place: (Option<Ticket>, Option<OpenConnection>),
}

/// The far end of a tunnel.
#[derive(Debug)]
enum Far {
    Http1(Box<h1::Connection>),
    /// With the stream's place on its connection.
    Http2(Box<(OnUpgrade, h2::Stream)>),
}

impl Tunnel {
    /// Leaves the tunnel for who answers the client.
    pub(super) fn leave_in(self, slot: &TunnelSlot) {
        *slot.0.lock() = Some(self);
    }

    /// Carries bytes both ways until both sides have ended, one breaks, or nothing has moved for `idle`.
    pub(crate) async fn run(self, idle: Duration) {
        let Self { client, server, _place } = self;
        let Ok(client) = client.await else { return };
        let client = TokioIo::new(client);
        match server {
            Far::Http1(server) => carry(client, server, idle).await,
            Far::Http2(server) => {
                let (server, _stream) = *server;
                let Ok(server) = server.await else { return };
                carry(client, TokioIo::new(server), idle).await;
            }
        }
    }
}

async fn carry<C, S>(client: C, server: S, idle: Duration)
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let _open = Open::new();
    let moved = Arc::new(AtomicU64::new(0));
    let mut client = Watched { stream: client, moved: moved.clone() };
    let mut server = Watched { stream: server, moved: moved.clone() };
    let copy = std::pin::pin!(copy_bidirectional(&mut client, &mut server));
    tokio::select! {
        result = copy => if let Err(error) = result {
            tracing::debug!(%error, "a tunnel broke");
        },
        () = stands_still(&moved, idle) => tracing::debug!("a tunnel stood still for too long"),
    }
}

/// A tunnel in the count of those that are open.
struct Open(metrics::Gauge);

impl Open {
    fn new() -> Self {
        let gauge = metrics::gauge!("iap_tunnels_open");
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// Ends once `moved` has not changed for between one and two times `idle`.
async fn stands_still(moved: &AtomicU64, idle: Duration) {
    let mut seen = None;
    loop {
        let now = moved.load(Ordering::Relaxed);
        if seen.replace(now) == Some(now) {
            return;
        }
        tokio::time::sleep(idle).await;
    }
}

/// Counts what is read.
struct Watched<S> {
    stream: S,
    moved: Arc<AtomicU64>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.moved.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
