//! What the recording side and the collector have in common.

use crate::active::ActiveTable;
use crate::live::LiveState;
use crate::record::Rings;
use crate::ticks::Ticks;

pub(crate) struct Shared {
    pub(crate) service: String,
    pub(crate) ticks: Ticks,
    pub(crate) rings: Rings,
    pub(crate) active: ActiveTable,
    pub(crate) live: LiveState,
}
