//! How a new upstream connection is made.

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Upstream;
use super::pool::Pooled;
use super::server::Server;
use crate::body::Body;
use crate::error::{Error, Kind, Origin};

/// Largest response head and read buffer, in bytes.
const MAX_BUFFER: usize = 64 * 1024;

/// Connects to one server and speaks HTTP/1.1 with it. Errors are retryable: nothing was sent.
pub(super) async fn connect(upstream: &Upstream, server: &Server) -> Result<Pooled, Error> {
    let unavailable =
        || Error::new(Kind::Unavailable, Origin::Upstream, "the upstream is not reachable").retryable();
    let attempt =
        tokio::time::timeout(upstream.settings.connect_timeout, TcpStream::connect(&*server.address));
    let stream = match attempt.await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            return Err(
                unavailable().with_source(format!("{} at {}: {error}", upstream.name, server.address))
            );
        }
        Err(_) => {
            let source = format!("{} at {}: no connection in time", upstream.name, server.address);
            return Err(Error::new(Kind::Timeout, Origin::Upstream, "the upstream is not reachable")
                .retryable()
                .with_source(source));
        }
    };
    let _ = stream.set_nodelay(true);
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_BUFFER)
        .handshake::<_, Body>(TokioIo::new(stream))
        .await
        .map_err(|error| unavailable().with_source(error))?;
    // The driver ends by itself when the sender is dropped or the server closes. Its errors reach
    // the request that runs on the connection.
    let driver = tokio::spawn(async move {
        let _ = connection.with_upgrades().await;
    });
    Ok(Pooled::new(sender, driver, upstream.settings.body_idle))
}
