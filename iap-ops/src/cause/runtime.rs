//! Causes inside a process: pauses of a JVM, memory that it does not give back, an event loop that something holds.

use std::collections::BTreeMap;

use iap_apm::history::MetricFunction;
use iap_apm::model::Labels;
use iap_apm::runtime::instance_name;
use iap_apm::{EventKind, EventQuery, MetricQuery, TimelineEvent, TransactionSummary, Window};

use super::explain::Asked;
use super::found::{CauseKind, RootCause};
use super::traces::printable;
use crate::telemetry::TelemetryError;

/// Labels that tell one JVM from another.
const INSTANCE: [&str; 2] = ["process", "instance"];
/// The share of the time that a JVM stands still from which on it is worth a thought, and how much more than before.
const PAUSED: f64 = 0.1;
const MORE: f64 = 2.0;
/// From which share of its limit on in use for good a heap is the reason for its collections.
const NEARLY_FULL: f64 = 0.8;
/// What pauses must account for of the time that a route takes longer, where they are seen in its transactions.
const EXPLAINS: f64 = 0.5;

/// A JVM that stands still more than before.
#[derive(Debug)]
struct Paused {
    /// The process and its instance.
    process: String,
    /// The share of the time, now.
    share: f64,
}

impl Asked<'_> {
    /// An event of a process.
    pub(super) async fn process(&self, name: &str, signal: &str) -> Result<RootCause, TelemetryError> {
        let shown = printable(name);
        let mut cause = match signal {
            "memory" => self.memory(&shown),
            "gc" if self.is_nearly_full(name).await? => self.memory(&shown),
            "gc" => {
                let mut cause = RootCause::new(CauseKind::Gc, shown);
                cause.confidence = 0.8;
                cause
            }
            _ => {
                let mut cause = RootCause::new(CauseKind::EventLoop, shown);
                cause.confidence = 0.4;
                cause
            }
        };
        if cause.kind != CauseKind::EventLoop {
            cause.upstream = self.upstream_of(name);
            cause.node = Some(cause.name.clone());
        }
        Ok(cause)
    }

    fn memory(&self, name: &str) -> RootCause {
        let mut cause = RootCause::new(CauseKind::Memory, name);
        cause.confidence = 0.85;
        let alert = self.alert;
        let (rise, took_s) = (alert.value - alert.expected, alert.at_s.saturating_sub(alert.since_s));
        if alert.key.signal == "memory" && rise > 0.0 && took_s > 0 {
            let left_s = (1.0 - alert.value).max(0.0) * took_s as f64 / rise;
            cause.full_s = Some(alert.at_s.saturating_add(left_s as u64));
        }
        cause
    }

    /// Where a route is slow since what it waits for stands still, that is the cause. `slow` and `usual` are some of its
    /// transactions, now and before.
    pub(super) async fn pauses(
        &self,
        cause: &mut RootCause,
        slow: &[TransactionSummary],
        usual: &[TransactionSummary],
    ) -> Result<(), TelemetryError> {
        let paused = self.paused().await?;
        if paused.is_empty() {
            return Ok(());
        }
        let upstream = cause.upstream.as_deref();
        let own = paused.iter().find(|jvm| {
            let name = process_name(&jvm.process);
            upstream == Some(name) || cause.service.as_deref() == Some(name)
        });
        let (jvm, confidence) = match own {
            Some(jvm) => (jvm, (0.9 + jvm.share / 10.0).min(0.98)),
            None => {
                let explained = self.explained(slow, usual).await?;
                let seen = |jvm: &&Paused| explained.as_ref().is_some_and(|(name, _)| *name == jvm.process);
                let Some(jvm) = paused.iter().find(seen) else { return Ok(()) };
                (jvm, explained.map_or(0.0, |(_, share)| share.min(0.95)))
            }
        };
        let full = self.is_nearly_full(&jvm.process).await?;
        let kind = if full { CauseKind::Memory } else { CauseKind::Gc };
        cause.give_way(kind, printable(&jvm.process), cause.confidence.min(0.5));
        cause.node = Some(cause.name.clone());
        cause.upstream = cause.upstream.take().or_else(|| self.upstream_of(&jvm.process));
        cause.confidence = confidence;
        cause.sql = None;
        Ok(())
    }

    /// JVMs that stand still for a good part of the time, and much more than before; the most first.
    async fn paused(&self) -> Result<Vec<Paused>, TelemetryError> {
        let now = self.pause_shares(self.window).await?;
        if now.values().all(|share| *share < PAUSED) {
            return Ok(Vec::new());
        }
        let before = self.pause_shares(self.usual).await?;
        let was = |process: &str| before.get(process).copied().unwrap_or(0.0);
        let mut paused: Vec<Paused> = now
            .into_iter()
            .filter(|(process, share)| *share >= PAUSED && *share >= MORE * was(process))
            .map(|(process, share)| Paused { process, share })
            .collect();
        paused.sort_by(|a, b| b.share.total_cmp(&a.share));
        Ok(paused)
    }

    /// For which share of a window each JVM stood still.
    async fn pause_shares(&self, window: Window) -> Result<BTreeMap<String, f64>, TelemetryError> {
        let shares = self.levels("jvm.gc.time", MetricFunction::Rate, window, &INSTANCE).await?;
        Ok(shares.into_iter().filter_map(|(labels, share)| Some((instance_name(&labels)?, share))).collect())
    }

    /// Whether what lives in the old generation of a JVM fills nearly all of it.
    async fn is_nearly_full(&self, process: &str) -> Result<bool, TelemetryError> {
        let by = [&INSTANCE[..], &["jvm.memory.pool.name"]].concat();
        let level = |metric| self.levels(metric, MetricFunction::Last, self.window, &by);
        let limits = level("jvm.memory.limit").await?;
        let is_full = |(labels, live): (Labels, f64)| {
            let is_its = instance_name(&labels).is_some_and(|name| name == process);
            is_its && limits.get(&labels).is_some_and(|limit| *limit > 0.0 && live >= NEARLY_FULL * limit)
        };
        Ok(level("jvm.memory.used_after_last_gc").await?.into_iter().any(is_full))
    }

    /// The last number of a metric in a window, by some of its labels.
    async fn levels(
        &self,
        metric: &str,
        function: MetricFunction,
        window: Window,
        by: &[&str],
    ) -> Result<BTreeMap<Labels, f64>, TelemetryError> {
        let mut query = MetricQuery::new(metric, window);
        query.step_us = window.length_us().max(1);
        query.by = by.iter().map(|label| (*label).to_owned()).collect();
        query.function = Some(function);
        let groups = self.telemetry.metric(&query).await?.groups;
        let last = |values: &[Option<f64>]| values.iter().rev().find_map(|value| *value);
        Ok(groups.into_iter().filter_map(|group| Some((group.labels, last(&group.values)?))).collect())
    }

    /// The JVM whose pauses lie in slow transactions more than in usual ones, and which share of the difference they are.
    async fn explained(
        &self,
        slow: &[TransactionSummary],
        usual: &[TransactionSummary],
    ) -> Result<Option<(String, f64)>, TelemetryError> {
        let mean = |rows: &[TransactionSummary], of: &dyn Fn(&TransactionSummary) -> u64| {
            rows.iter().map(of).sum::<u64>() as f64 / rows.len().max(1) as f64
        };
        let longer = mean(slow, &|row| row.duration_us) - mean(usual, &|row| row.duration_us);
        if slow.is_empty() || longer <= 0.0 {
            return Ok(None);
        }
        let mut query = EventQuery::new(Window::new(self.usual.from_us, self.window.to_us));
        query.kind = Some(EventKind::GcPause);
        let events = self.telemetry.events(&query).await?;
        let mut names: Vec<&str> = events.iter().filter_map(TimelineEvent::process).collect();
        names.sort_unstable();
        names.dedup();
        let share = |name: &str| {
            let overlap = |row: &TransactionSummary| {
                let its = events.iter().filter(|event| event.process() == Some(name));
                let window = Window::new(row.start_us, row.start_us + row.duration_us);
                its.filter_map(|event| event.overlap_us(window)).sum()
            };
            (mean(slow, &overlap) - mean(usual, &overlap)) / longer
        };
        let shares = names.iter().map(|name| ((*name).to_owned(), share(name)));
        Ok(shares.filter(|(_, share)| *share >= EXPLAINS).max_by(|a, b| a.1.total_cmp(&b.1)))
    }

    /// The upstream that a managed process serves: it has its name.
    fn upstream_of(&self, process: &str) -> Option<String> {
        let name = process_name(process);
        let servers = self.telemetry.estate()?.servers();
        servers.iter().any(|server| server.upstream == name).then(|| name.to_owned())
    }
}

/// The process without its instance.
fn process_name(process: &str) -> &str {
    process.rsplit_once(' ').map_or(process, |(name, _)| name)
}
