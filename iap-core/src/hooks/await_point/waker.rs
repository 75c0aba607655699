//! A waker that notes who clones it.
//!
//! The only place with unsafe code. The standard library has one safe way to a waker, `Wake`, whose clone counts a reference
//! and calls nothing of ours; so the four functions of a waker are written out here. The data of each waker is a reference
//! count of an `Arc<Spy>`, as in the standard library's own: `clone` adds one, `wake` and `drop` give theirs back, and
//! `wake_by_ref` borrows it. `Spy` is `Send` and `Sync`, so that wakers may go to other threads.
#![allow(unsafe_code)]

use std::backtrace::Backtrace;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::task::{RawWaker, RawWakerVTable, Waker};

use parking_lot::Mutex;

use super::MAX_STACKS;

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_ref);

pub(super) struct Spy {
    /// The task's own.
    inner: Waker,
    /// Stacks of clones; `None` once nobody asks any more.
    stacks: Mutex<Option<Vec<Backtrace>>>,
}

impl Spy {
    pub(super) fn new(inner: Waker) -> Arc<Self> {
        Arc::new(Self { inner, stacks: Mutex::new(Some(Vec::new())) })
    }

    /// A waker of the task that notes its clones, and theirs.
    pub(super) fn waker(self: &Arc<Self>) -> Waker {
        // SAFETY: the functions below keep the contract of `RawWaker` for data that is one reference of an `Arc<Spy>`.
        unsafe { Waker::from_raw(raw(self.clone())) }
    }

    /// What was noted. Later clones are only clones.
    pub(super) fn close(&self) -> Vec<Backtrace> {
        self.stacks.lock().take().unwrap_or_default()
    }

    fn note(&self) {
        let wanted = self.stacks.lock().as_ref().is_some_and(|stacks| stacks.len() < MAX_STACKS);
        if wanted {
            // Not under the lock: it takes microseconds, and the lock of the standard library's own unwinder.
            let stack = Backtrace::force_capture();
            if let Some(stacks) = self.stacks.lock().as_mut() {
                stacks.push(stack);
            }
        }
    }
}

fn raw(spy: Arc<Spy>) -> RawWaker {
    RawWaker::new(Arc::into_raw(spy).cast(), &VTABLE)
}

/// The reference that the data of a waker stands for, not counted down at the end.
///
/// # Safety
/// `data` comes from [`raw`], and its waker is alive.
unsafe fn borrowed(data: *const ()) -> ManuallyDrop<Arc<Spy>> {
    // SAFETY: by the contract above the pointer is that of `Arc::into_raw`, and its reference is still counted.
    ManuallyDrop::new(unsafe { Arc::from_raw(data.cast()) })
}

#[inline(never)]
unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: `Waker` calls this with the data of a waker that is alive.
    let spy = unsafe { borrowed(data) };
    spy.note();
    raw(Arc::clone(&spy))
}

unsafe fn wake(data: *const ()) {
    // SAFETY: `Waker::wake` gives its reference away.
    let spy = ManuallyDrop::into_inner(unsafe { borrowed(data) });
    spy.inner.wake_by_ref();
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: `Waker` calls this with the data of a waker that is alive.
    unsafe { borrowed(data) }.inner.wake_by_ref();
}

unsafe fn drop_ref(data: *const ()) {
    // SAFETY: `Waker` gives its reference away when it is dropped.
    drop(ManuallyDrop::into_inner(unsafe { borrowed(data) }));
}
