use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::sync::{Mutex, Notify, oneshot};

use super::*;

#[derive(Default)]
struct Counted(AtomicUsize);

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

async fn reserve(stock: &Mutex<u32>) -> u32 {
    *stock.lock().await
}

async fn order(stock: &Mutex<u32>) -> u32 {
    reserve(stock).await + 1
}

/// The lines of this file that wait, from outside inwards, for each thing that is waited for.
fn waits<F: Future>(future: F) -> Vec<Vec<&'static str>> {
    let mut future = pin!(future);
    let (poll, stacks) = watched(future.as_mut(), &Context::from_waker(Waker::noop()));
    assert!(poll.is_pending());
    let line = |frame: &Frame| {
        let (file, line) = frame.place.as_ref()?;
        let here = file.ends_with("await_point/tests.rs");
        here.then(|| include_str!("tests.rs").lines().nth(*line as usize - 1).expect("a line").trim())
    };
    let points = stacks.iter().map(AwaitPoint::resolve);
    points.map(|point| point.frames.iter().filter_map(line).collect()).collect()
}

#[tokio::test]
async fn the_functions_that_wait_are_told_from_outside_inwards() {
    let stock = Mutex::new(7);
    let _held = stock.lock().await;
    assert_eq!(waits(order(&stock)), [["reserve(stock).await + 1", "*stock.lock().await"]]);

    let mut future = pin!(order(&stock));
    let (_, stacks) = watched(future.as_mut(), &Context::from_waker(Waker::noop()));
    let point = AwaitPoint::resolve(&stacks[0]);
    let line = point.line().and_then(|frame| frame.place.as_ref()).expect("a line of ours");
    assert!(line.0.ends_with("await_point/tests.rs"), "{line:?}");
    let last = point.frames.last().expect("a frame");
    assert!(
        last.is_library && !point.frames.iter().any(|frame| frame.function.contains("watched")),
        "{last}"
    );
}

#[tokio::test]
async fn each_branch_is_told() {
    async fn timer() {
        tokio::time::sleep(Duration::from_secs(3_600)).await;
    }
    async fn answer(from: oneshot::Receiver<()>) {
        let _ = from.await;
    }
    let (_sender, receiver) = oneshot::channel();
    let found = waits(async { tokio::join!(timer(), answer(receiver)) });
    let innermost: Vec<_> = found.iter().filter_map(|lines| lines.last().copied()).collect();
    assert_eq!(innermost, ["tokio::time::sleep(Duration::from_secs(3_600)).await;", "let _ = from.await;"]);
}

#[tokio::test]
async fn a_task_that_was_looked_at_is_woken_as_before_and_once() {
    let (counted, notify) = (Arc::new(Counted::default()), Notify::new());
    let waker = Waker::from(counted.clone());
    let mut future = pin!(notify.notified());
    let mut cx = Context::from_waker(&waker);
    assert!(future.as_mut().poll(&mut cx).is_pending());
    let (poll, stacks) = watched(future.as_mut(), &cx);
    assert!(poll.is_pending() && stacks.len() == 1);
    let before = Arc::strong_count(&counted);
    notify.notify_waiters();
    assert_eq!(counted.0.load(Ordering::Relaxed), 1);
    assert!(Arc::strong_count(&counted) < before, "the spy has gone with its last clone");
    assert_eq!(watched(future.as_mut(), &cx).0, Poll::Ready(()));
}

#[test]
fn wakers_of_a_spy_can_be_kept_sent_and_dropped_in_any_order() {
    let counted = Arc::new(Counted::default());
    let spy = Spy::new(Waker::from(counted.clone()));
    let first = spy.waker();
    let others: Vec<_> = (0..20).map(|_| first.clone()).collect();
    assert_eq!(spy.close().len(), MAX_STACKS, "bounded");
    drop(first);
    let late = others[3].clone();
    assert!(spy.close().is_empty(), "nobody asks any more");
    drop(spy);
    std::thread::spawn(move || others.into_iter().for_each(Waker::wake)).join().expect("no panic");
    late.wake_by_ref();
    assert_eq!(counted.0.load(Ordering::Relaxed), 21);
    drop(late);
    assert_eq!(Arc::strong_count(&counted), 1, "nothing is left");
}
