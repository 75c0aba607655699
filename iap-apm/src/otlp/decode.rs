//! From bytes to a batch. One bad record never takes the others with it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::Read;

use http::StatusCode;
use iap_core::TraceId;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::{logs::v1 as logs, trace::v1 as trace};
use prost::Message;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Signal;
use super::convert::{self, Origin};
use super::points::{self, Sink};
use super::quota::Gate;
use super::series::SeriesLimits;
use super::status::{Encoding, Refusal};
use super::{timeline, traces};
use crate::history::{Batch, Head, SeriesExemplars, SeriesPoints, TraceSpans};
use crate::model::{LogLine, MetricExemplar, MetricPoint, MetricSeries, TimelineEvent};

/// Points of a request, each of which takes some hundred bytes.
const MAX_POINTS: usize = 200_000;

/// What a request held.
pub(super) struct Decoded {
    pub(super) batch: Batch,
    /// Records that tell of events of the time line, which are to be decided on; each as the line that it is otherwise.
    pub(super) told: Vec<(TimelineEvent, LogLine)>,
    /// What may come in.
    pub(super) gate: Gate,
    /// Records that were refused.
    pub(super) rejected: u64,
    /// Why the first of them was.
    pub(super) reason: Option<&'static str>,
    traces: HashMap<TraceId, usize>,
    /// Where the points of a series are; `None` when it has no room.
    series: HashMap<MetricSeries, Result<usize, &'static str>>,
    points: usize,
    /// Where the exemplars of a series are.
    exemplars: HashMap<usize, usize>,
}

/// Takes the points of a request.
struct Points<'a> {
    decoded: &'a mut Decoded,
    limits: &'a SeriesLimits,
    now_us: u64,
}

impl Sink for Points<'_> {
    fn point(&mut self, series: MetricSeries, point: MetricPoint, exemplars: Vec<MetricExemplar>) {
        if let Err(reason) = self.decoded.gate.admit(&series.service) {
            return self.refuse(1, reason);
        }
        let Decoded { batch, series: known, points, exemplars: places, .. } = self.decoded;
        if *points == MAX_POINTS {
            return self.refuse(1, "a request has too many points");
        }
        let place = match known.entry(series) {
            Entry::Occupied(place) => *place.get(),
            Entry::Vacant(place) => {
                let admitted = self.limits.admit(place.key(), self.now_us).map(|()| {
                    batch.metrics.push(SeriesPoints { series: place.key().clone(), points: Vec::new() });
                    batch.metrics.len() - 1
                });
                *place.insert(admitted)
            }
        };
        match place {
            Ok(at) => {
                *points += 1;
                batch.metrics[at].points.push(point);
                if exemplars.is_empty() {
                    return;
                }
                let of = &mut batch.exemplars;
                let place = *places.entry(at).or_insert_with(|| {
                    let series = batch.metrics[at].series.clone();
                    of.push(SeriesExemplars { series, exemplars: Vec::new() });
                    of.len() - 1
                });
                of[place].exemplars.extend(exemplars);
            }
            Err(reason) => self.refuse(1, reason),
        }
    }

    fn refuse(&mut self, points: u64, reason: &'static str) {
        self.decoded.rejected += points;
        if points > 0 {
            self.decoded.reason.get_or_insert(reason);
        }
    }
}

impl Decoded {
    fn new(gate: Gate) -> Self {
        Self {
            batch: Batch::default(),
            told: Vec::new(),
            gate,
            rejected: 0,
            reason: None,
            traces: HashMap::new(),
            series: HashMap::new(),
            points: 0,
            exemplars: HashMap::new(),
        }
    }

    /// Whether nothing was taken, and only since the services have sent too much.
    pub(super) fn is_over_quota(&self) -> bool {
        let over: u64 = self.gate.over().values().sum();
        over > 0 && over == self.rejected && self.batch.is_empty()
    }

    pub(super) fn reject(&mut self, reason: &'static str) {
        self.rejected += 1;
        self.reason.get_or_insert(reason);
    }

    /// Where spans of a trace come.
    pub(super) fn trace(&mut self, trace_id: TraceId) -> &mut TraceSpans {
        self.batch.trace(&mut self.traces, trace_id)
    }

    pub(super) fn take_span(&mut self, origin: &Origin, mut span: trace::Span, now_us: u64) {
        let parameters = self.gate.parameters;
        parameters.apply(&mut span.attributes);
        span.events.iter_mut().for_each(|event| parameters.apply(&mut event.attributes));
        match self.gate.admit(&origin.service).and_then(|()| convert::span(origin, span, now_us)) {
            Ok((trace_id, span)) => {
                let entry = convert::entry(trace_id, &span.service, Head::of(&span), &span);
                self.batch.transactions.extend(entry);
                self.trace(trace_id).push(&span);
            }
            Err(reason) => self.reject(reason),
        }
    }

    fn take_log(&mut self, origin: &Origin, target: &str, mut record: logs::LogRecord, now_us: u64) {
        self.gate.parameters.apply(&mut record.attributes);
        if let Err(reason) = self.gate.admit(&origin.service) {
            return self.reject(reason);
        }
        let event = timeline::event(&record, now_us);
        match (convert::log(origin, target, record, now_us), event) {
            (Ok(line), Some(event)) => self.told.push((event, line)),
            (Ok(line), None) => self.batch.logs.push(line),
            (Err(reason), _) => self.reject(reason),
        }
    }
}

/// What a body holds once it is inflated.
pub(super) fn inflated(gzip: bool, body: &[u8], max_bytes: usize) -> Result<Cow<'_, [u8]>, Refusal> {
    if gzip && !body.is_empty() { inflate(body, max_bytes).map(Cow::Owned) } else { Ok(Cow::Borrowed(body)) }
}

pub(super) fn decode(
    signal: Signal,
    encoding: Encoding,
    bytes: &[u8],
    limits: &SeriesLimits,
    gate: Gate,
    now_us: u64,
) -> Result<Decoded, Refusal> {
    let decoded = Decoded::new(gate);
    if bytes.is_empty() {
        return Ok(decoded);
    }
    match encoding {
        Encoding::Protobuf => protobuf(signal, bytes, limits, decoded, now_us),
        Encoding::Json => json(signal, bytes, limits, decoded, now_us),
    }
}

fn inflate(body: &[u8], max_bytes: usize) -> Result<Vec<u8>, Refusal> {
    let mut inflated = Vec::new();
    // One byte more than allowed tells "exactly full" from "too large".
    let mut reader = flate2::read::MultiGzDecoder::new(body).take(max_bytes as u64 + 1);
    reader
        .read_to_end(&mut inflated)
        .map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "the body is not gzip"))?;
    if inflated.len() > max_bytes { Err(Refusal::too_large()) } else { Ok(inflated) }
}

fn protobuf(
    signal: Signal,
    bytes: &[u8],
    limits: &SeriesLimits,
    mut decoded: Decoded,
    now_us: u64,
) -> Result<Decoded, Refusal> {
    let malformed = || Refusal::new(StatusCode::BAD_REQUEST, "the body is not a valid protobuf request");
    let bad = |_| malformed();
    match signal {
        Signal::Traces => {
            traces::take(bytes, &mut decoded, now_us).map_err(|_| malformed())?;
        }
        Signal::Logs => {
            for group in ExportLogsServiceRequest::decode(bytes).map_err(bad)?.resource_logs {
                let origin = Origin::of(&group.resource.unwrap_or_default().attributes);
                for scope in group.scope_logs {
                    let target = scope.scope.unwrap_or_default().name;
                    for record in scope.log_records {
                        decoded.take_log(&origin, &target, record, now_us);
                    }
                }
            }
        }
        Signal::Metrics => {
            let mut sink = Points { decoded: &mut decoded, limits, now_us };
            for group in ExportMetricsServiceRequest::decode(bytes).map_err(bad)?.resource_metrics {
                let origin = Origin::of(&group.resource.unwrap_or_default().attributes);
                for scope in group.scope_metrics {
                    let target = scope.scope.unwrap_or_default().name;
                    for metric in scope.metrics {
                        points::take(&origin, &target, metric, now_us, &mut sink);
                    }
                }
            }
        }
    }
    Ok(decoded)
}

/// The envelope is walked by hand and each record read on its own, since reading all at once would let
/// one record with a malformed id refuse the request.
fn json(
    signal: Signal,
    bytes: &[u8],
    limits: &SeriesLimits,
    mut decoded: Decoded,
    now_us: u64,
) -> Result<Decoded, Refusal> {
    let bad = Refusal::new(StatusCode::BAD_REQUEST, "the body is not a valid JSON request");
    let mut request: Value = serde_json::from_slice(bytes).map_err(|_| bad.clone())?;
    if !request.is_object() {
        return Err(bad);
    }
    // In protobuf's JSON null stands for the default.
    strip_nulls(&mut request);
    let (groups, scopes, records) = match signal {
        Signal::Traces => ("resourceSpans", "scopeSpans", "spans"),
        Signal::Logs => ("resourceLogs", "scopeLogs", "logRecords"),
        Signal::Metrics => ("resourceMetrics", "scopeMetrics", "metrics"),
    };
    for mut group in take_list(&mut request, groups).ok_or_else(|| bad.clone())? {
        let attributes = group.pointer_mut("/resource/attributes").map(Value::take);
        let origin = Origin::of(&attributes.map(lenient::<KeyValue>).unwrap_or_default());
        for mut scope in take_list(&mut group, scopes).ok_or_else(|| bad.clone())? {
            let target = scope.pointer("/scope/name").and_then(Value::as_str).unwrap_or_default().to_owned();
            for record in take_list(&mut scope, records).ok_or_else(|| bad.clone())? {
                let malformed = "a record is malformed";
                match signal {
                    Signal::Traces => match serde_json::from_value(record) {
                        Ok(span) => decoded.take_span(&origin, span, now_us),
                        Err(_) => decoded.reject(malformed),
                    },
                    Signal::Logs => match serde_json::from_value(record) {
                        Ok(record) => decoded.take_log(&origin, &target, record, now_us),
                        Err(_) => decoded.reject(malformed),
                    },
                    Signal::Metrics => {
                        let mut sink = Points { decoded: &mut decoded, limits, now_us };
                        match points::from_json(record) {
                            Some((metric, unread)) => {
                                sink.refuse(unread, malformed);
                                points::take(&origin, &target, metric, now_us, &mut sink);
                            }
                            None => sink.refuse(1, malformed),
                        }
                    }
                }
            }
        }
    }
    Ok(decoded)
}

/// The elements of an object's list; none when it is missing, `None` when something is of another type.
fn take_list(object: &mut Value, name: &str) -> Option<Vec<Value>> {
    match object.as_object_mut()?.get_mut(name).map(Value::take) {
        None => Some(Vec::new()),
        Some(Value::Array(list)) => Some(list),
        Some(_) => None,
    }
}

/// The elements that can be read.
fn lenient<T: DeserializeOwned>(list: Value) -> Vec<T> {
    let Value::Array(list) = list else { return Vec::new() };
    list.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect()
}

/// Recurses no deeper than the parser, which refuses more than 128 levels.
fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(strip_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}
