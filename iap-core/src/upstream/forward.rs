//! One request through an upstream.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderMap, Request, Response, Uri, Version};
use http_body::Body as _;

use super::Upstream;
use super::body::PooledBody;
use super::exchange::Exchange;
use super::hedge::{Chosen, race};
use super::informational::Listener;
use super::pool::Pooled;
use super::sender::{INVALID_RESPONSE, Received, SendFailure, Sender};
use super::tunnel::Wish;
use crate::body::Body;
use crate::connection::Connection;
use crate::error::{Error, Kind, Origin};
use crate::headers::{self, Forwarding, Seen};
use crate::hooks::{Hooks, Stage};
use crate::trace_context::{TRACEPARENT, TRACESTATE, TraceContext};
use crate::websocket;

/// Forwards `request` and returns the response head with a streaming body. `patience` is that of the route,
/// where it has one of its own.
pub(crate) async fn forward<H: Hooks>(
    upstream: &Arc<Upstream>,
    hooks: &H,
    transaction: &H::Transaction,
    connection: &Arc<Connection>,
    // Boxed, since it moves through many hands from here on.
    mut request: Box<Request<Body>>,
    patience: Option<Duration>,
) -> Result<Response<Body>, Error> {
    let span = hooks.start(transaction, Stage::Upstream, None);
    let parent = hooks.span_id(&span);
    let seen = Seen::in_fields(request.headers());
    let wish = if seen.has(Seen::UPGRADE) { Wish::find(&mut request) } else { None };
    let mut forwarding = headers::prepare_request(request.headers_mut(), connection, seen);
    if upstream.settings.forwarded {
        forwarding.use_standard();
    }
    if wish.is_some() {
        websocket::express(request.headers_mut());
    }
    let context = hooks.context(transaction).zip(parent).map(|(context, id)| context.with_span(id));
    if let Some(context) = context {
        forwarding.set_trace(context.to_header());
    }
    if seen.has(Seen::TRACE) {
        drop_invalid_trace(request.headers_mut());
    }
    let listener = Listener::attach(&mut request, connection, seen.has(Seen::EXPECT));
    make_origin_form(&mut request);

    let chosen = Chosen::default();
    let mut exchange = Exchange::new(upstream, hooks, transaction, &forwarding, parent, &chosen);
    let had_upload = !request.body().is_end_stream();
    let affinity = upstream.affinity(&request, connection);
    let hedging = upstream.hedging(request.method(), &affinity).filter(|_| !had_upload && wish.is_none());
    exchange.expect(wish, listener);
    if let Some(patience) = patience {
        exchange.patience = patience;
    }
    let result = match hedging {
        None => exchange.send_until_answered(request, affinity, had_upload).await,
        Some(hedging) => {
            let second = Chosen::default();
            let mut other = Exchange::new(upstream, hooks, transaction, &forwarding, parent, &second);
            other.patience = exchange.patience;
            Box::pin(race(hedging, &mut exchange, (&mut other, &second), request, affinity)).await
        }
    };
    if H::ENABLED {
        hooks.end(transaction, span, exchange.span_end(&result));
    }
    result
}

/// A valid trace context passes through, an invalid one goes with its `tracestate` (W3C Trace Context
/// section 4.2).
fn drop_invalid_trace(headers: &mut HeaderMap) {
    if TraceContext::from_headers(headers).is_none() {
        headers.remove(TRACESTATE);
        headers.remove(TRACEPARENT);
    }
}

fn make_origin_form(request: &mut Request<Body>) {
    *request.version_mut() = Version::HTTP_11;
    if request.uri().authority().is_some() {
        let target = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        *request.uri_mut() = Uri::from(target);
    }
}

/// Makes the origin's response ours. Where it is not to be trusted, its connection goes too.
pub(super) fn finish(
    mut response: Response<Received>,
    mut pooled: Box<Pooled>,
    had_upload: bool,
) -> Result<Response<Body>, Error> {
    if response.status().is_informational() {
        return Err(invalid("an informational response ends nothing"));
    }
    headers::prepare_response(response.status(), response.headers_mut()).map_err(invalid)?;
    // The version is that of one hop; the server side adapts to its client.
    *response.version_mut() = Version::HTTP_11;
    let is_failure = response.status().is_server_error();
    Ok(response.map(|body| {
        if let Some(ticket) = pooled.ticket.as_mut().filter(|_| !is_failure) {
            ticket.owe();
        }
        let body = PooledBody::new(body, pooled, had_upload);
        if body.is_end_stream() { Body::empty() } else { Body::pooled(body) }
    }))
}

pub(super) fn invalid(why: &'static str) -> Error {
    Error::new(Kind::BadGateway, Origin::Upstream, INVALID_RESPONSE).with_source(why)
}

/// How a request is sent.
pub(super) struct Terms<'a> {
    /// What it says in our name.
    pub(super) forwarding: &'a Forwarding<'a>,
    /// Whether the system is asked if the connection is still there: what is sent over it cannot be
    /// sent again.
    pub(super) must_be_alive: bool,
    pub(super) listener: Option<&'a Listener>,
    /// What the client would like to switch to.
    pub(super) wish: Option<&'a Wish>,
    /// How long nothing may move.
    pub(super) patience: Duration,
}

/// Sends over one connection and waits for the answer, as long as something moves.
pub(super) async fn send(
    mut pooled: Box<Pooled>,
    mut request: Box<Request<Body>>,
    terms: &Terms<'_>,
) -> Result<(Response<Received>, Box<Pooled>), SendFailure> {
    let Pooled { sender, answer_idle, .. } = &mut *pooled;
    let answer = match sender {
        Sender::Http1(connection) => match connection.start(request, terms) {
            Ok(mut asked) => {
                answer_idle.begin(terms.patience);
                poll_fn(|cx| {
                    let answer = asked.poll(connection, terms.listener, cx);
                    if answer.is_ready() {
                        return answer;
                    }
                    if connection.take_moved() {
                        answer_idle.progress();
                    }
                    answer_idle.poll_over(cx).map(|()| Err(SendFailure::late()))
                })
                .await
            }
            Err(failed) => Err(failed),
        },
        Sender::Http2(stream) => {
            if let Some(listener) = terms.listener {
                // What comes before the answer is not heard there.
                listener.release_body();
            }
            terms.forwarding.put(request.headers_mut());
            Box::pin(stream.ask(request, terms.patience, terms.wish)).await
        }
    };
    match answer {
        Ok(response) => Ok((response, pooled)),
        Err(failed) => Err(SendFailure { ticket: pooled.ticket.take(), ..failed }),
    }
}

pub(super) fn copy_head(request: &Request<Body>) -> Box<Request<Body>> {
    let mut copy = Box::new(Request::new(Body::empty()));
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}
