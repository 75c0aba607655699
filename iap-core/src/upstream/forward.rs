//! One request through an upstream.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{Request, Response, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::Upstream;
use super::body::PooledBody;
use super::exchange::Exchange;
use super::h2;
use super::informational::Listener;
use super::pool::Pooled;
use super::ticket::Ticket;
use super::tunnel::Wish;
use crate::body::Body;
use crate::connection::Connection;
use crate::error::{Error, Kind, Origin};
use crate::headers;
use crate::hooks::{Hooks, Stage};
use crate::trace_context::{TRACEPARENT, TRACESTATE, TraceContext};

/// Forwards `request` and returns the response head with a streaming body.
pub(crate) async fn forward<H: Hooks>(
    upstream: &Arc<Upstream>,
    hooks: &H,
    transaction: &H::Transaction,
    connection: &Arc<Connection>,
    // Boxed, since it moves through many hands from here on.
    mut request: Box<Request<Body>>,
) -> Result<Response<Body>, Error> {
    let span = hooks.start(transaction, Stage::Upstream, None);
    let parent = hooks.span_id(&span);
    let wish = Wish::find(&mut request);
    headers::prepare_request(request.headers_mut(), connection);
    if wish.is_some() {
        Wish::express(request.headers_mut());
    }
    propagate(
        hooks.context(transaction).zip(parent).map(|(context, id)| context.with_span(id)),
        &mut request,
    );
    let listener = Listener::attach(&mut request, connection);
    make_origin_form(&mut request);

    let mut exchange =
        Exchange::new(upstream, hooks, transaction, connection, parent).expecting(wish, listener);
    let had_upload = !request.body().is_end_stream();
    let result = exchange.send_until_answered(request, had_upload).await;
    if H::ENABLED {
        hooks.end(transaction, span, exchange.span_end(&result));
    }
    result
}

/// Sends the trace context on. Without an observer a valid one passes through unchanged, and an
/// invalid one is dropped together with its `tracestate`.
fn propagate(context: Option<TraceContext>, request: &mut Request<Body>) {
    let headers = request.headers_mut();
    let incoming = TraceContext::from_headers(headers);
    if incoming.is_none() && (headers.contains_key(TRACESTATE) || headers.contains_key(TRACEPARENT)) {
        headers.remove(TRACESTATE);
        headers.remove(TRACEPARENT);
    }
    if let Some(context) = context {
        headers.insert(TRACEPARENT, context.to_header());
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
    mut response: Response<Incoming>,
    mut pooled: Box<Pooled>,
    had_upload: bool,
) -> Result<Response<Body>, Error> {
    if response.status().is_informational() {
        return Err(invalid("an informational response ends nothing"));
    }
    let is_clear = headers::prepare_response(response.status(), response.headers_mut()).map_err(invalid)?;
    pooled.is_spent |= !is_clear;
    // The version is that of one hop; the server side adapts to its client.
    *response.version_mut() = Version::HTTP_11;
    Ok(response.map(|body| {
        let body = PooledBody::new(body, pooled, had_upload);
        if body.is_end_stream() { Body::empty() } else { Body::pooled(body) }
    }))
}

pub(super) fn invalid(why: &'static str) -> Error {
    Error::new(Kind::BadGateway, Origin::Upstream, INVALID_RESPONSE).with_source(why)
}

const INVALID_RESPONSE: &str = "the upstream did not answer with a valid response";

/// A request that was not answered.
pub(super) struct SendError {
    pub(super) error: Error,
    /// The request, where nothing of it was sent.
    pub(super) unsent: Option<Box<Request<Body>>>,
    /// Whether the server said that it has not looked at it.
    pub(super) is_unprocessed: bool,
    /// Whether the server gave up this request, and not the connection.
    pub(super) is_reset: bool,
    pub(super) ticket: Option<Ticket>,
}

impl SendError {
    fn new(error: Error) -> Self {
        Self { error, unsent: None, is_unprocessed: false, is_reset: false, ticket: None }
    }

    fn unsent(error: Error, request: Box<Request<Body>>, ticket: Option<Ticket>) -> Self {
        Self { unsent: Some(request), ticket, ..Self::new(error) }
    }
}

/// Sends over one connection and waits for the answer; `patience` begins anew as long as the body
/// moves. An error comes with the request where nothing of it was sent.
pub(super) async fn send(
    mut pooled: Box<Pooled>,
    mut request: Box<Request<Body>>,
    patience: Duration,
) -> Result<(Response<Incoming>, Box<Pooled>), SendError> {
    let late = || Error::new(Kind::Timeout, Origin::Upstream, "the upstream did not answer in time");
    // A connection out of the pool has nothing left to do, as far as its task has got that far.
    if !matches!(timeout(patience, pooled.sender.ready()).await, Ok(Ok(()))) {
        let error =
            Error::new(Kind::BadGateway, Origin::Upstream, "the upstream closed the connection").retryable();
        return Err(SendError::unsent(error, request, pooled.ticket.take()));
    }
    if !request.body().is_end_stream() {
        request.body_mut().report_to(pooled.uploaded.clone());
    }
    let mut seen = pooled.uploaded.load(Ordering::Relaxed);
    let mut answer = std::pin::pin!(pooled.sender.try_send_request(*request));
    let answer = loop {
        match timeout(patience, answer.as_mut()).await {
            Ok(answer) => break answer,
            Err(_) => match pooled.uploaded.load(Ordering::Relaxed) {
                now if now == seen => return Err(SendError::new(late())),
                now => seen = now,
            },
        }
    };
    match answer {
        Ok(response) => Ok((response, pooled)),
        Err(mut failed) => {
            let unsent = failed.take_message().map(Box::new);
            let error = failed.into_error();
            pooled.sender.note(&error, unsent.is_some());
            let (is_unprocessed, is_reset) = (h2::is_unprocessed(&error), h2::is_reset(&error));
            let error = describe(error, unsent.is_some());
            Err(SendError { error, unsent, is_unprocessed, is_reset, ticket: pooled.ticket.take() })
        }
    }
}

fn describe(error: hyper::Error, unsent: bool) -> Error {
    use std::error::Error as _;
    // A body that the client broke off, or that grew too large, is not the upstream's fault.
    if error.is_user()
        && let Some(own) = error.source().and_then(|source| source.downcast_ref::<Error>())
    {
        return Error::new(own.kind(), own.origin(), own.message());
    }
    let described = Error::new(Kind::BadGateway, Origin::Upstream, INVALID_RESPONSE).with_source(error);
    if unsent { described.retryable() } else { described }
}

pub(super) fn copy_head(request: &Request<Body>) -> Box<Request<Body>> {
    let mut copy = Box::new(Request::new(Body::empty()));
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}
