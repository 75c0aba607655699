//! Whether an instance is ready for requests.

use std::time::Duration;

use http::HeaderValue;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::Ready;
use super::place::Place;
use crate::body::Body;
use crate::error::BoxError;
use crate::upstream::{is_expected, question};

/// How often it is asked.
const EVERY: Duration = Duration::from_millis(50);
/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(10);

/// Asks until it is.
pub(super) async fn wait(ready: &Ready, place: &Place) {
    while !matches!(tokio::time::timeout(ATTEMPT, probe(ready, place)).await, Ok(Ok(()))) {
        tokio::time::sleep(EVERY).await;
    }
}

async fn probe(ready: &Ready, place: &Place) -> Result<(), BoxError> {
    match place {
        Place::Port(port) => ask(ready, TcpStream::connect(("127.0.0.1", *port)).await?).await,
        Place::Socket { path, .. } => ask(ready, UnixStream::connect(path).await?).await,
    }
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    ready: &Ready,
    stream: S,
) -> Result<(), BoxError> {
    let Some(path) = &ready.path else { return Ok(()) };
    let (mut sender, connection) = http1::handshake::<_, Body>(TokioIo::new(stream)).await?;
    let request = question(path, HeaderValue::from_static("localhost"));
    let mut answer = std::pin::pin!(sender.send_request(request));
    let response = tokio::select! {
        response = &mut answer => response?,
        ended = connection => {
            ended?;
            answer.await?
        }
    };
    is_expected(response.status(), &ready.expect)
}
