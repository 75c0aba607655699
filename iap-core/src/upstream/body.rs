//! The response body of an upstream, which returns its connection to the pool at its end.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use super::pool::Pooled;
use crate::error::{Error, Kind, Origin};
use crate::headers;

/// How long an upload may go on after the response has ended before its connection is given up.
const UPLOAD_GRACE: Duration = Duration::from_secs(5);

/// The body of an upstream's response. Dropped before its end, it closes the connection.
pub struct PooledBody {
    body: Incoming,
    connection: Option<Box<Pooled>>,
    had_upload: bool,
}

impl PooledBody {
    /// `had_upload`: the request had a body, which may still be on its way.
    pub(super) fn new(body: Incoming, connection: Box<Pooled>, had_upload: bool) -> Self {
        let mut this = Self { body, connection: Some(connection), had_upload };
        if this.body.is_end_stream() {
            this.give_back();
        }
        this
    }

    fn give_back(&mut self) {
        let Some(mut pooled) = self.connection.take() else { return };
        if pooled.is_spent {
            return;
        }
        if pooled.sender.is_ready() || !self.had_upload {
            give_back(pooled);
            return;
        }
        tokio::spawn(async move {
            if let Ok(Ok(())) = tokio::time::timeout(UPLOAD_GRACE, pooled.sender.ready()).await {
                give_back(pooled);
            }
        });
    }
}

fn give_back(mut pooled: Box<Pooled>) {
    if let Some(ticket) = pooled.ticket.take() {
        // First the connection, then the place: the next request may be let in only if it finds it.
        ticket.server().pool.put(pooled);
    }
}

impl HttpBody for PooledBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut frame = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                let Some(pooled) = &mut self.connection else { return Poll::Pending };
                ready!(pooled.body_idle.poll_over(cx));
                self.connection = None;
                return Poll::Ready(Some(Err(Error::new(
                    Kind::Timeout,
                    Origin::Upstream,
                    "the upstream stopped in the middle of its response",
                ))));
            }
        };
        if let Some(pooled) = &mut self.connection {
            pooled.body_idle.progress();
        }
        if let Some(Ok(frame)) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
        {
            headers::prepare_trailers(trailers);
        }
        match &frame {
            Some(Err(_)) => self.connection = None,
            // Nothing follows trailers, and whoever passes them on does not ask.
            Some(Ok(frame)) if !frame.is_trailers() && !self.body.is_end_stream() => {}
            _ => self.give_back(),
        }
        Poll::Ready(frame.map(|result| {
            result.map_err(|error| {
                Error::new(Kind::BadGateway, Origin::Upstream, "the upstream broke off its response")
                    .with_source(error)
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl fmt::Debug for PooledBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledBody").field("size", &self.size_hint()).finish_non_exhaustive()
    }
}
