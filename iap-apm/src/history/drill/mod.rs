//! What is below the figures of routes: statements, errors, and who calls whom.
//!
//! These are made of the spans of the transactions of a window. To read all of them would take as long as the window is
//! busy, so a bounded number of traces is read, chosen by their ids alone: any trace is as likely as any other, the
//! same ones are chosen each time, and in every file or table. A trace counts by the weight of its transactions;
//! where not all were read, counts are those of the read ones in proportion. [`Basis`] says what an answer is made of.
//! Percentiles are read from buckets, never averaged.

mod edges;
mod errors;
mod sample;
mod statements;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Span, Window};

pub(super) use edges::EdgeGather;
pub use edges::{Edge, MAX_EDGES, NodeKind, ServiceMap, ServiceNode};
pub use errors::{ErrorAnswer, ErrorGroup, ErrorSource, ErrorsQuery, MAX_ERROR_GROUPS};
pub(super) use errors::{ErrorGather, FailedRow, MAX_FAILED_ROWS};
pub(super) use sample::{BATCH, Deadline, Gather, MAX_ROWS, MAX_SPANS, MAX_TRACES, Row, Sampled, Sampler};
pub(super) use statements::StatementGather;
pub use statements::{
    MAX_STATEMENTS, Statement, StatementAnswer, StatementCaller, StatementDetail, StatementOrder,
    StatementsQuery, statement_id,
};

/// Steps of a small series beside an answer.
pub const DRILL_STEPS: u64 = 30;

/// What an answer is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Basis {
    /// What was looked at: the window that was asked for, or its end.
    pub window: Window,
    /// Transactions in it, each by its weight.
    pub transactions: u64,
    /// Those that are kept.
    pub kept: u64,
    /// Traces whose spans were read.
    pub traces: u64,
    /// Spans that were read.
    pub spans: u64,
    /// Whether there is more than was read: then counts are in proportion, and what is rare may be missing.
    pub truncated: bool,
    /// How many transactions each that was read stands for, beyond its weight.
    pub factor: f64,
}

impl Basis {
    /// A count, for all that those that were read stand for.
    fn scaled(&self, count: u64) -> u64 {
        if self.factor == 1.0 { count } else { (count as f64 * self.factor).round() as u64 }
    }
}

/// One call, to be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Example {
    /// The trace.
    #[serde(with = "crate::model::hex::trace")]
    #[schemars(with = "String")]
    pub trace_id: iap_core::TraceId,
    /// The span in it.
    #[serde(with = "crate::model::hex::span")]
    #[schemars(with = "String")]
    pub span_id: iap_core::SpanId,
    /// When it began.
    pub start_us: u64,
    /// How long it took.
    pub duration_us: u64,
}

impl Example {
    /// A span of a trace that was read.
    fn of(sampled: &Sampled, span: &Span) -> Self {
        Self {
            trace_id: sampled.trace_id,
            span_id: span.span_id,
            start_us: span.start_us,
            duration_us: span.duration_us,
        }
    }
}

/// The step of a small series that a time is in.
fn step_of(window: Window, time_us: u64) -> usize {
    let into = time_us.saturating_sub(window.from_us);
    ((into / step_us(window)) as usize).min(DRILL_STEPS as usize - 1)
}

/// The length of a step of a small series.
fn step_us(window: Window) -> u64 {
    window.length_us().div_ceil(DRILL_STEPS).max(1)
}
