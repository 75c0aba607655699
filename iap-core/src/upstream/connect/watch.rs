//! Tells an observer how long TLS took of making a connection.

use std::io;

use rustls::{ClientConnection, HandshakeKind, ProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::hooks::{Hooks, SpanEnd, Stage};
use crate::trace_context::SpanId;

/// Is told of the handshake.
pub(in super::super) trait WatchTls: Sync {
    type Span: Send;

    fn begins(&self) -> Self::Span;

    /// Also where it was given up: then there is only the text.
    fn ended(&self, span: Self::Span, result: Result<&ClientConnection, String>);
}

/// Nobody wants to know.
impl WatchTls for () {
    type Span = ();

    fn begins(&self) {}

    fn ended(&self, (): (), _result: Result<&ClientConnection, String>) {}
}

/// A span below that of connecting.
pub(in super::super) struct TlsSpan<'a, H: Hooks> {
    pub(in super::super) hooks: &'a H,
    pub(in super::super) transaction: &'a H::Transaction,
    pub(in super::super) below: Option<SpanId>,
}

impl<H: Hooks> WatchTls for TlsSpan<'_, H> {
    type Span = H::Span;

    fn begins(&self) -> H::Span {
        self.hooks.start(self.transaction, Stage::UpstreamTls, self.below)
    }

    fn ended(&self, span: H::Span, result: Result<&ClientConnection, String>) {
        if !H::ENABLED {
            return;
        }
        let (detail, error) = match result {
            Ok(connection) => (Some(describe(connection).into()), None),
            Err(error) => (None, Some(error.into())),
        };
        self.hooks.end(self.transaction, span, SpanEnd { status: None, error, detail });
    }
}

/// The version, the protocol in it, and whether an earlier session went on: `TLS 1.3, h2, resumed`.
fn describe(connection: &ClientConnection) -> String {
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS",
    };
    let protocol = connection.alpn_protocol().and_then(|name| std::str::from_utf8(name).ok());
    let resumed = (connection.handshake_kind() == Some(HandshakeKind::Resumed)).then_some("resumed");
    [Some(version), protocol, resumed].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The handshake, watched; one that is dropped on the way has ended, too.
pub(super) async fn watched<W: WatchTls>(
    watch: &W,
    handshake: impl Future<Output = io::Result<TlsStream<TcpStream>>>,
) -> io::Result<TlsStream<TcpStream>> {
    let mut running = Running { watch, span: Some(watch.begins()) };
    let result = handshake.await;
    let told = match &result {
        Ok(stream) => Ok(stream.get_ref().1),
        Err(error) => Err(error.to_string()),
    };
    if let Some(span) = running.span.take() {
        watch.ended(span, told);
    }
    result
}

struct Running<'a, W: WatchTls> {
    watch: &'a W,
    span: Option<W::Span>,
}

impl<W: WatchTls> Drop for Running<'_, W> {
    fn drop(&mut self) {
        if let Some(span) = self.span.take() {
            self.watch.ended(span, Err("given up".to_owned()));
        }
    }
}
