//! Whether an instance is ready for requests.

use std::time::Duration;

use http::HeaderValue;
use tokio::net::{TcpStream, UnixStream};

use super::Ready;
use super::place::Place;
use crate::error::BoxError;
use crate::upstream::h1::{self, Stream};
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
    let stream = match place {
        Place::Port(port) => Stream::Tcp(TcpStream::connect(("127.0.0.1", *port)).await?),
        Place::Socket { path, .. } => Stream::Unix(UnixStream::connect(path).await?),
    };
    let Some(path) = &ready.path else { return Ok(()) };
    let mut request = question(path, HeaderValue::from_static("localhost"));
    let status = h1::Connection::new(stream).ask(&mut request).await?;
    is_expected(status, &ready.expect)
}
