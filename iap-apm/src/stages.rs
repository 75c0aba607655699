//! The stages of a running transaction: the one that it is in, and those that have ended.

use iap_core::hooks::Stage;

use crate::record::StageRecord;

/// Stages that a transaction holds itself; further ones go through the ring.
const HELD: usize = 4;

/// Finished stages, as they are until the collector decides whether the transaction is kept.
pub(crate) struct Stages {
    held: [Option<StageRecord>; HELD],
    len: usize,
}

impl Default for Stages {
    fn default() -> Self {
        Self { held: [const { None }; HELD], len: 0 }
    }
}

impl Stages {
    /// Has no room.
    pub(crate) fn closed() -> Self {
        Self { len: HELD, ..Self::default() }
    }

    /// Gives a stage back for which there is no room.
    pub(crate) fn hold(&mut self, stage: StageRecord) -> Option<StageRecord> {
        let Some(place) = self.held.get_mut(self.len) else { return Some(stage) };
        *place = Some(stage);
        self.len += 1;
        None
    }

    pub(crate) fn count(&self) -> usize {
        self.held.iter().flatten().count()
    }
}

impl IntoIterator for Stages {
    type Item = StageRecord;
    type IntoIter = std::iter::Flatten<std::array::IntoIter<Option<StageRecord>, HELD>>;

    fn into_iter(self) -> Self::IntoIter {
        self.held.into_iter().flatten()
    }
}

const STAGES: [&str; 12] = [
    "session.load",
    "session.commit",
    "upstream",
    "upstream.connect",
    "handler",
    "files",
    "response",
    "split",
    "upstream.queue",
    "command",
    "custom",
    "upstream.tls",
];

/// Of a place: the ticks when the stage began, which wrap around after months; the stage is above them.
const TICK_BITS: u32 = 56;
const TICK_MASK: u64 = (1 << TICK_BITS) - 1;

/// The stage of a place, and the ticks since it began.
pub(crate) fn at(place: u64, now: u64) -> Option<(&'static str, u64)> {
    let name = STAGES.get(usize::from((place >> TICK_BITS) as u8).checked_sub(1)?)?;
    Some((name, now.wrapping_sub(place) & TICK_MASK))
}

/// A stage, and the ticks when it began.
pub(crate) fn place(stage: &Stage, at: u64) -> u64 {
    u64::from(code(stage)) << TICK_BITS | at & TICK_MASK
}

fn code(stage: &Stage) -> u8 {
    match stage {
        Stage::SessionLoad => 1,
        Stage::SessionCommit => 2,
        Stage::Upstream => 3,
        Stage::UpstreamConnect => 4,
        Stage::Handler => 5,
        Stage::Files => 6,
        Stage::Response => 7,
        Stage::Split => 8,
        Stage::UpstreamQueue => 9,
        Stage::Command { .. } => 10,
        Stage::UpstreamTls => 12,
        _ => 11,
    }
}
