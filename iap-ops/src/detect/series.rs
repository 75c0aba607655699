//! One series: what is expected of it, how surprising a value is, and whether that is an event.
//!
//! A value is compared with the median of the last 120 usual ones, after what is usual at that time of the day or of the
//! week is taken off where there is such a season. The differences, in spreads, are added up over a short window; each counts
//! up to a limit, and one value alone never makes an event. Spreads are those of the values of late or of the errors made so
//! far, whichever are wider: a series that wanders is foretold badly, and that is known. An event begins at one threshold and ends below another,
//! for some steps. While it lasts nothing is learnt, until it has lasted so long that it is how things are.

use serde::{Deserialize, Serialize};

use super::robust::{centre_and_spread, median};
use super::rule::{Direction, Measure};
use super::season::Season;

/// Usual values that are kept.
const KEPT: usize = 120;
/// Those that must be known before anything is said.
const LEAST: usize = 12;
/// Values that are held back before they count as usual: an event begins before it is seen.
const HELD: usize = 3;
/// The window that differences are added up over.
const SHORT: usize = 3;
/// The most that one value counts for, in spreads.
const MOST: f64 = 6.0;
/// What two values of the window must reach at least.
const EACH: f64 = 3.0;
/// The event begins when the sum, over the root of the window's length, reaches this ...
const BEGINS: f64 = 5.0;
/// ... and ends when it was below this ...
const ENDS: f64 = 2.0;
/// ... or did not matter, for so many steps.
const QUIET: u32 = 6;
/// How far a step that is not quiet sets the count of those back.
const BACK: u32 = 2;
/// The parts of errors that are followed, each with the standard deviations that a normal distribution has there, and how
/// fast they are followed; in an event so much slower.
const PARTS: [(f64, f64); 2] = [(0.95, 1.96), (0.98, 2.33)];
const FOLLOWS: f64 = 0.05;
const IN_EVENT: f64 = 0.2;
/// Steps after which an event is how things are.
const ADAPTS: u32 = 180;

/// How one value was judged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// What was expected, in the unit of the series; `None` while too little is known.
    pub expected: Option<f64>,
    /// How surprising the last values are together, in standard deviations; 0 where nothing is known.
    pub score: f64,
    /// Whether an event is going on.
    pub event: bool,
    /// Whether it began, or ended, with this value.
    pub changed: bool,
    /// When the event began, Unix seconds: the first of the values that led to it.
    pub since_s: Option<u64>,
}

/// What is known of one series.
#[derive(Debug, Clone)]
pub struct Detector {
    measure: Measure,
    direction: Direction,
    /// When, and the value on its scale.
    kept: std::collections::VecDeque<(u64, f32)>,
    held: std::collections::VecDeque<(u64, f32)>,
    short: [f64; SHORT],
    season: Season,
    /// What errors stay below, of each part in [`PARTS`].
    errors: [f64; PARTS.len()],
    /// The same before the first of the surprising values in a row.
    errors_before: [f64; PARTS.len()],
    /// The first of the surprising values in a row.
    surprising_since: Option<u64>,
    event: Option<Event>,
}

#[derive(Debug, Clone, Copy)]
struct Event {
    since_s: u64,
    steps: u32,
    quiet: u32,
}

impl Detector {
    /// Knows nothing yet.
    pub fn new(measure: Measure, direction: Direction) -> Self {
        Self {
            measure,
            direction,
            kept: std::collections::VecDeque::with_capacity(KEPT),
            held: std::collections::VecDeque::with_capacity(HELD + 1),
            short: [0.0; SHORT],
            season: Season::new(),
            errors: [0.0; PARTS.len()],
            errors_before: [0.0; PARTS.len()],
            surprising_since: None,
            event: None,
        }
    }

    /// Judges the next value. `weight` is of how many things it is, where it is a share of them.
    pub fn push(&mut self, at_s: u64, value: f64, weight: f64) -> Judgement {
        if !value.is_finite() {
            return self.judgement(None, 0.0, false);
        }
        let scaled = self.measure.scaled(value);
        if self.kept.len() < LEAST {
            self.keep(at_s, scaled);
            return self.judgement(None, 0.0, false);
        }
        let (expected, spread) = self.expectation(at_s, weight);
        self.learn(at_s, scaled, expected, spread);
        let in_unit = self.measure.unscaled(expected);
        let away = match self.direction {
            Direction::Up => (scaled - expected).max(0.0),
            Direction::Down => (expected - scaled).max(0.0),
            Direction::Both => (scaled - expected).abs(),
        };
        let surprise = (away / spread).min(MOST);
        self.short.rotate_left(1);
        self.short[SHORT - 1] = surprise;
        let score = self.short.iter().sum::<f64>() / (SHORT as f64).sqrt();
        self.surprising_since = (surprise >= ENDS).then(|| self.surprising_since.unwrap_or(at_s));
        let several = self.short.iter().filter(|surprise| **surprise >= EACH).count() >= 2;
        let matters = self.measure.matters(in_unit, value);
        let changed = self.advance(at_s, score, (several, matters));
        if self.event.is_none() {
            self.hold(at_s, scaled);
        }
        self.judgement(Some(in_unit), score, changed)
    }

    /// Whether an event is going on.
    pub fn is_event(&self) -> bool {
        self.event.is_some()
    }

    /// Ends an event that nothing is heard of any more.
    pub fn stop(&mut self) {
        self.event = None;
        self.short = [0.0; SHORT];
    }

    /// The season in use, in seconds: a day, a week, or none.
    pub fn season_s(&self) -> Option<u64> {
        self.season.period_s()
    }

    fn judgement(&self, expected: Option<f64>, score: f64, changed: bool) -> Judgement {
        let since_s = self.event.map(|event| event.since_s);
        Judgement { expected, score, event: self.event.is_some(), changed, since_s }
    }

    /// What is expected at a moment, and the spread, on the scale.
    fn expectation(&self, at_s: u64, weight: f64) -> (f64, f64) {
        let best = self.season.best();
        let mut values: Vec<f64> = self.kept.iter().map(|(_, value)| f64::from(*value)).collect();
        let (mut level, mut spread) = centre_and_spread(&mut values);
        let mut expected = level;
        if best.is_some() {
            let usual = self.season.at(best, at_s, level);
            let rest = |(at_s, value): &(u64, f32)| f64::from(*value) - self.season.at(best, *at_s, level);
            let mut rests: Vec<f64> = self.kept.iter().map(rest).collect();
            (level, spread) = centre_and_spread(&mut rests);
            expected = usual + level;
        }
        let wide = self.errors.iter().zip(PARTS).map(|(error, (_, deviations))| error / deviations);
        // Of few values the tails are not known.
        let few = 1.0 + LEAST as f64 / self.kept.len().max(1) as f64;
        (expected, (wide.fold(spread, f64::max) * few).max(self.measure.least_spread(expected, weight)))
    }

    /// Learns how wrong the expectation was, and what is usual at this time. Errors of an event count little: else each fault
    /// would widen what is expected, and the same one would be seen later the next time.
    fn learn(&mut self, at_s: u64, scaled: f64, expected: f64, spread: f64) {
        let error = (scaled - expected).abs();
        if self.event.is_none() && self.surprising_since.is_none() {
            self.errors_before = self.errors;
        }
        let pace = if self.event.is_none() { FOLLOWS } else { FOLLOWS * IN_EVENT };
        for (follows, (part, deviations)) in self.errors.iter_mut().zip(PARTS) {
            let step = follows.max(spread * deviations * FOLLOWS) * pace;
            *follows += if error > *follows { step * part } else { -step * (1.0 - part) };
            *follows = follows.max(0.0);
        }
        let middle = |usual: &dyn Fn(u64) -> f64| {
            let mut rests: Vec<f64> =
                self.kept.iter().map(|(at, value)| f64::from(*value) - usual(*at)).collect();
            median(&mut rests)
        };
        let level = middle(&|_| 0.0);
        self.season.learn(at_s, scaled, level, middle);
    }

    /// Whether an event begins or ends.
    fn advance(&mut self, at_s: u64, score: f64, (several, matters): (bool, bool)) -> bool {
        match &mut self.event {
            None if score >= BEGINS && several && matters => {
                let since_s = self.surprising_since.unwrap_or(at_s);
                self.event = Some(Event { since_s, steps: 0, quiet: 0 });
                // What was held back belongs to it, and so do the errors that it was seen by.
                self.errors = self.errors_before;
                self.held.retain(|(at, _)| *at < since_s);
                true
            }
            None => false,
            Some(event) => {
                event.steps += 1;
                // What does not matter does not keep it going; one wild value sets it back, and no more.
                let quiet = score < ENDS || !matters;
                event.quiet = if quiet { event.quiet + 1 } else { event.quiet.saturating_sub(BACK) };
                let over = event.quiet >= QUIET;
                if event.steps >= ADAPTS && !over {
                    // All that was usual is not any more: begin anew.
                    self.kept.clear();
                    self.held.clear();
                    self.short = [0.0; SHORT];
                }
                let ended = over || event.steps >= ADAPTS;
                if ended {
                    self.event = None;
                }
                ended
            }
        }
    }

    /// Holds a value back, and takes up the one that was held longest.
    fn hold(&mut self, at_s: u64, scaled: f64) {
        self.held.push_back((at_s, scaled as f32));
        if self.held.len() > HELD
            && let Some((at_s, scaled)) = self.held.pop_front()
        {
            self.keep(at_s, f64::from(scaled));
        }
    }

    fn keep(&mut self, at_s: u64, scaled: f64) {
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back((at_s, scaled as f32));
    }
}

#[cfg(test)]
mod tests;
