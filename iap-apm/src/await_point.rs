//! What the tasks of a running transaction wait for, on demand.

use std::backtrace::Backtrace;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Duration;

use iap_core::hooks::AwaitPoint;
use parking_lot::Mutex;
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
    /// What they wait for: one for each branch of a `select!` or a `join!`.
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
    /// Polls that are to be looked at.
    wanted: AtomicUsize,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    tasks: Vec<Waker>,
    askers: Vec<oneshot::Sender<Arc<Looked>>>,
    looked: Looked,
}

/// What was found until now.
#[derive(Default)]
struct Looked {
    stacks: Vec<Backtrace>,
    polls: usize,
    ready: usize,
}

impl Tasks {
    /// A task has begun to wait.
    pub(crate) fn suspended(&self, task: &Waker) {
        let mut known = self.known.lock();
        if known.tasks.len() < MAX_TASKS && !known.tasks.iter().any(|other| other.will_wake(task)) {
            known.tasks.push(task.clone());
        }
    }

    pub(crate) fn ended(&self, task: &Waker) {
        let mut known = self.known.lock();
        let gone = known.tasks.iter().position(|other| other.will_wake(task));
        let gone = gone.map(|at| known.tasks.swap_remove(at));
        drop(known);
        drop(gone);
    }

    /// How many tasks wait.
    pub(crate) fn waiting(&self) -> usize {
        self.known.lock().tasks.len()
    }

    /// Whether this poll is to be looked at.
    pub(crate) fn take_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed) > 0
            && self
                .wanted
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |wanted| wanted.checked_sub(1))
                .is_ok()
    }

    /// A poll was looked at.
    pub(crate) fn found(&self, stacks: Vec<Backtrace>) {
        let mut known = self.known.lock();
        known.looked.polls += 1;
        known.looked.ready += usize::from(stacks.is_empty());
        known.looked.stacks.extend(stacks);
        if self.wanted.load(Ordering::Relaxed) == 0 {
            tell(known);
        }
    }

    /// The transaction has ended: nobody waits any more.
    pub(crate) fn close(&self) {
        let known = std::mem::take(&mut *self.known.lock());
        drop(known);
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
            let is_first = known.askers.is_empty();
            known.askers.push(sender);
            if is_first {
                self.wanted.store(known.tasks.len(), Ordering::Relaxed);
            }
            known.tasks.clone()
        };
        woken.iter().for_each(Waker::wake_by_ref);
        let in_time = tokio::time::timeout(PATIENCE, &mut answer).await;
        let looked = match in_time {
            Ok(Ok(looked)) => looked,
            Ok(Err(_)) => return Err(AwaitError::NotRunning),
            Err(_) => {
                self.wanted.store(0, Ordering::Relaxed);
                tell(self.known.lock());
                answer.await.map_err(|_| AwaitError::NotRunning)?
            }
        };
        let view = tokio::task::spawn_blocking(move || view(&looked, woken.len()));
        view.await.map_err(|_| AwaitError::NotRunning)
    }
}

/// Gives all who ask what was found.
fn tell(mut known: parking_lot::MutexGuard<'_, Known>) {
    let looked = Arc::new(std::mem::take(&mut known.looked));
    let askers = std::mem::take(&mut known.askers);
    drop(known);
    for asker in askers {
        drop(asker.send(looked.clone()));
    }
}

fn view(looked: &Looked, tasks: usize) -> AwaitView {
    let points = looked.stacks.iter().map(AwaitPoint::resolve);
    let awaited = points.map(|point| Awaited {
        at: point.line().map(|frame| match &frame.place {
            Some((file, line)) => format!("{file}:{line}"),
            None => frame.function.clone(),
        }),
        frames: point.frames.iter().map(ToString::to_string).collect(),
    });
    AwaitView { awaited: awaited.collect(), busy: tasks.saturating_sub(looked.polls), ready: looked.ready }
}
