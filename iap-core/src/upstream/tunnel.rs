//! Connections that switch to another protocol: WebSocket (RFC 6455), by HTTP/1.1 upgrade
//! (RFC 9110 section 7.8).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};

use super::h1;
use super::pool::Pooled;
use super::sender::{Received, Sender};
use super::server::OpenConnection;
use super::ticket::Ticket;
use crate::body::Body;
use crate::headers;

/// A client's wish to switch to another protocol, which goes on to the upstream.
///
/// Only `websocket` goes on. Others are left out, and the request is an ordinary one, as RFC 9110
/// allows: `h2c` behind a gateway's back would pass all of its checks.
#[derive(Debug)]
pub(super) struct Wish {
    client: OnUpgrade,
}

impl Wish {
    /// Finds the wish in a request, before the fields of this hop are removed from it.
    pub(super) fn find(request: &mut Request<Body>) -> Option<Self> {
        if request.version() != Version::HTTP_11 || !request.headers().contains_key(UPGRADE) {
            return None;
        }
        let names_upgrade =
            request.headers().get_all(CONNECTION).iter().any(|value| headers::has_token(value, "upgrade"));
        (names_upgrade && is_websocket(request.headers()))
            .then(|| Self { client: hyper::upgrade::on(request) })
    }

    /// Puts it to the upstream.
    pub(super) fn express(headers: &mut HeaderMap) {
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }

    /// The upstream has switched: the tunnel, and the answer for the client. `None` where it has
    /// switched to something that was not asked for.
    /// `pooled` is the connection that it came by.
    pub(super) fn grant(
        self,
        response: Response<Received>,
        pooled: Pooled,
    ) -> Option<(Tunnel, Response<Body>)> {
        if response.status() != StatusCode::SWITCHING_PROTOCOLS || !is_websocket(response.headers()) {
            return None;
        }
        let mut response = response.map(|_| Body::empty());
        headers::remove_hop_by_hop(response.headers_mut());
        response.headers_mut().remove(CONTENT_LENGTH);
        Self::express(response.headers_mut());
        *response.version_mut() = Version::HTTP_11;
        let (Sender::Http1(upstream), place) = pooled.into_parts() else { return None };
        Some((Tunnel { client: self.client, upstream, _place: place }, response))
    }
}

fn is_websocket(headers: &HeaderMap) -> bool {
    let mut protocols = headers.get_all(UPGRADE).iter();
    let first = protocols.next().is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    first && protocols.next().is_none()
}

/// Two connections that have switched and carry each other's bytes.
#[derive(Debug)]
pub(crate) struct Tunnel {
    client: OnUpgrade,
    upstream: Box<h1::Connection>,
    /// Counts at the upstream as long as the tunnel is there.
    _place: (Option<Ticket>, Option<OpenConnection>),
}

impl Tunnel {
    /// Carries bytes both ways until both sides have ended, one breaks, or nothing has moved for `idle`.
    pub(crate) async fn run(self, idle: Duration) {
        let Self { client, upstream, _place } = self;
        let Ok(client) = client.await else { return };
        let _open = Open::new();
        let moved = Arc::new(AtomicU64::new(0));
        let mut client = Watched { stream: TokioIo::new(client), moved: moved.clone() };
        let mut upstream = Watched { stream: upstream, moved: moved.clone() };
        let copy = std::pin::pin!(copy_bidirectional(&mut client, &mut upstream));
        tokio::select! {
            result = copy => if let Err(error) = result {
                tracing::debug!(%error, "a tunnel broke");
            },
            () = stands_still(&moved, idle) => tracing::debug!("a tunnel stood still for too long"),
        }
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
