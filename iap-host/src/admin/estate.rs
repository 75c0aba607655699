//! What the assistant knows of this process.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::{ArcSwap, ArcSwapOption};
use iap_apm::Window;
use iap_apm::history::BoxFuture;
use iap_core::{BoxError, Clock, Process, SystemClock, Upstream};
use iap_ops::detect::Incident;
use iap_ops::{AudienceKind, Change, ChangeKind, Estate, InstanceState, ServerState};
use iap_session::audience::AudienceView;
use parking_lot::Mutex;

use super::reload::{ReloadResult, Reloads};
use crate::detection::Detection;

/// Changes that are remembered.
const MAX_CHANGES: usize = 100;
/// Characters that are kept of a refusal.
const MAX_WHAT: usize = 300;
/// Steps of a series of users.
const STEPS: u64 = 60;
const MAX_WINDOW_S: u64 = 90 * 24 * 3_600;

/// The latest changes of the configuration. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Journal(Arc<Mutex<VecDeque<Change>>>);

impl Journal {
    /// Begins with the start of this process.
    pub(super) fn new() -> Self {
        let started = Change {
            at_ms: SystemClock.now_ms(),
            kind: ChangeKind::Started,
            what: env!("CARGO_PKG_VERSION").to_owned(),
        };
        Self(Arc::new(Mutex::new(VecDeque::from([started]))))
    }

    /// Notes how an attempt to change the configuration went. Gives when something has changed, Unix milliseconds.
    pub(super) fn note(&self, result: &ReloadResult, revision: Option<u64>) -> Option<u64> {
        match (result, revision) {
            (Ok(changed), _) if changed.is_empty() => None,
            (Ok(changed), None) => Some(self.push(ChangeKind::Reloaded, changed.join(", "))),
            (Ok(changed), Some(revision)) => {
                let what = format!("{} (revision {revision})", changed.join(", "));
                Some(self.push(ChangeKind::Reloaded, what))
            }
            (Err(error), _) => {
                self.push(ChangeKind::Refused, error.chars().take(MAX_WHAT).collect());
                None
            }
        }
    }

    /// Notes what somebody tells of. Gives when that was, Unix milliseconds.
    pub(super) fn deployed(&self, what: &str) -> u64 {
        let what = what.chars().filter(|c| !c.is_control()).take(MAX_WHAT).collect();
        self.push(ChangeKind::Deployed, what)
    }

    /// Notes a guarded action.
    pub(crate) fn acted(&self, what: &str) {
        self.push(ChangeKind::Acted, what.chars().take(MAX_WHAT).collect());
    }

    fn push(&self, kind: ChangeKind, what: String) -> u64 {
        let at_ms = SystemClock.now_ms();
        let mut changes = self.0.lock();
        if changes.len() >= MAX_CHANGES {
            changes.pop_front();
        }
        changes.push_back(Change { at_ms, kind, what });
        at_ms
    }

    fn list(&self) -> Vec<Change> {
        self.0.lock().iter().cloned().collect()
    }
}

/// The view of the handlers' state.
pub(super) struct Known {
    pub(super) detection: Arc<ArcSwapOption<Detection>>,
    pub(super) audience: Option<AudienceView>,
    pub(super) processes: Arc<ArcSwap<Vec<Arc<Process>>>>,
    pub(super) upstreams: Arc<ArcSwap<Vec<Arc<Upstream>>>>,
    pub(super) reloads: Reloads,
}

impl Estate for Known {
    fn audience(&self, window: Window) -> BoxFuture<'_, Result<Option<Vec<AudienceKind>>, BoxError>> {
        Box::pin(async move {
            let Some(view) = &self.audience else { return Ok(None) };
            // Users are counted back from now: an earlier window is answered up to now.
            let now_s = SystemClock.now_ms() / 1_000;
            let length_s = now_s.saturating_sub(window.from_us / 1_000_000).clamp(60, MAX_WINDOW_S);
            let step_s = (length_s / STEPS).max(2);
            let (whole, minute) = (view.audience.window(now_s, length_s), view.audience.window(now_s, 60));
            let mut kinds = Vec::new();
            for by in view.audience.kinds() {
                let points = view.series(by, None, now_s, (whole, step_s)).await?.unwrap_or_default();
                kinds.push(AudienceKind {
                    by: by.to_string(),
                    now: view.count(by, None, now_s, minute).await?,
                    window: view.count(by, None, now_s, whole).await?,
                    points: points.iter().map(|point| (point.at_ms, point.users)).collect(),
                });
            }
            Ok(Some(kinds))
        })
    }

    fn servers(&self) -> Vec<ServerState> {
        let upstreams = self.upstreams.load();
        let mut servers = Vec::new();
        for status in upstreams.iter().map(|upstream| upstream.status()) {
            servers.extend(status.servers.iter().map(|server| ServerState {
                upstream: status.name.to_string(),
                address: server.address.to_string(),
                state: server.state.as_str().to_owned(),
                in_flight: server.in_flight as u64,
                connections: server.connections as u64,
                failed: server.pool.failed,
                last_error: server.last_error.as_deref().map(str::to_owned),
            }));
        }
        servers
    }

    fn instances(&self) -> Vec<InstanceState> {
        let processes = self.processes.load();
        let mut instances = Vec::new();
        for status in processes.iter().map(|process| process.status()) {
            instances.extend(status.instances.iter().map(|instance| InstanceState {
                process: status.name.to_string(),
                number: instance.number as u64,
                state: instance.state.as_str().to_owned(),
                since_ms: milliseconds(instance.since),
                restarts: instance.restarts,
                last_exit: instance.last_exit.as_ref().map(ToString::to_string),
            }));
        }
        instances
    }

    fn incidents(&self, window: Window) -> Option<Vec<Incident>> {
        let detection = self.detection.load();
        let to_s = window.to_us.div_ceil(1_000_000);
        Some(detection.as_ref()?.list(window.from_us / 1_000_000, to_s))
    }

    fn changes(&self) -> Vec<Change> {
        let mut changes = self.reloads.journal().list();
        changes.extend(self.instances().into_iter().map(|instance| Change {
            at_ms: instance.since_ms,
            kind: ChangeKind::Instance,
            what: format!("{} {}: {}", instance.process, instance.number, instance.state),
        }));
        changes
    }
}

fn milliseconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}
