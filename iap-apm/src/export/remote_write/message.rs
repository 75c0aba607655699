//! The message of remote write 1.0, and how it is made of the text that Prometheus reads.
//!
//! Source: `prometheus.WriteRequest`, <https://github.com/prometheus/prometheus/blob/main/prompb/remote.proto>.

use std::collections::BTreeMap;

use prost::{Enumeration, Message};

use crate::export::own;

/// The label with the name of a metric.
const NAME: &str = "__name__";

#[derive(Clone, PartialEq, Message)]
pub(super) struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) timeseries: Vec<TimeSeries>,
    #[prost(message, repeated, tag = "3")]
    pub(super) metadata: Vec<MetricMetadata>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    pub(super) labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub(super) samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Message)]
pub(super) struct Label {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Sample {
    #[prost(double, tag = "1")]
    pub(super) value: f64,
    /// Unix milliseconds.
    #[prost(int64, tag = "2")]
    pub(super) timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MetricMetadata {
    #[prost(enumeration = "MetricType", tag = "1")]
    pub(super) r#type: i32,
    #[prost(string, tag = "2")]
    pub(super) metric_family_name: String,
    #[prost(string, tag = "4")]
    pub(super) help: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub(super) enum MetricType {
    Unknown = 0,
    Counter = 1,
    Gauge = 2,
    Histogram = 3,
    Summary = 5,
}

/// The samples of a text, each with the labels of its series, and what is said about its metrics.
pub(super) fn read(
    text: &str,
    external: &BTreeMap<String, String>,
) -> (Vec<(Vec<Label>, f64)>, Vec<MetricMetadata>) {
    let (mut samples, mut about) = (Vec::new(), BTreeMap::<&str, MetricMetadata>::new());
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let kind = match kind {
                "counter" => MetricType::Counter,
                "gauge" => MetricType::Gauge,
                "histogram" => MetricType::Histogram,
                "summary" => MetricType::Summary,
                _ => MetricType::Unknown,
            };
            about.entry(name).or_default().r#type = kind as i32;
        } else if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' '))
        {
            help.clone_into(&mut about.entry(name).or_default().help);
        } else if let Some((name, labels, value)) = own::sample(line) {
            samples.push((series(name, labels, external), value));
        }
    }
    let named = |(name, about): (&str, MetricMetadata)| MetricMetadata {
        metric_family_name: name.to_owned(),
        ..about
    };
    (samples, about.into_iter().map(named).collect())
}

/// Sorted by name, without empty ones, each name once.
fn series(name: String, labels: Vec<(String, String)>, external: &BTreeMap<String, String>) -> Vec<Label> {
    let mut all = external.clone();
    all.extend(labels);
    all.insert(NAME.to_owned(), name);
    let some = all.into_iter().filter(|(_, value)| !value.is_empty());
    some.map(|(name, value)| Label { name, value }).collect()
}
