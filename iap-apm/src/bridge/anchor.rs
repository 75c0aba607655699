//! A `tracing` span that stands for a transaction, so that code on other threads can be joined to it.

use std::task::{Context, Poll};

use http::Request;
use iap_core::{SpanId, TraceId, Transaction};
use tower::{Layer, Service};
use tracing::Span;
use tracing::instrument::{Instrument, Instrumented};

use super::fields::Fields;

/// The target of anchors; the bridge knows them by it.
pub(super) const ANCHOR: &str = "iap::transaction";

/// A `tracing` span for a transaction. It is no span of the call tree: what runs in it is placed below
/// the span that `transaction` points at. It has the fields `trace_id` and `span_id`, so that other
/// layers can print them with each line.
pub fn anchor(transaction: &Transaction) -> Span {
    let context = transaction.context();
    let (trace_id, span_id) = (context.trace_id, context.span_id);
    tracing::info_span!(target: ANCHOR, "transaction", %trace_id, %span_id)
}

/// What an anchor stands for.
pub(super) fn read(fields: &Fields) -> Option<(TraceId, SpanId)> {
    Some((TraceId::from_hex(fields.text("trace_id")?)?, SpanId::from_hex(fields.text("span_id")?)?))
}

/// Runs a service inside the [`anchor`] of each request's transaction; for an application that is
/// embedded in our server. [`ApmTowerLayer`](crate::ApmTowerLayer) does it by itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnchorLayer;

impl<S> Layer<S> for AnchorLayer {
    type Service = AnchorService<S>;

    fn layer(&self, inner: S) -> AnchorService<S> {
        AnchorService { inner }
    }
}

/// The service of [`AnchorLayer`].
#[derive(Debug, Clone)]
pub struct AnchorService<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for AnchorService<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Instrumented<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let transaction = request.extensions().get::<Transaction>().cloned().or_else(Transaction::current);
        let span = transaction.as_ref().map_or_else(Span::none, anchor);
        let future = span.in_scope(|| self.inner.call(request));
        future.instrument(span)
    }
}
