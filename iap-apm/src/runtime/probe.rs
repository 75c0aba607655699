//! How late an event loop runs what is due.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use crate::model::{EventKind, TimelineEvent};
use crate::shared::Shared;

/// How often a probe wakes up.
const EVERY: Duration = Duration::from_millis(50);

/// A task on one runtime that does nothing but to look how late it is. Ends when it is dropped.
pub(super) struct Probe {
    pub(super) name: String,
    pub(super) runtime: Handle,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    stopped: AtomicBool,
    /// The largest delay since it was last asked for.
    max_us: AtomicU64,
    stalls: AtomicU64,
}

/// Where stalls are told, and from which delay on.
#[derive(Clone)]
pub(super) struct Stalls {
    pub(super) shared: Arc<Shared>,
    pub(super) from: Duration,
}

impl Probe {
    pub(super) fn start(name: &str, runtime: &Handle, stalls: Stalls) -> Self {
        let seen = Arc::new(Seen::default());
        runtime.spawn(watch(name.to_owned(), seen.clone(), stalls));
        Self { name: name.to_owned(), runtime: runtime.clone(), seen }
    }

    /// The largest delay since the last call, in seconds.
    pub(super) fn max_delay(&self) -> f64 {
        self.seen.max_us.swap(0, Ordering::Relaxed) as f64 / 1e6
    }

    pub(super) fn stalls(&self) -> u64 {
        self.seen.stalls.load(Ordering::Relaxed)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.seen.stopped.store(true, Ordering::Relaxed);
    }
}

async fn watch(name: String, seen: Arc<Seen>, stalls: Stalls) {
    while !seen.stopped.load(Ordering::Relaxed) {
        let due = Instant::now() + EVERY;
        sleep_until(due).await;
        let delay = due.elapsed();
        seen.max_us.fetch_max(delay.as_micros() as u64, Ordering::Relaxed);
        if delay < stalls.from {
            continue;
        }
        seen.stalls.fetch_add(1, Ordering::Relaxed);
        let duration_us = delay.as_micros() as u64;
        stalls.shared.event(TimelineEvent {
            time_us: stalls.shared.now_us().saturating_sub(duration_us),
            duration_us,
            kind: EventKind::Stall,
            node: stalls.shared.node.clone(),
            text: name.clone(),
        });
    }
}
