//! The socket of a client: it bounds writes that nobody takes, and closes so that the last response
//! can be read.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::worker::OpenSlot;
use crate::connection::Connection;
use crate::idle::IdleTimer;

/// How long a client may go on sending after it was refused.
const LINGER: Duration = Duration::from_secs(5);

/// The socket of a client.
#[derive(Debug)]
pub(super) struct ClientStream {
    stream: TcpStream,
    connection: Arc<Connection>,
    idle: IdleTimer,
    linger: Option<Pin<Box<Sleep>>>,
    /// The connection counts as open until its socket goes, whatever it has become.
    _slot: OpenSlot,
}

impl ClientStream {
    /// `limit`: how long the client may take nothing of what is written.
    pub(super) fn new(
        stream: TcpStream,
        connection: Arc<Connection>,
        limit: Duration,
        slot: OpenSlot,
    ) -> Self {
        Self { stream, connection, idle: IdleTimer::new(Some(limit)), linger: None, _slot: slot }
    }

    /// Reads and forgets what the client still sends. A socket that is closed with unread bytes
    /// answers with a reset, which takes the response from a client that has not read it yet
    /// (RFC 9112 section 9.6).
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sleep = self.linger.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        if sleep.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut scratch = [0; 8192];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                // The end, or a client that is gone: nothing is left to wait for.
                _ => return Poll::Ready(Ok(())),
            }
        }
    }

    fn bounded<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.idle.progress();
            return poll;
        }
        self.idle.poll_over(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.bounded(cx, poll)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let poll = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.bounded(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        if this.connection.lingers() { this.poll_linger(cx) } else { Poll::Ready(Ok(())) }
    }
}
