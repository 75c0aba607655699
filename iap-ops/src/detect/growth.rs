//! What only grows: memory that is never given back has no value that is usual, so it is told by its course.
//!
//! Looked at are shares of a limit that are in use for good, as after a collection of a heap. An event begins when more than half is in
//! use and more than there ever was before, a tenth of the limit came in a row of values of which none fell, and at the pace of late
//! the rest is gone within a day. It ends when half of what came has gone again, or nothing more comes and there is room left.

use std::collections::VecDeque;

/// Different values that are kept.
const KEPT: usize = 64;
/// Those that a row must have at least.
const LEAST: usize = 3;
/// Below this share nobody is in a hurry.
const HALF: f64 = 0.5;
/// What must have come, as a share of the limit.
const RISE: f64 = 0.1;
/// What a value may fall by and still belong to the row.
const DIP: f64 = 0.01;
/// The rest must be gone within a day.
const WITHIN_S: f64 = 86_400.0;
/// Seconds without growth after which it is over, unless next to nothing is left; where values come more rarely, the time of so many.
const STILL_S: u64 = 300;
const STILL_VALUES: u64 = 3;
const LITTLE_LEFT: f64 = 0.9;

/// What a value has changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Growth {
    /// Nothing grows.
    None,
    /// It goes on, or begins: since when (Unix seconds), and the share that was in use then.
    Since(u64, f64),
    /// It is over.
    Over,
}

/// What is known of one thing that may grow.
#[derive(Debug, Clone, Default)]
pub struct Grower {
    /// When a value was first seen, and the value.
    values: VecDeque<(u64, f64)>,
    event: Option<Event>,
}

#[derive(Debug, Clone, Copy)]
struct Event {
    since_s: u64,
    from: f64,
    top: f64,
    grown_s: u64,
    /// How long it may stand still.
    still_s: u64,
}

impl Grower {
    /// Takes up the share that is in use, from 0 to 1. The same value again says nothing new: nothing was measured since.
    pub fn push(&mut self, at_s: u64, share: f64) -> Growth {
        if !share.is_finite() {
            return Growth::None;
        }
        if self.values.back().is_none_or(|(_, last)| *last != share) {
            if self.values.len() == KEPT {
                self.values.pop_front();
            }
            self.values.push_back((at_s, share));
        }
        match &mut self.event {
            None => self.begin(at_s),
            Some(event) => {
                if share > event.top + DIP {
                    (event.top, event.grown_s) = (share, at_s);
                }
                let fallen = share < event.from + (event.top - event.from) / 2.0;
                let still = at_s >= event.grown_s + event.still_s && share < LITTLE_LEFT;
                if !(fallen || still) {
                    return Growth::Since(event.since_s, event.from);
                }
                self.event = None;
                if !fallen {
                    // What came is how things are.
                    self.values.drain(..self.values.len().saturating_sub(1));
                }
                Growth::Over
            }
        }
    }

    fn begin(&mut self, at_s: u64) -> Growth {
        let row = self.row();
        let (Some((since_s, from)), Some((last_s, last))) = (row.first().copied(), row.last().copied())
        else {
            return Growth::None;
        };
        let before = self.values.iter().take(self.values.len() - row.len());
        // What was reached before, and given back, is no news.
        let reached = before.into_iter().any(|(_, value)| *value + DIP >= last);
        if row.len() < LEAST || reached || last < HALF || last - from < RISE {
            return Growth::None;
        }
        // The pace of the later half: what was filled once, and is full, grows no more.
        let (middle_s, middle) = row[(row.len() - 1) / 2];
        let pace = (last - middle) / (last_s.saturating_sub(middle_s)).max(1) as f64;
        if pace <= 0.0 || (1.0 - last).max(0.0) / pace > WITHIN_S {
            return Growth::None;
        }
        let gaps = row.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].0));
        let still_s = STILL_S.max(STILL_VALUES * gaps.max().unwrap_or(0));
        self.event = Some(Event { since_s, from, top: last, grown_s: at_s, still_s });
        Growth::Since(since_s, from)
    }

    /// The last values of which none fell.
    fn row(&self) -> Vec<(u64, f64)> {
        let mut row = Vec::new();
        let mut lowest = f64::INFINITY;
        for (at_s, value) in self.values.iter().rev() {
            if *value > lowest + DIP {
                break;
            }
            lowest = lowest.min(*value);
            row.push((*at_s, *value));
        }
        row.reverse();
        row
    }
}

#[cfg(test)]
mod tests {
    use super::{Grower, Growth};

    /// At which of the values, ten seconds apart, an event goes on.
    fn events(values: &[f64]) -> Vec<usize> {
        let mut grower = Grower::default();
        let each = values.iter().enumerate();
        let on = |(number, value): (usize, &f64)| {
            let growth = grower.push(1_000 + 10 * number as u64, *value);
            matches!(growth, Growth::Since(..)).then_some(number)
        };
        each.filter_map(on).collect()
    }

    #[test]
    fn what_only_grows_is_told_since_when_and_from_where() {
        let mut grower = Grower::default();
        for (at_s, value) in [(0, 0.2), (10, 0.2), (20, 0.15), (30, 0.3), (40, 0.45)] {
            assert_eq!(grower.push(at_s, value), Growth::None);
        }
        assert_eq!(grower.push(50, 0.6), Growth::Since(20, 0.15));
        assert_eq!(grower.push(60, 0.6), Growth::Since(20, 0.15));
        assert_eq!(grower.push(70, 0.2), Growth::Over);
        assert_eq!(grower.push(80, 0.25), Growth::None);
    }

    #[test]
    fn a_slow_leak_is_found_when_half_is_gone() {
        let day: Vec<f64> = (0..200).map(|step| 0.3 + 0.002 * f64::from(step)).collect();
        let first = events(&day)[0];
        assert!((0.5..0.51).contains(&day[first]), "{}", day[first]);
    }

    #[test]
    fn what_comes_and_goes_and_what_has_come_to_its_end_is_none() {
        let teeth: Vec<f64> = (0..300).map(|step| 0.3 + 0.05 * f64::from(step % 8)).collect();
        assert!(
            events(&teeth).iter().all(|step| *step < 8),
            "that it comes and goes is known after the first time"
        );
        let cache: Vec<f64> = (0..300).map(|step| 0.6 - 0.4 * (-f64::from(step) / 3.0).exp()).collect();
        let on = events(&cache);
        assert!(on.iter().all(|step| *step < 60), "a cache that has filled is how things are: {on:?}");
        assert_eq!(events(&[0.7; 50]), [0; 0]);
        assert_eq!(events(&[f64::NAN; 5]), [0; 0]);
    }

    #[test]
    fn a_leak_that_is_seen_each_quarter_of_an_hour_goes_on() {
        let mut grower = Grower::default();
        let mut on = Vec::new();
        for step in 0..24 * 60 {
            let at_s = 60 * step;
            let share = 0.4 + 0.01 * (step / 15) as f64;
            on.push(matches!(grower.push(at_s, share.min(0.95)), Growth::Since(..)));
        }
        let first = on.iter().position(|on| *on).expect("it is found");
        assert!(on[first..].iter().all(|on| *on), "it does not end in between");
    }

    #[test]
    fn a_heap_that_is_full_stays_an_event() {
        let full: Vec<f64> = (0..100).map(|step| (0.2 + 0.1 * f64::from(step)).min(0.97)).collect();
        assert_eq!(events(&full).last(), Some(&99));
    }
}
