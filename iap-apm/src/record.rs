//! From the threads that serve requests to the collector: one bounded ring a thread.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use http::StatusCode;
use iap_core::hooks::{Finish, Stage};
use iap_core::{SpanId, TraceId};
use parking_lot::Mutex;
use rtrb::{Consumer, Producer, PushError, RingBuffer};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::Notify;

use crate::hooks::ApmTransaction;
use crate::model::{LogLine, Span};

/// Threads that may have a ring at the same time.
const MAX_RINGS: usize = 512;
/// The part of a ring that is kept free of spans, so that transactions are counted under overload; twice of it is kept free of
/// log lines, so that those who say much cost no spans.
const RESERVE: usize = 8;

/// A finished stage. Everything in it is moved or copied: pushing one allocates nothing.
pub(crate) struct StageRecord {
    pub(crate) id: SpanId,
    pub(crate) parent: SpanId,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) stage: Stage,
    pub(crate) status: Option<StatusCode>,
    pub(crate) error: Option<Cow<'static, str>>,
    pub(crate) detail: Option<Arc<str>>,
}

/// What goes through a ring.
pub(crate) enum Record {
    /// A stage for which its transaction had no room.
    Stage {
        trace_id: TraceId,
        stage: StageRecord,
    },
    Finished {
        transaction: Arc<ApmTransaction>,
        end: u64,
        finish: Finish,
    },
    Span {
        trace_id: TraceId,
        span: Box<Span>,
    },
    Log(Box<LogLine>),
}

/// What was refused since the start, by kind; each is also `iap_apm_dropped_total{what}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Dropped {
    /// Spans that found their ring full.
    pub spans: u64,
    /// Finished transactions that found their ring full.
    pub transactions: u64,
    /// Log lines that found their ring full.
    pub logs: u64,
    /// Running transactions that found the table of running ones full; they are recorded, not listed.
    pub active: u64,
    /// Transactions that were dropped by the server without being finished.
    pub unfinished: u64,
    /// Records that the history did not take in time.
    pub history: u64,
    /// Failed, slow and broken-off transactions beyond [`Keeping::important`](crate::Keeping::important).
    /// Others stand for them: only their details are lost.
    pub important: u64,
    /// Events of the time line beyond what is taken in an hour, or faster than they could be written.
    pub events: u64,
}

#[derive(Default)]
pub(crate) struct DroppedCounters {
    pub(crate) spans: AtomicU64,
    pub(crate) transactions: AtomicU64,
    pub(crate) logs: AtomicU64,
    pub(crate) active: AtomicU64,
    pub(crate) unfinished: AtomicU64,
    pub(crate) history: AtomicU64,
    pub(crate) important: AtomicU64,
    pub(crate) events: AtomicU64,
}

impl DroppedCounters {
    pub(crate) fn read(&self) -> Dropped {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Dropped {
            spans: get(&self.spans),
            transactions: get(&self.transactions),
            logs: get(&self.logs),
            active: get(&self.active),
            unfinished: get(&self.unfinished),
            history: get(&self.history),
            important: get(&self.important),
            events: get(&self.events),
        }
    }
}

/// Adds to a counter of refusals.
pub(crate) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

thread_local! {
    /// This thread's rings, one for each APM in the process (tests have several).
    static PRODUCERS: RefCell<Vec<(u64, Producer<Record>)>> = const { RefCell::new(Vec::new()) };
}

/// The rings of one APM.
pub(crate) struct Rings {
    id: u64,
    capacity: usize,
    fresh: Mutex<Vec<Consumer<Record>>>,
    alive: AtomicUsize,
    stopped: AtomicBool,
    /// Calls the collector before its time, when a ring is half full.
    hurry: Notify,
    /// Whether it was called and has not come.
    is_called: AtomicBool,
    pub(crate) dropped: DroppedCounters,
}

impl Rings {
    pub(crate) fn new(capacity: usize) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            capacity: capacity.max(RESERVE),
            fresh: Mutex::default(),
            alive: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            hurry: Notify::new(),
            is_called: AtomicBool::new(false),
            dropped: DroppedCounters::default(),
        }
    }

    /// Hands a record to the collector, or counts it as refused. Never blocks.
    pub(crate) fn push(&self, record: Record) {
        let refused = if self.stopped.load(Ordering::Relaxed) { Some(record) } else { self.try_push(record) };
        match refused {
            None => {}
            Some(Record::Stage { .. } | Record::Span { .. }) => count(&self.dropped.spans, 1),
            Some(Record::Finished { transaction, .. }) => {
                count(&self.dropped.transactions, 1);
                count(&self.dropped.spans, transaction.close().count() as u64);
            }
            Some(Record::Log(_)) => count(&self.dropped.logs, 1),
        }
    }

    /// The record, if it was refused: dropping it must not happen while the thread's list is borrowed.
    fn try_push(&self, record: Record) -> Option<Record> {
        let mut record = Some(record);
        // A thread that is ending has no list any more.
        let _ = PRODUCERS.try_with(|producers| {
            let Ok(mut producers) = producers.try_borrow_mut() else { return };
            let at = match producers.iter().position(|(id, _)| *id == self.id) {
                Some(at) => at,
                None => {
                    let Some(producer) = self.register() else { return };
                    producers.retain(|(_, producer)| !producer.is_abandoned());
                    producers.push((self.id, producer));
                    producers.len() - 1
                }
            };
            let producer = &mut producers[at].1;
            let taken = record.take().expect("only taken here");
            let part = self.capacity / RESERVE;
            let reserve = match taken {
                Record::Finished { .. } => 0,
                Record::Stage { .. } | Record::Span { .. } => part,
                Record::Log(_) => 2 * part,
            };
            if reserve > 0 {
                // The cached number costs nothing, but is behind: looked up anew only when it is low.
                if producer.cached_slots() <= reserve && producer.slots() <= reserve {
                    record = Some(taken);
                    return;
                }
            }
            if let Err(PushError::Full(taken)) = producer.push(taken) {
                record = Some(taken);
            }
            let half = self.capacity / 2;
            if producer.cached_slots() < half
                && !self.is_called.load(Ordering::Relaxed)
                && producer.slots() < half
                && !self.is_called.swap(true, Ordering::Relaxed)
            {
                self.hurry.notify_one();
            }
        });
        record
    }

    /// Waits until a ring is half full; for the collector.
    pub(crate) async fn hurry(&self) {
        self.hurry.notified().await;
        // Before it looks: what fills the ring meanwhile calls again.
        self.is_called.store(false, Ordering::Relaxed);
    }

    fn register(&self) -> Option<Producer<Record>> {
        if self.alive.fetch_add(1, Ordering::Relaxed) >= MAX_RINGS {
            self.alive.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let (producer, consumer) = RingBuffer::new(self.capacity);
        self.fresh.lock().push(consumer);
        Some(producer)
    }

    /// Rings of threads that recorded for the first time; for the collector.
    pub(crate) fn take_fresh(&self) -> Vec<Consumer<Record>> {
        std::mem::take(&mut *self.fresh.lock())
    }

    /// The collector has dropped a ring.
    pub(crate) fn released(&self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }

    /// From now on everything is refused.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::Level;
    use crate::testing::line;

    #[tokio::test]
    async fn the_collector_is_called_once_for_a_ring_that_is_half_full() {
        let rings = Rings::new(64);
        let push =
            |number| (0..number).for_each(|n| rings.push(Record::Log(Box::new(line(n, Level::Info, None)))));
        let called = async || tokio::time::timeout(Duration::from_millis(1), rings.hurry()).await.is_ok();
        push(30);
        assert!(!called().await);
        push(10);
        assert!(called().await && !called().await);
        // Nobody has drained it: the next record calls again.
        push(1);
        assert!(called().await);
        let mut ring = rings.take_fresh().remove(0);
        while ring.pop().is_ok() {}
        push(20);
        assert!(!called().await);
        assert_eq!(rings.dropped.read(), Dropped::default());
    }
}
