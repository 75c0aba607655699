//! Spans and lines on their way from the collector's thread to the export.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::ledger::Books;
use super::logs;
use crate::history::Batch;

/// Records that wait to be packed; beyond, the oldest are dropped.
const MAX_RECORDS: u64 = 50_000;

/// Batches of ended processes that are kept for an export that has not started; each has at most 500 requests.
const MAX_EARLY: usize = 16;

/// The way to the export of an APM, which may start after there is something to send.
#[derive(Default)]
pub(crate) struct Outlet {
    outbox: OnceLock<Arc<Outbox>>,
    early: Mutex<Vec<Arc<Batch>>>,
}

/// What waits.
pub(crate) struct Outbox {
    traces: bool,
    logs: bool,
    pub(super) books: Arc<Books>,
    waiting: Mutex<Waiting>,
    pub(super) more: Notify,
}

#[derive(Default)]
struct Waiting {
    batches: VecDeque<(Records, Arc<Batch>)>,
    records: u64,
}

/// How many of a batch are to be sent.
#[derive(Clone, Copy)]
struct Records {
    spans: u64,
    lines: u64,
}

impl Outlet {
    /// Offers a batch of ours, if there is an export.
    pub(crate) fn offer(&self, batch: &Arc<Batch>) {
        if let Some(outbox) = self.outbox.get() {
            outbox.offer(batch);
        }
    }

    /// Offers what an ended process has left. That is read at the start, so it is kept for an export that begins later.
    pub(crate) fn offer_recovered(&self, batch: &Arc<Batch>) {
        let mut early = self.early.lock();
        match self.outbox.get() {
            Some(outbox) => outbox.offer(batch),
            None if early.len() < MAX_EARLY => early.push(batch.clone()),
            None => {}
        }
    }

    /// Begins the export of spans and lines, with what was kept for it. There is one of them: a second one gets nothing.
    pub(crate) fn open(&self, outbox: Arc<Outbox>) {
        if self.outbox.set(outbox).is_ok() {
            let early = std::mem::take(&mut *self.early.lock());
            early.iter().for_each(|batch| self.offer(batch));
        }
    }
}

impl Outbox {
    /// For spans, for lines and events, or for both.
    pub(crate) fn new(traces: bool, logs: bool) -> Self {
        Self { traces, logs, books: Arc::default(), waiting: Mutex::default(), more: Notify::new() }
    }

    /// Takes what is to be sent of a batch of ours, without copying it.
    pub(crate) fn offer(&self, batch: &Arc<Batch>) {
        let records = Records {
            spans: if self.traces { batch.span_count() as u64 } else { 0 },
            lines: if self.logs { logs::count(batch) } else { 0 },
        };
        if records.all() == 0 {
            return;
        }
        self.books.traces.made(records.spans);
        self.books.logs.made(records.lines);
        let mut waiting = self.waiting.lock();
        waiting.records += records.all();
        waiting.batches.push_back((records, batch.clone()));
        while waiting.records > MAX_RECORDS && waiting.batches.len() > 1 {
            if let Some((oldest, _)) = waiting.batches.pop_front() {
                waiting.records -= oldest.all();
                self.books.traces.dropped(oldest.spans);
                self.books.logs.dropped(oldest.lines);
            }
        }
        drop(waiting);
        self.more.notify_one();
    }

    pub(super) fn take(&self) -> Option<Arc<Batch>> {
        let mut waiting = self.waiting.lock();
        let (records, batch) = waiting.batches.pop_front()?;
        waiting.records -= records.all();
        Some(batch)
    }
}

impl Records {
    fn all(self) -> u64 {
        self.spans + self.lines
    }
}

#[cfg(test)]
mod tests;
