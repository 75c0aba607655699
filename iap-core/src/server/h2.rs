//! HTTP/2 on one client connection.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Method, Request};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Phase;
use super::activity::{Activity, Counted};
use super::serve::{MAX_HEAD, MAX_PENDING_RESETS, MAX_STREAMS, Shared, log_end, next_phase};
use crate::body::Body;
use crate::connection::Connection;
use crate::hooks::Hooks;
use crate::upstream::TunnelSlot;

/// Serves requests until the connection ends. One without requests for too long is drained.
pub(super) async fn serve<S, H>(stream: S, connection: &Arc<Connection>, shared: &mut Shared<H>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Hooks,
{
    let (pipeline, client) = (shared.pipeline.clone(), connection.clone());
    let (idle_limit, tunnel_limit) = (shared.timeouts.head, shared.timeouts.tunnel);
    let activity = Arc::new(Activity::default());
    let watched = activity.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (pipeline, client) = (pipeline.clone(), client.clone());
        let running = activity.begin();
        let tunnel = (request.method() == Method::CONNECT).then(|| {
            let slot = TunnelSlot::default();
            request.extensions_mut().insert(slot.clone());
            (slot, activity.begin())
        });
        async move {
            let response = pipeline.handle(&client, request.map(Body::incoming)).await;
            if let Some((tunnel, running)) = tunnel.and_then(|(slot, running)| Some((slot.take()?, running)))
            {
                // It begins with the answer, and ends with the stream or its connection.
                tokio::spawn(async move {
                    tunnel.run(tunnel_limit).await;
                    drop(running);
                });
            }
            Ok::<_, Infallible>(response.map(|body| Counted::new(body, running)))
        }
    });
    let mut server = std::pin::pin!(
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .enable_connect_protocol()
            .max_concurrent_streams(MAX_STREAMS)
            .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
            .max_header_list_size(MAX_HEAD as u32)
            .keep_alive_interval(shared.timeouts.ping)
            .keep_alive_timeout(shared.timeouts.ping)
            .serve_connection(TokioIo::new(stream), service)
    );
    let mut draining = false;
    let mut look = std::pin::pin!(tokio::time::sleep(idle_limit));
    loop {
        tokio::select! {
            result = server.as_mut() => return log_end(result),
            () = look.as_mut(), if !draining => {
                if watched.was_idle() {
                    draining = true;
                    server.as_mut().graceful_shutdown();
                }
                look.as_mut().reset(tokio::time::Instant::now() + idle_limit);
            }
            phase = next_phase(&mut shared.phase, draining) => match phase {
                Phase::Stop => return,
                _ => {
                    draining = true;
                    server.as_mut().graceful_shutdown();
                }
            }
        }
    }
}
