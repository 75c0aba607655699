//! HTTP/1.1 on one client connection.

use std::convert::Infallible;
use std::sync::Arc;

use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, Request, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Phase;
use super::serve::{FIRST_REQUEST_GRACE, MAX_HEAD, Shared, log_end, next_phase};
use super::wire::Wire;
use crate::body::Body;
use crate::connection::Connection;
use crate::hooks::Hooks;

/// Serves requests until the connection ends, and then the tunnel that it may have become.
pub(super) async fn serve<S, H>(stream: S, connection: &Arc<Connection>, shared: &mut Shared<H>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Hooks,
{
    if serve_requests(stream, connection, shared).await == Phase::Stop {
        return;
    }
    let Some(tunnel) = connection.take_tunnel() else { return };
    tokio::select! {
        () = tunnel.run(shared.timeouts.tunnel) => {}
        // A tunnel has no end that could be waited for, so it has until the deadline of the drain.
        _ = shared.phase.wait_for(|phase| *phase == Phase::Stop) => {}
    }
}

/// Returns the phase in which HTTP has ended.
async fn serve_requests<S, H>(stream: S, connection: &Arc<Connection>, shared: &mut Shared<H>) -> Phase
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Hooks,
{
    let (pipeline, client) = (shared.pipeline.clone(), connection.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let (pipeline, client) = (pipeline.clone(), client.clone());
        client.begin_request();
        async move {
            let request = request.map(Body::incoming);
            let has_body = !request.body().is_end_stream();
            let expects = has_body && request.headers().contains_key(EXPECT);
            let mut response = pipeline.handle(&client, request).await;
            let status = response.status();
            if has_body && (status.is_client_error() || status.is_server_error()) {
                client.linger();
                // Whether the body comes that was asked about, nobody knows (RFC 9110 section 10.1.1).
                if expects {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
            }
            if status == StatusCode::SWITCHING_PROTOCOLS {
                client.switch_protocols();
            }
            Ok::<_, Infallible>(response)
        }
    });
    let io = TokioIo::new(Wire::new(stream, connection.clone()));
    let mut server = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(shared.timeouts.head)
            .half_close(true)
            .max_buf_size(MAX_HEAD)
            // hyper's own limit of 100 fields stands: any other is paid for on the heap at each request.
            .serve_connection(io, service)
            .with_upgrades()
    );
    let (mut draining, mut told) = (false, false);
    loop {
        tokio::select! {
            result = server.as_mut() => {
                log_end(result);
                return Phase::Run;
            }
            phase = next_phase(&mut shared.phase, draining) => match phase {
                Phase::Stop => return Phase::Stop,
                _ => draining = true,
            },
            // Before its first request hyper would close the connection at once.
            _ = tokio::time::timeout(FIRST_REQUEST_GRACE, connection.first_request()), if draining && !told => {
                told = true;
                server.as_mut().graceful_shutdown();
            }
        }
    }
}
