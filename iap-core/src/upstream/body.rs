//! The response body of an upstream, which returns its connection to the pool at its end.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::h1::Fault;
use super::pool::Pooled;
use super::sender::{Received, Sender};
use crate::error::{BoxError, Error, Kind, Origin};
use crate::headers;

/// How long an upload may go on after the response has ended before its connection is given up.
const UPLOAD_GRACE: Duration = Duration::from_secs(5);

/// The body of an upstream's response. Dropped before its end, it closes the connection.
pub struct PooledBody {
    body: Received,
    connection: Option<Box<Pooled>>,
    had_upload: bool,
    /// Why it broke off, once what came before has gone on.
    fault: Option<Box<Error>>,
}

impl PooledBody {
    /// `had_upload`: the request had a body, which may still be on its way.
    pub(super) fn new(body: Received, connection: Box<Pooled>, had_upload: bool) -> Self {
        let mut this = Self { body, connection: Some(connection), had_upload, fault: None };
        if this.is_over() {
            this.give_back();
        }
        this
    }

    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match (&mut self.body, self.connection.as_deref_mut()) {
            (Received::Http2(body), _) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            (Received::Http1, Some(Pooled { sender: Sender::Http1(connection), .. })) => {
                connection.poll_body(cx).map_err(|fault| match fault {
                    Fault::Body(error) => error,
                    fault => fault.into(),
                })
            }
            (Received::Http1, _) => Poll::Ready(None),
        }
    }

    /// The server has not kept what its head promised: that counts as a failure of it.
    fn broken(&mut self) {
        if let Some(ticket) = self.connection.take().and_then(|mut pooled| pooled.ticket.take()) {
            ticket.note_broken();
        }
    }

    /// Whether nothing more will come.
    fn is_over(&self) -> bool {
        if self.fault.is_some() {
            return false;
        }
        match (&self.body, self.connection.as_deref()) {
            (Received::Http2(body), _) => body.is_end_stream(),
            (Received::Http1, Some(Pooled { sender: Sender::Http1(connection), .. })) => {
                connection.is_answered()
            }
            (Received::Http1, _) => true,
        }
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
            let sent = poll_fn(|cx| pooled.sender.poll_sent(cx));
            if tokio::time::timeout(UPLOAD_GRACE, sent).await.is_ok() {
                give_back(pooled);
            }
        });
    }
}

fn give_back(mut pooled: Box<Pooled>) {
    if let Some(ticket) = pooled.ticket.take() {
        ticket.note_whole();
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
        if let Some(fault) = self.fault.take() {
            return Poll::Ready(Some(Err(*fault)));
        }
        let mut frame = match self.poll_part(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                let Some(pooled) = &mut self.connection else { return Poll::Pending };
                ready!(pooled.body_idle.poll_over(cx));
                self.broken();
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
            // The client has broken off its request, and with it the response.
            Some(Err(error)) if error.is::<Error>() => self.connection = None,
            Some(Err(_)) => self.broken(),
            // Nothing follows trailers, and whoever passes them on does not ask.
            Some(Ok(frame)) if !frame.is_trailers() && !self.is_over() => {}
            _ => self.give_back(),
        }
        match frame {
            Some(Ok(frame)) => Poll::Ready(Some(Ok(frame))),
            None => Poll::Ready(None),
            Some(Err(error)) => {
                // First goes out what came before: an error takes with it what was not sent yet.
                let broken =
                    Error::new(Kind::BadGateway, Origin::Upstream, "the upstream broke off its response");
                self.fault = Some(Box::new(broken.with_source(error)));
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        if self.fault.is_some() {
            return SizeHint::default();
        }
        match (&self.body, self.connection.as_deref()) {
            (Received::Http2(body), _) => body.size_hint(),
            (Received::Http1, Some(Pooled { sender: Sender::Http1(connection), .. })) => {
                connection.size_hint()
            }
            (Received::Http1, _) => SizeHint::with_exact(0),
        }
    }
}

impl fmt::Debug for PooledBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledBody").field("size", &self.size_hint()).finish_non_exhaustive()
    }
}
