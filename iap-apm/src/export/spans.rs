//! Our spans as requests of OTLP.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1 as proto;
use prost::Message;
use serde_json::Value;

use super::own::{Reporter, attribute, scope};
use super::parts::parts;
use crate::history::{Batch, TraceSpans};
use crate::model::{Span, SpanKind, SpanStatus, Trace};
use crate::otlp::values::Writing;

/// Requests with all spans of a batch, each with how many. They are made one at a time.
pub(super) fn requests(
    batch: &Batch,
    reporter: &Reporter,
) -> impl Iterator<Item = (ExportTraceServiceRequest, u64)> {
    let of = |trace: &TraceSpans| {
        let id = trace.trace_id.0;
        trace.spans().into_iter().map(move |span| convert(&id, &span))
    };
    parts(batch.spans.iter().flat_map(of), proto::Span::encoded_len).map(|spans| {
        let number = spans.len() as u64;
        let scope_spans = vec![proto::ScopeSpans { scope: Some(scope()), spans, ..Default::default() }];
        let group =
            proto::ResourceSpans { resource: Some(reporter.resource()), scope_spans, ..Default::default() };
        (ExportTraceServiceRequest { resource_spans: vec![group] }, number)
    })
}

/// A trace as an OTLP request in JSON, as a receiver of `/v1/traces` takes it: its spans by the service and the instance that
/// have reported them.
///
/// # Errors
/// None that is known: what a history keeps can be written.
pub fn trace_as_otlp(trace: &Trace) -> serde_json::Result<Value> {
    let mut groups: BTreeMap<(&str, Option<&str>), Vec<proto::Span>> = BTreeMap::new();
    for span in &trace.spans {
        let group = groups.entry((&span.service, span.instance.as_deref())).or_default();
        group.push(convert(&trace.trace_id.0, span));
    }
    let resource_spans = groups.into_iter().map(|((service, instance), spans)| proto::ResourceSpans {
        resource: Some(resource(service, instance)),
        scope_spans: vec![proto::ScopeSpans { scope: Some(scope()), spans, ..Default::default() }],
        ..Default::default()
    });
    serde_json::to_value(ExportTraceServiceRequest { resource_spans: resource_spans.collect() })
}

/// Who reported. An instance is kept as namespace, name and id, joined by `/`; the first may be absent.
fn resource(service: &str, instance: Option<&str>) -> Resource {
    let mut attributes = vec![attribute("service.name", service)];
    if let Some(instance) = instance {
        let at = instance.find(&format!("{service}/")).unwrap_or_default();
        let (namespace, rest) = instance.split_at(at);
        let id = rest.strip_prefix(service).and_then(|rest| rest.strip_prefix('/')).unwrap_or(rest);
        if let Some(namespace) = namespace.strip_suffix('/') {
            attributes.push(attribute("service.namespace", namespace));
        }
        attributes.push(attribute("service.instance.id", id));
    }
    Resource { attributes, ..Resource::default() }
}

fn convert(trace_id: &[u8], span: &Span) -> proto::Span {
    let (code, message) = match span.status {
        SpanStatus::Unset => (0, String::new()),
        SpanStatus::Ok => (1, String::new()),
        SpanStatus::Error => (2, span.error.clone().unwrap_or_default()),
    };
    proto::Span {
        trace_id: trace_id.to_vec(),
        span_id: span.span_id.0.to_vec(),
        parent_span_id: span.parent_id.map(|id| id.0.to_vec()).unwrap_or_default(),
        name: span.name.clone(),
        kind: match span.kind {
            SpanKind::Internal => 1,
            SpanKind::Server => 2,
            SpanKind::Client => 3,
            SpanKind::Producer => 4,
            SpanKind::Consumer => 5,
        },
        start_time_unix_nano: span.start_us.saturating_mul(1_000),
        end_time_unix_nano: span.start_us.saturating_add(span.duration_us).saturating_mul(1_000),
        attributes: Writing::SENT.attributes(&span.attributes),
        dropped_attributes_count: span.dropped,
        events: span.events.iter().map(|event| Writing::SENT.event(event)).collect(),
        links: span.links.iter().map(|link| Writing::SENT.link(link)).collect(),
        status: Some(proto::Status { code, message }),
        ..Default::default()
    }
}
