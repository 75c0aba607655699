//! For tests: made-up telemetry, and the conformance suite that every [`History`](crate::History) has to pass.

mod conformance;
mod data;

pub use conformance::conformance;
pub use data::{line, span, span_id, spans, summary, trace_id, transactions};
