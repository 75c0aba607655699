//! One request on its way: server after server, connection after connection, until it is answered.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, Response, StatusCode};
use http_body::Body as _;

use super::Upstream;
use super::balance::ServerSet;
use super::choose::Affinity;
use super::connect::{TlsSpan, connect};
use super::forward::{Terms, copy_head, finish, invalid, send};
use super::hedge::Chosen;
use super::informational::Listener;
use super::limits::InFlightLimits;
use super::place::Patience;
use super::pool::Pooled;
use super::retry::{Attempts, is_safe};
use super::sender::Received;
use super::server::Server;
use super::ticket::Ticket;
use super::tunnel::{self, Wish};
use crate::body::Body;
use crate::error::{Error, Kind, Origin};
use crate::headers::Forwarding;
use crate::hooks::{Hooks, SpanEnd, Stage};
use crate::trace_context::SpanId;

/// How often one request may meet the end of a shared connection.
const MAX_UNPROCESSED: u32 = 8;

/// The state of one request on its way through one upstream.
pub(super) struct Exchange<'a, H: Hooks> {
    pub(super) upstream: &'a Arc<Upstream>,
    hooks: &'a H,
    transaction: &'a H::Transaction,
    /// What the request says in our name.
    forwarding: &'a Forwarding<'a>,
    wish: Option<Wish>,
    listener: Option<Listener>,
    span: Option<SpanId>,
    pub(super) chosen: &'a Chosen,
    /// When the current server was chosen.
    since: Instant,
    /// How long a server may let the request wait while nothing moves.
    pub(super) patience: Duration,
    /// Whether the request went out a second time because an idle connection had ended.
    repeated: bool,
    /// How often the server said that it has not looked at the request.
    unprocessed: u32,
}

impl<'a, H: Hooks> Exchange<'a, H> {
    pub(super) fn new(
        upstream: &'a Arc<Upstream>,
        hooks: &'a H,
        transaction: &'a H::Transaction,
        forwarding: &'a Forwarding<'a>,
        span: Option<SpanId>,
        chosen: &'a Chosen,
    ) -> Self {
        Self {
            upstream,
            hooks,
            transaction,
            forwarding,
            wish: None,
            listener: None,
            span,
            chosen,
            since: Instant::now(),
            patience: upstream.settings.response_timeout,
            repeated: false,
            unprocessed: 0,
        }
    }

    /// `wish`: what the client would like to switch to; `listener`: who hears what comes before the
    /// answer.
    pub(super) fn expect(&mut self, wish: Option<Wish>, listener: Option<Listener>) {
        (self.wish, self.listener) = (wish, listener);
    }

    /// The request goes to this server.
    fn choose(&mut self, index: usize) {
        self.chosen.set(index);
        self.since = Instant::now();
        if H::ENABLED {
            let upstream = self.upstream;
            self.hooks.reached(self.transaction, &upstream.name, &upstream.servers[index].address.shown);
        }
    }

    /// Tries servers until one answers. A connection that could not be made leads to the next server
    /// in any case, a failure after that only where the settings say so.
    pub(super) async fn send_until_answered(
        &mut self,
        mut request: Box<Request<Body>>,
        affinity: Affinity,
        had_upload: bool,
    ) -> Result<Response<Body>, Error> {
        let upstream = self.upstream;
        let rule = upstream.settings.retry.as_ref().zip(upstream.budget.as_ref());
        let mut attempts = Attempts::new(rule, &request, had_upload);
        let (mut tried, mut repeats, mut last) = (ServerSet::default(), false, None);
        let mut patience = None;
        loop {
            let mut admitted = self.admit(&affinity, &tried).await?;
            if admitted.is_none() && repeats {
                // All have had their turn: the second attempt may go where the first one went.
                tried = ServerSet::default();
                admitted = self.admit(&affinity, &tried).await?;
            }
            let Some(ticket) = admitted else {
                // Nothing of it was sent: it may wait for a server to come.
                if !repeats && Box::pin(self.await_server(&mut patience)).await {
                    tried = ServerSet::default();
                    continue;
                }
                let waited = patience.is_some();
                return Err(last.filter(|_| !waited).unwrap_or_else(no_server));
            };
            let index = ticket.index();
            self.choose(index);
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

    /// Tries one server only.
    pub(super) async fn send_once(
        &mut self,
        ticket: Ticket,
        request: Box<Request<Body>>,
    ) -> Result<Response<Body>, Error> {
        self.choose(ticket.index());
        match self.try_server(ticket, request, false).await {
            Tried::Over(result) => result.map(|response| self.bind(response, None)),
            Tried::Unconnected(error, _) => Err(error),
        }
    }

    /// One server: idle connections until one turns out to be alive, then a new one.
    async fn try_server(
        &mut self,
        ticket: Ticket,
        mut request: Box<Request<Body>>,
        had_upload: bool,
    ) -> Tried {
        let upstream = self.upstream;
        let server = &*upstream.servers[ticket.index()];
        let mut ticket = Some(ticket);
        // Of HTTP/1.1 only a connection as a whole can switch protocols.
        let alone = self.needs_own(server) && server.may_speak_http2();
        while !self.repeated
            && !alone
            && let Some(mut pooled) = server.pool.take(server)
        {
            pooled.ticket = ticket.take();
            match self.attempt(pooled, false, request, had_upload).await {
                Sent::Over(result) => return self.over(result),
                Sent::Again(again, place, _) => (request, ticket) = (again, place),
            }
        }
        let mut further = MAX_UNPROCESSED;
        loop {
            let mut fresh = match self.connect(server).await {
                Ok(fresh) => fresh,
                Err(error) => {
                    self.note(&Err(&error), false);
                    return Tried::Unconnected(error, request);
                }
            };
            fresh.ticket = ticket.take();
            match self.attempt(fresh, true, request, had_upload).await {
                Sent::Over(result) => return self.over(result),
                Sent::Again(_, _, why) if further == 0 => return self.over(Err(*why)),
                Sent::Again(again, place, _) => (request, ticket) = (again, place),
            }
            further -= 1;
        }
    }

    /// Whether the request needs a connection of its own.
    fn needs_own(&self, server: &Server) -> bool {
        self.wish.is_some() && !server.is_http2_only(self.upstream.settings.protocol)
    }

    fn over(&self, result: Result<Response<Body>, Error>) -> Tried {
        let streams = result.as_ref().is_ok_and(|response| !response.body().is_end_stream());
        self.note(&result.as_ref().map(Response::status), streams);
        Tried::Over(result)
    }

    /// Counts how a request to the current server went. Where the answer has a body that still comes
    /// (`streams`), its end tells whether all went well.
    fn note(&self, outcome: &Result<StatusCode, &Error>, streams: bool) {
        let Some(index) = self.chosen.get() else { return };
        let server = &self.upstream.servers[index];
        if outcome.is_ok() {
            server.requests.answered(self.since.elapsed());
        }
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
        // A server that is tried out need not finish a body to be let in again.
        if !(well && streams) || server.outlier.ejected().is_some() {
            self.upstream.note_outcome(index, well);
        }
    }

    /// Binds the client to the server that has answered, where that is wanted.
    fn bind(&self, mut response: Response<Body>, bound: Option<usize>) -> Response<Body> {
        if let (Some(sticky), Some(index)) = (&self.upstream.settings.sticky, self.chosen.get())
            && bound != Some(index)
        {
            sticky.bind(&mut response, &self.upstream.servers[index], self.forwarding.connection().is_tls());
        }
        response
    }

    /// Sends over one connection. A reused one may have been closed by the server a moment ago: what
    /// was certainly not read by it is sent again; a safe request without a body is so, once, over a
    /// new connection. A new one may be that to a process which has just ended: it is told by its reset.
    async fn attempt(
        &mut self,
        pooled: Box<Pooled>,
        is_fresh: bool,
        request: Box<Request<Body>>,
        had_upload: bool,
    ) -> Sent {
        // A connection of HTTP/2 may be another request's, and end, as soon as it is there.
        let is_shared = pooled.sender.is_http2();
        let is_safe = is_safe(request.method());
        let may_repeat = !had_upload && !self.repeated && (is_safe || is_shared);
        // HTTP/1.1 gives the head back.
        let copy = (may_repeat && is_shared).then(|| copy_head(&request));
        let terms = Terms {
            forwarding: self.forwarding,
            must_be_alive: !is_fresh && !may_repeat,
            listener: self.listener.as_ref(),
            wish: self.wish.as_ref(),
            patience: self.patience,
        };
        let failed = match send(pooled, request, &terms).await {
            Ok((response, pooled)) => return Sent::Over(self.finish(response, pooled, had_upload)),
            Err(failed) => failed,
        };
        let mut whole = failed.whole;
        if failed.is_unsent
            && (is_shared || !is_fresh)
            && let Some(unsent) = whole.take()
        {
            return Sent::Again(unsent, failed.ticket, failed.error);
        }
        let is_lost = failed.error.kind() == Kind::BadGateway && !failed.is_reset;
        let Some(again) = whole.or(copy).filter(|_| may_repeat) else {
            return Sent::Over(Err(*failed.error));
        };
        if failed.is_unprocessed && self.unprocessed < MAX_UNPROCESSED {
            self.unprocessed += 1;
        } else if is_safe && is_lost && (!is_fresh || failed.is_unsent || failed.is_unread) {
            self.repeated = true;
        } else {
            return Sent::Over(Err(*failed.error));
        }
        Sent::Again(again, failed.ticket, failed.error)
    }

    /// A place at a server that was not tried yet, after waiting for one if there is no room. `None` when no server
    /// is left.
    async fn admit(&self, affinity: &Affinity, tried: &ServerSet) -> Result<Option<Ticket>, Error> {
        let upstream = self.upstream;
        let (mut passed, mut full) = (*tried, ServerSet::default());
        if let Some(ticket) = upstream.admit_now(affinity, &mut passed, &mut full) {
            return Ok(Some(ticket));
        }
        match &upstream.settings.limits {
            Some(limits) if !full.is_empty() => Box::pin(self.queue(limits, full)).await.map(Some),
            _ => Ok(None),
        }
    }

    async fn queue(&self, limits: &InFlightLimits, full: ServerSet) -> Result<Ticket, Error> {
        let span = self.hooks.start(self.transaction, Stage::UpstreamQueue, self.span);
        let result = self.upstream.wait(limits, full).await;
        if H::ENABLED {
            let error = result.as_ref().err().map(|error| error.to_string().into());
            self.hooks.end(self.transaction, span, SpanEnd { error, ..SpanEnd::default() });
        }
        result
    }

    async fn await_server(&self, patience: &mut Option<Box<Patience>>) -> bool {
        // The first time it only looks.
        let waits = patience.is_some();
        let span = waits.then(|| self.hooks.start(self.transaction, Stage::UpstreamQueue, self.span));
        let came = self.upstream.await_server(patience).await;
        if let Some(span) = span {
            self.hooks.end(self.transaction, span, SpanEnd::default());
        }
        came
    }

    async fn connect(&self, server: &Server) -> Result<Box<Pooled>, Error> {
        let span = self.hooks.start(self.transaction, Stage::UpstreamConnect, self.span);
        // Boxed, since it is rare and large: what is not awaited would still be moved with each request.
        let alone = self.needs_own(server);
        let tls =
            TlsSpan { hooks: self.hooks, transaction: self.transaction, below: self.hooks.span_id(&span) };
        let result = Box::pin(connect(self.upstream, server, alone, &tls)).await;
        let attempt = result.as_ref().map(drop);
        server.note(&self.upstream.name, attempt, self.upstream.settings.fail_pause);
        if H::ENABLED {
            let error = result.as_ref().err().map(|error| error.to_string().into());
            let detail = Some(server.address.shown.clone());
            self.hooks.end(self.transaction, span, SpanEnd { status: None, error, detail });
        }
        result
    }

    /// The answer, or the tunnel that it opens.
    fn finish(
        &mut self,
        response: Response<Received>,
        mut pooled: Box<Pooled>,
        had_upload: bool,
    ) -> Result<Response<Body>, Error> {
        let is_http2 = pooled.sender.is_http2();
        let opens = self.wish.is_some() && tunnel::opens(&response, is_http2);
        if !opens && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            pooled.is_spent = self.listener.as_ref().is_some_and(Listener::holds_body);
            return finish(response, pooled, had_upload);
        }
        // Where it was not asked for, the origin is not to be trusted.
        let wish = self.wish.take().filter(|_| opens);
        let slot = wish.as_ref().and_then(Wish::slot).cloned();
        let granted = wish.and_then(|wish| wish.grant(response, *pooled));
        let (tunnel, response) = granted.ok_or_else(|| invalid("the upstream switches protocols"))?;
        match slot {
            Some(slot) => tunnel.leave_in(&slot),
            None => self.forwarding.connection().set_tunnel(tunnel),
        }
        Ok(response)
    }

    pub(super) fn span_end(&self, result: &Result<Response<Body>, Error>) -> SpanEnd {
        SpanEnd {
            status: result.as_ref().ok().map(Response::status),
            error: result.as_ref().err().map(|error| Cow::Owned(error.to_string())),
            detail: self.chosen.get().map(|index| self.upstream.servers[index].address.shown.clone()),
        }
    }
}

/// How an attempt with one server went.
enum Tried {
    Over(Result<Response<Body>, Error>),
    /// Nothing was sent.
    Unconnected(Error, Box<Request<Body>>),
}

/// How an attempt with one connection went. What goes on keeps its place at the server.
enum Sent {
    Over(Result<Response<Body>, Error>),
    /// It may be sent over another one; why it has to be.
    Again(Box<Request<Body>>, Option<Ticket>, Box<Error>),
}

fn no_server() -> Error {
    Error::new(Kind::Unavailable, Origin::Internal, "no server of the upstream is available").retryable()
}
