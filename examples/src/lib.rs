//! What the examples share: a way to check themselves, and to wait.
//!
//! Each example runs until Ctrl-C; with `--check` it sends itself a few requests, asserts the
//! answers and ends.

pub mod sqlite_store;

use std::net::SocketAddr;

use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;

/// Whether the example was asked to check itself.
pub fn is_check() -> bool {
    std::env::args().any(|argument| argument == "--check")
}

/// Waits for Ctrl-C.
pub async fn until_ctrl_c() {
    // Without signals there is nothing to wait for.
    let _ = tokio::signal::ctrl_c().await;
}

/// A response as the examples look at it.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body as text.
    pub text: String,
}

/// Sends one request. Panics when it fails: an example has nobody to tell.
pub async fn send(address: SocketAddr, request: http::request::Builder) -> Reply {
    let stream = tokio::net::TcpStream::connect(address).await.expect("the example's server listens");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
    tokio::spawn(connection);
    let request =
        request.header("host", address.to_string()).body(http_body_util::Empty::<bytes::Bytes>::new());
    let response = sender.send_request(request.expect("a valid request")).await.expect("a response");
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    Reply {
        status: head.status.as_u16(),
        headers: head.headers,
        text: String::from_utf8_lossy(&body).into_owned(),
    }
}

/// Sends a GET request.
pub async fn get(address: SocketAddr, path: &str) -> Reply {
    send(address, http::Request::get(path)).await
}
