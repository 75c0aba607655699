//! The metrics of the process as a request of OTLP: from the text that Prometheus reads, which is all that the
//! recorder gives out.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1 as proto;
use opentelemetry_proto::tonic::resource::v1::Resource;
use proto::metric::Data;

/// Who reports, and since when it counts.
#[derive(Debug, Clone)]
pub(super) struct Reporter {
    pub(super) service: String,
    /// Of this run of the process: what was counted before it is another stream.
    pub(super) instance: String,
    pub(super) start_ns: u64,
}

impl Reporter {
    pub(super) fn resource(&self) -> Resource {
        let attributes = [
            ("service.name", self.service.as_str()),
            ("service.instance.id", &self.instance),
            ("service.version", env!("CARGO_PKG_VERSION")),
        ];
        let attributes = attributes.map(|(name, value)| attribute(name, value)).into();
        Resource { attributes, ..Resource::default() }
    }
}

pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope { name: "iap".to_owned(), ..InstrumentationScope::default() }
}

pub(super) fn attribute(name: &str, value: &str) -> KeyValue {
    KeyValue { key: name.to_owned(), value: Some(text(value)), ..KeyValue::default() }
}

pub(super) fn text(text: &str) -> AnyValue {
    AnyValue { value: Some(any_value::Value::StringValue(text.to_owned())) }
}

/// Labels as they stand in the text.
type TextLabels = Vec<(String, String)>;

/// What belongs to one metric.
#[derive(Default)]
struct Family {
    kind: String,
    help: String,
    numbers: Vec<(TextLabels, f64)>,
    spread: BTreeMap<TextLabels, Spread>,
}

/// A histogram or a summary while it is read.
#[derive(Default)]
struct Spread {
    /// Bounds with the count of all values up to them, or quantiles with their values.
    parts: Vec<(f64, f64)>,
    sum: f64,
    count: u64,
}

/// The request, and how many points are in it.
pub(super) fn request(text: &str, reporter: &Reporter, now_ns: u64) -> (ExportMetricsServiceRequest, u64) {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            kind.clone_into(&mut families.entry(name.to_owned()).or_default().kind);
        } else if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' '))
        {
            help.clone_into(&mut families.entry(name.to_owned()).or_default().help);
        } else if let Some((name, labels, value)) = sample(line).filter(|(.., value)| value.is_finite()) {
            take(&mut families, &name, labels, value);
        }
    }
    let mut points = 0;
    let convert = |(name, family): (String, Family)| {
        let (metric, count) = metric(name, family, reporter.start_ns, now_ns)?;
        points += count;
        Some(metric)
    };
    let metrics = families.into_iter().filter_map(convert).collect();
    let scope_metrics = vec![proto::ScopeMetrics { scope: Some(scope()), metrics, ..Default::default() }];
    let group =
        proto::ResourceMetrics { resource: Some(reporter.resource()), scope_metrics, ..Default::default() };
    (ExportMetricsServiceRequest { resource_metrics: vec![group] }, points)
}

/// Puts a sample where it belongs: those of histograms and summaries have names of their own.
fn take(families: &mut BTreeMap<String, Family>, name: &str, mut labels: TextLabels, value: f64) {
    for (suffix, bound) in [("_bucket", Some("le")), ("_sum", None), ("_count", None), ("", Some("quantile"))]
    {
        let Some(base) = name.strip_suffix(suffix) else { continue };
        let Some(family) = families.get_mut(base) else { continue };
        if !matches!(family.kind.as_str(), "histogram" | "summary") {
            continue;
        }
        let at = bound.and_then(|bound| labels.iter().position(|(name, _)| name == bound));
        let part = at.and_then(|at| labels.remove(at).1.parse().ok());
        let spread = family.spread.entry(labels).or_default();
        match (suffix, part) {
            ("_sum", _) => spread.sum = value,
            ("_count", _) => spread.count = value as u64,
            (_, Some(part)) => spread.parts.push((part, value)),
            _ => {}
        }
        return;
    }
    families.entry(name.to_owned()).or_default().numbers.push((labels, value));
}

fn metric(name: String, family: Family, start: u64, now: u64) -> Option<(proto::Metric, u64)> {
    let cumulative = proto::AggregationTemporality::Cumulative as i32;
    let attributes = |labels: &[(String, String)]| -> Vec<KeyValue> {
        labels.iter().map(|(name, value)| attribute(name, value)).collect()
    };
    let points = (family.numbers.len() + family.spread.len()) as u64;
    let number = |(labels, value): &(TextLabels, f64)| proto::NumberDataPoint {
        attributes: attributes(labels),
        start_time_unix_nano: start,
        time_unix_nano: now,
        value: Some(proto::number_data_point::Value::AsDouble(*value)),
        ..Default::default()
    };
    let data = match family.kind.as_str() {
        "counter" => Data::Sum(proto::Sum {
            data_points: family.numbers.iter().map(number).collect(),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        "histogram" => Data::Histogram(proto::Histogram {
            data_points: (family.spread.iter())
                .map(|(labels, spread)| histogram(attributes(labels), spread, start, now))
                .collect(),
            aggregation_temporality: cumulative,
        }),
        "summary" => Data::Summary(proto::Summary {
            data_points: (family.spread.iter())
                .map(|(labels, spread)| summary(attributes(labels), spread, start, now))
                .collect(),
        }),
        _ => Data::Gauge(proto::Gauge { data_points: family.numbers.iter().map(number).collect() }),
    };
    // As the naming of both worlds goes.
    let unit = if name.ends_with("_seconds") {
        "s"
    } else if name.ends_with("_bytes") || name.ends_with("_bytes_total") {
        "By"
    } else {
        ""
    };
    let metric = proto::Metric {
        unit: unit.to_owned(),
        description: family.help,
        name,
        metadata: Vec::new(),
        data: Some(data),
    };
    (points > 0).then_some((metric, points))
}

fn histogram(attributes: Vec<KeyValue>, spread: &Spread, start: u64, now: u64) -> proto::HistogramDataPoint {
    let mut parts = spread.parts.clone();
    parts.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut before = 0;
    let mut counts: Vec<u64> = Vec::with_capacity(parts.len() + 1);
    for (_, count) in parts.iter().filter(|(bound, _)| bound.is_finite()) {
        counts.push((*count as u64).saturating_sub(before));
        before = before.max(*count as u64);
    }
    counts.push(spread.count.saturating_sub(before));
    proto::HistogramDataPoint {
        attributes,
        start_time_unix_nano: start,
        time_unix_nano: now,
        count: counts.iter().sum(),
        sum: Some(spread.sum),
        bucket_counts: counts,
        explicit_bounds: parts.iter().map(|(bound, _)| *bound).filter(|bound| bound.is_finite()).collect(),
        ..Default::default()
    }
}

fn summary(attributes: Vec<KeyValue>, spread: &Spread, start: u64, now: u64) -> proto::SummaryDataPoint {
    let pair = |(quantile, value): &(f64, f64)| proto::summary_data_point::ValueAtQuantile {
        quantile: *quantile,
        value: *value,
    };
    proto::SummaryDataPoint {
        attributes,
        start_time_unix_nano: start,
        time_unix_nano: now,
        count: spread.count,
        sum: spread.sum,
        quantile_values: spread.parts.iter().map(pair).collect(),
        ..Default::default()
    }
}

/// `name{label="value",...} value`.
pub(crate) fn sample(line: &str) -> Option<(String, TextLabels, f64)> {
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    let value = rest.split_ascii_whitespace().next()?;
    Some((name.to_owned(), labels, value.parse().ok()?))
}

/// Labels up to the `}`, and what follows it.
fn labels(mut rest: &str) -> Option<(TextLabels, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, after) = rest.split_once("=\"")?;
        let (mut value, mut escaped, mut end) = (String::new(), false, None);
        for (at, c) in after.char_indices() {
            match c {
                'n' if escaped => value.push('\n'),
                c if escaped => value.push(c),
                '\\' => {}
                '"' => {
                    end = Some(at + 1);
                    break;
                }
                c => value.push(c),
            }
            escaped = c == '\\' && !escaped;
        }
        rest = after.get(end?..)?;
        labels.push((name.to_owned(), value));
    }
}
