//! What the recording side and the collector have in common.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;

use crate::active::ActiveTable;
use crate::bursts::Bursts;
use crate::exemplars::Exemplars;
use crate::export::Outlet;
use crate::follow::Follows;
use crate::in_flight::Interrupted;
use crate::ledger::Books;
use crate::live::LiveState;
use crate::marks::Marks;
use crate::model::TimelineEvent;
use crate::record::{Rings, count};
use crate::runtime::Board;
use crate::ticks::Ticks;
use crate::timeline::Timeline;

pub(crate) struct Shared {
    pub(crate) service: String,
    /// This node on the time line.
    pub(crate) node: String,
    pub(crate) ticks: Ticks,
    pub(crate) rings: Rings,
    pub(crate) active: ActiveTable,
    pub(crate) live: LiveState,
    pub(crate) marks: Arc<Marks>,
    pub(crate) follows: Follows,
    /// What became of what was recorded.
    pub(crate) books: Books,
    pub(crate) exemplars: Exemplars,
    /// Where spans and lines go to be exported, too.
    pub(crate) outlet: Outlet,
    /// When the requests in flight were last written down; 0 for never.
    pub(crate) noted_us: AtomicU64,
    /// Warnings and errors among the log lines, also of received ones.
    pub(crate) bursts: Arc<Bursts>,
    /// Events on their way to the history.
    pub(crate) timeline: Timeline,
    /// What the runtime was doing when it was last sampled.
    pub(crate) runtime: Board,
    /// Requests that were in flight when the process before this one crashed.
    pub(crate) interrupted: Mutex<Vec<Interrupted>>,
}

impl Shared {
    pub(crate) fn now_us(&self) -> u64 {
        self.ticks.unix_us(self.ticks.raw())
    }

    /// Takes an event for the time line, or counts it as dropped.
    pub(crate) fn event(&self, event: TimelineEvent) {
        if !self.timeline.add(event, self.now_us()) {
            count(&self.rings.dropped.events, 1);
        }
    }
}
