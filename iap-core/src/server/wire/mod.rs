//! What goes between the socket and the HTTP/1 parser, above TLS: strict line ends and chunks on the
//! way in, early hints and problem documents on the way out.
//!
//! The parser takes a lone LF for a line end and ignores chunk extensions, as RFC 9112 lets it. A server
//! behind us may read such bytes in another way, so they are refused here, before anything is made of
//! them. The bytes are read along where they lie; nothing is copied.

mod refusal;
pub(super) mod scan;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connection::{Awaits, Connection};
use crate::error::count_refused;
use scan::Scanner;

/// What makes the parser refuse a head: it sees this in place of the fault.
const POISON: &[u8] = b"\0\r\n\r\n";

/// A client's bytes on their way to the parser and back.
#[derive(Debug)]
pub(super) struct Wire<S> {
    stream: S,
    connection: Arc<Connection>,
    scanner: Scanner,
    /// Why the head was refused, once it was; then nothing more is read.
    fault: Option<&'static str>,
    /// What the parser is still to be given after a fault in a head.
    poison: &'static [u8],
    /// Whether the next read is an error: the fault lies in a body.
    breaks_off: bool,
    /// What was read before the parser was there.
    ahead: Bytes,
    /// Bytes of ours that go out before any others.
    out: Bytes,
    /// Whether the parser has nothing left to write: we stand between two messages.
    is_between: bool,
    /// Whether all that was written is with the system.
    is_flushed: bool,
    /// What the parser has asked for in vain.
    wants: Awaits,
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S, connection: Arc<Connection>) -> Self {
        Self {
            stream,
            connection,
            scanner: Scanner::new(),
            fault: None,
            poison: &[],
            breaks_off: false,
            ahead: Bytes::new(),
            out: Bytes::new(),
            is_between: true,
            is_flushed: true,
            wants: Awaits::Nothing,
        }
    }

    /// Lets the connection know what it waits for. A response may still be on its way out when the
    /// parser asks for the next head.
    fn want(&mut self, wants: Awaits) {
        self.wants = wants;
        let is_early = wants == Awaits::Request && !self.is_flushed;
        self.connection.set_awaits(if is_early { Awaits::Nothing } else { wants });
    }

    fn feed_poison(&mut self, buffer: &mut ReadBuf<'_>) {
        let (now, later) = self.poison.split_at(self.poison.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.poison = later;
    }

    /// Looks at what was just read, which ends where there is a fault.
    fn check(&mut self, buffer: &mut ReadBuf<'_>, before: usize) -> io::Result<()> {
        if self.connection.has_switched() {
            return Ok(());
        }
        let Err((at, fault)) = self.scanner.scan(&buffer.filled()[before..]) else { return Ok(()) };
        self.fault = Some(fault.reason());
        if fault.is_in_head() {
            self.poison = POISON;
        } else {
            count_refused(fault.reason());
            self.breaks_off = true;
        }
        buffer.set_filled(before + at);
        if at == 0 { self.after_fault(buffer) } else { Ok(()) }
    }

    /// What the parser reads in place of the fault.
    fn after_fault(&mut self, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
        if std::mem::take(&mut self.breaks_off) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.feed_poison(buffer);
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> Wire<S> {
    /// Waits for bytes while there is no parser. False at the end of the stream.
    pub(super) async fn wait(&mut self) -> io::Result<bool> {
        poll_fn(|cx| {
            let mut space = [0; 512];
            let mut buffer = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            self.ahead = Bytes::copy_from_slice(buffer.filled());
            Poll::Ready(Ok(!self.ahead.is_empty()))
        })
        .await
    }

    fn read_ahead(&mut self, buffer: &mut ReadBuf<'_>) -> io::Result<()> {
        let before = buffer.filled().len();
        let now = self.ahead.len().min(buffer.remaining());
        buffer.put_slice(&self.ahead.split_to(now));
        self.check(buffer, before)
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    /// Takes what informational responses there are, if this is the place for them.
    fn take_hints(&mut self) {
        if let Some(hints) = self.connection.take_hints()
            && self.is_between
        {
            self.out = hints;
        }
    }

    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.out.has_remaining() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.out))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Before the parser's bytes go out: ours do, and its bare refusals become problem documents.
    /// Ready with the number of bytes that were taken over that way.
    fn poll_before(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<Option<usize>>> {
        self.take_hints();
        ready!(self.poll_out(cx))?;
        (self.is_between, self.is_flushed) = (false, false);
        let Some(status) = refusal::automatic(bytes) else { return Poll::Ready(Ok(None)) };
        self.out = refusal::document(status, self.fault);
        // The head that was refused may still be on its way.
        self.connection.linger();
        if let Poll::Ready(result) = self.poll_out(cx) {
            result?;
        }
        Poll::Ready(Ok(Some(bytes.len())))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.fault.is_some() {
            return Poll::Ready(this.after_fault(buffer));
        }
        if !this.ahead.is_empty() {
            this.want(Awaits::Nothing);
            return Poll::Ready(this.read_ahead(buffer));
        }
        let before = buffer.filled().len();
        let Poll::Ready(read) = Pin::new(&mut this.stream).poll_read(cx, buffer) else {
            // The parser asks for bytes of a head only when it has made the response before it.
            let wants = match &this.scanner {
                scanner if scanner.is_at_start() => Awaits::Request,
                scanner if scanner.is_in_head() => Awaits::RestOfHead,
                _ => Awaits::Nothing,
            };
            this.want(wants);
            return Poll::Pending;
        };
        this.want(Awaits::Nothing);
        read?;
        Poll::Ready(this.check(buffer, before))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match ready!(this.poll_before(cx, bytes))? {
            Some(taken) => Poll::Ready(Ok(taken)),
            None => Pin::new(&mut this.stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let first = slices.first().map_or(&[][..], |slice| slice);
        match ready!(this.poll_before(cx, first))? {
            Some(taken) => Poll::Ready(Ok(taken)),
            None => Pin::new(&mut this.stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.is_between = true;
        this.take_hints();
        ready!(this.poll_out(cx))?;
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        if !this.is_flushed {
            this.is_flushed = true;
            this.want(this.wants);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_out(cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}
