use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use super::*;
use crate::trace_context::TraceContext;

#[derive(Default)]
struct Log {
    context: Option<TraceContext>,
    spans: Mutex<Vec<(String, SpanId, Option<String>)>>,
}

impl Recorder for Log {
    fn context(&self) -> TraceContext {
        self.context.expect("made with a context")
    }
    fn now(&self) -> u64 {
        7
    }
    fn record(&self, _id: SpanId, parent: SpanId, stage: Stage, started: u64, end: SpanEnd) {
        assert_eq!(started, 7);
        self.spans.lock().push((stage.name().to_owned(), parent, end.error.map(Into::into)));
    }
    fn set(&self, _field: Field, _value: &str) {}
}

fn transaction() -> (Arc<Log>, Transaction) {
    let log = Arc::new(Log { context: Some(TraceContext::root()), ..Log::default() });
    (log.clone(), Transaction::new(log))
}

#[test]
fn a_guard_records_its_parent_and_its_error_once() {
    let (log, tx) = transaction();
    let outer = tx.span(Stage::Handler);
    let outer_id = outer.id();
    let mut inner = outer.transaction().span(Stage::Custom("db".into()));
    inner.fail("refused");
    drop(inner);
    drop(outer);
    let root = log.context.unwrap().span_id;
    assert_eq!(
        *log.spans.lock(),
        [("db".to_owned(), outer_id, Some("refused".to_owned())), ("handler".to_owned(), root, None)]
    );
}

#[test]
fn the_current_transaction_is_that_of_the_polled_future_and_survives_a_panic() {
    let (_, outer) = transaction();
    let (_, inner) = transaction();
    let mut cx = Context::from_waker(Waker::noop());
    let ids = |tx: &Transaction| tx.context();
    let expected = (ids(&outer), ids(&inner));

    let mut nested = Box::pin(outer.scope(async {
        let within = inner.scope(async { Transaction::current().unwrap().context() }).await;
        (Transaction::current().unwrap().context(), within)
    }));
    assert_eq!(nested.as_mut().poll(&mut cx), Poll::Ready(expected));
    assert!(Transaction::current().is_none());

    let mut panics = Box::pin(outer.scope(poll_fn(|_| -> Poll<()> { panic!("the service is broken") })));
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = panics.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }));
    assert!(caught.is_err());
    assert!(Transaction::current().is_none());
}

#[test]
fn a_closure_runs_with_its_transaction_and_leaves_the_outer_one() {
    let (_, outer) = transaction();
    let (_, inner) = transaction();
    let seen = outer.enter(|| {
        let within = inner.enter(|| Transaction::current().unwrap().context());
        (Transaction::current().unwrap().context(), within)
    });
    assert_eq!(seen, (outer.context(), inner.context()));
    assert!(Transaction::current().is_none());
}

/// Asks while its thread ends, and says that it got an answer.
struct AsksAtTheEnd(std::sync::mpsc::Sender<bool>);

impl Drop for AsksAtTheEnd {
    fn drop(&mut self) {
        let answer = std::panic::catch_unwind(|| Transaction::current().is_none());
        self.0.send(answer.unwrap_or(false)).unwrap();
    }
}

thread_local! {
    static BEFORE: RefCell<Option<AsksAtTheEnd>> = const { RefCell::new(None) };
    static AFTER: RefCell<Option<AsksAtTheEnd>> = const { RefCell::new(None) };
}

#[test]
fn nothing_is_current_while_a_thread_ends() {
    let (to, from) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        // One on each side of our own, whichever way they are torn down.
        BEFORE.set(Some(AsksAtTheEnd(to.clone())));
        assert!(Transaction::current().is_none());
        AFTER.set(Some(AsksAtTheEnd(to)));
    })
    .join()
    .unwrap();
    assert_eq!(from.iter().collect::<Vec<_>>(), [true, true]);
}
