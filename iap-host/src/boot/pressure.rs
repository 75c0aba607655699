//! How hard the session store is pressed: a part of each sample, and an event when it has dropped something.

use std::sync::Arc;
use std::time::{Duration, Instant};

use iap_apm::runtime::Reading;
use iap_apm::{Apm, EventKind, MetricKind};
use iap_session::{Pressure, Sessions};
use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval};

/// What was dropped becomes one event for so many looks.
const LOOKS_FOR_AN_EVENT: u32 = 5;

/// What the store has said last; nothing while it does not answer.
pub(super) type LastPressure = Arc<Mutex<Option<Pressure>>>;

/// Asks the store for as long as there is one.
pub(super) async fn follow(apm: Apm, sessions: Sessions, last: LastPressure, every: Duration) {
    let mut told = Told::default();
    let mut tick = interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let pressure = sessions.pressure().await.ok();
        *last.lock() = pressure;
        let Some(pressure) = pressure else { continue };
        if let Some((dropped, since)) = told.look(pressure.dropped, every * LOOKS_FOR_AN_EVENT) {
            // A server has no other sessions than those of all nodes, and may hold other things, too.
            let text = match pressure.in_flight {
                None => format!("{dropped} sessions of the memory store"),
                Some(_) => format!("{dropped} keys of Redis: its maxmemory is reached"),
            };
            apm.event(EventKind::SessionsEvicted, since, &text);
        }
    }
}

/// What has been told of what was dropped.
#[derive(Default)]
struct Told {
    dropped: Option<u64>,
    at: Option<Instant>,
}

impl Told {
    /// How many are to be told, and over which time: after `pause` at the soonest. What was before the first look is not.
    fn look(&mut self, dropped: u64, pause: Duration) -> Option<(u64, Duration)> {
        // A server that was started again counts from zero.
        let known = *self.dropped.insert(self.dropped.map_or(dropped, |known| known.min(dropped)));
        let since = self.at.map_or(Duration::MAX, |at| at.elapsed());
        if since < pause {
            return None;
        }
        self.at = Some(Instant::now());
        self.dropped = Some(dropped);
        (dropped > known).then_some((dropped - known, since.min(pause)))
    }
}

/// As readings of a sample.
pub(super) fn readings(last: &LastPressure) -> Vec<Reading> {
    let Some(pressure) = *last.lock() else { return Vec::new() };
    let in_flight = pressure.in_flight.map(|commands| {
        Reading::new("session.store.in_flight", MetricKind::Gauge, "{command}", commands as f64)
    });
    let dropped =
        Reading::new("session.store.dropped", MetricKind::Counter, "{key}", pressure.dropped as f64);
    in_flight.into_iter().chain([dropped]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_dropped_is_told_once_and_not_too_often() {
        let mut told = Told::default();
        let (long, none) = (Duration::from_secs(3600), Duration::ZERO);
        assert_eq!(told.look(40, long), None, "before the first look");
        assert_eq!(told.look(50, long), None, "too early");
        assert_eq!(told.look(60, none).unwrap().0, 20);
        assert_eq!(told.look(60, none), None);
        assert_eq!(told.look(3, none), None, "started again");
        assert_eq!(told.look(5, none).unwrap().0, 2);
        assert_eq!(told.look(2, long), None);
        assert_eq!(told.look(6, none).unwrap().0, 4, "started again before it could be told");
    }
}
