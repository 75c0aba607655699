//! For tests: made-up telemetry, the conformance suite that every [`History`](crate::History) has to pass,
//! and a ClickHouse.

mod clickhouse;
mod conformance;
mod data;

pub use clickhouse::ClickHouseServer;
pub use conformance::conformance;
pub(crate) use data::percentile;
pub use data::{line, span, span_id, spans, summary, trace_id, transactions};
