//! Metrics of the history that an operator has named.

use iap_apm::{Apm, MetricQuery, Window};
use iap_ops::detect::{Entity, Measure, Sample, SeriesKey};

use crate::config::WatchedMetric;

/// The last minute: senders report each 15 to 60 seconds.
const WINDOW_US: u64 = 60_000_000;

pub(super) async fn samples(metrics: &[WatchedMetric], apm: &Apm, at_s: u64) -> Vec<Sample> {
    let mut samples = Vec::new();
    for metric in metrics {
        let window = Window::last(WINDOW_US, at_s * 1_000_000);
        let mut query = MetricQuery::new(&*metric.name, window);
        query.step_us = WINDOW_US;
        query.service.clone_from(&metric.service);
        query.function = metric.function;
        query.by.clone_from(&metric.by);
        let answer = match apm.history().metric(&query).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(%error, metric = metric.name, "a metric could not be read");
                continue;
            }
        };
        for group in answer.groups {
            let Some(value) = group.values.last().copied().flatten() else { continue };
            let labels: Vec<String> =
                group.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let key = SeriesKey { entity: Entity::Metric(metric.name.clone()), signal: labels.join(" ") };
            samples.push(Sample {
                key,
                measure: Measure::Level,
                direction: metric.worse,
                value,
                weight: 1.0,
            });
        }
    }
    samples
}
