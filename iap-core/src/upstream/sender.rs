//! One way to send a request, whichever version of HTTP the server speaks.

use std::future::Future;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};

use super::h2;
use crate::body::Body;

/// The sending half of a connection.
#[derive(Debug)]
pub(super) enum Sender {
    /// A connection of its own, for one request after the other.
    Http1(http1::SendRequest<Body>),
    /// One stream of a shared connection.
    Http2(h2::Stream),
}

/// A request that failed. It comes back where nothing of it was sent.
pub(super) struct SendFailure {
    error: hyper::Error,
    unsent: Option<Request<Body>>,
}

impl Sender {
    pub(super) async fn ready(&mut self) -> hyper::Result<()> {
        match self {
            Self::Http1(sender) => sender.ready().await,
            Self::Http2(stream) => stream.sender.ready().await,
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.is_ready(),
            Self::Http2(stream) => stream.sender.is_ready(),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.is_closed(),
            Self::Http2(stream) => stream.sender.is_closed(),
        }
    }

    pub(super) fn is_http2(&self) -> bool {
        matches!(self, Self::Http2(_))
    }

    /// Takes note of a failure, which may be that of a whole shared connection.
    pub(super) fn note(&self, error: &hyper::Error, unsent: bool) {
        if let Self::Http2(stream) = self
            && (unsent || !h2::is_reset(error))
        {
            stream.retire();
        }
    }

    /// Sends a request in the form of HTTP/1.1: target in origin form, authority in `Host`.
    pub(super) fn try_send_request(
        &mut self,
        request: Request<Body>,
    ) -> impl Future<Output = Result<Response<Incoming>, SendFailure>> + use<> {
        let attempt = match self {
            Self::Http1(sender) => Attempt::Http1(sender.try_send_request(request)),
            Self::Http2(stream) => {
                let request = h2::to_http2(request, stream.scheme.clone());
                Attempt::Http2(stream.sender.try_send_request(request))
            }
        };
        async move {
            match attempt {
                Attempt::Http1(answer) => {
                    answer.await.map_err(|failed| SendFailure::new(failed, |same| same))
                }
                Attempt::Http2(answer) => {
                    answer.await.map_err(|failed| SendFailure::new(failed, h2::to_http1))
                }
            }
        }
    }
}

enum Attempt<A, B> {
    Http1(A),
    Http2(B),
}

impl SendFailure {
    fn new(
        mut failed: TrySendError<Request<Body>>,
        restore: impl FnOnce(Request<Body>) -> Request<Body>,
    ) -> Self {
        let unsent = failed.take_message().map(restore);
        Self { error: failed.into_error(), unsent }
    }

    /// The request, where nothing of it was sent.
    pub(super) fn take_message(&mut self) -> Option<Request<Body>> {
        self.unsent.take()
    }

    pub(super) fn into_error(self) -> hyper::Error {
        self.error
    }
}
