//! An observer that writes down what it is told.

use std::sync::Arc;
use std::time::Duration;

use iap_core::hooks::{Begin, Field, Finish, Hooks, Recorder, SpanEnd, Stage};
use iap_core::{Connection, Kind, RouteTable, RunningServer, Server, SpanId, TraceContext, Transaction};
use parking_lot::Mutex;
use tokio::sync::Notify;

#[derive(Clone, Default)]
pub struct Recording(pub Arc<Mutex<Vec<String>>>, pub Arc<Notify>);

impl Recording {
    /// A server that this observer watches, with all of `routes`.
    pub fn watch(&self, routes: RouteTable) -> RunningServer {
        let listen = super::ANY.parse().unwrap();
        Server::builder().hooks(self.clone()).listen(listen).routes(routes).start().unwrap()
    }
}

impl Hooks for Recording {
    const ENABLED: bool = true;
    type Transaction = TraceContext;
    type Span = (Stage, SpanId);

    fn connection_closed(&self, _: &Connection) {
        self.0.lock().push("closed".to_owned());
        self.1.notify_one();
    }
    fn begin(&self, begin: &Begin<'_>) -> TraceContext {
        self.0.lock().push(format!("begin {} {}", begin.method, begin.path));
        begin.parent.unwrap_or_else(TraceContext::root)
    }
    fn context(&self, transaction: &TraceContext) -> Option<TraceContext> {
        Some(*transaction)
    }
    fn handle(&self, transaction: &TraceContext) -> Option<Transaction> {
        Some(Transaction::new(Arc::new(Handle(*transaction))))
    }
    fn routed(&self, _: &TraceContext, route: &Arc<str>) {
        self.0.lock().push(format!("routed {route}"));
    }
    fn start(&self, _: &TraceContext, stage: Stage, _: Option<SpanId>) -> (Stage, SpanId) {
        (stage, SpanId::random())
    }
    fn span_id(&self, span: &(Stage, SpanId)) -> Option<SpanId> {
        Some(span.1)
    }
    fn end(&self, _: &TraceContext, span: (Stage, SpanId), end: SpanEnd) {
        let failed = if end.error.is_some() { " failed" } else { "" };
        let detail = end.detail.filter(|_| span.0 == Stage::UpstreamTls);
        let detail = detail.map_or(String::new(), |detail| format!(" {detail}"));
        self.0.lock().push(format!("{}{failed}{detail}", span.0.name()));
    }
    fn finish(&self, _: TraceContext, finish: Finish) {
        let error = finish.error.map_or("ok", Kind::as_str);
        self.0.lock().push(format!("finish {} {} {error}", finish.status.as_u16(), finish.bytes_out));
        self.1.notify_one();
    }
}

/// Only the trace of it counts.
struct Handle(TraceContext);

impl Recorder for Handle {
    fn context(&self) -> TraceContext {
        self.0
    }
    fn now(&self) -> u64 {
        0
    }
    fn record(&self, _: SpanId, _: SpanId, _: Stage, _: u64, _: SpanEnd) {}
    fn set(&self, _: Field, _: &str) {}
}

/// Fails a test that waits for something that never comes.
pub async fn soon<F: std::future::Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it never happened")
}

/// A body of frames that are there at once.
pub struct IterStream<I>(pub I);

impl<I: Iterator + Unpin> futures_core::Stream for IterStream<I> {
    type Item = I::Item;
    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<I::Item>> {
        std::task::Poll::Ready(self.0.next())
    }
}
