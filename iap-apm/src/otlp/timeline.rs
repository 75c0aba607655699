//! Events of the time line of another node, which come as log records with a name.

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use serde_json::Value;

use super::convert::MAX_AHEAD_US;
use super::values::{MAX_NAME, MAX_VALUE, RECEIVED};
use crate::model::{EventKind, TimelineEvent};
use crate::text::{cut, cut_owned};

/// What their names begin with; what it was follows.
pub(crate) const NAME: &str = "iap.timeline.";
/// The node that it happened on.
pub(crate) const NODE: &str = "iap.node";
/// How long it lasted, in microseconds.
pub(crate) const DURATION: &str = "iap.duration_us";

/// The event that a record tells of; `None` for any other record.
pub(super) fn event(record: &LogRecord, now_us: u64) -> Option<TimelineEvent> {
    let kind = EventKind::parse(record.event_name.strip_prefix(NAME)?)?;
    let time_us = record.time_unix_nano / 1_000;
    if time_us == 0 || time_us > now_us.saturating_add(MAX_AHEAD_US) {
        return None;
    }
    let of = |name: &str| {
        let found = record.attributes.iter().find(|attribute| attribute.key == name)?;
        Some(RECEIVED.value(found.value.clone()?))
    };
    let body = record.body.clone().map(|body| RECEIVED.value(body));
    Some(TimelineEvent {
        time_us,
        duration_us: of(DURATION).and_then(|value| value.as_u64()).unwrap_or_default(),
        kind,
        node: cut(of(NODE).as_ref().and_then(Value::as_str).unwrap_or_default(), MAX_NAME).to_owned(),
        text: cut_owned(body.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned(), MAX_VALUE),
    })
}
