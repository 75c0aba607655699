//! What became of each record.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Counter, counter};
use schemars::JsonSchema;
use serde::Serialize;

use super::Signal;

/// What became of the records of one signal. `made` is the sum of the others and of what still waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Ledger {
    /// Taken to be sent.
    pub made: u64,
    /// Acknowledged by the collector.
    pub sent: u64,
    /// Refused by the collector, alone or with their request, which must not be sent again.
    pub rejected: u64,
    /// Dropped here, since the queue was full or the process ended.
    pub dropped: u64,
}

/// The ledgers of the signals of OTLP.
pub(super) struct Books {
    pub(super) metrics: Arc<Book>,
    pub(super) traces: Arc<Book>,
    pub(super) logs: Arc<Book>,
}

pub(super) struct Book {
    made: Count,
    sent: Count,
    rejected: Count,
    dropped: Count,
}

/// Counted here and in the metrics of the process.
struct Count(AtomicU64, Counter);

impl Count {
    fn new(signal: Signal, result: &'static str) -> Self {
        let counter =
            counter!("iap_apm_export_records_total", "signal" => signal.as_str(), "result" => result);
        Self(AtomicU64::new(0), counter)
    }

    fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
        self.1.increment(number);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Default for Books {
    fn default() -> Self {
        let book = |signal| Arc::new(Book::new(signal));
        Self { metrics: book(Signal::Metrics), traces: book(Signal::Traces), logs: book(Signal::Logs) }
    }
}

impl Books {
    pub(super) fn of(&self, signal: Signal) -> &Arc<Book> {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Logs => &self.logs,
            Signal::Metrics | Signal::RemoteWrite => &self.metrics,
        }
    }
}

impl Book {
    pub(super) fn new(signal: Signal) -> Self {
        let count = |result| Count::new(signal, result);
        Self {
            made: count("made"),
            sent: count("sent"),
            rejected: count("rejected"),
            dropped: count("dropped"),
        }
    }

    pub(super) fn made(&self, records: u64) {
        self.made.add(records);
    }

    /// A request was answered; of its records some were refused.
    pub(super) fn sent(&self, records: u64, rejected: u64) {
        let rejected = rejected.min(records);
        self.rejected.add(rejected);
        self.sent.add(records - rejected);
    }

    pub(super) fn dropped(&self, records: u64) {
        self.dropped.add(records);
    }

    pub(super) fn read(&self) -> Ledger {
        Ledger {
            made: self.made.read(),
            sent: self.sent.read(),
            rejected: self.rejected.read(),
            dropped: self.dropped.read(),
        }
    }
}
