//! Which traces are read.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use iap_core::{SpanId, TraceId};

use super::Basis;
use crate::history::points::mixed;
use crate::model::{Span, Window};

/// Rows of transactions that are looked at one by one to choose from, the latest ones.
pub(in crate::history) const MAX_ROWS: usize = 1_000_000;
/// Traces that are read at most.
pub(in crate::history) const MAX_TRACES: usize = 4_000;
/// Spans after which no more are.
pub(in crate::history) const MAX_SPANS: u64 = 100_000;
/// Traces that are read together.
pub(in crate::history) const BATCH: usize = 250;
/// How long they are read: after it no more are begun.
const BUDGET: Duration = Duration::from_secs(2);
/// Transactions of one trace that are told apart from its other spans.
const MAX_ENTRIES: usize = 16;

/// A row of a transaction, as far as it is needed to choose.
pub(in crate::history) struct Row<'a> {
    pub(in crate::history) trace_id: TraceId,
    pub(in crate::history) span_id: SpanId,
    pub(in crate::history) start_us: u64,
    pub(in crate::history) weight: u64,
    pub(in crate::history) route: &'a str,
}

/// A trace that was chosen.
#[derive(Debug)]
pub(in crate::history) struct Sampled {
    pub(in crate::history) trace_id: TraceId,
    /// How many transactions its own stand for.
    pub(in crate::history) weight: u64,
    /// The route of the first of them.
    pub(in crate::history) route: String,
    /// The spans of them.
    pub(in crate::history) entries: Vec<SpanId>,
    start_us: u64,
}

/// Is told of traces one by one.
pub(in crate::history) trait Gather: Send {
    /// A trace with its spans, each of them once.
    fn trace(&mut self, of: &Sampled, spans: &[Span]);
}

/// When reading ends.
#[derive(Debug)]
pub(in crate::history) struct Deadline(Instant);

impl Deadline {
    pub(in crate::history) fn begin() -> Self {
        Self(Instant::now() + BUDGET)
    }

    pub(in crate::history) fn is_over(&self) -> bool {
        Instant::now() >= self.0
    }
}

/// Chooses traces: those whose ids, mixed, are the smallest.
pub(in crate::history) struct Sampler {
    window: Window,
    chosen: BTreeMap<(u64, TraceId), Sampled>,
    transactions: u64,
    kept: u64,
    read: u64,
    read_weight: u64,
    spans: u64,
    truncated: bool,
}

impl Sampler {
    pub(in crate::history) fn new(window: Window) -> Self {
        let (chosen, truncated) = (BTreeMap::new(), false);
        Self { window, chosen, transactions: 0, kept: 0, read: 0, read_weight: 0, spans: 0, truncated }
    }

    /// Takes up a row that is counted, too.
    pub(in crate::history) fn add(&mut self, row: &Row<'_>) {
        self.kept += 1;
        self.transactions = self.transactions.saturating_add(row.weight);
        self.choose(row);
    }

    /// Takes up a row that was counted elsewhere.
    pub(in crate::history) fn choose(&mut self, row: &Row<'_>) {
        let bytes = row.trace_id.0;
        let half = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
        let key = (mixed(half(0) ^ mixed(half(8))), row.trace_id);
        let full = self.chosen.len() >= MAX_TRACES;
        if let Some(sampled) = self.chosen.get_mut(&key) {
            sampled.weight = sampled.weight.saturating_add(row.weight);
            if sampled.entries.len() < MAX_ENTRIES {
                sampled.entries.push(row.span_id);
            }
            if row.start_us < sampled.start_us {
                sampled.start_us = row.start_us;
                row.route.clone_into(&mut sampled.route);
            }
            return;
        }
        if full {
            self.truncated = true;
            if self.chosen.last_key_value().is_some_and(|(last, _)| key > *last) {
                return;
            }
            self.chosen.pop_last();
        }
        let sampled = Sampled {
            trace_id: row.trace_id,
            weight: row.weight,
            route: row.route.to_owned(),
            entries: vec![row.span_id],
            start_us: row.start_us,
        };
        self.chosen.insert(key, sampled);
    }

    /// All transactions of the window, where an engine has counted them apart.
    pub(in crate::history) fn counted(&mut self, kept: u64, transactions: u64) {
        (self.kept, self.transactions) = (kept, transactions);
        self.truncated |= kept > self.chosen.values().map(|sampled| sampled.entries.len() as u64).sum();
    }

    /// Only what began from here on was looked at.
    pub(in crate::history) fn cut(&mut self, from_us: u64) {
        self.window.from_us = from_us;
        self.truncated = true;
    }

    /// The traces to be read, in the order of reading.
    pub(in crate::history) fn take(&mut self) -> Vec<Sampled> {
        std::mem::take(&mut self.chosen).into_values().collect()
    }

    /// Hands on a trace that was read.
    pub(in crate::history) fn read(
        &mut self,
        gather: &mut impl Gather,
        of: &Sampled,
        mut spans: Vec<Span>,
        truncated: bool,
    ) {
        let mut ids = HashSet::with_capacity(spans.len());
        spans.retain(|span| ids.insert(span.span_id));
        self.read += 1;
        self.read_weight = self.read_weight.saturating_add(of.weight);
        self.spans += spans.len() as u64;
        self.truncated |= truncated;
        gather.trace(of, &spans);
    }

    /// Whether no more traces are to be read; what is left then is said to be missing.
    pub(in crate::history) fn is_over(&mut self, deadline: &Deadline) -> bool {
        // Some are read in any case.
        let over = self.read > 0 && (self.spans >= MAX_SPANS || deadline.is_over());
        self.truncated |= over;
        over
    }

    pub(in crate::history) fn finish(self) -> Basis {
        let partly = self.truncated && self.read_weight > 0 && self.transactions > self.read_weight;
        Basis {
            window: self.window,
            transactions: self.transactions,
            kept: self.kept,
            traces: self.read,
            spans: self.spans,
            truncated: self.truncated,
            factor: if partly { self.transactions as f64 / self.read_weight as f64 } else { 1.0 },
        }
    }
}
