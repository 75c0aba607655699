//! One request through an upstream.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::Upstream;
use super::balance::ServerSet;
use super::body::PooledBody;
use super::connect::connect;
use super::h2;
use super::pool::Pooled;
use super::retry::Attempts;
use super::server::Server;
use super::ticket::Ticket;
use crate::body::Body;
use crate::connection::Connection;
use crate::error::{Error, Kind, Origin};
use crate::headers;
use crate::hooks::{Hooks, SpanEnd, Stage};
use crate::trace_context::{TRACEPARENT, TRACESTATE, TraceContext};

/// Forwards `request` and returns the response head with a streaming body.
pub(crate) async fn forward<H: Hooks>(
    upstream: &Arc<Upstream>,
    hooks: &H,
    transaction: &H::Transaction,
    connection: &Connection,
    mut request: Request<Body>,
) -> Result<Response<Body>, Error> {
    let span = hooks.start(transaction, Stage::Upstream, None);
    let parent = hooks.span_id(&span);
    headers::prepare_request(request.headers_mut(), connection);
    propagate(
        hooks.context(transaction).zip(parent).map(|(context, id)| context.with_span(id)),
        &mut request,
    );
    make_origin_form(&mut request);

    let mut exchange = Exchange {
        upstream,
        hooks,
        transaction,
        connection,
        span: parent,
        server: None,
        repeated: false,
        unprocessed: 0,
    };
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

/// The state of one request on its way through one upstream.
struct Exchange<'a, H: Hooks> {
    upstream: &'a Arc<Upstream>,
    hooks: &'a H,
    transaction: &'a H::Transaction,
    connection: &'a Connection,
    span: Option<crate::trace_context::SpanId>,
    server: Option<usize>,
    /// Whether the request went out a second time because an idle connection had ended.
    repeated: bool,
    /// How often the server said that it has not looked at the request.
    unprocessed: u32,
}

impl<H: Hooks> Exchange<'_, H> {
    /// Tries servers until one answers. A connection that could not be made leads to the next server
    /// in any case, a failure after that only where the settings say so.
    async fn send_until_answered(
        &mut self,
        mut request: Request<Body>,
        had_upload: bool,
    ) -> Result<Response<Body>, Error> {
        let upstream = self.upstream;
        let affinity = upstream.affinity(&request, self.connection);
        let rule = upstream.settings.retry.as_ref().zip(upstream.budget.as_ref());
        let mut attempts = Attempts::new(rule, &request, had_upload);
        let (mut tried, mut repeats, mut last) = (ServerSet::default(), false, None);
        loop {
            let mut admitted = upstream.admit(&affinity, &tried).await?;
            if admitted.is_none() && repeats {
                // All have had their turn: the second attempt may go where the first one went.
                tried = ServerSet::default();
                admitted = upstream.admit(&affinity, &tried).await?;
            }
            let Some(ticket) = admitted else { return Err(last.unwrap_or_else(no_server)) };
            let index = ticket.index();
            self.server = Some(index);
            tried.insert(index);
            let copy = attempts.copy(&request);
            let result = match self.try_server(ticket, request, had_upload).await {
                Tried::Over(result) => result,
                Tried::Unconnected(error, unsent) => {
                    (request, last) = (unsent, Some(error));
                    continue;
                }
            };
            let outcome = result.as_ref().map(Response::status);
            match copy.filter(|_| attempts.again(outcome)) {
                Some(copy) => {
                    upstream.metrics.retries.increment(1);
                    (request, repeats, last) = (copy, true, result.err());
                }
                None => return result.map(|response| self.bind(response, affinity.bound)),
            }
        }
    }

    /// One server: idle connections until one turns out to be alive, then a new one.
    async fn try_server(&mut self, ticket: Ticket, mut request: Request<Body>, had_upload: bool) -> Tried {
        let upstream = self.upstream;
        let server = &*upstream.servers[ticket.index()];
        let mut ticket = Some(ticket);
        while !self.repeated
            && let Some(mut pooled) = server.pool.take(server)
        {
            pooled.ticket = ticket.take();
            match self.attempt(pooled, false, request, had_upload).await {
                Sent::Over(result) => return self.over(result),
                Sent::Again(again, place) => (request, ticket) = (again, place),
            }
        }
        for _ in 0..=MAX_UNPROCESSED {
            let mut fresh = match self.connect(server).await {
                Ok(fresh) => fresh,
                Err(error) => {
                    self.note(&Err(&error));
                    return Tried::Unconnected(error, request);
                }
            };
            fresh.ticket = ticket.take();
            match self.attempt(fresh, true, request, had_upload).await {
                Sent::Over(result) => return self.over(result),
                Sent::Again(again, place) => (request, ticket) = (again, place),
            }
        }
        self.over(Err(Error::new(Kind::BadGateway, Origin::Upstream, "the upstream closed the connection")))
    }

    fn over(&self, result: Result<Response<Body>, Error>) -> Tried {
        self.note(&result.as_ref().map(Response::status));
        Tried::Over(result)
    }

    /// Counts how a request to the current server went.
    fn note(&self, outcome: &Result<StatusCode, &Error>) {
        let Some(index) = self.server else { return };
        let server = &self.upstream.servers[index];
        let (counter, well) = match outcome {
            Ok(status) if status.is_server_error() => (&server.metrics.server_error, false),
            Ok(_) => (&server.metrics.answered, true),
            Err(error) if error.origin() == Origin::Upstream => {
                server.note_error(error);
                (&server.metrics.failed, false)
            }
            // The client's doing.
            Err(_) => return,
        };
        counter.increment(1);
        self.upstream.note_outcome(index, well);
    }

    /// Binds the client to the server that has answered, where that is wanted.
    fn bind(&self, mut response: Response<Body>, bound: Option<usize>) -> Response<Body> {
        if let (Some(sticky), Some(index)) = (&self.upstream.settings.sticky, self.server)
            && bound != Some(index)
        {
            sticky.bind(&mut response, &self.upstream.servers[index], self.connection.is_tls());
        }
        response
    }

    /// Sends over one connection. A reused one may have been closed by the server a moment ago: what
    /// was certainly not read by it is sent again; a safe request without a body is so, once, over a
    /// new connection.
    async fn attempt(
        &mut self,
        pooled: Pooled,
        is_fresh: bool,
        request: Request<Body>,
        had_upload: bool,
    ) -> Sent {
        // A connection of HTTP/2 may be another request's, and end, as soon as it is there.
        let is_shared = pooled.sender.is_http2();
        let is_safe = is_repeatable(request.method()) && !is_fresh;
        let may_repeat = !had_upload && !self.repeated && (is_safe || is_shared);
        let copy = may_repeat.then(|| copy_head(&request));
        let failed = match send(pooled, request, self.upstream.settings.response_timeout).await {
            Ok((response, pooled)) => return Sent::Over(finish(response, pooled, had_upload)),
            Err(failed) => failed,
        };
        match failed.unsent {
            Some(unsent) if is_shared || !is_fresh => return Sent::Again(*unsent, failed.ticket),
            _ => {}
        }
        let is_lost = failed.error.kind() == Kind::BadGateway && !failed.is_reset;
        let Some(copy) = copy else { return Sent::Over(Err(failed.error)) };
        if failed.is_unprocessed && self.unprocessed < MAX_UNPROCESSED {
            self.unprocessed += 1;
        } else if is_safe && is_lost {
            self.repeated = true;
        } else {
            return Sent::Over(Err(failed.error));
        }
        Sent::Again(copy, failed.ticket)
    }

    async fn connect(&self, server: &Server) -> Result<Pooled, Error> {
        let span = self.hooks.start(self.transaction, Stage::UpstreamConnect, self.span);
        let result = connect(self.upstream, server).await;
        let attempt = result.as_ref().map(drop);
        server.note(&self.upstream.name, attempt, self.upstream.settings.fail_pause);
        if H::ENABLED {
            let error = result.as_ref().err().map(|error| error.to_string().into());
            let detail = Some(server.address.shown.clone());
            self.hooks.end(self.transaction, span, SpanEnd { status: None, error, detail });
        }
        result
    }

    fn span_end(&self, result: &Result<Response<Body>, Error>) -> SpanEnd {
        SpanEnd {
            status: result.as_ref().ok().map(Response::status),
            error: result.as_ref().err().map(|error| Cow::Owned(error.to_string())),
            detail: self.server.map(|index| self.upstream.servers[index].address.shown.clone()),
        }
    }
}

/// Makes the origin's response ours. Where it is not to be trusted, its connection goes too.
fn finish(
    mut response: Response<Incoming>,
    pooled: Pooled,
    had_upload: bool,
) -> Result<Response<Body>, Error> {
    let invalid =
        |why: &'static str| Error::new(Kind::BadGateway, Origin::Upstream, INVALID_RESPONSE).with_source(why);
    // The request for an upgrade does not go on, so this answer was not asked for.
    if response.status().is_informational() {
        return Err(invalid("the upstream switches protocols"));
    }
    headers::prepare_response(response.status(), response.headers_mut()).map_err(invalid)?;
    // The version is that of one hop; the server side adapts to its client.
    *response.version_mut() = Version::HTTP_11;
    Ok(response.map(|body| {
        let body = PooledBody::new(body, pooled, had_upload);
        if body.is_end_stream() { Body::empty() } else { Body::pooled(body) }
    }))
}

/// How often one request may meet the end of a shared connection.
const MAX_UNPROCESSED: u32 = 8;

const INVALID_RESPONSE: &str = "the upstream did not answer with a valid response";

/// How an attempt with one server went.
enum Tried {
    Over(Result<Response<Body>, Error>),
    /// Nothing was sent.
    Unconnected(Error, Request<Body>),
}

/// How an attempt with one connection went. What goes on keeps its place at the server.
enum Sent {
    Over(Result<Response<Body>, Error>),
    /// It may be sent over another one.
    Again(Request<Body>, Option<Ticket>),
}

struct SendError {
    error: Error,
    /// The request, where nothing of it was sent.
    unsent: Option<Box<Request<Body>>>,
    /// Whether the server said that it has not looked at it.
    is_unprocessed: bool,
    /// Whether the server gave up this request, and not the connection.
    is_reset: bool,
    ticket: Option<Ticket>,
}

impl SendError {
    fn new(error: Error) -> Self {
        Self { error, unsent: None, is_unprocessed: false, is_reset: false, ticket: None }
    }

    fn unsent(error: Error, request: Request<Body>, ticket: Option<Ticket>) -> Self {
        Self { unsent: Some(Box::new(request)), ticket, ..Self::new(error) }
    }
}

fn no_server() -> Error {
    Error::new(Kind::Unavailable, Origin::Internal, "no server of the upstream is available").retryable()
}

/// Sends over one connection and waits for the answer; `patience` begins anew as long as the body
/// moves. An error comes with the request where nothing of it was sent.
async fn send(
    mut pooled: Pooled,
    mut request: Request<Body>,
    patience: Duration,
) -> Result<(Response<Incoming>, Pooled), SendError> {
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
    let mut answer = std::pin::pin!(pooled.sender.try_send_request(request));
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

/// Safe methods (RFC 9110 section 9.2.1): repeating them has no effect on the server.
fn is_repeatable(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

pub(super) fn copy_head(request: &Request<Body>) -> Request<Body> {
    let mut copy = Request::new(Body::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}
