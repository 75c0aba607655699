//! Spans on their way from the collector's thread to the export.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::ledger::Books;
use crate::history::Batch;

/// Spans that wait to be packed; beyond, the oldest are dropped.
const MAX_SPANS: u64 = 50_000;

/// What waits.
#[derive(Default)]
pub(crate) struct Outbox {
    pub(super) books: Arc<Books>,
    waiting: Mutex<Waiting>,
    pub(super) more: Notify,
}

#[derive(Default)]
struct Waiting {
    batches: VecDeque<(u64, Arc<Batch>)>,
    spans: u64,
}

impl Outbox {
    /// Takes the spans of a batch of ours, without copying them.
    pub(crate) fn offer(&self, batch: &Arc<Batch>) {
        let spans: u64 = batch.spans.iter().map(|trace| trace.len() as u64).sum();
        if spans == 0 {
            return;
        }
        self.books.traces.made(spans);
        let mut waiting = self.waiting.lock();
        waiting.spans += spans;
        waiting.batches.push_back((spans, batch.clone()));
        while waiting.spans > MAX_SPANS && waiting.batches.len() > 1 {
            if let Some((oldest, _)) = waiting.batches.pop_front() {
                waiting.spans -= oldest;
                self.books.traces.dropped(oldest);
            }
        }
        drop(waiting);
        self.more.notify_one();
    }

    pub(super) fn take(&self) -> Option<(u64, Arc<Batch>)> {
        let mut waiting = self.waiting.lock();
        let taken = waiting.batches.pop_front()?;
        waiting.spans -= taken.0;
        Some(taken)
    }
}
