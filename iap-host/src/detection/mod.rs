//! Looks for incidents while the platform runs: each interval what happened becomes samples, samples events, events
//! incidents with their causes, and those are kept over a restart.

mod counters;
mod logs;
mod named;
mod runtime;
mod samples;
mod store;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use iap_apm::Apm;
use iap_core::{BoxError, Clock, SystemClock};
use iap_ops::Live;
use iap_ops::cause::{CauseKind, RootCause, explain};
use iap_ops::detect::{
    Ack, AckError, Alert, Changes, Entity, Incident, IncidentState, Incidents, Monitor, SeriesKey,
};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use self::counters::Counters;
pub(crate) use self::counters::parse as series;
use self::logs::Novelty;
use self::runtime::Inside;
use self::store::Store;
use crate::config::{DetectionConfig, WatchedMetric};

/// Events that are looked into in one round.
const EXPLAINED: usize = 8;
/// Seconds after its detection in which an incident is looked into again: then there is more to see.
const AGAIN_S: u64 = 120;
/// Incidents that are looked into again in one round.
const AGAIN: usize = 4;
/// Seconds after a start in which an incident of the process before goes on though nothing was seen of it yet.
const GRACE_S: u64 = 300;
/// How often it is looked inside of processes between two rounds.
const LOOK: Duration = Duration::from_secs(2);
/// How long one round may take to read telemetry.
const PATIENCE: Duration = Duration::from_secs(8);

/// The incidents of this process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Detection(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    store: Store,
    started_s: u64,
    task: Mutex<Option<JoinHandle<()>>>,
}

struct State {
    incidents: Incidents,
    watched: Watched,
}

/// What is watched at present.
#[derive(Debug, Clone, Copy, Default, serde::Serialize, schemars::JsonSchema)]
#[schemars(rename = "WatchedSeries")]
pub(crate) struct Watched {
    series: usize,
    /// Samples of series beyond the limit.
    left_out: u64,
    /// Templates of error lines that are known.
    log_templates: usize,
    /// Rounds since the start; after twelve the first series can be judged.
    rounds: u64,
}

impl Detection {
    /// Takes up what was kept, and begins. Without a directory nothing outlives the process.
    pub(crate) async fn start(
        config: &DetectionConfig,
        directory: Option<&Path>,
        apm: &Apm,
        telemetry: Arc<Live>,
        runtime: &Handle,
    ) -> Result<Self, BoxError> {
        let store = Store::open(directory).await?;
        let incidents = Incidents::new(store.load().await?, config.max_incidents);
        let state = Mutex::new(State { incidents, watched: Watched::default() });
        let inner = Inner { state, store, started_s: now_s(), task: Mutex::new(None) };
        let detection = Self(Arc::new(inner));
        let watch = Watch {
            apm: apm.clone(),
            telemetry,
            monitor: Monitor::new(config.max_series),
            counters: Counters::default(),
            inside: Inside::default(),
            novelty: Novelty::default(),
            metrics: config.metrics.clone(),
            interval: config.interval.0,
            max_age_s: config.max_age.0.as_secs(),
            detection: detection.clone(),
        };
        *detection.0.task.lock() = Some(runtime.spawn(watch.run()));
        Ok(detection)
    }

    /// Another process watches from now on, or none.
    pub(crate) fn stop(&self) {
        if let Some(task) = self.0.task.lock().take() {
            task.abort();
        }
    }

    /// The incidents that overlap a time (Unix seconds), the latest first.
    pub(crate) fn list(&self, from_s: u64, to_s: u64) -> Vec<Incident> {
        let within = |incident: &&Incident| {
            incident.began_s < to_s && incident.resolved_s.is_none_or(|at_s| at_s >= from_s)
        };
        self.0.state.lock().incidents.list().filter(within).cloned().collect()
    }

    /// The incidents that are not over, the latest first.
    pub(crate) fn active(&self) -> Vec<Incident> {
        self.0.state.lock().incidents.list().filter(|incident| incident.is_active()).cloned().collect()
    }

    pub(crate) fn get(&self, id: u64) -> Option<Incident> {
        self.0.state.lock().incidents.get(id).cloned()
    }

    pub(crate) fn watched(&self) -> Watched {
        self.0.state.lock().watched
    }

    /// Somebody knows of an incident.
    pub(crate) async fn acknowledge(&self, id: u64, who: String, note: String) -> Result<Incident, AckError> {
        let ack = Ack { at_s: now_s(), who, note };
        let incident = self.0.state.lock().incidents.acknowledge(id, ack)?.clone();
        self.keep(&[incident.id]).await;
        Ok(incident)
    }

    /// Writes incidents that have changed. What cannot be written is written with the next change.
    async fn keep(&self, ids: &[u64]) {
        for id in ids {
            let Some(incident) = self.get(*id) else { continue };
            if let Err(error) = self.0.store.keep(&incident).await {
                tracing::warn!(%error, incident = id, "an incident could not be kept");
            }
        }
    }
}

/// The task.
struct Watch {
    apm: Apm,
    telemetry: Arc<Live>,
    monitor: Monitor,
    counters: Counters,
    inside: Inside,
    novelty: Novelty,
    metrics: Vec<WatchedMetric>,
    interval: Duration,
    max_age_s: u64,
    detection: Detection,
}

impl Watch {
    async fn run(mut self) {
        let mut every = tokio::time::interval(self.interval);
        every.set_missed_tick_behavior(MissedTickBehavior::Skip);
        self.novelty.recall(&self.apm, now_s()).await;
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                _ = every.tick() => self.round().await,
                _ = look.tick() => self.inside.look(&self.apm.runtime()),
            }
        }
    }

    async fn round(&mut self) {
        let at_s = now_s();
        let text = self.apm.prometheus().unwrap_or_default();
        let mut samples = samples::samples(&self.counters.advance(&text));
        samples.extend(named::samples(&self.metrics, &self.apm, at_s).await);
        samples.extend(self.inside.samples(&self.apm.runtime()));
        let mut changes = self.monitor.feed(at_s, &samples);
        self.inside.tell(at_s, &mut changes);
        self.novelty.advance(&self.apm, at_s, &mut changes).await;
        let changed = self.take_up(at_s, changes).await;
        self.detection.keep(&changed).await;
        self.look_again(at_s).await;
        self.forget(at_s).await;
    }

    /// Events become incidents. Gives the numbers of those that changed.
    async fn take_up(&mut self, at_s: u64, mut changes: Changes) -> Vec<u64> {
        changes.begun.sort_by_key(|alert| (rank(&alert.key), std::cmp::Reverse(alert.score.to_bits())));
        let mut changed = Vec::new();
        for (number, alert) in std::mem::take(&mut changes.begun).into_iter().enumerate() {
            let cause = if number < EXPLAINED { self.explain(&alert).await } else { None };
            let cause = cause.unwrap_or_else(|| RootCause::new(CauseKind::Metric, alert.key.to_string()));
            let series = alert.key.to_string();
            let (id, new) = self.detection.0.state.lock().incidents.report(alert, cause);
            if new {
                tracing::warn!(target: "iap_host::incident", incident = id, series, "an incident has begun");
            }
            changed.push(id);
        }
        changed.extend(self.settle(at_s, &changes));
        changed
    }

    /// Takes up what goes on and what is over. Gives the incidents that are resolved by that.
    fn settle(&self, at_s: u64, changes: &Changes) -> Vec<u64> {
        let mut state = self.detection.0.state.lock();
        for alert in &changes.going_on {
            state.incidents.goes_on(alert);
        }
        let mut ended: Vec<u64> =
            changes.ended.iter().filter_map(|key| state.incidents.end(key, at_s)).collect();
        if at_s >= self.detection.0.started_s + GRACE_S {
            let knows = |key: &SeriesKey| {
                self.monitor.is_event(key) || self.novelty.is_event(key) || self.inside.is_event(key)
            };
            ended.extend(state.incidents.end_unknown(at_s, knows));
        }
        let watched = &mut state.watched;
        watched.series = self.monitor.len();
        watched.left_out = self.monitor.left_out();
        watched.log_templates = self.novelty.len();
        watched.rounds += 1;
        drop(state);
        for id in &ended {
            tracing::info!(target: "iap_host::incident", incident = id, "an incident is over");
        }
        ended
    }

    async fn explain(&self, alert: &Alert) -> Option<RootCause> {
        let now_us = SystemClock.now_ms() * 1_000;
        match tokio::time::timeout(PATIENCE, explain(&*self.telemetry, alert, now_us)).await {
            Ok(Ok(cause)) => Some(cause),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the cause of an event could not be looked for");
                None
            }
            Err(_) => {
                tracing::warn!("the cause of an event was not found in time");
                None
            }
        }
    }

    /// Incidents that are young: more has happened since they were looked into.
    async fn look_again(&self, at_s: u64) {
        let young = |incident: &&Incident| {
            incident.is_active() && incident.detected_s < at_s && incident.detected_s + AGAIN_S > at_s
        };
        let young: Vec<(u64, Alert)> = {
            let state = self.detection.0.state.lock();
            let young = state.incidents.list().filter(young).take(AGAIN);
            young
                .filter_map(|incident| Some((incident.id, incident.signals.first()?.alert.clone())))
                .collect()
        };
        for (id, alert) in young {
            let Some(cause) = self.explain(&alert).await else { continue };
            let refined = self.detection.0.state.lock().incidents.refine(id, cause);
            if refined {
                self.detection.keep(&[id]).await;
            }
        }
    }

    async fn forget(&self, at_s: u64) {
        let gone = self.detection.0.state.lock().incidents.forget(at_s.saturating_sub(self.max_age_s));
        if !gone.is_empty()
            && let Err(error) = self.detection.0.store.forget(&gone).await
        {
            tracing::warn!(%error, "old incidents could not be removed");
        }
    }
}

/// What is looked into first: what others depend on.
fn rank(key: &SeriesKey) -> u8 {
    match (&key.entity, key.signal.as_str()) {
        (Entity::Upstream(_), _) => 0,
        (Entity::SessionStore, _) => 1,
        (Entity::Process(_), "memory") => 2,
        (Entity::Process(_), "gc") => 3,
        (Entity::Sessions, _) => 4,
        (Entity::Route(_), "errors") => 5,
        (Entity::Route(_), "p50") => 6,
        (Entity::Route(_), "p95") => 7,
        (Entity::Route(_), _) => 8,
        _ => 9,
    }
}

/// Whether an incident is asked for.
pub(crate) fn is_in(state: IncidentState, asked: &str) -> Option<bool> {
    Some(match asked {
        "active" => state != IncidentState::Resolved,
        "open" => state == IncidentState::Open,
        "acknowledged" => state == IncidentState::Acknowledged,
        "resolved" => state == IncidentState::Resolved,
        _ => return None,
    })
}

fn now_s() -> u64 {
    SystemClock.now_ms() / 1_000
}
