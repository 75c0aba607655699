//! What became of each record: every one that was made is kept, stood for by another, dropped, or still waits.

use std::sync::atomic::{AtomicU64, Ordering};

use schemars::JsonSchema;
use serde::Serialize;

use crate::record::count;

/// What became of the records of one kind. [`made`](Self::made) is the sum of the others and of what still waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Account {
    /// Recorded by this process, or received and decoded. A batch that comes twice counts twice.
    pub made: u64,
    /// In the history: the engine has said that it is safe there.
    pub kept: u64,
    /// Left out on purpose: another transaction stands for its own, see [`Keeping`](crate::Keeping).
    pub sampled_out: u64,
    /// Lost: no room on the way, or the history did not take it. Of received ones, refused, which the sender was told.
    pub dropped: u64,
}

impl Account {
    /// How many are on their way: running transactions have not been decided on, a batch is being written.
    pub fn waiting(&self) -> u64 {
        self.made.saturating_sub(self.kept + self.sampled_out + self.dropped)
    }
}

/// The accounts of a process since its start. After [`Apm::flush`](crate::Apm::flush), and while nothing is recorded, nothing
/// waits: each balances to the record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Ledger {
    /// Transactions of this process that have ended.
    pub transactions: Account,
    /// The spans in them: stages and what an application has recorded, without the transaction itself.
    pub spans: Account,
    /// Log lines of this process.
    pub logs: Account,
    /// Spans by OTLP.
    pub received_spans: Account,
    /// Log records by OTLP, events of other nodes' time lines among them.
    pub received_logs: Account,
    /// Points of metrics by OTLP.
    pub received_points: Account,
}

impl Ledger {
    /// Each account with where its records come from and what they are, as in `iap_apm_records_total`.
    pub fn accounts(&self) -> [(&'static str, &'static str, Account); 6] {
        [
            ("own", "transaction", self.transactions),
            ("own", "span", self.spans),
            ("own", "log", self.logs),
            ("received", "span", self.received_spans),
            ("received", "log", self.received_logs),
            ("received", "point", self.received_points),
        ]
    }
}

/// Adds to a counter that one thread alone writes: without a locked instruction, of which a span would need two.
pub(crate) fn add(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Ordering::Relaxed) + by, Ordering::Relaxed);
}

/// An account. Those of what this process records are written by the collector alone.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) made: AtomicU64,
    pub(crate) kept: AtomicU64,
    pub(crate) sampled_out: AtomicU64,
    pub(crate) dropped: AtomicU64,
}

impl Book {
    /// Some were made, and at once left out.
    pub(crate) fn leave_out(&self, made: u64) {
        add(&self.made, made);
        add(&self.sampled_out, made);
    }

    /// What never got further than the thread that made it is told by `refused`.
    pub(crate) fn read(&self, refused: u64) -> Account {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // Read in this order: what has an end was made before.
        let (kept, sampled_out, dropped) = (get(&self.kept), get(&self.sampled_out), get(&self.dropped));
        Account { made: get(&self.made) + refused, kept, sampled_out, dropped: dropped + refused }
    }
}

/// The books of what this process records.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) transactions: Book,
    pub(crate) spans: Book,
    pub(crate) logs: Book,
}

/// Records by kind.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) transactions: u64,
    pub(crate) spans: u64,
    pub(crate) logs: u64,
}

impl Books {
    /// A batch is in the history.
    pub(crate) fn kept(&self, counts: Counts) {
        add(&self.transactions.kept, counts.transactions);
        add(&self.spans.kept, counts.spans);
        add(&self.logs.kept, counts.logs);
    }

    /// A batch will not be.
    pub(crate) fn dropped(&self, counts: Counts) {
        add(&self.transactions.dropped, counts.transactions);
        add(&self.spans.dropped, counts.spans);
        add(&self.logs.dropped, counts.logs);
    }
}

/// Received records on their way into the history. Dropped unless it is said that they are there, also where the sender has
/// gone before it was told: it may send them again.
pub(crate) struct OnTheWay<'a> {
    book: &'a Book,
    records: u64,
}

impl<'a> OnTheWay<'a> {
    pub(crate) fn new(book: &'a Book, records: u64) -> Self {
        Self { book, records }
    }

    pub(crate) fn kept(mut self) {
        count(&self.book.kept, std::mem::take(&mut self.records));
    }
}

impl Drop for OnTheWay<'_> {
    fn drop(&mut self) {
        count(&self.book.dropped, self.records);
    }
}

/// The books of what comes by OTLP.
#[derive(Debug, Default)]
pub(crate) struct ReceivedBooks {
    pub(crate) spans: Book,
    pub(crate) logs: Book,
    pub(crate) points: Book,
}
