//! The whole, put together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use iap_core::{SpanId, TraceContext, TraceId};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::await_point::{AwaitError, AwaitView};
use crate::bridge::ApmLayer;
use crate::builder::ApmBuilder;
use crate::collector::Command;
use crate::error::{Error, ErrorKind};
use crate::export::{ExportSettings, Exporter, Outbox, RemoteWriteSettings, RemoteWriter};
use crate::follow::{Follow, Followed};
use crate::history::History;
use crate::hooks::ApmHooks;
use crate::in_flight::Interrupted;
use crate::ledger::Ledger;
use crate::live::{self, ActiveView, LiveSnapshot, RecentPoints};
use crate::model::{EventKind, TimelineEvent};
use crate::otlp::OtlpService;
use crate::record::Dropped;
use crate::runtime::{
    AttachError, JvmAnswer, JvmCommand, RuntimeSampler, RuntimeSettings, RuntimeView, Watched,
};
use crate::shared::Shared;
use crate::tower_layer::ApmTowerLayer;

/// The APM of a process: records, keeps, and shows. Cheap to clone.
///
/// The collector runs until [`Apm::shutdown`], or until this, its hooks, layers and their clones are
/// all dropped.
#[derive(Clone)]
pub struct Apm {
    pub(crate) shared: Arc<Shared>,
    pub(crate) history: Arc<dyn History>,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) otlp: OtlpService,
}

impl Apm {
    /// The defaults, to be changed.
    pub fn builder() -> ApmBuilder {
        ApmBuilder::new()
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

    /// Where the tasks of a running transaction wait, told by its trace and its root span: those of embedded services, of
    /// layers, and what else runs in a [`Transaction::scope`](iap_core::Transaction::scope). Each is polled once, which its
    /// contract allows at any time; nothing else happens to it. Until somebody asks, a task that waits costs one clone of its
    /// waker. To be called on a tokio runtime; takes at most half a second, and the first time what it takes to read the
    /// program's debug information.
    ///
    /// # Errors
    /// [`AwaitError`]: it does not run, or has no task that waits.
    pub async fn await_points(&self, trace_id: TraceId, span_id: SpanId) -> Result<AwaitView, AwaitError> {
        let wanted = |context: &TraceContext| context.trace_id == trace_id && context.span_id == span_id;
        let running = self.shared.active.list();
        let transaction = running.into_iter().find(|transaction| wanted(&transaction.context));
        transaction.ok_or(AwaitError::NotRunning)?.tasks.ask().await
    }

    /// The requests that were in flight when the process before this one ended without notice, with
    /// [`ApmBuilder::in_flight`]. In the history they are failed transactions with the error
    /// [`IN_FLIGHT_AT_CRASH`](crate::in_flight::IN_FLIGHT_AT_CRASH).
    pub fn interrupted(&self) -> Vec<Interrupted> {
        self.shared.interrupted.lock().clone()
    }

    /// Keeps all transactions of somebody or something in the history from now on, for so long or for as long as the
    /// process runs; again for what is followed already, it changes until when. They are kept beside the
    /// [`ordinary`](crate::Keeping::ordinary) ones, up to [`important`](crate::Keeping::important) a second, and counted
    /// once as all are. `false` when [`MAX_FOLLOWED`](crate::MAX_FOLLOWED) are followed.
    pub fn follow(&self, what: Follow, lasting: Option<Duration>) -> bool {
        let now_us = self.shared.now_us();
        let until_us = lasting.map(|time| now_us.saturating_add(time.as_micros() as u64));
        self.shared.follows.begin(Followed { what, until_us }, now_us)
    }

    /// Ends that; whether it was followed.
    pub fn unfollow(&self, what: &Follow) -> bool {
        self.shared.follows.end(what)
    }

    /// Whom and what is followed.
    pub fn followed(&self) -> Vec<Followed> {
        self.shared.follows.list(self.shared.now_us())
    }

    /// Finished transactions from a sequence number on; begin with 0, go on with `next_seq`.
    pub fn recent_since(&self, seq: u64) -> RecentPoints {
        self.shared.live.recent_since(seq)
    }

    /// What could not be recorded since the start.
    pub fn dropped(&self) -> Dropped {
        self.shared.rings.dropped.read()
    }

    /// What became of each record since the start.
    pub fn ledger(&self) -> Ledger {
        let Shared { books, rings, .. } = &*self.shared;
        let dropped = rings.dropped.read();
        let [received_spans, received_logs, received_points] = self.otlp.accounts();
        Ledger {
            transactions: books.transactions.read(dropped.transactions + dropped.unfinished),
            spans: books.spans.read(dropped.spans),
            logs: books.logs.read(dropped.logs),
            received_spans,
            received_logs,
            received_points,
        }
    }

    /// All metrics of the process as Prometheus text; `None` unless
    /// [`metrics::install`](crate::metrics::install) has succeeded.
    pub fn prometheus(&self) -> Option<String> {
        crate::metrics::publish(&self.shared);
        crate::metrics::publish_ledger(&self.ledger());
        let readings = self.shared.runtime.last();
        crate::metrics::prometheus().map(|text| text + &crate::runtime::prometheus(&readings.view.readings))
    }

    /// The same as OpenMetrics 1.0. Each bucket of `iap_http_request_duration_seconds` names the last transaction
    /// in it that the history keeps.
    pub fn openmetrics(&self) -> Option<String> {
        self.prometheus().map(|text| crate::openmetrics::render(&text, &self.shared.exemplars))
    }

    /// Sends metrics, spans and log lines of this process to a collector, on `runtime`, until the exporter is stopped. Once
    /// for each APM: a second export has metrics only.
    ///
    /// # Errors
    /// [`ErrorKind::Export`] when the endpoint cannot be used.
    pub fn export(&self, settings: ExportSettings, runtime: &Handle) -> Result<Exporter, Error> {
        let outbox = Arc::new(Outbox::new(settings.traces, settings.logs));
        let exporter = Exporter::start(self.clone(), settings.clone(), outbox.clone(), runtime)?;
        if settings.traces || settings.logs {
            self.shared.outlet.open(outbox);
        }
        Ok(exporter)
    }

    /// Begins to send the metrics of the process by Prometheus' remote write, by a task on `runtime`.
    ///
    /// # Errors
    /// [`ErrorKind::Export`](crate::ErrorKind::Export) when the settings cannot be used.
    pub fn remote_write(
        &self,
        settings: RemoteWriteSettings,
        runtime: &Handle,
    ) -> Result<RemoteWriter, Error> {
        RemoteWriter::start(self.clone(), settings, runtime)
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
