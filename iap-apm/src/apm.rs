//! The whole, put together.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::active::ActiveTable;
use crate::bridge::ApmLayer;
use crate::collector::{Collector, Command, Settings};
use crate::error::{Error, ErrorKind};
use crate::exemplars::Exemplars;
use crate::export::{ExportSettings, Exporter, Outbox};
use crate::history::{History, SqliteHistory, SqliteOptions};
use crate::hooks::ApmHooks;
use crate::in_flight::{Found, Interrupted, Notes};
use crate::keeping::Keeping;
use crate::live::{self, ActiveView, LiveSnapshot, LiveState, RecentPoints};
use crate::marks::Marks;
use crate::model::{EventKind, TimelineEvent};
use crate::otlp::OtlpService;
use crate::record::{Dropped, Rings};
use crate::runtime::{
    AttachError, Board, JvmAnswer, JvmCommand, RuntimeSampler, RuntimeSettings, RuntimeView, Watched,
};
use crate::shared::Shared;
use crate::ticks::Ticks;
use crate::tower_layer::ApmTowerLayer;

/// Commands that may wait for the collector.
const COMMANDS: usize = 64;

/// How an [`Apm`] is set up.
#[derive(Clone)]
pub struct ApmBuilder {
    history: Option<Arc<dyn History>>,
    service: String,
    ring_capacity: usize,
    active_slots: usize,
    recent_points: usize,
    flush_interval: Duration,
    max_routes: usize,
    keeping: Keeping,
    max_series: Option<(usize, usize)>,
    in_flight: Option<PathBuf>,
    node: String,
}

impl ApmBuilder {
    /// Where telemetry is kept. By default a [`SqliteHistory::temporary`], gone with the process.
    #[must_use]
    pub fn history(mut self, history: Arc<dyn History>) -> Self {
        self.history = Some(history);
        self
    }

    /// The name of this service in traces; by default `iap`.
    #[must_use]
    pub fn service_name(mut self, name: impl Into<String>) -> Self {
        self.service = name.into();
        self
    }

    /// The name of this node on the time line; by default `node`.
    #[must_use]
    pub fn node(mut self, name: impl Into<String>) -> Self {
        self.node = name.into();
        self
    }

    /// Records that a thread's ring holds until the collector comes by (each 50 ms); by default
    /// 8,192, about 1 MiB a thread.
    #[must_use]
    pub fn ring_capacity(mut self, records: usize) -> Self {
        self.ring_capacity = records;
        self
    }

    /// Running transactions that can be listed; by default 4,096.
    #[must_use]
    pub fn active_slots(mut self, slots: usize) -> Self {
        self.active_slots = slots;
        self
    }

    /// Points that [`Apm::recent_since`] can go back; by default 10,000.
    #[must_use]
    pub fn recent_points(mut self, points: usize) -> Self {
        self.recent_points = points;
        self
    }

    /// How long records wait for others before they are written; by default 200 ms. It is also what
    /// a `kill -9` may lose.
    #[must_use]
    pub fn flush_interval(mut self, interval: Duration) -> Self {
        self.flush_interval = interval;
        self
    }

    /// Routes that have metrics of their own; by default 200, the rest is counted as `other`.
    #[must_use]
    pub fn max_routes(mut self, routes: usize) -> Self {
        self.max_routes = routes;
        self
    }

    /// Which transactions the history keeps; by default [`Keeping::default`].
    #[must_use]
    pub fn keeping(mut self, keeping: Keeping) -> Self {
        self.keeping = keeping;
        self
    }

    /// Series of metrics that are received of one service, and of all; see
    /// [`OtlpService::max_series`].
    #[must_use]
    pub fn max_series(mut self, of_one_service: usize, of_all: usize) -> Self {
        self.max_series = Some((of_one_service, of_all));
        self
    }

    /// Writes requests in flight down in this directory, which must be there, and brings those into the history
    /// that a process has left which ended without notice: see [`Apm::interrupted`]. By default they are lost.
    #[must_use]
    pub fn in_flight(mut self, directory: impl Into<PathBuf>) -> Self {
        self.in_flight = Some(directory.into());
        self
    }

    /// Starts the collector.
    ///
    /// # Errors
    /// [`ErrorKind::Thread`] when its thread cannot be started, [`ErrorKind::History`] when no
    /// history was given and a temporary one cannot be made.
    pub fn build(self) -> Result<Apm, Error> {
        let history = match self.history {
            Some(history) => history,
            None => {
                let history = SqliteHistory::temporary(SqliteOptions::default());
                Arc::new(history.map_err(|error| Error::with_source(ErrorKind::History, error))?)
            }
        };
        let (notes, found) = match self.in_flight.map(|directory| Notes::open(&directory)).transpose() {
            Ok(opened) => opened.unzip(),
            Err(error) => {
                tracing::warn!(%error, "requests in flight are not written down");
                (None, None)
            }
        };
        let found = found.unwrap_or_default();
        let interrupted = found.iter().flat_map(|found: &Found| found.requests.clone()).collect();
        let marks = Arc::new(Marks::new());
        let shared = Arc::new(Shared {
            service: self.service,
            node: self.node,
            ticks: Ticks::new(),
            rings: Rings::new(self.ring_capacity),
            active: ActiveTable::new(self.active_slots),
            live: LiveState::new(self.recent_points),
            marks: marks.clone(),
            not_kept: AtomicU64::new(0),
            exemplars: Exemplars::default(),
            outbox: OnceLock::new(),
            noted_us: AtomicU64::new(0),
            timeline: Arc::default(),
            runtime: Board::default(),
            interrupted: Mutex::new(interrupted),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::with_source(ErrorKind::Thread, error))?;
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let settings = Settings {
            flush_interval: self.flush_interval,
            max_routes: self.max_routes,
            keeping: self.keeping,
            notes,
            found,
        };
        let collector = Collector::new(shared.clone(), history.clone(), settings);
        std::thread::Builder::new()
            .name("iap-apm".into())
            .spawn(move || runtime.block_on(collector.run(inbox)))
            .map_err(|error| Error::with_source(ErrorKind::Thread, error))?;
        let mut otlp = OtlpService::new(history.clone()).following(marks, self.keeping.slow);
        if let Some((of_one_service, of_all)) = self.max_series {
            otlp = otlp.max_series(of_one_service, of_all);
        }
        Ok(Apm { otlp, history, shared, commands })
    }
}

impl fmt::Debug for ApmBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApmBuilder").field("service", &self.service).finish_non_exhaustive()
    }
}

/// The APM of a process: records, keeps, and shows. Cheap to clone.
///
/// The collector runs until [`Apm::shutdown`], or until this, its hooks, layers and their clones are
/// all dropped.
#[derive(Clone)]
pub struct Apm {
    shared: Arc<Shared>,
    history: Arc<dyn History>,
    commands: mpsc::Sender<Command>,
    otlp: OtlpService,
}

impl Apm {
    /// The defaults, to be changed.
    pub fn builder() -> ApmBuilder {
        ApmBuilder {
            history: None,
            service: "iap".into(),
            ring_capacity: 8_192,
            active_slots: 4_096,
            recent_points: 10_000,
            flush_interval: Duration::from_millis(200),
            max_routes: 200,
            keeping: Keeping::default(),
            max_series: None,
            in_flight: None,
            node: "node".into(),
        }
    }

    /// The observer for a server.
    pub fn hooks(&self) -> ApmHooks {
        ApmHooks { shared: self.shared.clone(), _collector: self.commands.clone() }
    }

    /// The layer that records an existing tower or axum service, for use without our server.
    pub fn tower_layer(&self) -> ApmTowerLayer {
        ApmTowerLayer::new(self.hooks())
    }

    /// The `tracing` layer that takes log lines, spans and SQL statements in.
    pub fn tracing_layer(&self) -> ApmLayer {
        ApmLayer::new(self.hooks())
    }

    /// The OTLP receiver, for HTTP and gRPC.
    pub fn otlp(&self) -> OtlpService {
        self.otlp.clone()
    }

    /// Where telemetry is kept and queried.
    pub fn history(&self) -> &Arc<dyn History> {
        &self.history
    }

    /// The last two minutes and what runs now.
    pub fn live(&self) -> LiveSnapshot {
        live::snapshot(&self.shared)
    }

    /// The requests that run now, and how long those of each route have been running.
    pub fn active(&self, limit: usize) -> ActiveView {
        live::view(&self.shared, limit)
    }

    /// The requests that were in flight when the process before this one ended without notice, with
    /// [`ApmBuilder::in_flight`]. In the history they are failed transactions with the error
    /// [`IN_FLIGHT_AT_CRASH`](crate::in_flight::IN_FLIGHT_AT_CRASH).
    pub fn interrupted(&self) -> Vec<Interrupted> {
        self.shared.interrupted.lock().clone()
    }

    /// Finished transactions from a sequence number on; begin with 0, go on with `next_seq`.
    pub fn recent_since(&self, seq: u64) -> RecentPoints {
        self.shared.live.recent_since(seq)
    }

    /// What could not be recorded since the start.
    pub fn dropped(&self) -> Dropped {
        self.shared.rings.dropped.read()
    }

    /// All metrics of the process as Prometheus text; `None` unless
    /// [`metrics::install`](crate::metrics::install) has succeeded.
    pub fn prometheus(&self) -> Option<String> {
        crate::metrics::publish(&self.shared);
        let readings = self.shared.runtime.last();
        crate::metrics::prometheus().map(|text| text + &crate::runtime::prometheus(&readings.view.readings))
    }

    /// The same as OpenMetrics 1.0. Each bucket of `iap_http_request_duration_seconds` names the last transaction
    /// in it that the history keeps.
    pub fn openmetrics(&self) -> Option<String> {
        self.prometheus().map(|text| crate::openmetrics::render(&text, &self.shared.exemplars))
    }

    /// Sends metrics and spans of this process to a collector, on `runtime`, until the exporter is stopped. Once
    /// for each APM: a second export has no spans.
    ///
    /// # Errors
    /// [`ErrorKind::Export`] when the endpoint cannot be used.
    pub fn export(&self, settings: ExportSettings, runtime: &Handle) -> Result<Exporter, Error> {
        let outbox = Arc::new(Outbox::default());
        let exporter = Exporter::start(self.clone(), settings.clone(), outbox.clone(), runtime)?;
        if settings.traces {
            let _ = self.shared.outbox.set(outbox);
        }
        Ok(exporter)
    }

    /// Puts an event on the time line that has lasted until now.
    pub fn event(&self, kind: EventKind, lasted: Duration, text: &str) {
        let duration_us = lasted.as_micros() as u64;
        let (time_us, node) = (self.shared.now_us().saturating_sub(duration_us), self.shared.node.clone());
        self.shared.event(TimelineEvent { time_us, duration_us, kind, node, text: text.to_owned() });
    }

    /// Samples the runtime until the sampler is dropped. `watched` says before each sample what there is.
    pub fn sample_runtime(
        &self,
        settings: RuntimeSettings,
        watched: impl Fn() -> Watched + Send + 'static,
        runtime: &Handle,
    ) -> RuntimeSampler {
        RuntimeSampler::start(self.shared.clone(), self.history.clone(), settings, watched, runtime)
    }

    /// The last sample of the runtime.
    pub fn runtime(&self) -> RuntimeView {
        self.shared.runtime.last().view.clone()
    }

    /// Asks a JVM of the last sample.
    ///
    /// # Errors
    /// [`AttachError`]: it is not known, not ours, does not answer or refuses.
    pub async fn ask_jvm(&self, pid: u32, command: JvmCommand) -> Result<JvmAnswer, AttachError> {
        self.shared.runtime.ask(pid, command).await
    }

    /// The name of this service.
    pub(crate) fn service(&self) -> &str {
        &self.shared.service
    }

    /// Waits until all that was recorded before the call can be queried.
    ///
    /// # Errors
    /// [`ErrorKind::History`] when the history refused it (what can be kept is tried again later),
    /// [`ErrorKind::Closed`] after shutdown.
    pub async fn flush(&self) -> Result<(), Error> {
        self.command(Command::Flush).await
    }

    /// Flushes and ends the collector; what is recorded afterwards is counted as dropped.
    ///
    /// # Errors
    /// As [`Apm::flush`].
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.command(Command::Stop).await
    }

    async fn command(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<(), Error>>) -> Command,
    ) -> Result<(), Error> {
        let (done, wait) = oneshot::channel();
        let closed = || Error::new(ErrorKind::Closed);
        self.commands.send(command(done)).await.map_err(|_| closed())?;
        wait.await.map_err(|_| closed())?
    }
}

impl fmt::Debug for Apm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Apm").field("service", &self.shared.service).finish_non_exhaustive()
    }
}
