//! Events of the time line of another node, which come as log records with a name.
//!
//! They say of any node what they like, so they are taken only from those who may report for every service, and in bounds.

use std::collections::HashMap;

use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use parking_lot::Mutex;

use super::decode::Decoded;
use crate::history::MAX_EVENT_US;
use crate::model::{EventKind, NODE, TimelineEvent};
use crate::text::cut;
use crate::timeline::{HOUR_US, MAX_AN_HOUR, MAX_NODE, MAX_TEXT};

/// What their names begin with; what it was follows.
pub(crate) const NAME: &str = "iap.timeline.";
/// How long it lasted, in microseconds.
pub(crate) const DURATION: &str = "iap.duration_us";

/// How far ahead of ours the clock of a node may be.
const MAX_AHEAD_US: u64 = 5 * 60_000_000;
/// The longest that an event may last: an hour.
const MAX_LASTED_US: u64 = 6 * MAX_EVENT_US;
/// Nodes that are taken events of in an hour.
const MAX_NODES: usize = 100;

const TOO_MANY: &str = "the node has too many events in this hour";
const TOO_MANY_NODES: &str = "too many nodes have events in this hour";

/// The event that a record tells of; `None` for any other record.
pub(super) fn event(record: &LogRecord, now_us: u64) -> Option<TimelineEvent> {
    let kind = EventKind::parse(record.event_name.strip_prefix(NAME)?)?;
    let time_us = record.time_unix_nano / 1_000;
    if time_us == 0 || time_us > now_us.saturating_add(MAX_AHEAD_US) {
        return None;
    }
    let of = |name: &str| record.attributes.iter().find(|attribute| attribute.key == name)?.value.as_ref();
    let lasted = match of(DURATION).and_then(|any| any.value.as_ref()) {
        Some(Value::IntValue(lasted)) => u64::try_from(*lasted).unwrap_or_default(),
        _ => 0,
    };
    Some(TimelineEvent {
        time_us,
        duration_us: lasted.min(MAX_LASTED_US),
        kind,
        node: text(of(NODE), MAX_NODE),
        text: text(record.body.as_ref(), MAX_TEXT),
    })
}

fn text(any: Option<&AnyValue>, max: usize) -> String {
    match any.and_then(|any| any.value.as_ref()) {
        Some(Value::StringValue(text)) => cut(text, max).to_owned(),
        _ => String::new(),
    }
}

/// How many events were taken in this hour.
#[derive(Debug, Default)]
pub(super) struct Events(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    hour: u64,
    nodes: HashMap<String, usize>,
}

impl Events {
    /// Decides about the records of a request that tell of events. From a sender who is not `trusted` they are log lines as
    /// any others.
    #[must_use]
    pub(super) fn settle(&self, decoded: &mut Decoded, trusted: bool, now_us: u64) -> Admitted<'_> {
        let mut admitted = Admitted { events: self, nodes: Vec::new() };
        for (event, line) in std::mem::take(&mut decoded.told) {
            if !trusted {
                decoded.batch.logs.push(line);
                continue;
            }
            match self.admit(&event.node, now_us) {
                Ok(()) => {
                    admitted.nodes.push(event.node.clone());
                    decoded.batch.events.push(event);
                }
                Err(reason) => decoded.reject(reason),
            }
        }
        admitted
    }

    /// By our clock, whatever the event says of its time.
    fn admit(&self, node: &str, now_us: u64) -> Result<(), &'static str> {
        let mut taken = self.0.lock();
        let hour = now_us / HOUR_US;
        if hour > taken.hour {
            *taken = Taken { hour, nodes: HashMap::new() };
        }
        if !taken.nodes.contains_key(node) {
            if taken.nodes.len() >= MAX_NODES {
                return Err(TOO_MANY_NODES);
            }
            taken.nodes.insert(node.to_owned(), 0);
        }
        match taken.nodes.get_mut(node) {
            Some(number) if *number < MAX_AN_HOUR => *number += 1,
            _ => return Err(TOO_MANY),
        }
        Ok(())
    }
}

/// The events of one request. They are given back when it goes, unless they were [kept](Self::kept): the history had no room, say, or
/// the sender has left. So they may come again.
pub(super) struct Admitted<'a> {
    events: &'a Events,
    /// The node of each.
    nodes: Vec<String>,
}

impl Admitted<'_> {
    /// They are in the history.
    pub(super) fn kept(mut self) {
        self.nodes.clear();
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        if self.nodes.is_empty() {
            return;
        }
        let mut taken = self.events.0.lock();
        for node in &self.nodes {
            if let Some(number) = taken.nodes.get_mut(node) {
                *number = number.saturating_sub(1);
            }
        }
    }
}
