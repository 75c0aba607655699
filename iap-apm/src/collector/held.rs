//! Spans and log lines of transactions that are not decided on.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use iap_core::TraceId;

use crate::ledger::{Book, Books};
use crate::model::{LogLine, Span};
use crate::record::StageRecord;

/// Parts that are held at the same time.
const MAX_PARTS: usize = 50_000;
/// Parts for which there is room from the start.
const USUAL: usize = 16;
/// How long they are held; then they are written, and their transaction is kept when it ends.
pub(super) const HELD_FOR: Duration = Duration::from_secs(10);

/// A part of a trace.
pub(super) enum Part {
    Stage(StageRecord),
    Span(Box<Span>),
    Log(Box<LogLine>),
}

impl Part {
    /// Where it is accounted for.
    pub(super) fn book<'a>(&self, books: &'a Books) -> &'a Book {
        match self {
            Self::Stage(_) | Self::Span(_) => &books.spans,
            Self::Log(_) => &books.logs,
        }
    }
}

struct Waiting {
    since: Instant,
    parts: Vec<Part>,
}

/// The parts by trace.
#[derive(Default)]
pub(super) struct Held {
    traces: HashMap<TraceId, Waiting>,
    count: usize,
}

impl Held {
    /// Gives the part back when too much is held.
    pub(super) fn hold(&mut self, trace_id: TraceId, part: Part) -> Option<Part> {
        if self.count >= MAX_PARTS {
            return Some(part);
        }
        self.count += 1;
        let new = || Waiting { since: Instant::now(), parts: Vec::with_capacity(USUAL) };
        self.traces.entry(trace_id).or_insert_with(new).parts.push(part);
        None
    }

    /// What is held of a trace.
    pub(super) fn take(&mut self, trace_id: TraceId) -> Vec<Part> {
        if self.traces.is_empty() {
            return Vec::new();
        }
        let parts = self.traces.remove(&trace_id).map(|waiting| waiting.parts).unwrap_or_default();
        self.count -= parts.len();
        parts
    }

    /// Traces of which something has been held for so long.
    pub(super) fn older(&self, than: Duration) -> Vec<TraceId> {
        let old = self.traces.iter().filter(|(_, waiting)| waiting.since.elapsed() >= than);
        old.map(|(trace_id, _)| *trace_id).collect()
    }
}
