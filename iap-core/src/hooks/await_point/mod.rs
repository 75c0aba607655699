//! Where a future waits: asked for while it does, at no cost before.
//!
//! Whatever a future waits for, it takes a clone of its task's waker when it is polled and finds that it has to wait. So it is
//! polled once with a waker that notes the call stack when it is cloned: the functions on it, down to the innermost `await`,
//! are the await point. This needs no instrumentation, no build flag and no particular runtime. A future may be polled at any
//! time by its contract; its real waker is registered again at the next poll.
//!
//! What is seen ends where a future polls its children only when they are woken (`FuturesUnordered`, a spawned task): such a
//! one is itself the await point. Names come from the program's symbols, places from its debug information: with
//! `debug = "limited"` both are there, with `"line-tables-only"` the places, in a stripped program nothing.

mod frames;
mod waker;

use std::backtrace::Backtrace;
use std::pin::Pin;
use std::task::{Context, Poll};

use self::waker::Spy;

pub use self::frames::{AwaitPoint, Frame};

/// Stacks of one poll that are kept: of the branches of a `select!` or a `join!`.
const MAX_STACKS: usize = 8;

/// Polls a future; says where it waits for what.
#[inline(never)]
pub(super) fn watched<F: Future>(future: Pin<&mut F>, cx: &Context<'_>) -> (Poll<F::Output>, Vec<Backtrace>) {
    let spy = Spy::new(cx.waker().clone());
    let waker = spy.waker();
    let poll = future.poll(&mut Context::from_waker(&waker));
    (poll, spy.close())
}

#[cfg(test)]
mod tests;
