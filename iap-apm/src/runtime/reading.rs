//! One number of a sample, and how it is written for Prometheus and for the history.

use std::collections::BTreeMap;
use std::fmt::Write;

use schemars::JsonSchema;
use serde::Serialize;

use crate::history::SeriesPoints;
use crate::model::{Labels, MetricKind, MetricPoint, MetricSeries, MetricValue, Temporality};

/// Readings of one sample; further ones are left out.
pub(crate) const MAX_READINGS: usize = 4_000;
/// Bytes of a label's value.
const MAX_LABEL: usize = 200;

/// How an instance of a process is called, by the labels `process` and `instance` of its numbers; events of its JVM begin with it, and a
/// colon. `None` where they are not of an instance.
pub fn instance_name(labels: &Labels) -> Option<String> {
    Some(format!("{} {}", labels.get("process")?, labels.get("instance")?))
}

/// One number of a sample.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reading {
    /// The metric, as OpenTelemetry writes names.
    pub name: &'static str,
    /// A level or a count.
    pub kind: MetricKind,
    /// `s`, `By`, or what is counted.
    pub unit: &'static str,
    /// Whose.
    pub labels: Labels,
    /// The number.
    pub value: f64,
}

impl Reading {
    /// One without labels.
    pub fn new(name: &'static str, kind: MetricKind, unit: &'static str, value: f64) -> Self {
        Self { name, kind, unit, labels: Labels::new(), value }
    }
}

/// The readings of one sample while they are taken.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    pub(crate) list: Vec<Reading>,
    labels: Labels,
}

impl Readings {
    /// What follows is of these.
    pub(crate) fn of(&mut self, labels: &[(&str, &str)]) -> &mut Self {
        let cut = |value: &str| crate::text::cut(value, MAX_LABEL).to_owned();
        self.labels = labels.iter().map(|(name, value)| ((*name).to_owned(), cut(value))).collect();
        self
    }

    /// A level.
    pub(crate) fn gauge(&mut self, name: &'static str, unit: &'static str, value: Option<f64>) -> &mut Self {
        self.add(name, MetricKind::Gauge, unit, value, &[])
    }

    /// A count since the start of whoever counts.
    pub(crate) fn counter(
        &mut self,
        name: &'static str,
        unit: &'static str,
        value: Option<f64>,
    ) -> &mut Self {
        self.add(name, MetricKind::Counter, unit, value, &[])
    }

    /// As either of them, with more labels.
    pub(crate) fn add(
        &mut self,
        name: &'static str,
        kind: MetricKind,
        unit: &'static str,
        value: Option<f64>,
        more: &[(&str, &str)],
    ) -> &mut Self {
        let Some(value) = value.filter(|value| value.is_finite() && self.list.len() < MAX_READINGS) else {
            return self;
        };
        let mut labels = self.labels.clone();
        for (name, value) in more {
            labels.insert((*name).to_owned(), crate::text::cut(value, MAX_LABEL).to_owned());
        }
        self.list.push(Reading { name, kind, unit, labels, value });
        self
    }
}

/// What is kept of several samples: of levels the highest one, of counts the last.
#[derive(Debug, Default)]
pub(crate) struct Folded(BTreeMap<(&'static str, Labels), Reading>);

impl Folded {
    pub(crate) fn take_in(&mut self, readings: &[Reading]) {
        for reading in readings {
            let kept =
                self.0.entry((reading.name, reading.labels.clone())).or_insert_with(|| reading.clone());
            kept.value = match reading.kind {
                MetricKind::Gauge => kept.value.max(reading.value),
                _ => reading.value,
            };
        }
        // Whose names change all the time must not fill the memory.
        while self.0.len() > MAX_READINGS {
            self.0.pop_last();
        }
    }

    /// As points, and begins anew.
    pub(crate) fn points(&mut self, service: &str, time_us: u64, start_us: u64) -> Vec<SeriesPoints> {
        let point = |reading: Reading| SeriesPoints {
            series: MetricSeries {
                service: service.to_owned(),
                name: reading.name.to_owned(),
                kind: reading.kind,
                temporality: if reading.kind == MetricKind::Counter {
                    Temporality::Cumulative
                } else {
                    Temporality::Delta
                },
                labels: reading.labels,
                unit: reading.unit.to_owned(),
                description: String::new(),
            },
            points: vec![MetricPoint {
                time_us,
                start_us: if reading.kind == MetricKind::Counter { start_us } else { 0 },
                value: MetricValue::Number(reading.value),
            }],
        };
        std::mem::take(&mut self.0).into_values().map(point).collect()
    }
}

/// As text for Prometheus: names with `_` for dots, units and `_total` at their end.
pub(crate) fn prometheus(readings: &[Reading]) -> String {
    let mut families: BTreeMap<String, Vec<&Reading>> = BTreeMap::new();
    for reading in readings {
        families.entry(text_name(reading)).or_default().push(reading);
    }
    let mut out = String::new();
    for (name, readings) in families {
        let kind = if readings[0].kind == MetricKind::Counter { "counter" } else { "gauge" };
        let _ = writeln!(out, "# TYPE {name} {kind}");
        for reading in readings {
            let labels: Vec<_> = reading.labels.iter().map(|(name, value)| label(name, value)).collect();
            let _ = match labels.is_empty() {
                true => writeln!(out, "{name} {}", reading.value),
                false => writeln!(out, "{name}{{{}}} {}", labels.join(","), reading.value),
            };
        }
    }
    out
}

fn text_name(reading: &Reading) -> String {
    let mut name = reading.name.replace('.', "_");
    name += match reading.unit {
        "By" => "_bytes",
        "s" => "_seconds",
        _ => "",
    };
    if reading.kind == MetricKind::Counter {
        name += "_total";
    }
    name
}

fn label(name: &str, value: &str) -> String {
    let name = name.replace('.', "_");
    let value: String = value.chars().filter(|c| !c.is_control()).collect();
    format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}
