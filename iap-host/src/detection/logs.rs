//! Error lines that were never logged before.

use std::collections::BTreeMap;

use iap_apm::model::Level;
use iap_apm::{Apm, LogQuery, Window};
use iap_ops::detect::{Alert, Changes, Entity, Measure, SeriesKey, Templates};

/// Seconds of the history whose lines are known at the start.
const RECALLED_S: u64 = 24 * 3_600;
/// Seconds after the start in which lines are learnt and none is new: what a program says when it begins.
const LEARNING_S: u64 = 120;
/// Seconds after its last line until a new one is over.
const QUIET_S: u64 = 60;
/// Lines of one round, and new ones of one round.
const LINES: usize = 1_000;
const NEW: usize = 10;

#[derive(Debug, Default)]
pub(super) struct Novelty {
    templates: Templates,
    started_s: u64,
    read_us: u64,
    /// New ones that go on, with when their last round was.
    going_on: BTreeMap<SeriesKey, u64>,
}

impl Novelty {
    /// Learns what was said before the start.
    pub(super) async fn recall(&mut self, apm: &Apm, at_s: u64) {
        (self.started_s, self.read_us) = (at_s, at_s * 1_000_000);
        let window = Window::last(RECALLED_S * 1_000_000, self.read_us);
        for line in read(apm, window).await {
            self.templates.learn(line.time_us / 1_000_000, &line.service, &line.message);
        }
    }

    /// Reads what was logged since the round before.
    pub(super) async fn advance(&mut self, apm: &Apm, at_s: u64, changes: &mut Changes) {
        // What is logged now may not be written yet.
        let to_us = at_s.saturating_sub(1) * 1_000_000;
        let lines = read(apm, Window::new(self.read_us, to_us)).await;
        self.read_us = self.read_us.max(to_us);
        for line in lines {
            let Some(template) = self.templates.learn(at_s, &line.service, &line.message) else { continue };
            if at_s < self.started_s + LEARNING_S || changes.begun.len() >= NEW {
                continue;
            }
            let key = SeriesKey { entity: Entity::Log(line.service), signal: template };
            self.going_on.insert(key.clone(), at_s);
            let since_s = line.time_us / 1_000_000;
            let measure = Measure::Events;
            changes.begun.push(Alert { key, measure, since_s, at_s, expected: 0.0, value: 1.0, score: 0.0 });
        }
        let over = |(key, since): (&SeriesKey, &u64)| (at_s >= since + QUIET_S).then(|| key.clone());
        let over: Vec<_> = self.going_on.iter().filter_map(over).collect();
        for key in over {
            self.going_on.remove(&key);
            changes.ended.push(key);
        }
    }

    pub(super) fn is_event(&self, key: &SeriesKey) -> bool {
        self.going_on.contains_key(key)
    }

    pub(super) fn len(&self) -> usize {
        self.templates.len()
    }
}

async fn read(apm: &Apm, window: Window) -> Vec<iap_apm::model::LogLine> {
    let query = LogQuery { min_level: Some(Level::Error), limit: LINES, ..LogQuery::new(window) };
    match apm.history().logs(&query).await {
        Ok(lines) => lines,
        Err(error) => {
            tracing::debug!(%error, "log lines could not be read");
            Vec::new()
        }
    }
}
