//! OTLP records as what the history keeps. Everything has a bound; what goes beyond is counted.

use iap_core::{SpanId, TraceId};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::{logs::v1 as logs, trace::v1 as trace};
use prost::Message;
use serde_json::Value;

use super::values::{MAX_NAME, MAX_RECORD, MAX_VALUE, RECEIVED, span_id, trace_id};
use crate::history::{self, Head};
use crate::model::{Level, LogLine, Source, Span, SpanKind, SpanStatus, TransactionSummary};
use crate::text::{cut, cut_owned};

const MAX_EVENTS: usize = 128;
const MAX_LINKS: usize = 128;
/// How far ahead of ours a sender's clock may be; what is later would stay on top of every listing.
pub(super) const MAX_AHEAD_US: u64 = 24 * 3_600_000_000;

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

    /// As it is stored with spans.
    pub(super) fn packed(&self) -> Vec<u8> {
        history::Origin { service: self.service.clone(), instance: self.instance.clone() }.encode_to_vec()
    }
}

/// Ids of a span: of its trace, its own and that of its parent.
pub(super) fn ids(
    trace: &[u8],
    span: &[u8],
    parent: &[u8],
) -> Result<(TraceId, SpanId, Option<SpanId>), &'static str> {
    let trace_id = trace_id(trace).ok_or("a span has no valid trace id")?;
    let span_id = span_id(span).ok_or("a span has no valid span id")?;
    let parent_id = match parent {
        [] => None,
        // Some senders write zeros for "none".
        id if id.iter().all(|byte| *byte == 0) => None,
        id => Some(self::span_id(id).ok_or("a span has no valid parent id")?),
    };
    Ok((trace_id, span_id, parent_id))
}

pub(super) fn check_start(start_ns: u64, now_us: u64) -> Result<(), &'static str> {
    if start_ns == 0 {
        return Err("a span has no start time");
    }
    if start_ns / 1_000 > now_us.saturating_add(MAX_AHEAD_US) {
        return Err("a span starts in the future");
    }
    Ok(())
}

/// A span, taken apart.
pub(super) fn span(origin: &Origin, span: trace::Span, now_us: u64) -> Result<(TraceId, Span), &'static str> {
    let (trace_id, span_id, parent_id) = ids(&span.trace_id, &span.span_id, &span.parent_span_id)?;
    check_start(span.start_time_unix_nano, now_us)?;
    let mut room = MAX_RECORD;
    let mut dropped = span.dropped_attributes_count.saturating_add(span.dropped_events_count);
    dropped = dropped.saturating_add(span.dropped_links_count);
    let attributes = RECEIVED.attributes(span.attributes, &mut room, &mut dropped);
    dropped = dropped.saturating_add(span.events.len().saturating_sub(MAX_EVENTS) as u32);
    let events = span.events.into_iter().take(MAX_EVENTS);
    let events: Vec<_> = events.map(|found| RECEIVED.event(found, &mut room, &mut dropped)).collect();
    dropped = dropped.saturating_add(span.links.len().saturating_sub(MAX_LINKS) as u32);
    let links = span.links.into_iter().take(MAX_LINKS);
    let links: Vec<_> = links.filter_map(|found| RECEIVED.link(found, &mut room, &mut dropped)).collect();
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

/// What attributes say.
pub(super) trait Facts {
    /// A text that is not empty.
    fn text(&self, name: &str) -> Option<&str>;

    /// A number, also where it came as text.
    fn number(&self, name: &str) -> Option<u64>;
}

impl Facts for Span {
    fn text(&self, name: &str) -> Option<&str> {
        Span::text(self, name)
    }

    fn number(&self, name: &str) -> Option<u64> {
        let value = self.attributes.get(name)?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    }
}

/// The transaction that a span stands for, if it is where a request came in.
pub(super) fn entry(
    trace_id: TraceId,
    service: &str,
    span: Head<'_>,
    facts: &impl Facts,
) -> Option<TransactionSummary> {
    let source = match (span.parent_id, span.kind) {
        (None, _) => Source::OtlpRoot,
        (Some(_), SpanKind::Server | SpanKind::Consumer) => Source::OtlpEntry,
        _ => return None,
    };
    // The stable names first, then those they had before.
    let text = |names: &[&str]| names.iter().find_map(|name| facts.text(name)).unwrap_or_default();
    let optional =
        |names: &[&str]| Some(cut(text(names), MAX_NAME).to_owned()).filter(|text| !text.is_empty());
    let status = facts.number("http.response.status_code").or_else(|| facts.number("http.status_code"));
    let status = status.and_then(|status| u16::try_from(status).ok()).unwrap_or(0);
    let path = text(&["url.path", "http.target"]);
    let route = text(&["http.route"]);
    Some(TransactionSummary {
        weight: 1,
        trace_id,
        span_id: span.span_id,
        parent_id: span.parent_id,
        source,
        service: service.to_owned(),
        start_us: span.start_us,
        duration_us: span.duration_us,
        method: cut(text(&["http.request.method", "http.method"]), 32).to_owned(),
        path: cut(path.split('?').next().unwrap_or_default(), 2_048).to_owned(),
        host: cut(text(&["server.address", "http.host", "net.host.name"]), MAX_NAME).to_owned(),
        route: cut(if route.is_empty() { span.name } else { route }, MAX_NAME).to_owned(),
        status,
        failed: span.status == SpanStatus::Error || status >= 500,
        error: optional(&["error.type"]),
        message: span.error.map(str::to_owned),
        user: optional(&["user.name", "user.id", "enduser.id"]),
        session: None,
        client: optional(&["client.address", "http.client_ip"]),
        bytes_out: facts.number("http.response.body.size").unwrap_or(0),
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
    let message = match record.body.map(|body| RECEIVED.value(body)) {
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
        fields: RECEIVED.attributes(record.attributes, &mut MAX_RECORD.clone(), &mut 0),
    })
}

pub(super) fn kind(number: i32) -> SpanKind {
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
