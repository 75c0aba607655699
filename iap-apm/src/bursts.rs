//! Bursts of warnings and errors among log lines, as events of the time line.
//!
//! Each second is compared with what was usual in the minutes before. A burst is told once it is over, or after a minute, with
//! how long it lasted, how many lines it had and who said most of them.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::model::Level;

/// Lines in a second from which on there can be a burst.
const LEAST: u64 = 20;
/// How many times as many as usual.
const TIMES: f64 = 5.0;
/// Quiet seconds after which it is over.
const QUIET: u64 = 3;
/// Seconds after which it is told though it goes on; what goes on becomes usual.
const LONGEST: u64 = 60;
/// Seconds that what is usual remembers.
const REMEMBERED: f64 = 120.0;
/// Services that are told apart.
const MAX_SERVICES: usize = 100;

/// A burst that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Burst {
    /// Seconds that it lasted.
    pub(crate) seconds: u64,
    /// Seconds since its end.
    pub(crate) ago: u64,
    pub(crate) text: String,
}

#[derive(Debug, Default)]
struct Running {
    seconds: u64,
    quiet: u64,
    lines: u64,
    services: HashMap<String, u64>,
}

#[derive(Debug, Default)]
struct State {
    /// In this second.
    lines: u64,
    services: HashMap<String, u64>,
    /// Lines a second that are usual.
    usual: f64,
    running: Option<Running>,
}

/// Counts lines, of this process and of those that send theirs.
#[derive(Debug, Default)]
pub(crate) struct Bursts(Mutex<State>);

impl Bursts {
    /// A line of a service.
    pub(crate) fn count(&self, service: &str, level: Level) {
        if level < Level::Warn {
            return;
        }
        let mut state = self.0.lock();
        state.lines += 1;
        if let Some(count) = state.services.get_mut(service) {
            *count += 1;
        } else if state.services.len() < MAX_SERVICES {
            state.services.insert(service.to_owned(), 1);
        }
    }

    /// A second is over.
    pub(crate) fn tick(&self) -> Option<Burst> {
        let mut state = self.0.lock();
        let (lines, services) = (std::mem::take(&mut state.lines), std::mem::take(&mut state.services));
        let many = lines >= LEAST && lines as f64 >= TIMES * state.usual;
        let Some(mut running) = state.running.take() else {
            if many {
                state.running = Some(Running { seconds: 1, quiet: 0, lines, services });
            } else {
                state.usual += (lines as f64 - state.usual) / REMEMBERED;
            }
            return None;
        };
        running.seconds += 1;
        running.lines += lines;
        for (service, count) in services {
            *running.services.entry(service).or_default() += count;
        }
        running.quiet = if many { 0 } else { running.quiet + 1 };
        if running.quiet < QUIET && running.seconds < LONGEST {
            state.running = Some(running);
            return None;
        }
        if running.quiet < QUIET {
            state.usual = lines as f64;
        }
        Some(running.over())
    }
}

impl Running {
    fn over(self) -> Burst {
        let most = self.services.into_iter().max_by(|a, b| a.1.cmp(&b.1).then_with(|| b.0.cmp(&a.0)));
        let of = most.map_or(String::new(), |(service, count)| format!(", {count} of {service}"));
        let text = format!("{} warnings and errors{of}", self.lines);
        Burst { seconds: self.seconds - self.quiet, ago: self.quiet, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines second by second, half of them information; what was told, with the second in which it was.
    fn told(seconds: impl IntoIterator<Item = u64>) -> Vec<(usize, Burst)> {
        let bursts = Bursts::default();
        let second = |(at, lines): (usize, u64)| {
            for n in 0..lines {
                bursts.count(if n % 4 == 0 { "cart" } else { "orders" }, Level::Error);
                bursts.count("chatty", Level::Info);
            }
            Some((at, bursts.tick()?))
        };
        seconds.into_iter().enumerate().filter_map(second).collect()
    }

    #[test]
    fn a_burst_is_told_once_when_it_is_over() {
        let found = told([0, 0, 40, 100, 60, 0, 1, 0, 0, 0]);
        let text = "201 warnings and errors, 150 of orders".to_owned();
        assert_eq!(found, [(7, Burst { seconds: 3, ago: 3, text })]);
        assert_eq!(told([19; 100]), [], "few");
        assert_eq!(told([0, 0, 25, 0, 0, 25, 0, 0, 0, 0]).len(), 1, "short pauses are a part of it");
    }

    #[test]
    fn what_goes_on_becomes_usual() {
        let found = told(std::iter::repeat_n(50, 600));
        assert_eq!(found.iter().map(|(at, burst)| (*at, burst.seconds)).collect::<Vec<_>>(), [(59, 60)]);
        let rising = (0..600).map(|at| at / 10);
        assert_eq!(told(rising).len(), 0, "it rises slowly");
        let again = std::iter::repeat_n(50, 100).chain(std::iter::repeat_n(400, 5)).chain([50; 10]);
        assert_eq!(told(again).last().map(|(_, burst)| burst.seconds), Some(5));
    }
}
