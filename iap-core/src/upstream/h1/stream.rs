//! The socket of a connection.

use std::io::{self, ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

/// What a connection runs over.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Lets this thread's runtime drive the socket. One that another thread drives wakes us through that thread,
    /// which costs both of them system calls each time something comes.
    pub(super) fn move_here(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => move_tcp(stream),
            Self::Unix(stream) => {
                let socket = stream.as_fd().try_clone_to_owned()?;
                *stream = UnixStream::from_std(socket.into())?;
                Ok(())
            }
            Self::Tls(stream) => move_tcp(stream.get_mut().0),
        }
    }

    /// Asks the system whether the peer has neither closed nor said anything. TLS may say something
    /// of its own at any time (RFC 8446 section 4.6).
    pub(super) fn is_quiet(&self) -> bool {
        let (socket, may_speak) = match self {
            Self::Tcp(stream) => (SockRef::from(stream), false),
            Self::Unix(stream) => (SockRef::from(stream), false),
            Self::Tls(stream) => (SockRef::from(stream.get_ref().0), true),
        };
        match socket.peek(&mut [MaybeUninit::uninit()]) {
            Ok(bytes) => bytes > 0 && may_speak,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }
}

/// Registers the socket anew, under another number.
fn move_tcp(stream: &mut TcpStream) -> io::Result<()> {
    let socket = stream.as_fd().try_clone_to_owned()?;
    *stream = TcpStream::from_std(socket.into())?;
    Ok(())
}

macro_rules! with {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Tcp($stream) => $call,
            Stream::Unix($stream) => $call,
            Stream::Tls($stream) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        with!(self, stream => Pin::new(stream).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        with!(self, stream => Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        with!(self, stream => Pin::new(stream).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        with!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
