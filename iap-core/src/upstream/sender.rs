//! What sends a request, whichever version of HTTP the server speaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::forward::Terms;
use super::h1::{self, Fault};
use super::h2;
use super::informational::Listener;
use super::ticket::Ticket;
use super::tunnel::Wish;
use crate::body::Body;
use crate::error::{BoxError, Error, Kind, Origin};
use crate::websocket;

/// The sending half of a connection.
#[derive(Debug)]
pub(super) enum Sender {
    /// A connection of its own, for one request after the other.
    Http1(Box<h1::Connection>),
    /// One stream of a shared connection.
    Http2(h2::Stream),
}

/// Where the body of a response comes from.
#[derive(Debug)]
pub(super) enum Received {
    /// The connection that the request went by.
    Http1,
    Http2(Incoming),
}

/// A request that was not answered.
pub(super) struct SendFailure {
    pub(super) error: Box<Error>,
    /// The request, where its body was not touched.
    pub(super) whole: Option<Box<Request<Body>>>,
    /// Whether nothing of it was sent.
    pub(super) is_unsent: bool,
    /// Whether the server said that it has not looked at it.
    pub(super) is_unprocessed: bool,
    /// Whether the server's system has most likely thrown it away unread: it reset the connection before
    /// any answer, as it does with those that nobody has accepted when a process ends.
    pub(super) is_unread: bool,
    /// Whether the server gave up this request, and not the connection.
    pub(super) is_reset: bool,
    /// Its place at the server.
    pub(super) ticket: Option<Ticket>,
}

pub(super) const INVALID_RESPONSE: &str = "the upstream did not answer with a valid response";

impl SendFailure {
    fn new(error: Error) -> Self {
        let error = Box::new(error);
        Self {
            error,
            whole: None,
            is_unsent: false,
            is_unprocessed: false,
            is_unread: false,
            is_reset: false,
            ticket: None,
        }
    }

    /// Nothing moved for too long.
    pub(super) fn late() -> Self {
        Self::new(Error::new(Kind::Timeout, Origin::Upstream, "the upstream did not answer in time"))
    }

    /// The server speaks HTTP/2 only, and carries no tunnels. It is none of its failures.
    fn no_tunnels() -> Self {
        Self::new(Error::new(
            Kind::BadGateway,
            Origin::Internal,
            "the upstream takes no WebSocket over HTTP/2",
        ))
    }

    /// Nothing of the request went out.
    pub(super) fn unsent(error: impl Into<BoxError>, request: Box<Request<Body>>) -> Self {
        Self { whole: Some(request), is_unsent: true, ..Self::new(describe(error.into(), true)) }
    }
}

fn describe(error: BoxError, is_unsent: bool) -> Error {
    // A body that the client broke off, or that grew too large, is not the upstream's fault.
    if let Some(own) = own_error(&*error) {
        return Error::new(own.kind(), own.origin(), own.message().to_owned());
    }
    let because = |message| Error::new(Kind::BadGateway, Origin::Upstream, message).with_source(error);
    match is_unsent {
        true => because("the upstream closed the connection").retryable(),
        false => because(INVALID_RESPONSE),
    }
}

/// The error of the request's body, which hyper has wrapped once.
fn own_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    let of_hyper = error.downcast_ref::<hyper::Error>().filter(|error| error.is_user());
    of_hyper.map_or(Some(error), |error| std::error::Error::source(error))?.downcast_ref()
}

impl Sender {
    /// Whether it can take a request: the one before is over.
    pub(super) fn is_ready(&self) -> bool {
        match self {
            Self::Http1(connection) => connection.is_free(),
            Self::Http2(stream) => stream.sender.is_ready(),
        }
    }

    /// Whether an idle connection is of no use any more.
    pub(super) fn has_ended(&mut self) -> bool {
        match self {
            Self::Http1(connection) => connection.has_ended(),
            Self::Http2(stream) => stream.sender.is_closed(),
        }
    }

    pub(super) fn is_http2(&self) -> bool {
        matches!(self, Self::Http2(_))
    }

    /// Sends what is left of a request after its answer. Ready once no more can be sent.
    pub(super) fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Http1(connection) => connection.poll_sent(cx),
            Self::Http2(_) => Poll::Ready(()),
        }
    }
}

impl h1::Connection {
    /// Begins with a request. `Err` with the request where the server has ended the connection meanwhile.
    pub(super) fn start(
        &mut self,
        mut request: Box<Request<Body>>,
        terms: &Terms<'_>,
    ) -> Result<Asked, SendFailure> {
        if terms.must_be_alive && !self.is_quiet() {
            return Err(SendFailure::unsent(Fault::Closed, request));
        }
        let had_body = !http_body::Body::is_end_stream(request.body());
        self.begin(&mut request, Some(terms.forwarding));
        Ok(Asked { request: Some(request), had_body })
    }
}

/// A request that is on a connection of HTTP/1.1, whose head is kept for another attempt.
pub(super) struct Asked {
    request: Option<Box<Request<Body>>>,
    had_body: bool,
}

impl Asked {
    pub(super) fn poll(
        &mut self,
        connection: &mut h1::Connection,
        listener: Option<&Listener>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<Received>, SendFailure>> {
        let hear = |status, fields: &_| {
            if let Some(listener) = listener {
                listener.hear(status, fields);
            }
        };
        connection.poll_answer(cx, hear).map(|answer| match answer {
            Ok(response) => Ok(response.map(|()| Received::Http1)),
            Err(fault) => Err(self.failed(connection, fault)),
        })
    }

    fn failed(&mut self, connection: &mut h1::Connection, fault: Fault) -> SendFailure {
        let mut request = self.request.take();
        let taken_back = connection.take_back();
        let is_unsent = taken_back.is_some();
        if let (Some(request), Some(body)) = (&mut request, taken_back) {
            *request.body_mut() = body;
        }
        let is_unread = matches!(fault, Fault::Reset);
        let error = match fault {
            Fault::Body(error) => error,
            fault => fault.into(),
        };
        let whole = request.filter(|_| is_unsent || !self.had_body);
        SendFailure { whole, is_unsent, is_unread, ..SendFailure::new(describe(error, is_unsent)) }
    }
}

impl h2::Stream {
    /// Sends a request and waits for the answer; `patience` begins anew as long as the body moves. One with
    /// a wish becomes an extended CONNECT.
    pub(super) async fn ask(
        &mut self,
        mut request: Box<Request<Body>>,
        patience: Duration,
        wish: Option<&Wish>,
    ) -> Result<Response<Received>, SendFailure> {
        if wish.is_some() && !self.takes_tunnels().await && !self.sender.is_closed() {
            return Err(SendFailure::no_tunnels());
        }
        match timeout(patience, self.sender.ready()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(SendFailure::unsent(error, request)),
            Err(_) => return Err(SendFailure::unsent("no stream in time", request)),
        }
        let uploaded = Arc::new(AtomicU64::new(0));
        if !http_body::Body::is_end_stream(request.body()) {
            request.body_mut().report_to(uploaded.clone());
        }
        let mut request = h2::to_http2(*request, self.scheme.clone());
        if wish.is_some() {
            websocket::make_connect(&mut request);
        }
        let mut answer = std::pin::pin!(self.sender.try_send_request(request));
        let mut seen = 0;
        let answer = loop {
            match timeout(patience, answer.as_mut()).await {
                Ok(answer) => break answer,
                Err(_) => match uploaded.load(Ordering::Relaxed) {
                    now if now == seen => return Err(SendFailure::late()),
                    now => seen = now,
                },
            }
        };
        answer.map(|response| response.map(Received::Http2)).map_err(|mut failed| {
            let whole = failed.take_message().map(|request| {
                let mut request = Box::new(h2::to_http1(request));
                if let Some(wish) = wish {
                    websocket::undo_connect(&mut request, wish.key());
                }
                request
            });
            let error = failed.into_error();
            let (is_unsent, is_reset) = (whole.is_some(), h2::is_reset(&error));
            // The failure may be that of the whole connection.
            if is_unsent || !is_reset {
                self.retire();
            }
            let is_unprocessed = h2::is_unprocessed(&error);
            let failure = SendFailure::new(describe(error.into(), is_unsent));
            SendFailure { whole, is_unsent, is_unprocessed, is_reset, ..failure }
        })
    }
}
