//! What a rule knows of what it watches: quiet, broken for a while, alerting.

use std::collections::BTreeMap;

use iap_core::SpanId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rule::{Bound, Rule, Severity};

/// What is told apart within a rule: the route, or the labels of a metric.
pub type Group = BTreeMap<String, String>;

/// Whether an alert begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "AlertEdge")]
pub enum Edge {
    /// The rule has been broken for long enough.
    Firing,
    /// It is kept again.
    Resolved,
}

/// The beginning or the end of an alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AlertEvent {
    /// The same for the beginning and the end.
    pub id: String,
    /// The rule's name.
    pub rule: String,
    /// What it is about.
    pub group: Group,
    /// How grave it is.
    pub severity: Severity,
    /// Which of the two.
    pub edge: Edge,
    /// What was measured; `None` where nothing was there.
    pub value: Option<f64>,
    /// The bound, where it is a number.
    pub bound: Option<f64>,
    /// When the rule was first seen broken, in Unix microseconds.
    pub since_us: u64,
    /// When this was found, in Unix microseconds.
    pub at_us: u64,
    /// A transaction that shows it.
    pub trace_id: Option<String>,
    /// Why nobody was told: a silence, or another gateway was first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untold: Option<String>,
}

/// One thing that a rule watches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AlertGroup")]
pub struct Watched {
    /// What it is.
    pub group: Group,
    /// What was measured last.
    pub value: Option<f64>,
    /// Since when the rule is broken, in Unix microseconds.
    pub broken_since_us: Option<u64>,
    /// The alert, if it is one by now.
    pub alert: Option<String>,
    /// When a value was there last, in Unix microseconds.
    pub seen_us: u64,
}

/// Takes a value, and says whether an alert begins or ends with it.
pub(super) fn step(
    rule: &Rule,
    watched: &mut Watched,
    value: Option<f64>,
    now_us: u64,
) -> Option<AlertEvent> {
    watched.value = value;
    if value.is_some() {
        watched.seen_us = now_us;
    }
    let event = |watched: &Watched, id: String, edge| AlertEvent {
        id,
        rule: rule.name.clone(),
        group: watched.group.clone(),
        severity: rule.severity,
        edge,
        value,
        bound: match rule.bound {
            Bound::Above(bound) | Bound::Below(bound) => Some(bound),
            Bound::Absent => None,
        },
        since_us: watched.broken_since_us.unwrap_or(now_us),
        at_us: now_us,
        trace_id: None,
        untold: None,
    };
    if let Some(id) = &watched.alert {
        if !rule.is_mended(value) {
            return None;
        }
        let event = event(watched, id.clone(), Edge::Resolved);
        (watched.alert, watched.broken_since_us) = (None, None);
        return Some(event);
    }
    if !rule.is_broken(value) {
        watched.broken_since_us = None;
        return None;
    }
    let since_us = *watched.broken_since_us.get_or_insert(now_us);
    if u128::from(now_us.saturating_sub(since_us)) < rule.lasts.as_micros() {
        return None;
    }
    // Random, so that two gateways never name two alerts the same.
    let id = SpanId::random().to_string();
    watched.alert = Some(id.clone());
    Some(event(watched, id, Edge::Firing))
}
