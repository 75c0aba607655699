//! Incidents: events that belong together, and their life.
//!
//! An event joins the incident that is not resolved and has the same cause, or shows in the same thing; else it opens a new
//! one. What is resolved takes nothing up any more. An incident is resolved when all its events are over.

use std::collections::VecDeque;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::monitor::{Alert, SeriesKey};
use crate::cause::{CauseKind, RootCause};

/// Resolved incidents that are kept, unless said otherwise.
pub const MAX_KEPT: usize = 1_000;
/// Incidents that are not resolved at a time; of more, events join the latest.
const MAX_OPEN: usize = 100;
/// Events, and notes, of one incident.
const MAX_SIGNALS: usize = 50;
const MAX_ACKS: usize = 20;
/// Seconds within which an event of the same thing belongs to the incident though its cause was found to be another.
const TOGETHER_S: u64 = 120;

/// How far an incident is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    /// Nobody has said that they know of it.
    Open,
    /// Somebody knows of it.
    Acknowledged,
    /// It is over.
    Resolved,
}

impl IncidentState {
    /// Whether it is not over.
    pub fn is_active(self) -> bool {
        self != Self::Resolved
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth to know of.
    Notice,
    /// Users notice it.
    Warning,
    /// Many requests fail.
    Critical,
}

/// An event of an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Signal {
    /// What was seen first.
    pub alert: Alert,
    /// The most surprising value.
    pub worst: f64,
    /// When it was over, Unix seconds.
    pub ended_s: Option<u64>,
}

/// Somebody who knows of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ack {
    /// When, Unix seconds.
    pub at_s: u64,
    /// Who.
    pub who: String,
    /// What they say.
    pub note: String,
}

/// An incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Incident {
    /// Its number.
    pub id: u64,
    /// How far it is.
    pub state: IncidentState,
    /// How bad it is.
    pub severity: Severity,
    /// When it began, Unix seconds: the earliest change point.
    pub began_s: u64,
    /// When it was detected.
    pub detected_s: u64,
    /// When it was over.
    pub resolved_s: Option<u64>,
    /// What it is due to, as far as is known.
    pub cause: RootCause,
    /// Its events, in the order in which they were seen.
    pub signals: Vec<Signal>,
    /// Events beyond those that are kept.
    pub more: u64,
    /// Who knows of it.
    pub acks: Vec<Ack>,
    /// The one before with the same cause, if it is kept.
    pub previous: Option<u64>,
}

impl Incident {
    /// Whether it is not over.
    pub fn is_active(&self) -> bool {
        self.state.is_active()
    }

    fn going_on(&self) -> bool {
        self.signals.iter().any(|signal| signal.ended_s.is_none())
    }
}

/// Why an incident cannot be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AckError {
    /// There is none with this number.
    #[error("there is no such incident")]
    Unknown,
    /// It is over.
    #[error("the incident is resolved")]
    Resolved,
}

/// All incidents that are kept, by their numbers.
#[derive(Debug, Clone)]
pub struct Incidents {
    kept: VecDeque<Incident>,
    next: u64,
    limit: usize,
}

impl Default for Incidents {
    fn default() -> Self {
        Self::new(Vec::new(), MAX_KEPT)
    }
}

impl Incidents {
    /// Goes on from what was kept; events of which nothing is known any more are over unless they are seen again.
    pub fn new(mut kept: Vec<Incident>, limit: usize) -> Self {
        kept.sort_by_key(|incident| incident.id);
        let next = kept.last().map_or(1, |last| last.id + 1);
        Self { kept: kept.into(), next, limit: limit.max(1) }
    }

    /// The incidents, the latest first.
    pub fn list(&self) -> impl Iterator<Item = &Incident> {
        self.kept.iter().rev()
    }

    /// One of them.
    pub fn get(&self, id: u64) -> Option<&Incident> {
        self.kept.iter().find(|incident| incident.id == id)
    }

    /// Whether an active incident has an event of this series that goes on.
    pub fn has(&self, key: &SeriesKey) -> bool {
        self.active_with(key).is_some()
    }

    fn active_with(&self, key: &SeriesKey) -> Option<usize> {
        let with = |incident: &Incident| {
            let own = |signal: &Signal| signal.alert.key == *key && signal.ended_s.is_none();
            incident.is_active() && incident.signals.iter().any(own)
        };
        self.kept.iter().rposition(with)
    }

    /// Takes up an event with its cause. Gives the number of its incident, and whether that is new.
    pub fn report(&mut self, alert: Alert, cause: RootCause) -> (u64, bool) {
        let severity = severity(&alert, &cause);
        if let Some(at) = self.home(&alert, &cause) {
            let incident = &mut self.kept[at];
            incident.severity = incident.severity.max(severity);
            incident.began_s = incident.began_s.min(alert.since_s);
            if cause.confidence > incident.cause.confidence {
                incident.cause = cause;
            }
            let signal = Signal { worst: alert.value, alert, ended_s: None };
            match incident.signals.iter().position(|known| known.alert.key == signal.alert.key) {
                Some(at) => incident.signals[at] = signal,
                None if incident.signals.len() < MAX_SIGNALS => incident.signals.push(signal),
                None => incident.more += 1,
            }
            return (incident.id, false);
        }
        let same = |old: &&Incident| old.cause.key() == cause.key();
        let previous = self.list().find(same).map(|old| old.id);
        let id = self.next;
        self.next += 1;
        self.kept.push_back(Incident {
            id,
            state: IncidentState::Open,
            severity,
            began_s: alert.since_s,
            detected_s: alert.at_s,
            resolved_s: None,
            cause,
            signals: vec![Signal { worst: alert.value, alert, ended_s: None }],
            more: 0,
            acks: Vec::new(),
            previous,
        });
        (id, true)
    }

    /// The active incident that an event belongs to.
    fn home(&self, alert: &Alert, cause: &RootCause) -> Option<usize> {
        if let Some(at) = self.active_with(&alert.key) {
            return Some(at);
        }
        let key = cause.key();
        let active = || self.kept.iter().enumerate().rev().filter(|(_, incident)| incident.is_active());
        let same = active().find(|(_, incident)| incident.cause.key() == key);
        let together = |incident: &Incident| {
            let entity = |signal: &Signal| signal.alert.key.entity == alert.key.entity;
            let near = incident.signals.iter().any(|s| s.alert.since_s.abs_diff(alert.since_s) <= TOGETHER_S);
            near && (incident.signals.iter().any(entity) || touches(cause, &incident.cause))
        };
        let found = same.or_else(|| active().find(|(_, incident)| together(incident)));
        let full = || active().next().filter(|_| active().count() >= MAX_OPEN);
        found.or_else(full).map(|(at, _)| at)
    }

    /// More is known of the cause: it takes the place of what was found before unless that is surer. Gives whether
    /// anything has changed.
    pub fn refine(&mut self, id: u64, cause: RootCause) -> bool {
        let Some(incident) = self.kept.iter_mut().find(|incident| incident.id == id) else { return false };
        let known = &mut incident.cause;
        if !incident.state.is_active() || *known == cause {
            return false;
        }
        if cause.key() == known.key() || cause.confidence > known.confidence {
            *known = cause;
            return true;
        }
        false
    }

    /// An event goes on, with this value.
    pub fn goes_on(&mut self, alert: &Alert) {
        let Some(at) = self.active_with(&alert.key) else { return };
        for signal in &mut self.kept[at].signals {
            let away = |value: f64| (value - signal.alert.expected).abs();
            if signal.alert.key == alert.key && away(alert.value) > away(signal.worst) {
                signal.worst = alert.value;
            }
        }
    }

    /// An event is over. Gives the incident that is resolved by that.
    pub fn end(&mut self, key: &SeriesKey, at_s: u64) -> Option<u64> {
        let at = self.active_with(key)?;
        let incident = &mut self.kept[at];
        for signal in incident.signals.iter_mut().filter(|signal| signal.alert.key == *key) {
            signal.ended_s = Some(at_s);
        }
        if incident.going_on() {
            return None;
        }
        (incident.state, incident.resolved_s) = (IncidentState::Resolved, Some(at_s));
        Some(incident.id)
    }

    /// Ends the events of which nobody knows whether they go on, as after a start. Gives the incidents resolved by that.
    pub fn end_unknown(&mut self, at_s: u64, knows: impl Fn(&SeriesKey) -> bool) -> Vec<u64> {
        let going_on = self.kept.iter().filter(|incident| incident.is_active());
        let signals =
            going_on.flat_map(|incident| &incident.signals).filter(|signal| signal.ended_s.is_none());
        let unknown: Vec<_> =
            signals.map(|signal| signal.alert.key.clone()).filter(|key| !knows(key)).collect();
        unknown.iter().filter_map(|key| self.end(key, at_s)).collect()
    }

    /// Somebody knows of it.
    ///
    /// # Errors
    /// When there is no such incident, or it is over.
    pub fn acknowledge(&mut self, id: u64, ack: Ack) -> Result<&Incident, AckError> {
        let incident = self.kept.iter_mut().find(|incident| incident.id == id).ok_or(AckError::Unknown)?;
        if !incident.is_active() {
            return Err(AckError::Resolved);
        }
        incident.state = IncidentState::Acknowledged;
        if incident.acks.len() >= MAX_ACKS {
            incident.acks.remove(0);
        }
        incident.acks.push(ack);
        Ok(incident)
    }

    /// Forgets resolved incidents that are older than `oldest_s`, and the oldest of too many. Gives their numbers.
    pub fn forget(&mut self, oldest_s: u64) -> Vec<u64> {
        let mut too_many = self.kept.len().saturating_sub(self.limit);
        let mut gone = Vec::new();
        self.kept.retain(|incident| {
            let old = incident.resolved_s.is_some_and(|at_s| at_s < oldest_s);
            let goes = !incident.is_active() && (old || too_many > 0);
            if goes {
                too_many = too_many.saturating_sub(1);
                gone.push(incident.id);
            }
            !goes
        });
        gone
    }
}

/// Whether two causes are about the same thing, though they were found to be of other kinds.
fn touches(a: &RootCause, b: &RootCause) -> bool {
    let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
    weak(a)
        || weak(b)
        || same(&a.upstream, &b.upstream)
        || same(&a.sql, &b.sql)
        || (same(&a.route, &b.route) && (a.confidence < 0.5 || b.confidence < 0.5))
        || (a.change.is_some() && a.change == b.change)
}

/// What comes with anything that is wrong: a line that is new, a metric, another number of requests.
fn weak(cause: &RootCause) -> bool {
    match cause.kind {
        CauseKind::Log | CauseKind::Metric | CauseKind::EventLoop => true,
        CauseKind::Load => cause.confidence < 0.5,
        _ => false,
    }
}

fn severity(alert: &Alert, cause: &RootCause) -> Severity {
    match cause.kind {
        CauseKind::Log | CauseKind::Load | CauseKind::Metric | CauseKind::EventLoop => Severity::Notice,
        _ if alert.key.signal == "errors" && alert.value >= 0.2 => Severity::Critical,
        _ => Severity::Warning,
    }
}

#[cfg(test)]
mod tests;
