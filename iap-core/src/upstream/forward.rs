//! One request through an upstream.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::Upstream;
use super::body::PooledBody;
use super::connect::connect;
use super::informational::Listener;
use super::pool::Pooled;
use super::server::Server;
use super::tunnel::Wish;
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
    connection: &Arc<Connection>,
    mut request: Request<Body>,
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

    let mut exchange = Exchange {
        upstream,
        hooks,
        transaction,
        span: parent,
        server: None,
        client: connection,
        wish,
        listener,
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
    span: Option<crate::trace_context::SpanId>,
    server: Option<usize>,
    client: &'a Connection,
    wish: Option<Wish>,
    listener: Option<Listener>,
}

impl<H: Hooks> Exchange<'_, H> {
    /// Tries the servers in order; of each, idle connections until one turns out to be alive, then
    /// a new one. Only a connection that could not be made leads to the next server.
    async fn send_until_answered(
        &mut self,
        mut request: Request<Body>,
        had_upload: bool,
    ) -> Result<Response<Body>, Error> {
        let upstream = self.upstream;
        let (mut repeats, mut last) = (false, None);
        for (index, server) in upstream.candidates() {
            self.server = Some(index);
            while !repeats && let Some(pooled) = server.pool.take() {
                match self.send_over_idle(server, pooled, request, had_upload).await {
                    Sent::Answered(response) => return Ok(response),
                    Sent::Failed(error) => return Err(error),
                    Sent::Unsent(unsent) => request = unsent,
                    Sent::Repeat(copy) => {
                        request = copy;
                        repeats = true;
                    }
                }
            }
            match self.connect(server).await {
                Ok(fresh) => {
                    let sent = self.send(fresh, request).await;
                    let (response, pooled) = sent.map_err(|(error, _)| error)?;
                    return self.finish(server, response, pooled, had_upload);
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("an upstream has at least one server"))
    }

    /// An idle connection may have been closed by the server a moment ago. What was certainly not
    /// read by it is sent again; a safe request without a body is so, once, over a new connection.
    async fn send_over_idle(
        &mut self,
        server: &Server,
        pooled: Pooled,
        request: Request<Body>,
        had_upload: bool,
    ) -> Sent {
        let copy = (!had_upload && is_repeatable(request.method())).then(|| copy_head(&request));
        match self.send(pooled, request).await {
            Ok((response, pooled)) => match self.finish(server, response, pooled, had_upload) {
                Ok(response) => Sent::Answered(response),
                Err(error) => Sent::Failed(error),
            },
            Err((_, Some(unsent))) => Sent::Unsent(*unsent),
            Err((error, None)) => match copy.filter(|_| error.kind() == Kind::BadGateway) {
                Some(copy) => Sent::Repeat(copy),
                None => Sent::Failed(error),
            },
        }
    }

    async fn connect(&self, server: &Server) -> Result<Pooled, Error> {
        let span = self.hooks.start(self.transaction, Stage::UpstreamConnect, self.span);
        let result = connect(self.upstream, server).await;
        let attempt = result.as_ref().map(drop);
        server.note(&self.upstream.name, attempt, self.upstream.settings.fail_pause);
        if H::ENABLED {
            let error = result.as_ref().err().map(|error| error.to_string().into());
            let detail = Some(server.address.clone());
            self.hooks.end(self.transaction, span, SpanEnd { status: None, error, detail });
        }
        result
    }

    async fn send(
        &self,
        pooled: Pooled,
        request: Request<Body>,
    ) -> Result<(Response<Incoming>, Pooled), SendError> {
        let mut sent = std::pin::pin!(send(pooled, request, self.upstream.settings.response_timeout));
        std::future::poll_fn(|cx| {
            if let Some(listener) = &self.listener {
                listener.wait(cx);
            }
            sent.as_mut().poll(cx)
        })
        .await
    }

    /// The answer, or the tunnel that it opens.
    fn finish(
        &mut self,
        server: &Server,
        response: Response<Incoming>,
        mut pooled: Pooled,
        had_upload: bool,
    ) -> Result<Response<Body>, Error> {
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            pooled.is_spent = self.listener.as_ref().is_some_and(Listener::holds_body);
            return finish(server, response, pooled, had_upload);
        }
        // Where it was not asked for, the origin is not to be trusted.
        let granted = self.wish.take().and_then(|wish| wish.grant(response));
        let (tunnel, response) = granted.ok_or_else(|| invalid("the upstream switches protocols"))?;
        pooled.detach();
        self.client.set_tunnel(tunnel);
        Ok(response)
    }

    fn span_end(&self, result: &Result<Response<Body>, Error>) -> SpanEnd {
        SpanEnd {
            status: result.as_ref().ok().map(Response::status),
            error: result.as_ref().err().map(|error| Cow::Owned(error.to_string())),
            detail: self.server.map(|index| self.upstream.servers[index].address.clone()),
        }
    }
}

/// Makes the origin's response ours. Where it is not to be trusted, its connection goes too.
fn finish(
    server: &Server,
    mut response: Response<Incoming>,
    pooled: Pooled,
    had_upload: bool,
) -> Result<Response<Body>, Error> {
    if response.status().is_informational() {
        return Err(invalid("an informational response ends nothing"));
    }
    headers::prepare_response(response.status(), response.headers_mut()).map_err(invalid)?;
    // The version is that of one hop; the server side adapts to its client.
    *response.version_mut() = Version::HTTP_11;
    let pool = server.pool.clone();
    Ok(response.map(|body| {
        let body = PooledBody::new(body, pooled, pool, had_upload);
        if body.is_end_stream() { Body::empty() } else { Body::pooled(body) }
    }))
}

fn invalid(why: &'static str) -> Error {
    Error::new(Kind::BadGateway, Origin::Upstream, INVALID_RESPONSE).with_source(why)
}

const INVALID_RESPONSE: &str = "the upstream did not answer with a valid response";

enum Sent {
    Answered(Response<Body>),
    /// Nothing was sent: any number of idle connections may be tried.
    Unsent(Request<Body>),
    /// It was sent and is safe to send once more.
    Repeat(Request<Body>),
    Failed(Error),
}

type SendError = (Error, Option<Box<Request<Body>>>);

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
        return Err((error, Some(Box::new(request))));
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
                now if now == seen => return Err((late(), None)),
                now => seen = now,
            },
        }
    };
    match answer {
        Ok(response) => Ok((response, pooled)),
        Err(mut failed) => {
            let unsent = failed.take_message().map(Box::new);
            let error = failed.into_error();
            Err((describe(error, unsent.is_some()), unsent))
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

fn copy_head(request: &Request<Body>) -> Request<Body> {
    let mut copy = Request::new(Body::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}
