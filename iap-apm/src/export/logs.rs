//! Our log lines, and what happened on the time line, as requests of OTLP.
//!
//! An event of the time line is a log record with a name, as OpenTelemetry says: `iap.timeline.` and what it was. A receiver
//! of ours puts it on its own time line again; others have a log record with a text.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1 as proto;

use super::own::{Reporter, attribute};
use super::spans::resource;
use crate::history::Batch;
use crate::model::{Level, LogLine, TimelineEvent};
use crate::otlp::timeline::{DURATION, NAME, NODE};
use crate::otlp::values::Writing;

/// Lines of one request, so that it stays well below what collectors take.
const MAX_RECORDS: usize = 2_000;

/// Where the export itself writes its lines: of them each that was refused would bring another one forth.
const OWN: &str = "iap_apm::export";

/// How many records a batch has for [`requests`].
pub(super) fn count(batch: &Batch) -> u64 {
    (lines(batch).count() + batch.events.len()) as u64
}

fn lines(batch: &Batch) -> impl Iterator<Item = &LogLine> {
    batch.logs.iter().filter(|line| !line.target.starts_with(OWN))
}

/// Requests with all lines and events of a batch, each with how many.
pub(super) fn requests(batch: &Batch, reporter: &Reporter) -> Vec<(ExportLogsServiceRequest, u64)> {
    let lines = lines(batch).map(|line| (line.service.as_str(), line.target.as_str(), record(line)));
    let events = batch.events.iter().map(|event| (reporter.service.as_str(), "iap", event_record(event)));
    let all: Vec<_> = lines.chain(events).collect();
    all.chunks(MAX_RECORDS).map(|part| (request(part, reporter), part.len() as u64)).collect()
}

/// By who has written the lines, then by what part of the program.
fn request(part: &[(&str, &str, proto::LogRecord)], reporter: &Reporter) -> ExportLogsServiceRequest {
    let mut services: BTreeMap<&str, BTreeMap<&str, Vec<proto::LogRecord>>> = BTreeMap::new();
    for (service, target, record) in part {
        services.entry(service).or_default().entry(target).or_default().push(record.clone());
    }
    let scope = |name: &str| InstrumentationScope { name: name.to_owned(), ..Default::default() };
    let groups = services.into_iter().map(|(service, targets)| proto::ResourceLogs {
        resource: Some(match service == reporter.service {
            true => reporter.resource(),
            // Of a process that is managed here.
            false => resource(service, None),
        }),
        scope_logs: targets
            .into_iter()
            .map(|(target, log_records)| proto::ScopeLogs {
                scope: Some(scope(target)),
                log_records,
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    });
    ExportLogsServiceRequest { resource_logs: groups.collect() }
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
        body: text(&line.message),
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
        body: text(&event.text),
        attributes: vec![
            attribute(NODE, &event.node),
            KeyValue { key: DURATION.to_owned(), value: Some(duration), ..KeyValue::default() },
        ],
        ..Default::default()
    }
}

fn text(text: &str) -> Option<AnyValue> {
    Some(AnyValue { value: Some(any_value::Value::StringValue(text.to_owned())) })
}

#[cfg(test)]
mod tests;
