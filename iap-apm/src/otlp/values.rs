//! Values of OTLP as those of the history, and back. Everything that comes in has a bound; what goes beyond is counted.

use iap_core::{SpanId, TraceId};
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList, any_value};
use opentelemetry_proto::tonic::trace::v1 as trace;
use serde_json::Value;

use crate::model::{Attributes, SpanEvent, SpanLink};
use crate::text::cut_owned;

pub(super) const MAX_ATTRIBUTES: usize = 128;
pub(super) const MAX_NAME: usize = 256;
pub(super) const MAX_VALUE: usize = 16 * 1_024;
/// Text in all attributes of a record together.
pub(super) const MAX_RECORD: usize = 256 * 1_024;
/// Values inside one attribute, and how deep they nest.
const MAX_VALUES: usize = 256;
const MAX_DEPTH: usize = 8;
/// How deep values nest that are written; a reader of protobuf goes no deeper than a hundred messages, three for a value.
const MAX_WRITTEN_DEPTH: usize = 24;

pub(super) fn trace_id(bytes: &[u8]) -> Option<TraceId> {
    bytes.try_into().ok().filter(|id| *id != [0; 16]).map(TraceId)
}

pub(super) fn span_id(bytes: &[u8]) -> Option<SpanId> {
    bytes.try_into().ok().filter(|id| *id != [0; 8]).map(SpanId)
}

/// What values are read with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    name: usize,
    text: usize,
    attributes: usize,
    values: usize,
    depth: usize,
    bytes: fn(&[u8]) -> Value,
}

/// Values that somebody has sent; bytes become hexadecimal digits.
pub(crate) const RECEIVED: Reading = Reading {
    name: MAX_NAME,
    text: MAX_VALUE,
    attributes: MAX_ATTRIBUTES,
    values: MAX_VALUES,
    depth: MAX_DEPTH,
    bytes: |bytes| {
        let digits: String = bytes.iter().take(MAX_VALUE / 2).map(|byte| format!("{byte:02x}")).collect();
        digits.into()
    },
};

/// Values that [`Writing::STORED`] has written: nothing is cut.
pub(crate) const STORED: Reading = Reading {
    name: usize::MAX,
    text: usize::MAX,
    attributes: usize::MAX,
    values: usize::MAX,
    depth: usize::MAX,
    bytes: |bytes| bytes.try_into().map_or(Value::Null, |bytes| u64::from_le_bytes(bytes).into()),
};

impl Reading {
    /// A link whose ids are none leads nowhere, and is counted.
    pub(crate) fn link(
        self,
        link: trace::span::Link,
        room: &mut usize,
        dropped: &mut u32,
    ) -> Option<SpanLink> {
        let Some((trace_id, span_id)) = trace_id(&link.trace_id).zip(span_id(&link.span_id)) else {
            *dropped = dropped.saturating_add(1);
            return None;
        };
        *dropped = dropped.saturating_add(link.dropped_attributes_count);
        Some(SpanLink { trace_id, span_id, attributes: self.attributes(link.attributes, room, dropped) })
    }

    pub(crate) fn event(self, event: trace::span::Event, room: &mut usize, dropped: &mut u32) -> SpanEvent {
        *dropped = dropped.saturating_add(event.dropped_attributes_count);
        SpanEvent {
            time_us: event.time_unix_nano / 1_000,
            name: cut_owned(event.name, self.name),
            attributes: self.attributes(event.attributes, room, dropped),
        }
    }

    /// Converts attributes while there is `room`; the others are counted.
    pub(crate) fn attributes(self, list: Vec<KeyValue>, room: &mut usize, dropped: &mut u32) -> Attributes {
        *dropped = dropped.saturating_add(list.len().saturating_sub(self.attributes) as u32);
        let mut kept = Attributes::new();
        for attribute in list.into_iter().take(self.attributes) {
            let value = self.value(attribute.value.unwrap_or_default());
            let key = cut_owned(attribute.key, self.name);
            match room.checked_sub(key.len() + size(&value)) {
                Some(left) => {
                    *room = left;
                    kept.insert(key, value);
                }
                None => *dropped = dropped.saturating_add(1),
            }
        }
        kept
    }

    /// A value as JSON; an empty one as null.
    pub(crate) fn value(self, any: AnyValue) -> Value {
        self.inner(any, &mut self.values.clone(), 0)
    }

    fn inner(self, any: AnyValue, budget: &mut usize, depth: usize) -> Value {
        use any_value::Value as Any;
        let Some(left) = budget.checked_sub(1).filter(|_| depth < self.depth) else {
            return Value::from("…");
        };
        *budget = left;
        match any.value {
            None | Some(Any::StringValueStrindex(_)) => Value::Null,
            Some(Any::StringValue(text)) => cut_owned(text, self.text).into(),
            Some(Any::BoolValue(value)) => value.into(),
            Some(Any::IntValue(value)) => value.into(),
            Some(Any::DoubleValue(value)) if value.is_finite() => value.into(),
            Some(Any::DoubleValue(value)) => value.to_string().into(),
            Some(Any::BytesValue(bytes)) => (self.bytes)(&bytes),
            Some(Any::ArrayValue(list)) => {
                let items = list.values.into_iter().take(self.values);
                items.map(|item| self.inner(item, budget, depth + 1)).collect()
            }
            Some(Any::KvlistValue(list)) => {
                let members = list.values.into_iter().take(self.values).map(|member| {
                    let value = self.inner(member.value.unwrap_or_default(), budget, depth + 1);
                    (cut_owned(member.key, self.name), value)
                });
                Value::Object(members.collect())
            }
        }
    }
}

/// About the bytes that a converted value takes.
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum::<usize>() + 8,
        Value::Object(members) => {
            members.iter().map(|(name, member)| name.len() + size(member)).sum::<usize>() + 8
        }
        _ => 8,
    }
}

/// What values are written for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writing {
    /// What becomes of an integer that OTLP is too small for.
    large: fn(u64) -> any_value::Value,
}

impl Writing {
    /// For others.
    pub(crate) const SENT: Self = Self { large: |number| any_value::Value::StringValue(number.to_string()) };
    /// For [`STORED`]. What is kept as it came has no bytes, so they stand for large integers.
    pub(crate) const STORED: Self =
        Self { large: |number| any_value::Value::BytesValue(number.to_le_bytes().to_vec()) };

    pub(crate) fn event(self, event: &SpanEvent) -> trace::span::Event {
        trace::span::Event {
            time_unix_nano: event.time_us.saturating_mul(1_000),
            name: event.name.clone(),
            attributes: self.attributes(&event.attributes),
            ..Default::default()
        }
    }

    pub(crate) fn link(self, link: &SpanLink) -> trace::span::Link {
        trace::span::Link {
            trace_id: link.trace_id.0.to_vec(),
            span_id: link.span_id.0.to_vec(),
            attributes: self.attributes(&link.attributes),
            ..Default::default()
        }
    }

    pub(crate) fn attributes(self, attributes: &Attributes) -> Vec<KeyValue> {
        attributes.iter().map(|(name, value)| self.pair(name, value, 0)).collect()
    }

    fn pair(self, name: &str, value: &Value, depth: usize) -> KeyValue {
        KeyValue { key: name.to_owned(), value: Some(self.value(value, depth)), ..KeyValue::default() }
    }

    fn value(self, value: &Value, depth: usize) -> AnyValue {
        use any_value::Value as Any;
        let value = match value {
            Value::Array(_) | Value::Object(_) if depth >= MAX_WRITTEN_DEPTH => {
                Some(Any::StringValue("…".into()))
            }
            Value::Null => None,
            Value::Bool(value) => Some(Any::BoolValue(*value)),
            Value::Number(number) => Some(match (number.as_i64(), number.as_u64()) {
                (Some(number), _) => Any::IntValue(number),
                (None, Some(number)) => (self.large)(number),
                (None, None) => Any::DoubleValue(number.as_f64().unwrap_or_default()),
            }),
            Value::String(text) => Some(Any::StringValue(text.clone())),
            Value::Array(items) => {
                let values = items.iter().map(|item| self.value(item, depth + 1)).collect();
                Some(Any::ArrayValue(ArrayValue { values }))
            }
            Value::Object(members) => {
                let values = members.iter().map(|(name, value)| self.pair(name, value, depth + 1)).collect();
                Some(Any::KvlistValue(KeyValueList { values }))
            }
        };
        AnyValue { value }
    }
}
