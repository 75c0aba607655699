//! What is sampled and what becomes an event: the runtime, upstreams and processes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use iap_apm::{Apm, EventKind, RuntimeSampler, RuntimeSettings};
use iap_core::upstream::ServerState;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::gateway::Gateway;
use super::pressure::{self, LastPressure};
use crate::admin::AdminState;
use crate::allocator;
use crate::config::RuntimeConfig;

/// How often upstreams and processes are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Servers and instances that are remembered.
const MAX_KNOWN: usize = 10_000;

/// What watches; ends when it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    _sampler: RuntimeSampler,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Starts it, where the settings say so.
pub(super) fn start_watch(
    config: &RuntimeConfig,
    apm: Option<&Apm>,
    state: &AdminState,
    gateway: &Gateway,
    runtime: &Handle,
) -> Option<Watch> {
    let apm = apm.filter(|_| config.enabled)?;
    state.set_runtimes(event_loops(gateway, runtime));
    let settings = RuntimeSettings {
        interval: config.interval.0,
        store: config.store.0,
        stall: config.stall.0,
        jvms: config.jvms,
    };
    apm.event(EventKind::Started, Duration::ZERO, env!("CARGO_PKG_VERSION"));
    let (watched, last) = (state.clone(), LastPressure::default());
    let mut tasks = vec![runtime.spawn(look(apm.clone(), state.clone()))];
    if let Some(sessions) = state.sessions() {
        let follow = pressure::follow(apm.clone(), sessions.clone(), last.clone(), settings.interval);
        tasks.push(runtime.spawn(follow));
    }
    let watched = move || {
        let mut watched = watched.watched();
        watched.readings.extend(pressure::readings(&last));
        watched.readings.extend(allocator::readings());
        watched
    };
    let sampler = apm.sample_runtime(settings, watched, runtime);
    Some(Watch { _sampler: sampler, tasks })
}

/// The workers of the gateway, and the runtime of everything else.
pub(super) fn event_loops(gateway: &Gateway, runtime: &Handle) -> Vec<(String, Handle)> {
    let workers = gateway.server.workers().iter().enumerate();
    let mut all: Vec<_> =
        workers.map(|(index, handle)| (format!("worker-{index}"), handle.clone())).collect();
    all.push(("app".to_owned(), runtime.clone()));
    all
}

/// Tells of servers that are ejected and let in again, and of instances that are started again.
async fn look(apm: Apm, state: AdminState) {
    let mut known = Known::default();
    let mut tick = interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        for (kind, text) in known.look(&state) {
            apm.event(kind, Duration::ZERO, &text);
        }
    }
}

#[derive(Default)]
struct Known {
    out: BTreeMap<(Arc<str>, Arc<str>), bool>,
    restarts: BTreeMap<(Arc<str>, usize), u64>,
}

impl Known {
    fn look(&mut self, state: &AdminState) -> Vec<(EventKind, String)> {
        let mut events = Vec::new();
        let before = std::mem::take(&mut self.out);
        for upstream in state.upstreams().iter().map(|upstream| upstream.status()) {
            for server in upstream.servers {
                let is_out = matches!(server.state, ServerState::Ejected | ServerState::Probing);
                let key = (upstream.name.clone(), server.address);
                let (name, address) = &key;
                match (before.get(&key).copied().unwrap_or(false), is_out) {
                    (false, true) => events.push((EventKind::ServerEjected, format!("{address} of {name}"))),
                    (true, false) => events.push((EventKind::ServerReturned, format!("{address} of {name}"))),
                    _ => {}
                }
                if self.out.len() < MAX_KNOWN {
                    self.out.insert(key, is_out);
                }
            }
        }
        let before = std::mem::take(&mut self.restarts);
        for process in state.processes().iter().map(|process| process.status()) {
            for instance in process.instances {
                let key = (process.name.clone(), instance.number);
                if before.get(&key).is_some_and(|restarts| *restarts < instance.restarts) {
                    let how = instance.last_exit.as_deref().unwrap_or("ended");
                    events.push((
                        EventKind::ProcessRestarted,
                        format!("{} {}: {how}", process.name, instance.number),
                    ));
                }
                if self.restarts.len() < MAX_KNOWN {
                    self.restarts.insert(key, instance.restarts);
                }
            }
        }
        events
    }
}
