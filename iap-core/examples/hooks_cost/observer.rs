//! An observer in a file of its own, so that its instructions can be told from all others.

use iap_core::hooks::{Begin, Finish, Hooks, SpanEnd, Stage};
use iap_core::{SpanId, TraceContext, Transaction};

/// An observer that looks at each request and forgets it.
#[derive(Clone)]
pub(crate) struct Glance;

impl Hooks for Glance {
    const ENABLED: bool = true;
    type Transaction = ();
    type Span = ();

    #[inline(never)]
    fn begin(&self, begin: &Begin<'_>) {
        std::hint::black_box(begin.path.len());
    }
    fn context(&self, (): &()) -> Option<TraceContext> {
        None
    }
    fn handle(&self, (): &()) -> Option<Transaction> {
        None
    }
    fn start(&self, (): &(), _: Stage, _: Option<SpanId>) {}
    fn span_id(&self, (): &()) -> Option<SpanId> {
        None
    }
    fn end(&self, (): &(), (): (), _: SpanEnd) {}
    fn finish(&self, (): (), _: Finish) {}
}
