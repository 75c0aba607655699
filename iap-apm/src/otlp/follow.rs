//! Received telemetry follows what was decided about the transactions it belongs to.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use iap_core::TraceId;

use crate::history::{Batch, TraceSpans};
use crate::marks::{Mark, Marks};
use crate::model::Level;

/// The decisions, and what is wanted whatever they were.
#[derive(Clone)]
pub(super) struct Follow {
    marks: Arc<Marks>,
    slow_us: u64,
}

impl Follow {
    pub(super) fn new(marks: Arc<Marks>, slow: Duration) -> Self {
        Self { marks, slow_us: slow.as_micros().min(u128::from(u64::MAX)) as u64 }
    }

    /// Removes what belongs to transactions that were let go.
    pub(super) fn leave_out(&self, batch: &mut Batch) {
        let mut left_out = HashSet::new();
        batch.spans.retain(|trace| {
            let wanted = self.marks.begin(trace.trace_id) || self.is_remarkable(trace);
            if !wanted {
                left_out.insert(trace.trace_id);
            }
            wanted
        });
        let let_go = |trace_id: TraceId| self.marks.get(trace_id) == Some(Mark::LetGo);
        batch.transactions.retain_mut(|row| {
            // The transaction in front of it is counted by another one.
            row.weight = u64::from(!let_go(row.trace_id));
            !left_out.contains(&row.trace_id)
        });
        batch.logs.retain(|line| {
            line.level >= Level::Error || line.trace_id.is_none_or(|trace_id| self.marks.begin(trace_id))
        });
    }

    fn is_remarkable(&self, trace: &TraceSpans) -> bool {
        trace.has_failed() || trace.slowest_us() >= self.slow_us
    }
}
