//! Events on their way to the history.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::model::TimelineEvent;
use crate::text::cut;

/// Events that wait to be written.
const MAX_WAITING: usize = 1_024;
/// Events of a node that are taken in an hour: a machine that is in trouble has many, all alike.
pub(crate) const MAX_AN_HOUR: usize = 10_000;
pub(crate) const HOUR_US: u64 = 3_600_000_000;
/// Bytes of an event's text, and of the name of its node.
pub(crate) const MAX_TEXT: usize = 500;
pub(crate) const MAX_NODE: usize = 100;

/// Takes events, as many as can be kept.
#[derive(Debug, Default)]
pub(crate) struct Timeline(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<TimelineEvent>,
    hour: u64,
    taken: usize,
}

impl Timeline {
    /// Takes an event; `false` when there are too many. What an event says of its time is not believed: one from the future would
    /// begin the hours after it.
    pub(crate) fn add(&self, mut event: TimelineEvent, now_us: u64) -> bool {
        event.text.truncate(cut(&event.text, MAX_TEXT).len());
        event.node.truncate(cut(&event.node, MAX_NODE).len());
        let mut state = self.0.lock();
        let hour = now_us / HOUR_US;
        if hour > state.hour {
            (state.hour, state.taken) = (hour, 0);
        }
        if state.taken >= MAX_AN_HOUR || state.waiting.len() >= MAX_WAITING {
            return false;
        }
        state.taken += 1;
        state.waiting.push_back(event);
        true
    }

    /// What waits.
    pub(crate) fn take(&self) -> VecDeque<TimelineEvent> {
        std::mem::take(&mut self.0.lock().waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventKind, Window};

    fn event(time_us: u64, duration_us: u64) -> TimelineEvent {
        TimelineEvent {
            time_us,
            duration_us,
            kind: EventKind::Stall,
            node: "n".into(),
            text: "é".repeat(400),
        }
    }

    #[test]
    fn events_are_bounded_in_length_and_number() {
        let timeline = Timeline::default();
        assert!(timeline.add(event(1, 0), 1));
        assert_eq!(timeline.take()[0].text.len(), MAX_TEXT);
        let taken = (0..2 * MAX_WAITING).filter(|_| timeline.add(event(2, 0), 2)).count();
        assert_eq!(taken, MAX_WAITING, "as many as may wait");
        while !timeline.take().is_empty() {
            (0..MAX_WAITING).for_each(|_| {
                timeline.add(event(3, 0), 3);
            });
        }
        assert!(!timeline.add(event(4, 0), 4), "the hour is full");
        assert!(timeline.add(event(9 * HOUR_US, 0), HOUR_US), "the next one is not");
        assert_eq!(timeline.0.lock().hour, 1, "whatever the event says");
    }

    #[test]
    fn an_overlap_is_what_lies_within() {
        let window = Window::new(100, 200);
        for (time, duration, overlap) in [
            (50, 40, None),
            (50, 60, Some(10)),
            (120, 30, Some(30)),
            (190, 50, Some(10)),
            (50, 500, Some(100)),
            (150, 0, Some(0)),
            (200, 10, None),
            (250, 0, None),
        ] {
            assert_eq!(event(time, duration).overlap_us(window), overlap, "{time} {duration}");
        }
    }
}
