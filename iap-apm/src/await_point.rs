//! What the tasks of a running transaction wait for, on demand.

use std::backtrace::Backtrace;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::Duration;

use iap_core::hooks::AwaitPoint;
use parking_lot::{Mutex, MutexGuard};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::oneshot;

/// Tasks of one transaction that are known at the same time: its own, and that of an application on another runtime.
const MAX_TASKS: usize = 4;
/// Who asks about one transaction at the same time.
const MAX_ASKERS: usize = 8;
/// How long a task that was woken may take to be polled.
const PATIENCE: Duration = Duration::from_millis(500);

/// One thing that a running transaction waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Awaited {
    /// The innermost line that is not of a library, `FILE:LINE`, or the function's name.
    pub at: Option<String>,
    /// The functions that wait for one another, from the task inwards: `NAME at FILE:LINE`.
    pub frames: Vec<String>,
}

/// What the tasks of a running transaction do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AwaitView {
    /// What they wait for, what is told most of first: one for each branch of a `select!` or a `join!`.
    pub awaited: Vec<Awaited>,
    /// Tasks that were woken and did not come: something keeps their threads busy, or blocks them.
    pub busy: usize,
    /// Tasks that had nothing to wait for once they were looked at.
    pub ready: usize,
}

/// Why nothing can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AwaitError {
    /// No such transaction runs here, or it has ended meanwhile.
    NotRunning,
    /// It has no task that waits: it has not begun to, its response is being sent, or nothing embedded and no layer works on it.
    /// Its stage says where it is.
    NoTask,
    /// Others are asking.
    Busy,
}

impl fmt::Display for AwaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotRunning => "no such transaction runs",
            Self::NoTask => "no embedded task of the transaction waits; its stage says where it is",
            Self::Busy => "others ask about the transaction at the moment",
        })
    }
}

impl std::error::Error for AwaitError {}

/// The tasks of one transaction, and who asks about them.
#[derive(Default)]
pub(crate) struct Tasks {
    /// Whether polls are to be looked at.
    asked: AtomicBool,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    tasks: Vec<Task>,
    askers: Vec<oneshot::Sender<Arc<Looked>>>,
    looked: Looked,
}

struct Task {
    waker: Waker,
    /// Whether it was woken to be looked at, and has not come.
    is_called: bool,
}

/// What was found until now.
#[derive(Default)]
struct Looked {
    stacks: Vec<Backtrace>,
    ready: usize,
    busy: usize,
}

impl Tasks {
    /// A task waits.
    pub(crate) fn suspended(&self, task: &Waker) {
        let mut known = self.known.lock();
        if known.tasks.len() < MAX_TASKS && !known.tasks.iter().any(|other| other.waker.will_wake(task)) {
            known.tasks.push(Task { waker: task.clone(), is_called: false });
        }
    }

    /// A task has nothing to do with the transaction any more.
    pub(crate) fn ended(&self, task: &Waker) {
        let mut known = self.known.lock();
        let gone = known.tasks.iter().position(|other| other.waker.will_wake(task));
        let gone = gone.map(|at| known.tasks.swap_remove(at));
        known.looked.ready += usize::from(gone.as_ref().is_some_and(|gone| gone.is_called));
        self.tell_if_all(known);
        drop(gone);
    }

    /// How many tasks wait.
    pub(crate) fn waiting(&self) -> usize {
        self.known.lock().tasks.len()
    }

    /// Whether this poll is to be looked at.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// A poll was looked at.
    pub(crate) fn found(&self, task: &Waker, stacks: Vec<Backtrace>) {
        let mut known = self.known.lock();
        let called = known.tasks.iter_mut().find(|other| other.is_called && other.waker.will_wake(task));
        if let Some(called) = called {
            called.is_called = false;
            known.looked.ready += usize::from(stacks.is_empty());
            known.looked.stacks.extend(stacks);
        }
        self.tell_if_all(known);
    }

    /// Tells who asks once all tasks that were called have come.
    fn tell_if_all(&self, known: MutexGuard<'_, Known>) {
        if !known.askers.is_empty() && !known.tasks.iter().any(|task| task.is_called) {
            self.tell(known);
        }
    }

    /// Tells who asks what was found.
    fn tell(&self, mut known: MutexGuard<'_, Known>) {
        self.asked.store(false, Ordering::Relaxed);
        let mut looked = std::mem::take(&mut known.looked);
        for task in &mut known.tasks {
            looked.busy += usize::from(std::mem::take(&mut task.is_called));
        }
        let (looked, askers) = (Arc::new(looked), std::mem::take(&mut known.askers));
        drop(known);
        for asker in askers {
            drop(asker.send(looked.clone()));
        }
    }

    /// The transaction has ended: nobody waits any more.
    pub(crate) fn close(&self) {
        let mut known = self.known.lock();
        // A task that works on is not looked at any more.
        self.asked.store(false, Ordering::Relaxed);
        let gone = std::mem::take(&mut *known);
        drop(known);
        drop(gone);
    }

    /// Looks where the tasks wait. To be called where tokio runs.
    pub(crate) async fn ask(&self) -> Result<AwaitView, AwaitError> {
        let (sender, mut answer) = oneshot::channel();
        let woken = {
            let mut known = self.known.lock();
            if known.tasks.is_empty() {
                return Err(AwaitError::NoTask);
            }
            if known.askers.len() >= MAX_ASKERS {
                return Err(AwaitError::Busy);
            }
            if known.askers.is_empty() {
                known.tasks.iter_mut().for_each(|task| task.is_called = true);
                self.asked.store(true, Ordering::Relaxed);
            }
            known.askers.push(sender);
            known.tasks.iter().map(|task| task.waker.clone()).collect::<Vec<_>>()
        };
        woken.iter().for_each(Waker::wake_by_ref);
        let in_time = tokio::time::timeout(PATIENCE, &mut answer).await;
        let looked = match in_time {
            Ok(looked) => looked,
            Err(_) => {
                self.tell(self.known.lock());
                answer.await
            }
        };
        let looked = looked.map_err(|_| AwaitError::NotRunning)?;
        let view = tokio::task::spawn_blocking(move || view(&looked));
        view.await.map_err(|_| AwaitError::NotRunning)
    }
}

fn view(looked: &Looked) -> AwaitView {
    let points = looked.stacks.iter().map(AwaitPoint::resolve);
    let awaited = points.map(|point| Awaited {
        at: point.line().map(|frame| match &frame.place {
            Some((file, line)) => format!("{file}:{line}"),
            None => frame.function.clone(),
        }),
        frames: point.frames.iter().map(ToString::to_string).collect(),
    });
    let mut awaited: Vec<_> = awaited.collect();
    // A task that waits for another one has less to tell than that one.
    awaited.sort_by_key(|awaited| std::cmp::Reverse(awaited.frames.len()));
    AwaitView { awaited, busy: looked.busy, ready: looked.ready }
}
