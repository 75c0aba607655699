//! Where the pipeline tells an observer what happens, at no cost when nobody listens.
//!
//! [`Hooks`] is a generic parameter of the server: with `()` every call below is an empty inline
//! function and [`Hooks::ENABLED`] is `false`, so the compiler leaves nothing. `iap-apm` has the
//! implementation that records transactions.
//!
//! Moments of one request, in order:
//!
//! | call | when |
//! |---|---|
//! | [`Hooks::begin`] | the request head has been read |
//! | [`Hooks::routed`] | a route was chosen, before any layer runs |
//! | [`Hooks::reached`] | a server of an upstream was chosen |
//! | [`Hooks::start`] / [`Hooks::end`] | around each [`Stage`]; may nest |
//! | [`Hooks::finish`] | the last body byte was handed over, or the client went away |
//!
//! Code that sits behind tower's type-erased services (a session layer, a user's middleware, an
//! embedded application) records through the dynamic handle [`Transaction`] instead.

mod await_point;
mod transaction;

use std::borrow::Cow;
use std::sync::Arc;

use http::{Method, StatusCode, Version};

use crate::connection::Connection;
use crate::error::Kind;
use crate::trace_context::{SpanId, TraceContext};

pub use await_point::{AwaitPoint, Frame};
pub use transaction::{Field, Recorder, SCOPE_TARGET, Scoped, SpanGuard, Transaction};

/// A named part of a transaction; the name of its span in the call tree.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// The session is loaded from its store.
    SessionLoad,
    /// The session's changes are written, before the first byte of the response.
    SessionCommit,
    /// The request is forwarded to an upstream, up to its response head.
    Upstream,
    /// The request waits for a place at a server, or for a server to come (most do not wait and have no such span).
    UpstreamQueue,
    /// A new connection to an upstream is made (a reused one has no such span).
    UpstreamConnect,
    /// TLS is agreed on with an upstream, a part of connecting; the detail says which.
    UpstreamTls,
    /// An embedded service runs, up to its response head.
    Handler,
    /// A static file is opened.
    Files,
    /// One of the targets of a split runs, up to its response head; the detail is its name.
    Split,
    /// The response is sent, from its head to its last byte.
    Response,
    /// A command to a database, such as one of the session store; named by its `operation`.
    Command {
        /// The product, as OpenTelemetry's conventions name it in `db.system.name`: `redis`.
        system: &'static str,
        /// What it is asked to do, `db.operation.name`: `HGETALL`.
        operation: &'static str,
    },
    /// A stage of a user's own middleware.
    Custom(Cow<'static, str>),
}

impl Stage {
    /// The span name.
    pub fn name(&self) -> &str {
        match self {
            Self::SessionLoad => "session.load",
            Self::SessionCommit => "session.commit",
            Self::Upstream => "upstream",
            Self::UpstreamQueue => "upstream.queue",
            Self::UpstreamConnect => "upstream.connect",
            Self::UpstreamTls => "upstream.tls",
            Self::Handler => "handler",
            Self::Files => "files",
            Self::Split => "split",
            Self::Response => "response",
            Self::Command { operation, .. } => operation,
            Self::Custom(name) => name,
        }
    }
}

/// What is known when a transaction begins.
#[derive(Debug)]
pub struct Begin<'a> {
    /// The client connection.
    pub connection: &'a Arc<Connection>,
    /// The request method.
    pub method: &'a Method,
    /// The request path without the query, as received.
    pub path: &'a str,
    /// The query, if any.
    pub query: Option<&'a str>,
    /// The authority: the `Host` header or HTTP/2's `:authority`.
    pub host: &'a str,
    /// The HTTP version.
    pub version: Version,
    /// The caller's trace context, if it sent a valid one.
    pub parent: Option<TraceContext>,
}

/// How a stage ended.
#[derive(Debug, Clone, Default)]
pub struct SpanEnd {
    /// The status code, for stages that end with one.
    pub status: Option<StatusCode>,
    /// A short error text without secrets; `None` when the stage went well.
    pub error: Option<Cow<'static, str>>,
    /// What the stage worked on: an upstream's address, a service's name.
    pub detail: Option<Arc<str>>,
}

/// How a transaction ended.
#[derive(Debug, Clone)]
pub struct Finish {
    /// The status code sent.
    pub status: StatusCode,
    /// Body bytes handed to the client connection.
    pub bytes_out: u64,
    /// What failed, if the pipeline itself or the body stream failed.
    pub error: Option<Kind>,
    /// The text of that error for operators; may name upstreams, never secrets.
    pub message: Option<String>,
}

/// The observer of a server. See the [module page](self) for the order of calls.
///
/// Implementations must not block and must not panic: they run on the connection's thread.
pub trait Hooks: Clone + Send + Sync + 'static {
    /// `false` lets the pipeline skip work that only prepares arguments for hooks.
    const ENABLED: bool;
    /// A running transaction.
    type Transaction: Clone + Send + Sync + 'static;
    /// A running stage.
    type Span: Send + 'static;

    /// A client connection was accepted.
    fn connection_opened(&self, _connection: &Connection) {}
    /// A client connection has ended.
    fn connection_closed(&self, _connection: &Connection) {}
    /// A request head was read.
    fn begin(&self, begin: &Begin<'_>) -> Self::Transaction;
    /// The context to send on from this point; `None` when nothing is recorded.
    fn context(&self, transaction: &Self::Transaction) -> Option<TraceContext>;
    /// The handle for code behind type-erased services; `None` when nothing is recorded.
    fn handle(&self, transaction: &Self::Transaction) -> Option<Transaction>;
    /// A route was chosen.
    fn routed(&self, _transaction: &Self::Transaction, _route: &Arc<str>) {}
    /// The request goes to a server of an upstream, by the names of both; again for each server that is tried.
    #[inline(always)]
    fn reached(&self, _transaction: &Self::Transaction, _upstream: &Arc<str>, _server: &Arc<str>) {}
    /// A stage begins. `parent` is the enclosing stage's span, `None` for the transaction itself.
    fn start(&self, transaction: &Self::Transaction, stage: Stage, parent: Option<SpanId>) -> Self::Span;
    /// The id of a running stage, to be a parent of others; `None` when nothing is recorded.
    fn span_id(&self, span: &Self::Span) -> Option<SpanId>;
    /// A stage has ended.
    fn end(&self, transaction: &Self::Transaction, span: Self::Span, end: SpanEnd);
    /// The transaction is over; no call for it follows.
    fn finish(&self, transaction: Self::Transaction, finish: Finish);
}

/// No observer.
impl Hooks for () {
    const ENABLED: bool = false;
    type Transaction = ();
    type Span = ();

    #[inline(always)]
    fn begin(&self, _begin: &Begin<'_>) {}
    #[inline(always)]
    fn context(&self, (): &()) -> Option<TraceContext> {
        None
    }
    #[inline(always)]
    fn handle(&self, (): &()) -> Option<Transaction> {
        None
    }
    #[inline(always)]
    fn start(&self, (): &(), _stage: Stage, _parent: Option<SpanId>) {}
    #[inline(always)]
    fn span_id(&self, (): &()) -> Option<SpanId> {
        None
    }
    #[inline(always)]
    fn end(&self, (): &(), (): (), _end: SpanEnd) {}
    #[inline(always)]
    fn finish(&self, (): (), _finish: Finish) {}
}
