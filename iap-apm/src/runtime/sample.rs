//! Taking a sample.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::jvm::{self, Place};
use super::live_set::LiveSet;
use super::pauses::Pauses;
use super::probe::{Probe, Stalls};
use super::reading::{Folded, MAX_READINGS, Reading, Readings};
use super::serving::serving;
use super::{
    RuntimeSettings, RuntimeView, Sampled, Watched, WatchedProcess, WatchedServer, cgroup, hsperf, procfs,
};
use crate::history::SeriesPoints;
use crate::shared::Shared;

/// How often new JVMs are looked for.
const FIND_EVERY: Duration = Duration::from_secs(6);
/// How often listeners are looked at: for their table the kernel goes through all connections, some 10 ms.
const LISTEN_EVERY: Duration = Duration::from_secs(10);
/// Event loops and processes that are sampled.
const MAX_RUNTIMES: usize = 256;
const MAX_PROCESSES: usize = 256;

/// What is kept from one sample to the next.
pub(super) struct Sampler {
    shared: Arc<Shared>,
    settings: RuntimeSettings,
    stalls: Stalls,
    probes: Vec<Probe>,
    group: Option<PathBuf>,
    places: Vec<Place>,
    pauses: BTreeMap<u32, Pauses>,
    live: BTreeMap<u32, LiveSet>,
    /// The name of each JVM.
    names: BTreeMap<u32, String>,
    /// The server of an upstream that one is.
    serving: BTreeMap<u32, WatchedServer>,
    found: Option<Instant>,
    /// What listeners last said, and when.
    queues: Vec<Reading>,
    listened: Option<Instant>,
    folded: Folded,
    stored: Instant,
    started_us: u64,
    start: Instant,
}

impl Sampler {
    pub(super) fn new(shared: Arc<Shared>, settings: RuntimeSettings) -> Self {
        let stalls = Stalls { shared: shared.clone(), from: settings.stall };
        Self {
            started_us: shared.now_us(),
            shared,
            settings,
            stalls,
            probes: Vec::new(),
            group: cgroup::find(),
            places: Vec::new(),
            pauses: BTreeMap::new(),
            live: BTreeMap::new(),
            names: BTreeMap::new(),
            serving: BTreeMap::new(),
            found: None,
            queues: Vec::new(),
            listened: None,
            folded: Folded::default(),
            stored: Instant::now(),
            start: Instant::now(),
        }
    }

    /// Takes a sample and shows it.
    pub(super) fn sample(&mut self, mut watched: Watched) {
        watched.processes.truncate(MAX_PROCESSES);
        let mut readings = Readings::default();
        procfs::process(readings.of(&[("process", &self.shared.service)]), None);
        readings.gauge("process.uptime", "s", Some(self.start.elapsed().as_secs_f64()));
        for WatchedProcess { name, instance, pid } in &watched.processes {
            procfs::process(
                readings.of(&[("process", name), ("instance", &instance.to_string())]),
                Some(*pid),
            );
        }
        self.follow(&watched.runtimes);
        let room = MAX_READINGS.saturating_sub(readings.list.len());
        readings.list.extend(std::mem::take(&mut watched.readings).into_iter().take(room));
        for probe in &self.probes {
            event_loop(&mut readings, probe);
        }
        if self.settings.jvms && self.found.is_none_or(|found| found.elapsed() >= FIND_EVERY) {
            self.find_jvms(&watched.processes);
        }
        if self.listened.is_none_or(|at| at.elapsed() >= LISTEN_EVERY) {
            self.listen(&watched);
        }
        readings.list.extend(self.queues.iter().cloned());
        if let Some(group) = &self.group {
            cgroup::group(&mut readings, group);
        }
        cgroup::machine(&mut readings);
        let jvms = if self.settings.jvms { self.jvms(&mut readings, &watched.processes) } else { Vec::new() };
        self.folded.take_in(&readings.list);
        let view = RuntimeView {
            time_us: self.shared.now_us(),
            node: self.shared.node.clone(),
            interval_ms: self.settings.interval.as_millis() as u64,
            readings: readings.list,
            jvms,
        };
        self.shared.runtime.show(Sampled { view, places: self.places.clone() });
    }

    /// Looks at what would be missed between two samples: pauses of JVMs, and what is left after them.
    pub(super) fn look(&mut self) {
        for place in self.places.clone() {
            let Some(bytes) = place.read() else { continue };
            let Some(counters) = hsperf::parse(&bytes) else { continue };
            self.follow_jvm(place.pid, &counters);
        }
    }

    /// What is to be written to the history, when it is time.
    pub(super) fn due(&mut self) -> Option<Vec<SeriesPoints>> {
        if self.stored.elapsed() < self.settings.store.saturating_sub(self.settings.interval / 2) {
            return None;
        }
        self.stored = Instant::now();
        Some(self.folded.points(&self.shared.service, self.shared.now_us(), self.started_us))
    }

    /// Has a probe on each event loop, and none on one that has gone.
    fn follow(&mut self, runtimes: &[(String, Handle)]) {
        self.probes.retain(|probe| {
            runtimes.iter().any(|(name, handle)| *name == probe.name && handle.id() == probe.runtime.id())
        });
        for (name, handle) in runtimes.iter().take(MAX_RUNTIMES) {
            if !self.probes.iter().any(|probe| probe.name == *name) {
                self.probes.push(Probe::start(name, handle, self.stalls.clone()));
            }
        }
    }

    fn find_jvms(&mut self, processes: &[WatchedProcess]) {
        self.found = Some(Instant::now());
        let known: Vec<u32> = self.places.iter().map(|place| place.pid).collect();
        self.places = jvm::find(|pid| processes.iter().any(|process| process.pid == pid));
        let is_there = |pid: &u32| self.places.iter().any(|place| place.pid == *pid);
        self.pauses.retain(|pid, _| is_there(pid));
        self.live.retain(|pid, _| is_there(pid));
        self.names.retain(|pid, _| is_there(pid));
        self.serving.retain(|pid, _| is_there(pid));
        if self.places.iter().any(|place| !known.contains(&place.pid)) {
            // Which server a new one is shall be known before it is shown.
            self.listened = None;
        }
    }

    /// Looks at the sockets that listen: ours, and those of JVMs.
    fn listen(&mut self, watched: &Watched) {
        self.listened = Some(Instant::now());
        // One that is managed has its name already.
        let is_managed = |pid: &u32| watched.processes.iter().any(|process| process.pid == *pid);
        let unnamed: Vec<u32> =
            self.places.iter().map(|place| place.pid).filter(|pid| !is_managed(pid)).collect();
        let wants =
            |is_own: fn(&SocketAddr) -> bool| !unnamed.is_empty() || watched.listeners.iter().any(is_own);
        let tables = [("tcp", wants(SocketAddr::is_ipv4)), ("tcp6", wants(SocketAddr::is_ipv6))];
        let tables = tables.into_iter().filter(|(_, is_wanted)| *is_wanted).map(|(table, _)| table);
        let sockets = procfs::listening_sockets(tables);
        let mut queues = Readings::default();
        procfs::listeners(&mut queues, &watched.listeners, &sockets);
        self.queues = queues.list;
        self.serving = serving(&unnamed, &watched.servers, &sockets);
    }

    fn jvms(&mut self, readings: &mut Readings, processes: &[WatchedProcess]) -> Vec<jvm::Jvm> {
        let mut jvms = Vec::new();
        for place in self.places.clone() {
            let Some(bytes) = place.read() else { continue };
            let Some(counters) = hsperf::parse(&bytes) else { continue };
            let managed = processes.iter().find(|process| process.pid == place.pid);
            let known = match (managed, self.serving.get(&place.pid)) {
                (Some(process), _) => Some((&*process.name, process.instance.to_string())),
                (None, Some(server)) => Some((&*server.upstream, server.address.to_string())),
                (None, None) => None,
            };
            let jvm = jvm::describe(&place, &counters, known);
            self.names.insert(place.pid, format!("{} {}", jvm.name, jvm.instance));
            self.follow_jvm(place.pid, &counters);
            let live = self.live.get(&place.pid).and_then(LiveSet::bytes);
            jvm::take(readings.of(&[("process", &jvm.name), ("instance", &jvm.instance)]), &counters, live);
            jvms.push(jvm);
        }
        jvms
    }

    fn follow_jvm(&mut self, pid: u32, counters: &hsperf::Counters<'_>) {
        self.live.entry(pid).or_default().look(counters, self.shared.now_us());
        let name = self.names.get(&pid).map_or("", String::as_str);
        let pauses = self.pauses.entry(pid).or_default();
        for event in pauses.look(counters, name, &self.shared.node, self.shared.now_us()) {
            self.shared.event(event);
        }
    }
}

fn event_loop(readings: &mut Readings, probe: &Probe) {
    let metrics = probe.runtime.metrics();
    let workers = metrics.num_workers();
    readings.of(&[("runtime", &probe.name)]);
    readings.gauge("tokio.workers", "{worker}", Some(workers as f64));
    readings.gauge("tokio.tasks.alive", "{task}", Some(metrics.num_alive_tasks() as f64));
    readings.gauge("tokio.global_queue.depth", "{task}", Some(metrics.global_queue_depth() as f64));
    readings.gauge("tokio.scheduling_delay.max", "s", Some(probe.max_delay()));
    readings.counter("tokio.stalls", "{stall}", Some(probe.stalls() as f64));
    #[cfg(target_has_atomic = "64")]
    {
        let busy: Duration = (0..workers).map(|worker| metrics.worker_total_busy_duration(worker)).sum();
        let parks: u64 = (0..workers).map(|worker| metrics.worker_park_count(worker)).sum();
        readings.counter("tokio.busy_time", "s", Some(busy.as_secs_f64()));
        readings.counter("tokio.parks", "{park}", Some(parks as f64));
    }
}
