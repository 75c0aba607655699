//! Whether an instance is ready for requests.

use std::time::Duration;

use http::header::{HOST, USER_AGENT};
use http::{HeaderValue, Request};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::Ready;
use super::place::Place;
use crate::body::Body;
use crate::error::BoxError;

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
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = path.clone();
    request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("iap-health-check"));
    let mut answer = std::pin::pin!(sender.send_request(request));
    let response = tokio::select! {
        response = &mut answer => response?,
        ended = connection => {
            ended?;
            answer.await?
        }
    };
    match response.status().as_u16() {
        status if ready.expect.contains(&status) => Ok(()),
        status => Err(format!("answered {status}").into()),
    }
}
