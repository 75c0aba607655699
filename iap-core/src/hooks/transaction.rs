//! The dynamic handle of a running transaction, for code that is not generic over [`Hooks`](super::Hooks).

use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use super::{SpanEnd, Stage, await_point};
use crate::trace_context::{SpanId, TraceContext};

thread_local! {
    static CURRENT: RefCell<Option<Transaction>> = const { RefCell::new(None) };
}

/// The target of the `tracing` span that [`Transaction::scope`] enters. It carries the transaction
/// to code that runs elsewhere on a request's behalf and only knows `tracing`: a database driver's
/// own thread, a spawned task with `Instrument`. Where no subscriber wants it, it costs nothing.
pub const SCOPE_TARGET: &str = "iap_core::transaction";

/// A fact about a whole transaction that becomes known on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// The authenticated user's name.
    User,
    /// The keyed hash that identifies the session to operators; never the cookie's value.
    Session,
}

/// What an observer implements to be reachable through [`Transaction`].
pub trait Recorder: Send + Sync + 'static {
    /// The trace, with the transaction's root span as `span_id`.
    fn context(&self) -> TraceContext;
    /// The observer's clock, in its own ticks. Cheap.
    fn now(&self) -> u64;
    /// A stage begins, at ticks of [`Recorder::now`]. The answer says where the transaction was before, in the
    /// observer's own terms: it is handed to [`Recorder::left`] when the stage ends.
    fn entered(&self, _stage: &Stage, _at: u64) -> u64 {
        0
    }
    /// A stage has ended: the transaction is again where it was `before`.
    fn left(&self, _before: u64) {}
    /// Stores a finished span that ran from `started` (ticks of [`Recorder::now`]) until now.
    fn record(&self, id: SpanId, parent: SpanId, stage: Stage, started: u64, end: SpanEnd);
    /// Notes a fact about the transaction.
    fn set(&self, field: Field, value: &str);
    /// A task that works on it waits; waking it makes it look again. Told at each poll that ends so.
    fn suspended(&self, _task: &Waker) {}
    /// That task has come to the end of this work, having waited before.
    fn ended(&self, _task: &Waker) {}
    /// Whether somebody wants to know where the task that is polled next waits. Asked at each poll: a relaxed load.
    fn is_asked(&self) -> bool {
        false
    }
    /// Where a task waits, one stack for each thing that it waits for, to be [resolved](super::AwaitPoint::resolve)
    /// elsewhere; none when it had not to wait.
    fn found(&self, _task: &Waker, _stacks: Vec<Backtrace>) {}
}

/// A handle of the running transaction: cheap to clone, usable from any thread or task.
///
/// The pipeline puts it into each request's extensions, and makes it [`Transaction::current`]
/// while layers and embedded services run. Without an observer there is none.
///
/// ```
/// use iap_core::hooks::{Stage, Transaction};
///
/// async fn price(request: &http::Request<()>) -> u64 {
///     let _span = request.extensions().get::<Transaction>().map(|tx| tx.span(Stage::Custom("price".into())));
///     42 // recorded as a span named "price" when `_span` is dropped
/// }
/// ```
#[derive(Clone)]
pub struct Transaction {
    recorder: Arc<dyn Recorder>,
    parent: SpanId,
}

impl Transaction {
    /// Wraps an observer's transaction; spans started here are children of its root span.
    pub fn new(recorder: Arc<dyn Recorder>) -> Self {
        let parent = recorder.context().span_id;
        Self { recorder, parent }
    }

    /// The same transaction, with new spans below `parent`.
    #[must_use]
    pub fn below(&self, parent: SpanId) -> Self {
        Self { recorder: self.recorder.clone(), parent }
    }

    /// The transaction whose code runs on this thread right now, if any.
    pub fn current() -> Option<Self> {
        // An error means that the thread is ending: log lines of destructors ask here, too.
        CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
    }

    /// The context to hand to something this code calls.
    pub fn context(&self) -> TraceContext {
        self.recorder.context().with_span(self.parent)
    }

    /// Starts a span that ends when the guard is dropped.
    pub fn span(&self, stage: Stage) -> SpanGuard {
        let started = self.recorder.now();
        SpanGuard {
            id: SpanId::random(),
            started,
            before: self.recorder.entered(&stage, started),
            transaction: self.clone(),
            stage: Some(stage),
            end: SpanEnd::default(),
        }
    }

    /// Notes a fact about the whole transaction.
    pub fn set(&self, field: Field, value: &str) {
        self.recorder.set(field, value);
    }

    /// Runs `work` with this transaction as [`Transaction::current`]: for code that is not a
    /// future, such as a thread of your own.
    pub fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        let _restore = Restore { outer: CURRENT.replace(Some(self.clone())), slot: &mut None };
        let _entered = tracing::trace_span!(target: SCOPE_TARGET, "transaction").entered();
        work()
    }

    /// Runs `future` with this transaction as [`Transaction::current`], and nothing else: other threads and `tracing`
    /// do not learn of it, which is cheaper than [`Transaction::scope`].
    pub fn within<F: Future>(&self, future: F) -> Scoped<F> {
        Scoped { future, transaction: Some(self.clone()), span: tracing::Span::none(), was_suspended: false }
    }

    /// Runs `future` with this transaction as [`Transaction::current`].
    pub fn scope<F: Future>(&self, future: F) -> Scoped<F> {
        let restore = Restore { outer: CURRENT.replace(Some(self.clone())), slot: &mut None };
        let span = tracing::trace_span!(target: SCOPE_TARGET, "transaction");
        drop(restore);
        Scoped { future, transaction: Some(self.clone()), span, was_suspended: false }
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Transaction").field(&self.context()).finish()
    }
}

/// A running span; dropping it records it.
#[derive(Debug)]
pub struct SpanGuard {
    transaction: Transaction,
    id: SpanId,
    stage: Option<Stage>,
    started: u64,
    before: u64,
    end: SpanEnd,
}

impl SpanGuard {
    /// The span's id.
    pub fn id(&self) -> SpanId {
        self.id
    }

    /// Marks the span as failed; `error` must hold no secrets.
    pub fn fail(&mut self, error: impl Into<std::borrow::Cow<'static, str>>) {
        self.end.error = Some(error.into());
    }

    /// Notes what the span worked on.
    pub fn detail(&mut self, detail: impl Into<Arc<str>>) {
        self.end.detail = Some(detail.into());
    }

    /// The transaction with new spans below this one.
    pub fn transaction(&self) -> Transaction {
        self.transaction.below(self.id)
    }
}

impl Drop for SpanGuard {
    fn drop(&mut self) {
        if let Some(stage) = self.stage.take() {
            let end = std::mem::take(&mut self.end);
            self.transaction.recorder.left(self.before);
            self.transaction.recorder.record(self.id, self.transaction.parent, stage, self.started, end);
        }
    }
}

pin_project! {
    /// The future of [`Transaction::scope`].
    #[derive(Debug)]
    pub struct Scoped<F> {
        #[pin]
        future: F,
        // Moved into the thread's slot while polling and back out afterwards, so that a poll
        // touches no reference count.
        transaction: Option<Transaction>,
        span: tracing::Span,
        was_suspended: bool,
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (poll, outermost, stacks) = {
            let _entered = this.span.enter();
            let own = this.transaction.take();
            let is_asked = own.as_ref().is_some_and(|own| own.recorder.is_asked());
            let restore = Restore { outer: CURRENT.replace(own), slot: &mut *this.transaction };
            // Inside of another one it is that one's task that waits.
            let outermost = restore.outer.is_none();
            match is_asked && outermost {
                false => (this.future.as_mut().poll(cx), outermost, None),
                true => {
                    let (poll, stacks) = await_point::watched(this.future.as_mut(), cx);
                    (poll, outermost, Some(stacks))
                }
            }
        };
        if let Some(Transaction { recorder, .. }) = this.transaction
            && outermost
        {
            match poll.is_pending() {
                true => recorder.suspended(cx.waker()),
                false if *this.was_suspended => recorder.ended(cx.waker()),
                false => {}
            }
            if let Some(stacks) = stacks {
                recorder.found(cx.waker(), stacks);
            }
            *this.was_suspended = true;
        }
        poll
    }
}

/// Puts the thread's slot back as it was, also when the poll panics.
struct Restore<'a> {
    outer: Option<Transaction>,
    slot: &'a mut Option<Transaction>,
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        *self.slot = CURRENT.replace(self.outer.take());
    }
}

#[cfg(test)]
mod tests;
