//! HTTP/1.1 on one client connection.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;

use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::Phase;
use super::rest::{Over, Pause};
use super::serve::{FIRST_REQUEST_GRACE, MAX_HEAD, Shared, log_end, next_phase};
use super::wire::Wire;
use crate::body::Body;
use crate::connection::Connection;
use crate::hooks::Hooks;
use crate::pipeline::{Pipeline, TrackedBody};

/// Serves requests until the connection ends, and then the tunnel that it may have become.
pub(super) async fn serve<S, H>(stream: S, connection: &Arc<Connection>, shared: &mut Shared<H>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Hooks,
{
    let mut wire = Wire::new(stream, connection.clone());
    let mut pause = Pause::new(shared.timeouts.head);
    let mut draining = false;
    let phase = loop {
        // Boxed, so that the parser with its buffers can go while the connection rests.
        match Box::pin(serve_requests(wire, connection, shared, &mut pause, &mut draining)).await {
            Next::Rest(resting) => wire = resting,
            Next::End(phase) => break phase,
        }
        match rest(&mut wire, connection, shared, &mut pause, &mut draining).await {
            Some(Phase::Stop) => return,
            Some(_) => {
                let _ = wire.shutdown().await;
                return;
            }
            None => {}
        }
    };
    if phase == Phase::Stop {
        return;
    }
    let Some(tunnel) = connection.take_tunnel() else { return };
    tokio::select! {
        () = Box::pin(tunnel.run(shared.timeouts.tunnel)) => {}
        // A tunnel has no end that could be waited for, so it has until the deadline of the drain.
        _ = shared.phase.wait_for(|phase| *phase == Phase::Stop) => {}
    }
}

/// What comes after some requests.
enum Next<S> {
    /// Nothing, for a while.
    Rest(Wire<S>),
    /// Nothing at all of HTTP: the phase in which that was.
    End(Phase),
}

/// Serves requests until there is none for a while.
async fn serve_requests<S, H>(
    wire: Wire<S>,
    connection: &Arc<Connection>,
    shared: &mut Shared<H>,
    pause: &mut Pause,
    draining: &mut bool,
) -> Next<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Hooks,
{
    let (pipeline, client) = (shared.pipeline.clone(), connection.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        client.begin_request();
        answer(pipeline.clone(), client.clone(), request)
    });
    let mut server = http1::Builder::new()
        .half_close(true)
        .max_buf_size(MAX_HEAD)
        // The time for a head is measured here, see `Pause`.
        .header_read_timeout(None)
        // hyper's own limit of 100 fields stands: any other is paid for on the heap at each request.
        .serve_connection(TokioIo::new(wire), service)
        .with_upgrades();
    let mut told = false;
    loop {
        tokio::select! {
            biased;
            result = &mut server => {
                log_end(result);
                return Next::End(Phase::Run);
            }
            over = poll_fn(|cx| pause.poll(cx, connection)) => match over {
                Over::Rest if !*draining => break,
                _ => return Next::End(Phase::Run),
            },
            phase = next_phase(&mut shared.phase, *draining) => match phase {
                Phase::Stop => return Next::End(Phase::Stop),
                _ => *draining = true,
            },
            // Before its first request hyper would close the connection at once.
            _ = tokio::time::timeout(FIRST_REQUEST_GRACE, connection.first_request()), if *draining && !told => {
                told = true;
                std::pin::Pin::new(&mut server).graceful_shutdown();
            }
        }
    }
    match server.into_parts() {
        // Bytes that were read would be lost: not between two requests after all.
        Some(parts) if parts.read_buf.is_empty() => Next::Rest(parts.io.into_inner()),
        _ => Next::End(Phase::Run),
    }
}

/// Waits for the next request without a parser: `None` when it comes, else the phase in which there is none.
async fn rest<S, H>(
    wire: &mut Wire<S>,
    connection: &Connection,
    shared: &mut Shared<H>,
    pause: &mut Pause,
    draining: &mut bool,
) -> Option<Phase>
where
    S: AsyncRead + Unpin,
    H: Hooks,
{
    pause.rest();
    tokio::select! {
        more = wire.wait() => match more {
            Ok(true) => None,
            _ => Some(Phase::Run),
        },
        _ = poll_fn(|cx| pause.poll(cx, connection)) => Some(Phase::Run),
        phase = next_phase(&mut shared.phase, *draining) => match phase {
            Phase::Stop => Some(Phase::Stop),
            // The parser tells the client with its next response, or ends the connection.
            _ => {
                *draining = true;
                None
            }
        },
    }
}

async fn answer<H: Hooks>(
    pipeline: Arc<Pipeline<H>>,
    client: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<TrackedBody<H>>, Infallible> {
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
    Ok(response)
}
