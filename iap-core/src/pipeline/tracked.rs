//! The response body that ends its transaction.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Response, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::body::Body;
use crate::error::{BoxError, Error, Kind};
use crate::hooks::{Finish, Hooks, SpanEnd, Stage};

/// A response body under observation. When its last byte was handed over, or it is dropped, the
/// transaction finishes. Without an observer it is the plain body.
#[derive(Debug)]
pub struct TrackedBody<H: Hooks> {
    body: Body,
    open: Option<Open<H>>,
}

struct Open<H: Hooks> {
    hooks: H,
    transaction: H::Transaction,
    span: H::Span,
    finish: Finish,
    /// How many bytes make the response complete, where that is known. The server stops reading
    /// a body there, so that its end is seen by the drop alone.
    expected: Option<u64>,
}

impl<H: Hooks> std::fmt::Debug for Open<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.finish.fmt(f)
    }
}

impl<H: Hooks> TrackedBody<H> {
    pub(super) fn track(
        response: Response<Body>,
        hooks: H,
        transaction: H::Transaction,
        is_head: bool,
        error: Option<(Kind, Option<String>)>,
    ) -> Response<Self> {
        if !H::ENABLED {
            hooks.finish(transaction, finish(response.status(), error));
            return response.map(|body| Self { body, open: None });
        }
        let span = hooks.start(&transaction, Stage::Response, None);
        let finish = finish(response.status(), error);
        let expected = if is_head { Some(0) } else { expected_bytes(&response) };
        response.map(|body| {
            let mut tracked = Self { body, open: Some(Open { hooks, transaction, span, finish, expected }) };
            if tracked.body.is_end_stream() {
                tracked.close(None);
            }
            tracked
        })
    }

    fn close(&mut self, failure: Option<(Kind, String)>) {
        let Some(mut open) = self.open.take() else { return };
        let mut end = SpanEnd::default();
        if let Some((kind, message)) = failure {
            end.error = Some(message.clone().into());
            open.finish.error = Some(kind);
            open.finish.message = Some(message);
        }
        open.hooks.end(&open.transaction, open.span, end);
        open.hooks.finish(open.transaction, open.finish);
    }
}

fn expected_bytes(response: &Response<Body>) -> Option<u64> {
    if matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Some(0);
    }
    let announced =
        response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    announced.or_else(|| response.body().size_hint().exact())
}

fn finish(status: StatusCode, error: Option<(Kind, Option<String>)>) -> Finish {
    let (error, message) = error.map_or((None, None), |(kind, message)| (Some(kind), message));
    Finish { status, bytes_out: 0, error, message }
}

/// Nothing in it is pinned in place: the inner body is `Unpin`, the rest is only moved.
impl<H: Hooks> Unpin for TrackedBody<H> {}

impl<H: Hooks> HttpBody for TrackedBody<H> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        if H::ENABLED {
            match &frame {
                None => this.close(None),
                Some(Ok(frame)) => {
                    let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                    if let Some(open) = &mut this.open {
                        open.finish.bytes_out += bytes;
                    }
                    if this.body.is_end_stream() {
                        this.close(None);
                    }
                }
                Some(Err(error)) => {
                    let kind = error.downcast_ref::<Error>().map_or(Kind::Internal, Error::kind);
                    this.close(Some((kind, error.to_string())));
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<H: Hooks> Drop for TrackedBody<H> {
    fn drop(&mut self) {
        let Some(open) = &self.open else { return };
        let complete = open.expected.is_some_and(|bytes| open.finish.bytes_out >= bytes);
        let gone = || (Kind::ClientGone, "the client went away before the end of the response".to_owned());
        self.close((!complete).then(gone));
    }
}
