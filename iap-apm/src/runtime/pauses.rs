//! From the counters of collectors to single pauses on the common time line.

use super::hsperf::Counters;
use super::jvm::{self, Collector};
use crate::model::{EventKind, TimelineEvent};

/// A wall clock that was set by more than this is followed.
const CLOCK_SET_US: u64 = 1_000_000;

/// What is known of one JVM from looking at it before.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    birth: u64,
    collectors: Vec<Collector>,
    /// When its clock began, as Unix time. Its clock is told every 50 ms: the earliest guess is the best.
    zero_us: Option<u64>,
}

impl Pauses {
    /// The pauses since the last look, each with its time; of those of one collector that came between two looks the
    /// last one, which tells of the others.
    pub(crate) fn look(
        &mut self,
        counters: &Counters<'_>,
        name: &str,
        node: &str,
        now_us: u64,
    ) -> Vec<TimelineEvent> {
        let birth = jvm::birth(counters);
        if birth != self.birth {
            *self = Self { birth, ..Self::default() };
        }
        let guess = jvm::clock_us(counters).map(|clock| now_us.saturating_sub(clock));
        self.zero_us = match (self.zero_us, guess) {
            (Some(known), Some(guess)) if known.abs_diff(guess) < CLOCK_SET_US => Some(known.min(guess)),
            (known, guess) => guess.or(known),
        };
        let before = std::mem::take(&mut self.collectors);
        self.collectors = jvm::collectors(counters);
        let Some(zero_us) = self.zero_us.filter(|_| !before.is_empty()) else { return Vec::new() };
        let cause = jvm::cause(counters);
        let mut events = Vec::new();
        for collector in &mut self.collectors {
            let Some(known) = before.iter().find(|known| known.name == collector.name) else { continue };
            let times = collector.count.saturating_sub(known.count);
            if times == 0 {
                continue;
            }
            let Some((entry_us, pause_us)) = collector.last.filter(|last| Some(*last) != known.last) else {
                // A pause is counted when it begins: it is told when it is over.
                *collector = known.clone();
                continue;
            };
            let mut text = format!("{name}: {}", collector.name);
            if let Some(cause) = &cause {
                text += &format!(", {cause}");
            }
            if times > 1 {
                let all_us = collector.time_us.saturating_sub(known.time_us);
                text += &format!("; the last of {times}, {} ms together", all_us / 1_000);
            }
            let time_us = zero_us.saturating_add(entry_us);
            if time_us.saturating_add(pause_us) > now_us.saturating_add(CLOCK_SET_US) {
                // No pause has ended that is to come: a damaged file, or one that is somebody else's.
                continue;
            }
            events.push(TimelineEvent {
                time_us,
                duration_us: pause_us,
                kind: EventKind::GcPause,
                node: node.to_owned(),
                text,
            });
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::super::hsperf::parse;
    use super::super::hsperf::tests::file;
    use super::*;

    const MS: i64 = 1_000_000;

    fn counters(birth: i64, count: i64, entry_ms: i64, pause_ms: i64) -> Vec<u8> {
        file(
            &[
                ("sun.rt.createVmBeginTime", Ok(birth)),
                ("sun.os.hrt.frequency", Ok(1_000_000_000)),
                ("sun.os.hrt.ticks", Ok(9_950 * MS)),
                ("sun.gc.lastCause", Err("Allocation Failure")),
                ("sun.gc.collector.0.name", Err("Copy")),
                ("sun.gc.collector.0.invocations", Ok(count)),
                ("sun.gc.collector.0.time", Ok(count * 20 * MS)),
                ("sun.gc.collector.0.lastEntryTime", Ok(entry_ms * MS)),
                ("sun.gc.collector.0.lastExitTime", Ok((entry_ms + pause_ms) * MS)),
            ],
            true,
        )
    }

    #[test]
    fn each_pause_is_told_once_at_its_time() {
        let mut pauses = Pauses::default();
        let mut look =
            |bytes: Vec<u8>, now_us| pauses.look(&parse(&bytes).unwrap(), "shop", "node-1", now_us);
        assert_eq!(look(counters(1, 4, 100, 5), 100_010_000_000), [], "what was before is not told");
        assert_eq!(look(counters(1, 4, 100, 5), 100_010_000_000), []);
        let [one] = look(counters(1, 5, 9_000, 30), 100_010_000_000).try_into().unwrap();
        assert_eq!((one.time_us, one.duration_us), (100_000_050_000 + 9_000_000, 30_000));
        assert_eq!(one.text, "shop: Copy, Allocation Failure");
        let [many] = look(counters(1, 8, 9_500, 10), 100_010_000_000).try_into().unwrap();
        assert_eq!(many.text, "shop: Copy, Allocation Failure; the last of 3, 60 ms together");
        assert_eq!(look(counters(2, 9, 50, 1), 200_000_000_000), [], "another JVM with the same number");
    }

    #[test]
    fn a_pause_that_is_going_on_is_told_when_it_is_over() {
        let mut pauses = Pauses::default();
        let mut look =
            |bytes: Vec<u8>| pauses.look(&parse(&bytes).unwrap(), "shop", "", 100_010_000_000).len();
        let steps = [(4, 100, 5), (5, 100, 5), (5, 9_000, -8_895), (5, 9_000, 30), (5, 9_000, 30)];
        let told = steps.map(|(count, entry, pause)| look(counters(1, count, entry, pause)));
        assert_eq!(told, [0, 0, 0, 1, 0]);
    }

    #[test]
    fn a_pause_that_is_to_come_is_not_believed() {
        let mut pauses = Pauses::default();
        let mut look = |bytes: Vec<u8>| pauses.look(&parse(&bytes).unwrap(), "shop", "", 100_010_000_000);
        look(counters(1, 4, 100, 5));
        assert_eq!(look(counters(1, 5, 9_000_000, 5)), []);
        assert_eq!(look(counters(1, 6, 9_900, 5)).len(), 1, "the next one is");
    }

    #[test]
    fn the_earliest_guess_of_the_clock_counts() {
        let mut pauses = Pauses::default();
        let mut look = |bytes: Vec<u8>, now_us| pauses.look(&parse(&bytes).unwrap(), "shop", "", now_us);
        look(counters(1, 0, 0, 0), 100_010_000_000);
        look(counters(1, 0, 0, 0), 100_009_960_000);
        let events = look(counters(1, 1, 1_000, 2), 100_010_000_000);
        assert_eq!(events[0].time_us, 100_009_960_000 - 9_950_000 + 1_000_000);
    }
}
