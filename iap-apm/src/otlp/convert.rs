//! OTLP records as what the history keeps. Everything has a bound; what goes beyond is counted.

use iap_core::{SpanId, TraceId};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::{logs::v1 as logs, trace::v1 as trace};
use serde_json::Value;

use crate::model::{
    Attributes, Level, LogLine, Source, Span, SpanEvent, SpanKind, SpanLink, SpanStatus, TransactionSummary,
};
use crate::text::{cut, cut_owned};

const MAX_ATTRIBUTES: usize = 128;
const MAX_EVENTS: usize = 128;
const MAX_LINKS: usize = 128;
pub(super) const MAX_NAME: usize = 256;
const MAX_VALUE: usize = 16 * 1_024;
/// Text in all attributes of a record together.
const MAX_RECORD: usize = 256 * 1_024;
/// How far ahead of ours a sender's clock may be; what is later would stay on top of every listing.
pub(super) const MAX_AHEAD_US: u64 = 24 * 3_600_000_000;
/// Values inside one attribute, and how deep they nest.
const MAX_VALUES: usize = 256;
const MAX_DEPTH: usize = 8;

/// Who reported: from the resource of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) service: String,
    /// With what is needed to tell it from those of other services.
    instance: Option<String>,
    /// As it was sent.
    pub(super) instance_id: Option<String>,
}

impl Origin {
    pub(super) fn of(attributes: &[KeyValue]) -> Self {
        let text = |name: &str| {
            let found = attributes.iter().find(|attribute| attribute.key == name)?;
            match found.value.as_ref()?.value.as_ref()? {
                any_value::Value::StringValue(text) if !text.is_empty() => {
                    Some(cut(text, MAX_NAME).to_owned())
                }
                _ => None,
            }
        };
        let service = text("service.name").unwrap_or_else(|| "unknown_service".to_owned());
        let instance_id = text("service.instance.id");
        let instance = instance_id.clone().map(|instance| {
            let parts = [text("service.namespace"), Some(service.clone()), Some(instance)];
            parts.into_iter().flatten().collect::<Vec<_>>().join("/")
        });
        Self { service, instance, instance_id }
    }
}

pub(super) fn span(origin: &Origin, span: trace::Span, now_us: u64) -> Result<(TraceId, Span), &'static str> {
    let trace_id = trace_id(&span.trace_id).ok_or("a span has no valid trace id")?;
    let span_id = span_id(&span.span_id).ok_or("a span has no valid span id")?;
    let parent_id = match span.parent_span_id.as_slice() {
        [] => None,
        // Some senders write zeros for "none".
        id if id.iter().all(|byte| *byte == 0) => None,
        id => Some(self::span_id(id).ok_or("a span has no valid parent id")?),
    };
    if span.start_time_unix_nano == 0 {
        return Err("a span has no start time");
    }
    if span.start_time_unix_nano / 1_000 > now_us.saturating_add(MAX_AHEAD_US) {
        return Err("a span starts in the future");
    }
    let mut room = MAX_RECORD;
    let mut dropped = span.dropped_attributes_count.saturating_add(span.dropped_events_count);
    dropped = dropped.saturating_add(span.dropped_links_count);
    let attributes = attributes(span.attributes, &mut room, &mut dropped);
    dropped = dropped.saturating_add(span.events.len().saturating_sub(MAX_EVENTS) as u32);
    let events = span.events.into_iter().take(MAX_EVENTS);
    let events: Vec<_> = events.map(|event| self::event(event, &mut room, &mut dropped)).collect();
    dropped = dropped.saturating_add(span.links.len().saturating_sub(MAX_LINKS) as u32);
    let links = span.links.into_iter().take(MAX_LINKS);
    let links: Vec<_> = links.filter_map(|link| self::link(link, &mut room, &mut dropped)).collect();
    let (status, message) = match span.status.map(|status| (status.code, status.message)) {
        Some((1, _)) => (SpanStatus::Ok, String::new()),
        Some((2, message)) => (SpanStatus::Error, message),
        _ => (SpanStatus::Unset, String::new()),
    };
    let thrown = || {
        let event = events.iter().rev().find(|event| event.name == "exception")?;
        Some(event.attributes.get("exception.message")?.as_str()?.to_owned())
    };
    let error = match status {
        SpanStatus::Error if message.is_empty() => thrown(),
        SpanStatus::Error => Some(cut_owned(message, MAX_VALUE)),
        _ => None,
    };
    let span = Span {
        span_id,
        parent_id,
        name: cut_owned(span.name, MAX_NAME),
        kind: kind(span.kind),
        service: origin.service.clone(),
        instance: origin.instance.clone(),
        start_us: span.start_time_unix_nano / 1_000,
        duration_us: span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano) / 1_000,
        status,
        error,
        attributes,
        events,
        links,
        dropped,
    };
    Ok((trace_id, span))
}

/// The transaction that a span stands for, if it is where a request came in.
pub(super) fn entry(trace_id: TraceId, span: &Span) -> Option<TransactionSummary> {
    let source = match (span.parent_id, span.kind) {
        (None, _) => Source::OtlpRoot,
        (Some(_), SpanKind::Server | SpanKind::Consumer) => Source::OtlpEntry,
        _ => return None,
    };
    // The stable names first, then those they had before.
    let text = |names: &[&str]| names.iter().find_map(|name| span.text(name)).unwrap_or_default();
    let optional =
        |names: &[&str]| Some(cut(text(names), MAX_NAME).to_owned()).filter(|text| !text.is_empty());
    let number = |name: &str| {
        let value = span.attributes.get(name)?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    };
    let status = number("http.response.status_code").or_else(|| number("http.status_code"));
    let status = status.and_then(|status| u16::try_from(status).ok()).unwrap_or(0);
    let path = text(&["url.path", "http.target"]);
    let route = text(&["http.route"]);
    Some(TransactionSummary {
        weight: 1,
        trace_id,
        span_id: span.span_id,
        parent_id: span.parent_id,
        source,
        service: span.service.clone(),
        start_us: span.start_us,
        duration_us: span.duration_us,
        method: cut(text(&["http.request.method", "http.method"]), 32).to_owned(),
        path: cut(path.split('?').next().unwrap_or_default(), 2_048).to_owned(),
        host: cut(text(&["server.address", "http.host", "net.host.name"]), MAX_NAME).to_owned(),
        route: cut(if route.is_empty() { &span.name } else { route }, MAX_NAME).to_owned(),
        status,
        failed: span.status == SpanStatus::Error || status >= 500,
        error: optional(&["error.type"]),
        message: span.error.clone(),
        user: optional(&["user.name", "user.id", "enduser.id"]),
        session: None,
        client: optional(&["client.address", "http.client_ip"]),
        bytes_out: number("http.response.body.size").unwrap_or(0),
    })
}

pub(super) fn log(
    origin: &Origin,
    target: &str,
    record: logs::LogRecord,
    now_us: u64,
) -> Result<LogLine, &'static str> {
    let trace_id = match record.trace_id.as_slice() {
        [] => None,
        id => Some(trace_id(id).ok_or("a log record has no valid trace id")?),
    };
    let span_id = match record.span_id.as_slice() {
        [] => None,
        id => Some(span_id(id).ok_or("a log record has no valid span id")?),
    };
    let time_us = [record.time_unix_nano, record.observed_time_unix_nano].into_iter().find(|time| *time > 0);
    let message = match record.body.map(value_of) {
        Some(Value::String(text)) => text,
        Some(other) => cut_owned(other.to_string(), MAX_VALUE),
        None => record.event_name,
    };
    Ok(LogLine {
        time_us: time_us.map_or(now_us, |time| time / 1_000),
        level: level(record.severity_number, &record.severity_text),
        target: cut(target, MAX_NAME).to_owned(),
        message: cut_owned(message, MAX_VALUE),
        trace_id,
        span_id,
        service: origin.service.clone(),
        fields: attributes(record.attributes, &mut MAX_RECORD.clone(), &mut 0),
    })
}

pub(super) fn trace_id(bytes: &[u8]) -> Option<TraceId> {
    bytes.try_into().ok().filter(|id| *id != [0; 16]).map(TraceId)
}

pub(super) fn span_id(bytes: &[u8]) -> Option<SpanId> {
    bytes.try_into().ok().filter(|id| *id != [0; 8]).map(SpanId)
}

fn kind(number: i32) -> SpanKind {
    match number {
        2 => SpanKind::Server,
        3 => SpanKind::Client,
        4 => SpanKind::Producer,
        5 => SpanKind::Consumer,
        _ => SpanKind::Internal,
    }
}

fn level(number: i32, text: &str) -> Level {
    match number {
        1..=4 => Level::Trace,
        5..=8 => Level::Debug,
        9..=12 => Level::Info,
        13..=16 => Level::Warn,
        17.. => Level::Error,
        _ => match text.to_ascii_lowercase().as_str() {
            "trace" => Level::Trace,
            "debug" => Level::Debug,
            "warn" | "warning" => Level::Warn,
            "error" | "fatal" | "critical" => Level::Error,
            _ => Level::Info,
        },
    }
}

/// A link whose ids are none leads nowhere, and is counted.
fn link(link: trace::span::Link, room: &mut usize, dropped: &mut u32) -> Option<SpanLink> {
    let Some((trace_id, span_id)) = trace_id(&link.trace_id).zip(span_id(&link.span_id)) else {
        *dropped = dropped.saturating_add(1);
        return None;
    };
    *dropped = dropped.saturating_add(link.dropped_attributes_count);
    Some(SpanLink { trace_id, span_id, attributes: attributes(link.attributes, room, dropped) })
}

fn event(event: trace::span::Event, room: &mut usize, dropped: &mut u32) -> SpanEvent {
    *dropped = dropped.saturating_add(event.dropped_attributes_count);
    SpanEvent {
        time_us: event.time_unix_nano / 1_000,
        name: cut_owned(event.name, MAX_NAME),
        attributes: attributes(event.attributes, room, dropped),
    }
}

/// Converts attributes while there is `room`; the others are counted.
fn attributes(list: Vec<KeyValue>, room: &mut usize, dropped: &mut u32) -> Attributes {
    *dropped = dropped.saturating_add(list.len().saturating_sub(MAX_ATTRIBUTES) as u32);
    let mut kept = Attributes::new();
    for attribute in list.into_iter().take(MAX_ATTRIBUTES) {
        let value = value_of(attribute.value.unwrap_or_default());
        let key = cut_owned(attribute.key, MAX_NAME);
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

/// A value on its own.
pub(super) fn value_of(any: AnyValue) -> Value {
    value(any, &mut MAX_VALUES.clone(), 0)
}

/// A value as JSON; bytes as hexadecimal digits, an empty value as null.
fn value(any: AnyValue, budget: &mut usize, depth: usize) -> Value {
    use any_value::Value as Any;
    let Some(left) = budget.checked_sub(1).filter(|_| depth < MAX_DEPTH) else { return Value::from("…") };
    *budget = left;
    match any.value {
        None | Some(Any::StringValueStrindex(_)) => Value::Null,
        Some(Any::StringValue(text)) => cut_owned(text, MAX_VALUE).into(),
        Some(Any::BoolValue(value)) => value.into(),
        Some(Any::IntValue(value)) => value.into(),
        Some(Any::DoubleValue(value)) if value.is_finite() => value.into(),
        Some(Any::DoubleValue(value)) => value.to_string().into(),
        Some(Any::BytesValue(bytes)) => {
            let hex: String = bytes.iter().take(MAX_VALUE / 2).map(|byte| format!("{byte:02x}")).collect();
            hex.into()
        }
        Some(Any::ArrayValue(list)) => {
            list.values.into_iter().take(MAX_VALUES).map(|item| value(item, budget, depth + 1)).collect()
        }
        Some(Any::KvlistValue(list)) => {
            let members = list.values.into_iter().take(MAX_VALUES).map(|member| {
                let converted = value(member.value.unwrap_or_default(), budget, depth + 1);
                (cut_owned(member.key, MAX_NAME), converted)
            });
            Value::Object(members.collect())
        }
    }
}
