//! Our log lines, and what happened on the time line, as requests of OTLP.
//!
//! An event of the time line is a log record with a name, as OpenTelemetry says: `iap.timeline.` and what it was. A receiver
//! of ours puts it on its own time line again; others have a log record with a text.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1 as proto;
use prost::Message;

use super::own::{Reporter, attribute, text};
use super::parts::parts;
use crate::history::Batch;
use crate::model::{Level, LogLine, NODE, TimelineEvent};
use crate::otlp::timeline::{DURATION, NAME};
use crate::otlp::values::Writing;

/// Whose lines are never sent. Who has done what on the admin side is for admins. The others write of each request that is sent or
/// received, so that their lines would bring more of them forth without end.
const KEPT_BACK: [&str; 7] = ["audit", "h2", "hyper", "hyper_util", "mio", "rustls", "tower"];

/// How many records a batch has for [`requests`].
pub(super) fn count(batch: &Batch) -> u64 {
    (lines(batch).count() + batch.events.len()) as u64
}

fn lines(batch: &Batch) -> impl Iterator<Item = &LogLine> {
    let whose = |line: &LogLine| KEPT_BACK.contains(&line.target.split("::").next().unwrap_or_default());
    batch.logs.iter().filter(move |line| !whose(line))
}

/// Requests with all lines and events of a batch, each with how many. They are made one at a time.
pub(super) fn requests(
    batch: &Batch,
    reporter: &Reporter,
) -> impl Iterator<Item = (ExportLogsServiceRequest, u64)> {
    let lines = lines(batch).map(|line| (line.target.as_str(), record(line)));
    let events = batch.events.iter().map(|event| ("iap", event_record(event)));
    parts(lines.chain(events), |(_, record)| record.encoded_len()).map(|part| {
        let number = part.len() as u64;
        (request(part, reporter), number)
    })
}

/// By what part of the program has written the lines.
fn request(part: Vec<(&str, proto::LogRecord)>, reporter: &Reporter) -> ExportLogsServiceRequest {
    let mut targets: BTreeMap<&str, Vec<proto::LogRecord>> = BTreeMap::new();
    for (target, record) in part {
        targets.entry(target).or_default().push(record);
    }
    let scope = |name: &str| InstrumentationScope { name: name.to_owned(), ..Default::default() };
    let scope_logs = targets.into_iter().map(|(target, log_records)| proto::ScopeLogs {
        scope: Some(scope(target)),
        log_records,
        ..Default::default()
    });
    let group = proto::ResourceLogs {
        resource: Some(reporter.resource()),
        scope_logs: scope_logs.collect(),
        ..Default::default()
    };
    ExportLogsServiceRequest { resource_logs: vec![group] }
}

fn record(line: &LogLine) -> proto::LogRecord {
    let (severity_number, severity_text) = match line.level {
        Level::Trace => (1, "TRACE"),
        Level::Debug => (5, "DEBUG"),
        Level::Info => (9, "INFO"),
        Level::Warn => (13, "WARN"),
        Level::Error => (17, "ERROR"),
    };
    let time_unix_nano = line.time_us.saturating_mul(1_000);
    proto::LogRecord {
        time_unix_nano,
        observed_time_unix_nano: time_unix_nano,
        severity_number,
        severity_text: severity_text.to_owned(),
        body: Some(text(&line.message)),
        attributes: Writing::SENT.attributes(&line.fields),
        trace_id: line.trace_id.map(|id| id.0.to_vec()).unwrap_or_default(),
        span_id: line.span_id.map(|id| id.0.to_vec()).unwrap_or_default(),
        ..Default::default()
    }
}

fn event_record(event: &TimelineEvent) -> proto::LogRecord {
    let time_unix_nano = event.time_us.saturating_mul(1_000);
    let duration = any_value::Value::IntValue(i64::try_from(event.duration_us).unwrap_or(i64::MAX));
    let duration = AnyValue { value: Some(duration) };
    proto::LogRecord {
        time_unix_nano,
        observed_time_unix_nano: time_unix_nano,
        severity_number: 9,
        severity_text: "INFO".to_owned(),
        event_name: format!("{NAME}{}", event.kind.as_str()),
        body: Some(text(&event.text)),
        attributes: vec![
            attribute(NODE, &event.node),
            KeyValue { key: DURATION.to_owned(), value: Some(duration), ..KeyValue::default() },
        ],
        ..Default::default()
    }
}

#[cfg(test)]
mod tests;
