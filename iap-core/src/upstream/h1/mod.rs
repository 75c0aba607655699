//! HTTP/1.1 to a server (RFC 9112), on a connection that carries one request after the other.
//!
//! There is no task behind a connection: whoever waits for the answer, and then for its body, moves
//! the bytes both ways. So a request passes through no channel and wakes nobody but itself, and an
//! idle connection is a socket and two empty buffers.
//!
//! | file | holds |
//! |---|---|
//! | `stream` | the socket: TCP, a Unix socket, TLS |
//! | `request` | what is written: the head, the body with its length or its chunks |
//! | `response` | the head that comes back, and what it says of the body |
//! | `decoder` | the body that comes back |
//!
//! What an origin sends is not trusted: heads, chunk sizes and trailers are bounded, a message with
//! two framings is the last one of its connection, and bytes that nobody asked for end it.

mod decoder;
mod request;
mod response;
mod stream;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use self::decoder::Decoder;
use self::request::Outgoing;
use crate::body::Body;
use crate::error::BoxError;
use crate::headers::Forwarding;

pub(crate) use self::stream::Stream;

/// The least and the most that one read asks for, in bytes: twice as much where one was filled.
const READ: (usize, usize) = (8 * 1024, 64 * 1024);

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The request's body broke.
    #[error("the request's body: {0}")]
    Body(BoxError),
    #[error("the request's body is not as long as it says")]
    WrongLength,
    #[error("the connection ended before the response")]
    Closed,
    #[error("the connection was reset before the response")]
    Reset,
    #[error("the connection ended within the response")]
    Truncated,
    #[error(transparent)]
    Io(io::Error),
    #[error("the response's head: {0}")]
    Head(&'static str),
    #[error("the response's body: {0}")]
    Chunk(&'static str),
    #[error("the response: {0}")]
    Syntax(httparse::Error),
}

/// A connection, with the request and the response that are on it.
pub(crate) struct Connection {
    stream: Stream,
    outgoing: Outgoing,
    /// Why the rest of the request cannot be sent; an answer may have come all the same.
    broken: Option<io::Error>,
    input: BytesMut,
    searched: usize,
    read_size: usize,
    decoder: Decoder,
    to_head: bool,
    /// Whether another request may follow, as far as is known.
    keeps: bool,
    /// Between a request and the head of its answer.
    is_asking: bool,
    /// Whether anything has come since the request began.
    has_heard: bool,
    /// Whether bytes may wait in TLS that were written.
    needs_flush: bool,
    /// Whether the request has moved since this was last asked for.
    has_moved: bool,
}

impl Connection {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            outgoing: Outgoing::new(),
            broken: None,
            input: BytesMut::new(),
            searched: 0,
            read_size: READ.0,
            decoder: Decoder::Done,
            to_head: false,
            keeps: true,
            is_asking: false,
            has_heard: false,
            needs_flush: false,
            has_moved: false,
        }
    }

    /// Whether another request can be sent: the one before is over, on both ways.
    pub(super) fn is_free(&self) -> bool {
        self.keeps
            && !self.is_asking
            && !self.needs_flush
            && self.broken.is_none()
            && self.decoder == Decoder::Done
            && self.outgoing.is_done()
            && self.input.is_empty()
    }

    /// Whether an idle connection has ended, or said what nobody asked for. Sees what the runtime has
    /// been told of; [`is_quiet`](Self::is_quiet) asks the system.
    pub(super) fn has_ended(&mut self) -> bool {
        if !self.is_free() {
            return true;
        }
        let mut probe = [0; 1];
        let mut probe = ReadBuf::new(&mut probe);
        let mut cx = Context::from_waker(Waker::noop());
        Pin::new(&mut self.stream).poll_read(&mut cx, &mut probe).is_ready()
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.stream.is_quiet()
    }

    /// Lets this thread's runtime drive the socket.
    pub(super) fn move_here(&mut self) -> io::Result<()> {
        self.stream.move_here()
    }

    #[cfg(test)]
    async fn stream_is_readable(&self) {
        match &self.stream {
            Stream::Unix(stream) => stream.readable().await.unwrap(),
            other => unreachable!("{other:?}"),
        }
    }

    /// Begins with a request, whose head stays with the caller, and with what it says in our name.
    pub(super) fn begin(&mut self, request: &mut Request<Body>, forwarding: Option<&Forwarding<'_>>) {
        self.to_head = request.method() == Method::HEAD;
        self.outgoing.begin(request, forwarding);
        (self.is_asking, self.has_heard) = (true, false);
        self.searched = 0;
    }

    /// Asks one thing and waits for the head of the answer.
    pub(crate) async fn ask(&mut self, request: &mut Request<Body>) -> Result<StatusCode, BoxError> {
        self.begin(request, None);
        Ok(poll_fn(|cx| self.poll_answer(cx, |_, _| {})).await?.status())
    }

    /// The request's body, where nothing of the request was sent.
    pub(super) fn take_back(&mut self) -> Option<Body> {
        self.outgoing.take_back()
    }

    /// Whether the request has moved since the last call.
    pub(super) fn take_moved(&mut self) -> bool {
        std::mem::take(&mut self.has_moved)
    }

    /// Sends the request and waits for the answer to it; `hear` is told of what comes before.
    pub(super) fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        mut hear: impl FnMut(StatusCode, &HeaderMap),
    ) -> Poll<Result<Response<()>, Fault>> {
        loop {
            self.drive(cx)?;
            if !self.outgoing.is_begun()
                && let Some(error) = self.broken.take()
            {
                return Poll::Ready(Err(Fault::Io(error)));
            }
            let response = ready!(self.poll_head(cx))?;
            let status = response.status();
            if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
                hear(status, response.headers());
                self.has_moved = status == StatusCode::CONTINUE;
                continue;
            }
            self.is_asking = false;
            return Poll::Ready(Ok(response));
        }
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<()>, Fault>> {
        loop {
            if !self.input.is_empty()
                && let Some(head) = response::take(&mut self.input, &mut self.searched, self.to_head)?
            {
                self.decoder = head.decoder;
                self.keeps &= head.keeps || head.response.status().is_informational();
                return Poll::Ready(Ok(head.response));
            }
            if ready!(self.poll_read_more(cx)).map_err(|error| self.explain(error))? == 0 {
                return Poll::Ready(Err(match self.broken.take() {
                    Some(error) => Fault::Io(error),
                    None if self.input.is_empty() => Fault::Closed,
                    None => Fault::Truncated,
                }));
            }
        }
    }

    /// The first thing that broke.
    fn explain(&mut self, error: io::Error) -> Fault {
        match self.broken.take() {
            Some(first) => Fault::Io(first),
            None if error.kind() == io::ErrorKind::ConnectionReset && !self.has_heard => Fault::Reset,
            None => Fault::Io(error),
        }
    }

    /// The next piece of the response's body, while the rest of the request goes out.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        loop {
            if let Err(fault) = self.drive(cx) {
                self.keeps = false;
                return Poll::Ready(Some(Err(fault)));
            }
            match self.decoder.next(&mut self.input) {
                Ok(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                Ok(None) if self.decoder == Decoder::Done => return Poll::Ready(None),
                Ok(None) => {}
                Err(fault) => {
                    self.keeps = false;
                    return Poll::Ready(Some(Err(fault)));
                }
            }
            match ready!(self.poll_read_more(cx)) {
                Ok(0) if self.decoder == Decoder::UntilClose => {
                    self.decoder = Decoder::Done;
                    return Poll::Ready(None);
                }
                Ok(0) => return Poll::Ready(Some(Err(Fault::Truncated))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(Fault::Io(error)))),
            }
        }
    }

    /// Whether the response's body is over.
    pub(super) fn is_answered(&self) -> bool {
        self.decoder == Decoder::Done
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self.decoder {
            Decoder::Done => SizeHint::with_exact(0),
            Decoder::Length(left) => SizeHint::with_exact(left),
            Decoder::Chunked(_) | Decoder::UntilClose => SizeHint::default(),
        }
    }

    /// Sends what is left of the request. Ready once all of it is sent, or cannot be.
    pub(super) fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.drive(cx) {
            Ok(()) if self.is_sent() => Poll::Ready(()),
            Ok(()) => Poll::Pending,
            Err(_) => {
                self.keeps = false;
                Poll::Ready(())
            }
        }
    }

    fn is_sent(&self) -> bool {
        self.outgoing.is_done() && !self.needs_flush
    }

    /// Sends as much of the request as goes out now. An error is one of the request; where the
    /// connection does not take it, the answer may still come.
    fn drive(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        if self.is_sent() {
            return Ok(());
        }
        loop {
            let is_waiting = match self.outgoing.poll_fill(cx) {
                Poll::Ready(Ok(())) => false,
                Poll::Ready(Err(fault)) => return Err(fault),
                Poll::Pending => true,
            };
            match self.poll_write_out(cx) {
                Poll::Ready(Ok(())) if is_waiting || self.outgoing.is_done() => return Ok(()),
                Poll::Ready(Ok(())) => {}
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(error)) => {
                    self.broken = Some(error);
                    self.needs_flush = false;
                    if self.outgoing.is_begun() {
                        self.outgoing.give_up();
                    }
                    return Ok(());
                }
            }
        }
    }

    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.outgoing.has_bytes() {
            let slices = self.outgoing.slices();
            let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &slices))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.advance(written);
            (self.has_moved, self.needs_flush) = (true, true);
        }
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.needs_flush = false;
        Poll::Ready(Ok(()))
    }

    fn poll_read_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.input.capacity() - self.input.len() < self.read_size / 2 {
            self.input.reserve(self.read_size);
        }
        let room = self.input.capacity() - self.input.len();
        let read = ready!(std::pin::pin!(self.stream.read_buf(&mut self.input)).poll(cx))?;
        self.has_heard |= read > 0;
        if read == room {
            self.read_size = (self.read_size * 2).min(READ.1);
        }
        Poll::Ready(Ok(read))
    }

    /// Lets go of a large buffer before a rest.
    pub(super) fn rest(&mut self) {
        self.read_size = READ.0;
        if self.input.capacity() > READ.0 {
            self.input = BytesMut::new();
        }
    }
}

/// After a switch of protocols: the bytes as they come.
impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.input.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let now = self.input.len().min(buffer.remaining());
        buffer.put_slice(&self.input[..now]);
        self.input.advance(now);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("is_free", &self.is_free()).finish_non_exhaustive()
    }
}
