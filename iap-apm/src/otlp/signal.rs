//! The signals of OTLP, and what is counted of each.

use crate::history::Batch;
use crate::ledger::{Book, ReceivedBooks};

/// What a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Logs,
    Metrics,
}

impl Signal {
    /// What its records are called in our own metrics.
    pub(super) fn record(self) -> &'static str {
        match self {
            Self::Traces => "span",
            Self::Logs => "log",
            Self::Metrics => "point",
        }
    }

    /// Where they are accounted for.
    pub(super) fn book(self, books: &ReceivedBooks) -> &Book {
        match self {
            Self::Traces => &books.spans,
            Self::Logs => &books.logs,
            Self::Metrics => &books.points,
        }
    }

    /// How many of them a batch has.
    pub(super) fn records(self, batch: &Batch) -> u64 {
        let number = match self {
            Self::Traces => batch.span_count(),
            Self::Logs => batch.logs.len() + batch.events.len(),
            Self::Metrics => batch.point_count(),
        };
        number as u64
    }
}
