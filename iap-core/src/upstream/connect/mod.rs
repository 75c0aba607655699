//! How a new upstream connection is made: a socket, perhaps TLS on it, then HTTP.

mod tcp;
mod tls;
mod watch;

use rustls_pki_types::ServerName;
use tokio::net::UnixStream;

use super::Upstream;
use super::address::{Place, Scheme};
use super::h1::{self, Stream};
use super::h2::{self, Turn};
use super::pool::Pooled;
use super::sender::Sender;
use super::server::{OpenConnection, Server};
use super::settings::{Protocol, ServerSettings, UpstreamError, UpstreamSettings};
use crate::error::{BoxError, Error, Kind, Origin};

pub(super) use tls::Connector;
pub use tls::{UpstreamTls, UpstreamTlsSettings};
pub(super) use watch::{TlsSpan, WatchTls};

/// A connection that nobody uses yet.
pub(super) enum Fresh {
    Http1(Box<h1::Connection>, OpenConnection),
    Http2(h2::Established),
}

/// Makes a connection to one server, or takes a stream of one that another request has made
/// meanwhile. `alone` asks for one that is not shared, as far as the server has such ones. Errors
/// are retryable: nothing was sent.
pub(super) async fn connect(
    upstream: &Upstream,
    server: &Server,
    alone: bool,
    watch: &impl WatchTls,
) -> Result<Box<Pooled>, Error> {
    if alone || !server.may_speak_http2() {
        return establish(upstream, server, alone, watch).await;
    }
    let connecting = match server.pool.multiplexer.turn().await {
        Turn::Connect(connecting) => connecting,
        Turn::Failed => return Err(unreachable(Kind::Unavailable, "another request could not connect")),
    };
    if let Some(pooled) = server.pool.take_stream(server) {
        return Ok(pooled);
    }
    // What the server speaks may be known by now: HTTP/1.1 needs no turns.
    let connecting = server.may_speak_http2().then_some(connecting);
    let result = establish(upstream, server, false, watch).await;
    if let (Err(_), Some(connecting)) = (&result, &connecting) {
        connecting.failed();
    }
    result
}

async fn establish(
    upstream: &Upstream,
    server: &Server,
    alone: bool,
    watch: &impl WatchTls,
) -> Result<Box<Pooled>, Error> {
    let describe =
        |cause: &dyn std::fmt::Display| format!("{} at {}: {cause}", upstream.name, server.address.shown);
    let attempt = open_connection(upstream, server, alone, watch);
    match tokio::time::timeout(upstream.settings.connect_timeout, attempt).await {
        Ok(Ok(fresh)) => Ok(adopt(upstream, server, fresh, alone)),
        Ok(Err(error)) => Err(unreachable(Kind::Unavailable, describe(&error))),
        Err(_) => Err(unreachable(Kind::Timeout, describe(&"no connection in time"))),
    }
}

fn unreachable(kind: Kind, source: impl Into<BoxError>) -> Error {
    Error::new(kind, Origin::Upstream, "the upstream is not reachable").retryable().with_source(source)
}

fn adopt(upstream: &Upstream, server: &Server, fresh: Fresh, alone: bool) -> Box<Pooled> {
    let made = match fresh {
        Fresh::Http1(connection, open) => {
            if !alone {
                server.speaks(Protocol::Http1);
            }
            return Pooled::new(Sender::Http1(connection), upstream.settings.body_idle, server, Some(open));
        }
        Fresh::Http2(made) => made,
    };
    server.speaks(Protocol::Http2);
    let stream = server.pool.multiplexer.add(made, server.address.uri_scheme());
    Pooled::new(Sender::Http2(stream), upstream.settings.body_idle, server, None)
}

/// Makes a connection that is not in any pool; also what health checks use. `alone` asks for
/// HTTP/1.1 where the server speaks both.
pub(super) async fn open_connection(
    upstream: &Upstream,
    server: &Server,
    alone: bool,
    watch: &impl WatchTls,
) -> Result<Fresh, BoxError> {
    let http2 = server.is_http2_only(upstream.settings.protocol);
    let open = server.open_connection();
    if let Place::Unix(path) = open.place() {
        return handshake(Stream::Unix(UnixStream::connect(path).await?), http2, open).await;
    }
    let stream = tcp::connect(server, open.place()).await?;
    let _ = stream.set_nodelay(true);
    let Some(tls) = &server.tls else {
        return handshake(Stream::Tcp(stream), http2, open).await;
    };
    let stream = watch::watched(watch, tls.connect(stream, alone && !http2)).await?;
    let chosen = stream.get_ref().1.alpn_protocol().is_some_and(|chosen| chosen == b"h2");
    if http2 && !chosen {
        return Err("the server does not speak HTTP/2".into());
    }
    handshake(Stream::Tls(Box::new(stream)), chosen, open).await
}

async fn handshake(stream: Stream, http2: bool, open: OpenConnection) -> Result<Fresh, BoxError> {
    if http2 {
        return Ok(Fresh::Http2(h2::handshake(stream, open).await?));
    }
    Ok(Fresh::Http1(Box::new(h1::Connection::new(stream)), open))
}

/// TLS for one server, if it is reached over it. What cannot be is an error, and never goes
/// without TLS.
pub(super) fn connector(
    server: &ServerSettings,
    settings: &UpstreamSettings,
) -> Result<Option<Connector>, UpstreamError> {
    if server.address.scheme != Scheme::Https {
        return Ok(None);
    }
    let shown = || server.address.shown.to_string();
    let tls = settings.tls.as_ref().ok_or_else(|| UpstreamError::NeedsTls(shown()))?;
    let name = server.address.host().and_then(|host| ServerName::try_from(host).ok());
    let name = name.ok_or_else(|| UpstreamError::BadAddress(shown()))?;
    Ok(Some(tls.connector(name, settings.protocol)))
}
