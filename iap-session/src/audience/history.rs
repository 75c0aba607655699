//! What is left of each while: sketches by application and kind, at four widths of time.

use std::collections::VecDeque;

use super::sketch::Sketch;

/// A width of time, and how many of them are kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    pub(super) width_s: u64,
    pub(super) kept: usize,
}

/// Finest first. Each is the union of those below, never their sum.
pub(super) const LEVELS: [Level; 4] = [
    Level { width_s: 2, kept: 15 * 30 },
    Level { width_s: 60, kept: 25 * 60 },
    Level { width_s: 300, kept: 8 * 24 * 12 },
    Level { width_s: 3600, kept: 93 * 24 },
];

#[derive(Debug)]
struct Slot {
    start_s: u64,
    sketch: Sketch,
}

/// One level; a slot is missing where nobody came.
#[derive(Debug, Default)]
struct Slots {
    slots: VecDeque<Slot>,
    /// What was before is gone.
    since_s: u64,
    bytes: usize,
}

impl Slots {
    /// Lets the oldest go; the bytes that it held.
    fn pop(&mut self, width_s: u64) -> usize {
        let Some(oldest) = self.slots.pop_front() else { return 0 };
        self.since_s = oldest.start_s + width_s;
        self.bytes -= oldest.sketch.bytes();
        oldest.sketch.bytes()
    }
}

/// One application by one kind of identity.
#[derive(Debug, Default)]
pub(super) struct History {
    levels: [Slots; LEVELS.len()],
}

impl History {
    /// Counts in what was seen around `now_s`, seconds since 1970.
    pub(super) fn add(&mut self, now_s: u64, seen: &Sketch) {
        for (kept, level) in self.levels.iter_mut().zip(LEVELS) {
            let start_s = now_s - now_s % level.width_s;
            // A clock that was set back adds to what is newest.
            if !seen.is_empty() && kept.slots.back().is_none_or(|newest| newest.start_s < start_s) {
                kept.slots.push_back(Slot { start_s, sketch: Sketch::new() });
            }
            if let Some(newest) = kept.slots.back_mut().filter(|_| !seen.is_empty()) {
                let before = newest.sketch.bytes();
                newest.sketch.merge(seen);
                kept.bytes += newest.sketch.bytes() - before;
            }
            let oldest_s = start_s.saturating_sub(level.width_s * level.kept as u64);
            while kept.slots.front().is_some_and(|slot| slot.start_s <= oldest_s) {
                kept.pop(level.width_s);
            }
        }
    }

    /// Bytes of its sketches.
    pub(super) fn bytes(&self) -> usize {
        self.levels.iter().map(|kept| kept.bytes).sum()
    }

    /// Lets go of the oldest while of the level that has most; the bytes that it held.
    pub(super) fn shed(&mut self) -> usize {
        let levels = self.levels.iter_mut().zip(LEVELS);
        levels.max_by_key(|(kept, _)| kept.bytes).map_or(0, |(kept, level)| kept.pop(level.width_s))
    }

    /// Who was there from `from_s` until before `to_s`, by whole slots of the finest level that goes so far
    /// back and is not wider than `step_s`.
    pub(super) fn union(&self, from_s: u64, to_s: u64, step_s: u64, into: &mut Sketch) {
        let narrow = || (0..LEVELS.len()).filter(|level| LEVELS[*level].width_s <= step_s);
        // Where none reaches so far, the one that remembers longest is the best there is.
        let reaching = narrow().find(|level| self.levels[*level].since_s <= from_s);
        let level = reaching.or_else(|| narrow().next_back()).unwrap_or(0);
        let slots = &self.levels[level].slots;
        let first = slots.partition_point(|slot| slot.start_s + LEVELS[level].width_s <= from_s);
        let within = slots.iter().skip(first).take_while(|slot| slot.start_s < to_s);
        within.for_each(|slot| into.merge(&slot.sketch));
    }
}
