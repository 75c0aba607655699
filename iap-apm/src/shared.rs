//! What the recording side and the collector have in common.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use crate::active::ActiveTable;
use crate::exemplars::Exemplars;
use crate::export::Outbox;
use crate::live::LiveState;
use crate::marks::Marks;
use crate::record::Rings;
use crate::ticks::Ticks;

pub(crate) struct Shared {
    pub(crate) service: String,
    pub(crate) ticks: Ticks,
    pub(crate) rings: Rings,
    pub(crate) active: ActiveTable,
    pub(crate) live: LiveState,
    pub(crate) marks: Arc<Marks>,
    /// Transactions for which others stand in the history.
    pub(crate) not_kept: AtomicU64,
    pub(crate) exemplars: Exemplars,
    /// Where spans go to be exported, too.
    pub(crate) outbox: OnceLock<Arc<Outbox>>,
}
