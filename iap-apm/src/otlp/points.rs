//! OTLP metrics as what the history keeps. A point that breaks a rule or a limit is refused and told.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1 as proto;
use proto::metric::Data;
use serde_json::Value;

use super::convert::{MAX_AHEAD_US, Origin};
use super::values::{self, MAX_NAME};
use crate::model::{
    Buckets, Distribution, Exponents, Labels, MetricExemplar, MetricKind, MetricPoint, MetricSeries,
    MetricValue, Quantiles, Temporality,
};
use crate::text::cut_owned;

/// Labels of a series, those of its resource and scope included.
const MAX_LABELS: usize = 64;
/// Bytes of a label's value.
const MAX_LABEL: usize = 1_024;
const MAX_UNIT: usize = 64;
const MAX_DESCRIPTION: usize = 1_024;
/// Buckets of a histogram, on each side of zero.
const MAX_BUCKETS: usize = 1_024;
const MAX_QUANTILES: usize = 64;
/// Exemplars of a point.
const MAX_EXEMPLARS: usize = 32;
/// Beyond, bounds would not fit a number, or lie closer than numbers do.
const SCALES: std::ops::RangeInclusive<i32> = -11..=40;
/// The flag of a point that says only that there is no value.
const NO_VALUE: u32 = 1;

/// What becomes of each point.
pub(super) trait Sink {
    fn point(&mut self, series: MetricSeries, point: MetricPoint, exemplars: Vec<MetricExemplar>);
    fn refuse(&mut self, points: u64, reason: &'static str);
}

/// What a point has besides its value.
struct Head {
    attributes: Vec<KeyValue>,
    start_ns: u64,
    time_ns: u64,
    flags: u32,
    exemplars: Vec<proto::Exemplar>,
}

/// Takes the points of one metric.
pub(super) fn take(origin: &Origin, scope: &str, metric: proto::Metric, now_us: u64, sink: &mut impl Sink) {
    let (kind, temporality) = match identify(&metric) {
        Ok(what) => what,
        Err(reason) => return sink.refuse(points(&metric), reason),
    };
    let mut labels = Labels::new();
    if let Some(instance) = &origin.instance_id {
        labels.insert("service.instance.id".to_owned(), instance.clone());
    }
    if !scope.is_empty() {
        labels.insert("otel.scope.name".to_owned(), cut_owned(scope.to_owned(), MAX_NAME));
    }
    let series = MetricSeries {
        service: origin.service.clone(),
        name: metric.name,
        kind,
        temporality,
        labels,
        unit: cut_owned(metric.unit, MAX_UNIT),
        description: cut_owned(metric.description, MAX_DESCRIPTION),
    };
    each_point(metric.data, |head, value| {
        if head.flags & NO_VALUE != 0 {
            return;
        }
        let (start_us, time_us) = (head.start_ns / 1_000, head.time_ns / 1_000);
        let checked = check_time(&head, now_us).and(value);
        let exemplars = exemplars(head.exemplars, now_us);
        match checked.and_then(|value| Ok((value, labelled(&series, head.attributes)?))) {
            Ok((value, series)) => {
                sink.point(series, MetricPoint { time_us, start_us, value }, exemplars);
            }
            Err(reason) => sink.refuse(1, reason),
        }
    });
}

/// The exemplars that lead to a trace; the others say nothing that the point does not.
fn exemplars(list: Vec<proto::Exemplar>, now_us: u64) -> Vec<MetricExemplar> {
    let convert = |exemplar: proto::Exemplar| {
        let value = match exemplar.value? {
            proto::exemplar::Value::AsDouble(number) => Some(number).filter(|number| number.is_finite())?,
            proto::exemplar::Value::AsInt(number) => number as f64,
        };
        let time_us = exemplar.time_unix_nano / 1_000;
        Some(MetricExemplar {
            time_us: Some(time_us).filter(|time| (1..=now_us.saturating_add(MAX_AHEAD_US)).contains(time))?,
            value,
            trace_id: values::trace_id(&exemplar.trace_id)?,
            span_id: values::span_id(&exemplar.span_id),
        })
    };
    list.into_iter().take(MAX_EXEMPLARS).filter_map(convert).collect()
}

/// Calls `each` with every point.
fn each_point(data: Option<Data>, mut each: impl FnMut(Head, Result<MetricValue, &'static str>)) {
    macro_rules! all {
        ($points:expr, $value:path) => {
            all!($points, $value, |point| std::mem::take(&mut point.exemplars))
        };
        ($points:expr, $value:path, |$point:ident| $exemplars:expr) => {
            for mut $point in $points {
                let (value, exemplars) = ($value(&mut $point), $exemplars);
                let (start_ns, time_ns) = ($point.start_time_unix_nano, $point.time_unix_nano);
                let (attributes, flags) = ($point.attributes, $point.flags);
                each(Head { attributes, start_ns, time_ns, flags, exemplars }, value);
            }
        };
    }
    match data {
        None => {}
        Some(Data::Gauge(gauge)) => all!(gauge.data_points, number),
        Some(Data::Sum(sum)) => all!(sum.data_points, number),
        Some(Data::Histogram(histogram)) => all!(histogram.data_points, explicit),
        Some(Data::ExponentialHistogram(histogram)) => all!(histogram.data_points, exponential),
        Some(Data::Summary(summary)) => all!(summary.data_points, quantiles, |point| Vec::new()),
    }
}

/// What a metric is, if it can be taken at all.
fn identify(metric: &proto::Metric) -> Result<(MetricKind, Temporality), &'static str> {
    if metric.name.is_empty() || metric.name.len() > MAX_NAME {
        return Err("a metric has no name, or one that is too long");
    }
    let temporality = |number: i32| match proto::AggregationTemporality::try_from(number) {
        Ok(proto::AggregationTemporality::Delta) => Ok(Temporality::Delta),
        Ok(proto::AggregationTemporality::Cumulative) => Ok(Temporality::Cumulative),
        _ => Err("a metric has no temporality"),
    };
    Ok(match &metric.data {
        None => return Err("a metric has no data that is known"),
        Some(Data::Gauge(_)) => (MetricKind::Gauge, Temporality::Cumulative),
        Some(Data::Sum(sum)) => {
            let kind = if sum.is_monotonic { MetricKind::Counter } else { MetricKind::UpDownCounter };
            (kind, temporality(sum.aggregation_temporality)?)
        }
        Some(Data::Histogram(histogram)) => {
            (MetricKind::Histogram, temporality(histogram.aggregation_temporality)?)
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            (MetricKind::ExponentialHistogram, temporality(histogram.aggregation_temporality)?)
        }
        Some(Data::Summary(_)) => (MetricKind::Summary, Temporality::Cumulative),
    })
}

fn points(metric: &proto::Metric) -> u64 {
    let points = match &metric.data {
        None => 1,
        Some(Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(Data::Sum(sum)) => sum.data_points.len(),
        Some(Data::Histogram(histogram)) => histogram.data_points.len(),
        Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
        Some(Data::Summary(summary)) => summary.data_points.len(),
    };
    points as u64
}

/// The series of a point: labels that are too many or too long are not cut, since that could make one
/// series of two.
fn labelled(series: &MetricSeries, attributes: Vec<KeyValue>) -> Result<MetricSeries, &'static str> {
    if series.labels.len() + attributes.len() > MAX_LABELS {
        return Err("a point has too many attributes");
    }
    let mut series = series.clone();
    for attribute in attributes {
        let value = match values::RECEIVED.value(attribute.value.unwrap_or_default()) {
            Value::String(text) => text,
            other => other.to_string(),
        };
        if attribute.key.is_empty() || attribute.key.len() > MAX_NAME || value.len() > MAX_LABEL {
            return Err("an attribute of a point is too long");
        }
        series.labels.insert(attribute.key, value);
    }
    Ok(series)
}

fn check_time(head: &Head, now_us: u64) -> Result<(), &'static str> {
    match head.time_ns / 1_000 {
        0 => Err("a point has no time"),
        time if time > now_us.saturating_add(MAX_AHEAD_US) => Err("a point lies in the future"),
        _ if head.start_ns > head.time_ns => Err("a point ends before it starts"),
        _ => Ok(()),
    }
}

fn number(point: &mut proto::NumberDataPoint) -> Result<MetricValue, &'static str> {
    let number = match point.value {
        Some(proto::number_data_point::Value::AsDouble(number)) => number,
        Some(proto::number_data_point::Value::AsInt(number)) => number as f64,
        None => return Err("a point has no value"),
    };
    if number.is_finite() { Ok(MetricValue::Number(number)) } else { Err("a value is not a finite number") }
}

fn finite(number: Option<f64>) -> Option<f64> {
    number.filter(|number| number.is_finite())
}

fn explicit(point: &mut proto::HistogramDataPoint) -> Result<MetricValue, &'static str> {
    let (bounds, counts) =
        (std::mem::take(&mut point.explicit_bounds), std::mem::take(&mut point.bucket_counts));
    if counts.len() > MAX_BUCKETS {
        return Err("a histogram has too many buckets");
    }
    let rising = bounds.is_sorted_by(|low, high| low < high) && bounds.iter().all(|bound| bound.is_finite());
    if !rising || (counts.len() != bounds.len() + 1 && !(counts.is_empty() && bounds.is_empty())) {
        return Err("the bounds of a histogram do not fit its buckets");
    }
    if !counts.is_empty() && total(&[&counts]) != Some(point.count) {
        return Err("the buckets of a histogram do not add up to its count");
    }
    let buckets = Buckets::Explicit { bounds, counts };
    Ok(distribution(point.count, point.sum, point.min, point.max, buckets))
}

fn exponential(point: &mut proto::ExponentialHistogramDataPoint) -> Result<MetricValue, &'static str> {
    let side = |buckets: Option<proto::exponential_histogram_data_point::Buckets>| {
        let buckets = buckets.unwrap_or_default();
        Exponents { offset: buckets.offset, counts: buckets.bucket_counts }
    };
    let (positive, negative) = (side(point.positive.take()), side(point.negative.take()));
    for side in [&positive, &negative] {
        if side.counts.len() > MAX_BUCKETS {
            return Err("a histogram has too many buckets");
        }
        if side.offset.checked_add(side.counts.len() as i32).is_none() {
            return Err("the bounds of a histogram do not fit its buckets");
        }
    }
    if !SCALES.contains(&point.scale) || !point.zero_threshold.is_finite() || point.zero_threshold < 0.0 {
        return Err("the scale or the zero threshold of a histogram is out of range");
    }
    if total(&[&positive.counts, &negative.counts, &[point.zero_count]]) != Some(point.count) {
        return Err("the buckets of a histogram do not add up to its count");
    }
    let buckets = Buckets::Exponential {
        scale: point.scale,
        zero_count: point.zero_count,
        zero_threshold: point.zero_threshold,
        positive,
        negative,
    };
    Ok(distribution(point.count, point.sum, point.min, point.max, buckets))
}

fn total(parts: &[&[u64]]) -> Option<u64> {
    parts.iter().copied().flatten().try_fold(0_u64, |total, count| total.checked_add(*count))
}

fn distribution(
    count: u64,
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    buckets: Buckets,
) -> MetricValue {
    let (min, max) = if count == 0 { (None, None) } else { (finite(min), finite(max)) };
    MetricValue::Distribution(Distribution { count, sum: finite(sum), min, max, buckets })
}

fn quantiles(point: &mut proto::SummaryDataPoint) -> Result<MetricValue, &'static str> {
    if point.quantile_values.len() > MAX_QUANTILES {
        return Err("a summary has too many quantiles");
    }
    if !point.sum.is_finite() {
        return Err("a value is not a finite number");
    }
    let pairs = point.quantile_values.iter().map(|pair| (pair.quantile, pair.value));
    let values = pairs.filter(|(quantile, value)| quantile.is_finite() && value.is_finite()).collect();
    Ok(MetricValue::Quantiles(Quantiles { count: point.count, sum: point.sum, values }))
}

/// A metric from JSON. Each point is read on its own; those that cannot be are counted.
pub(super) fn from_json(mut metric: Value) -> Option<(proto::Metric, u64)> {
    let mut malformed = 0;
    let text =
        |metric: &Value, name: &str| metric.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (name, unit, description) =
        (text(&metric, "name"), text(&metric, "unit"), text(&metric, "description"));
    let members = metric.as_object_mut()?;
    let mut found = None;
    for kind in ["gauge", "sum", "histogram", "exponentialHistogram", "summary"] {
        found = found.or_else(|| Some((kind, members.remove(kind)?)));
    }
    let Some((kind, mut data)) = found else {
        return Some((proto::Metric { name, ..proto::Metric::default() }, 0));
    };
    let number = |data: &Value, name: &str| {
        data.get(name).and_then(Value::as_i64).and_then(|number| i32::try_from(number).ok()).unwrap_or(0)
    };
    let aggregation_temporality = number(&data, "aggregationTemporality");
    let is_monotonic = data.get("isMonotonic").and_then(Value::as_bool).unwrap_or(false);
    let points = match data.get_mut("dataPoints").map(Value::take) {
        None => Vec::new(),
        Some(Value::Array(points)) => points,
        Some(_) => return None,
    };
    let data = match kind {
        "gauge" => Data::Gauge(proto::Gauge { data_points: each(points, &mut malformed) }),
        "sum" => Data::Sum(proto::Sum {
            data_points: each(points, &mut malformed),
            aggregation_temporality,
            is_monotonic,
        }),
        "histogram" => Data::Histogram(proto::Histogram {
            data_points: each(points, &mut malformed),
            aggregation_temporality,
        }),
        "exponentialHistogram" => Data::ExponentialHistogram(proto::ExponentialHistogram {
            data_points: each(points, &mut malformed),
            aggregation_temporality,
        }),
        _ => Data::Summary(proto::Summary { data_points: each(points, &mut malformed) }),
    };
    Some((proto::Metric { name, unit, description, metadata: Vec::new(), data: Some(data) }, malformed))
}

fn each<T: serde::de::DeserializeOwned>(points: Vec<Value>, malformed: &mut u64) -> Vec<T> {
    let read = |point| serde_json::from_value(point).inspect_err(|_| *malformed += 1).ok();
    points.into_iter().filter_map(read).collect()
}
