//! How much of a heap is in use for good: what is left of its old generation after collections.
//!
//! A JVM tells how much is used, garbage among it. What of that lives is known when the old generation was collected: by a
//! full collection, or by a concurrent cycle and the pauses that follow it. So what counts is the lowest level after the last
//! one, and where they follow each other closely, after the first of those of some seconds.

use std::collections::VecDeque;

use super::hsperf::Counters;
use super::jvm::{Collector, MAX_PARTS, collectors};

/// The levels of so long ago are looked at when collections follow each other closely.
const CLOSE_US: u64 = 5_000_000;
/// Levels that are kept for it, whatever comes.
const MAX_LEVELS: usize = 128;

/// What is known of the old generation of one JVM.
#[derive(Debug, Default)]
pub(super) struct LiveSet {
    /// Collections of the old generation, when it was last looked at.
    collected: Option<u64>,
    /// What was seen of late.
    levels: VecDeque<Level>,
    /// The lowest level since the last collection of the old generation; `None` before the first one.
    lowest: Option<u64>,
}

#[derive(Debug)]
struct Level {
    at_us: u64,
    used: u64,
    /// Whether there was a collection since the look before. The level may still be that from before it.
    after_collection: bool,
}

impl LiveSet {
    /// Takes up what the JVM says now.
    pub(super) fn look(&mut self, counters: &Counters<'_>, now_us: u64) {
        let Some((_, used)) = old_generation(counters) else { return };
        let Some(collected) = old_collections(counters) else { return };
        self.levels.retain(|level| level.at_us.saturating_add(CLOSE_US) > now_us);
        if self.levels.len() >= MAX_LEVELS {
            self.levels.pop_front();
        }
        let before = self.collected.replace(collected);
        let after_collection = before.is_some_and(|before| collected > before);
        self.levels.push_back(Level { at_us: now_us, used, after_collection });
        let collection = self.levels.iter().position(|level| level.after_collection);
        self.lowest = match collection {
            Some(at) => self.levels.range(at + 1..).map(|level| level.used).min().or(self.lowest),
            None if before.is_none() && collected > 0 => Some(used),
            None => self.lowest.map(|lowest| lowest.min(used)),
        };
    }

    /// Bytes that live; `None` where the old generation was never collected.
    pub(super) fn bytes(&self) -> Option<u64> {
        self.lowest
    }
}

/// The space that lives longest, and how much of it is used.
pub(super) fn old_generation(counters: &Counters<'_>) -> Option<(String, u64)> {
    let name = |at: usize| counters.text(&format!("sun.gc.generation.{at}.space.0.name"));
    let at = (0..MAX_PARTS).take_while(|at| name(*at).is_some()).last()?;
    Some((name(at)?, counters.number(&format!("sun.gc.generation.{at}.space.0.used"))?))
}

/// How often the old generation was collected; `None` while it is. The first collector is that of the young generation, where
/// there are several.
fn old_collections(counters: &Counters<'_>) -> Option<u64> {
    let all = collectors(counters);
    let young = usize::from(all.len() > 1);
    let counted = |collector: &Collector| match (collector.count, collector.last) {
        (1.., None) => None,
        (count, _) => Some(count),
    };
    all[young..].iter().map(counted).sum()
}

#[cfg(test)]
mod tests {
    use super::super::hsperf::parse;
    use super::super::hsperf::tests::file;
    use super::*;

    const SECOND: u64 = 1_000_000;
    /// Ticks of the clock of these JVMs.
    const MS: i64 = 1_000_000;

    /// What is known to live after each look: seconds, collections of the old generation (negative: the last one runs), bytes used
    /// in it.
    fn live<const N: usize>(looks: [(u64, i64, i64); N]) -> [Option<u64>; N] {
        let mut live = LiveSet::default();
        looks.map(|(at_s, collected, used)| {
            let counters = [
                ("sun.os.hrt.frequency", Ok(1_000_000_000)),
                ("sun.gc.generation.0.space.0.name", Err("eden")),
                ("sun.gc.generation.0.space.0.used", Ok(999)),
                ("sun.gc.generation.1.space.0.name", Err("space")),
                ("sun.gc.generation.1.space.0.used", Ok(used)),
                ("sun.gc.collector.0.name", Err("young")),
                ("sun.gc.collector.0.invocations", Ok(at_s as i64)),
                ("sun.gc.collector.0.time", Ok(0)),
                ("sun.gc.collector.1.name", Err("full")),
                ("sun.gc.collector.1.invocations", Ok(collected.abs())),
                ("sun.gc.collector.1.time", Ok(0)),
                ("sun.gc.collector.1.lastEntryTime", Ok(collected.abs() * MS)),
                ("sun.gc.collector.1.lastExitTime", Ok(if collected < 0 { 0 } else { collected * MS })),
            ];
            live.look(&parse(&file(&counters, true)).unwrap(), at_s * SECOND);
            live.bytes()
        })
    }

    #[test]
    fn garbage_counts_only_until_the_old_generation_was_collected() {
        let looks = [
            (0, 0, 10),
            (60, 0, 80),
            (120, 1, 80),
            (121, 1, 30),
            (180, 1, 20),
            (181, 1, 70),
            (240, 2, 9),
            (241, 2, 25),
        ];
        assert_eq!(live(looks), [None, None, None, Some(30), Some(20), Some(20), Some(20), Some(25)]);
    }

    #[test]
    fn nothing_is_known_while_it_is_collected() {
        let looks = [(0, 0, 0), (10, -1, 0), (11, -1, 0), (12, 1, 0), (13, 1, 50)];
        assert_eq!(live(looks), [None, None, None, None, Some(50)]);
    }

    #[test]
    fn of_collections_that_follow_closely_the_lowest_level_counts() {
        let looks = [(10, 5, 40), (11, 9, 90), (12, 14, 45), (13, 20, 80), (30, 30, 41), (31, 30, 42)];
        assert_eq!(live(looks), [Some(40), Some(40), Some(45), Some(45), Some(45), Some(42)]);
    }

    #[test]
    fn a_jvm_with_one_generation_is_collected_whole() {
        let counters = [
            ("sun.os.hrt.frequency", Ok(1_000_000_000)),
            ("sun.gc.generation.0.space.0.name", Err("heap")),
            ("sun.gc.generation.0.space.0.used", Ok(7)),
            ("sun.gc.collector.0.name", Err("all")),
            ("sun.gc.collector.0.invocations", Ok(1)),
            ("sun.gc.collector.0.time", Ok(0)),
            ("sun.gc.collector.0.lastEntryTime", Ok(MS)),
            ("sun.gc.collector.0.lastExitTime", Ok(2 * MS)),
        ];
        let mut live = LiveSet::default();
        live.look(&parse(&file(&counters, true)).unwrap(), SECOND);
        assert_eq!(live.bytes(), Some(7));
    }
}
