//! Our own metrics, spans, log lines and events of the time line to a collector, by OTLP, and metrics to a Prometheus by its
//! [remote write](RemoteWriter). What was received is never sent on, so a collector may be behind us, in front of us, or ourselves.
//!
//! Source: OTLP 1.11, <https://opentelemetry.io/docs/specs/otlp/>, on what may be sent again and when.
//!
//! Every interval the metrics of the process, all that [`metrics::prometheus`](crate::metrics::prometheus)
//! shows, are taken as one request; spans and lines follow as the history gets them, so of transactions that are not
//! [kept](crate::Keeping) there are none. Requests wait in a queue of a bounded length and are sent one after
//! the other. While the collector is away the first one is tried again with growing pauses, and the oldest are
//! dropped for new ones. Nothing of this is on the way of a request.
//!
//! Each record (a point, a span, a line) is counted once in the end, see [`Ledger`]; as
//! `iap_apm_export_records_total{signal,result}` it is in the metrics, too.

mod answer;
mod ledger;
mod logs;
mod outbox;
mod own;
mod parts;
mod queue;
mod remote_write;
mod sender;
mod spans;
mod task;
mod transport;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use iap_core::upstream::UpstreamTls;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use self::ledger::Books;
use self::task::Task;
use self::transport::Transport;
use crate::apm::Apm;
use crate::error::Error;

pub use ledger::Ledger;
pub(crate) use outbox::{Outbox, Outlet};
pub(crate) use own::sample;
pub use remote_write::{RemoteWriteSettings, RemoteWriter, check_remote_write, is_label};
pub use spans::trace_as_otlp;
pub use transport::check_endpoint;

/// The shortest time between two takings of metrics.
const LEAST_INTERVAL: Duration = Duration::from_secs(1);

/// How requests are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ExportProtocol {
    /// OTLP/HTTP: `POST` of protobuf to `/v1/metrics`, `/v1/traces` and `/v1/logs` below the endpoint.
    #[default]
    Http,
    /// OTLP/gRPC, over HTTP/2 with TLS or without.
    Grpc,
}

/// Where to, what and how often.
#[derive(Clone)]
pub struct ExportSettings {
    /// `http://` or `https://`, a host, perhaps a port (4318 for HTTP, 4317 for gRPC unless given), and for HTTP
    /// perhaps a path.
    pub endpoint: String,
    /// How requests are sent.
    pub protocol: ExportProtocol,
    /// Fields of each request, such as a token. They are never shown.
    pub headers: HeaderMap,
    /// How often metrics are taken; at least a second.
    pub interval: Duration,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// Whether metrics are sent.
    pub metrics: bool,
    /// Whether spans are sent.
    pub traces: bool,
    /// Whether log lines are sent, and events of the time line with them.
    pub logs: bool,
    /// For an `https://` endpoint.
    pub tls: Option<UpstreamTls>,
}

impl ExportSettings {
    /// Metrics each minute by HTTP, 10 s an attempt.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            protocol: ExportProtocol::Http,
            headers: HeaderMap::new(),
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            metrics: true,
            traces: false,
            logs: false,
            tls: None,
        }
    }
}

impl fmt::Debug for ExportSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportSettings")
            .field("endpoint", &self.endpoint)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    Metrics,
    Traces,
    Logs,
    RemoteWrite,
}

impl Signal {
    fn as_str(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Traces => "traces",
            Self::Logs => "logs",
            Self::RemoteWrite => "remote_write",
        }
    }
}

/// A running export. Dropping it ends it without a last attempt.
pub struct Exporter {
    books: Arc<Books>,
    running: Running,
}

impl Exporter {
    pub(crate) fn start(
        apm: Apm,
        settings: ExportSettings,
        outbox: Arc<Outbox>,
        runtime: &Handle,
    ) -> Result<Self, Error> {
        let transport = Transport::new(&settings)?;
        let books = outbox.books.clone();
        let task = Task::new(apm, settings, transport, outbox);
        Ok(Self { books, running: Running::start(runtime, |stopped| task.run(stopped)) })
    }

    /// What became of all metrics points until now.
    pub fn metrics(&self) -> Ledger {
        self.books.metrics.read()
    }

    /// What became of all spans until now.
    pub fn traces(&self) -> Ledger {
        self.books.traces.read()
    }

    /// What became of all log lines and events until now.
    pub fn logs(&self) -> Ledger {
        self.books.logs.read()
    }

    /// Takes the metrics once more, sends what waits as long as that works and there is time, and ends. What is
    /// left is counted as dropped.
    pub async fn stop(&self, at_most: Duration) {
        self.running.stop(at_most).await;
    }
}

/// A task that is told when to end, and how much time it has for that.
struct Running {
    stop: Mutex<Option<oneshot::Sender<Duration>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Running {
    fn start<F>(runtime: &Handle, task: impl FnOnce(oneshot::Receiver<Duration>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel();
        Self { stop: Mutex::new(Some(stop)), task: Mutex::new(Some(runtime.spawn(task(stopped)))) }
    }

    async fn stop(&self, at_most: Duration) {
        if let Some(stop) = self.stop.lock().take() {
            let _ = stop.send(at_most);
        }
        let task = self.task.lock().take();
        if let Some(task) = task {
            let _ = task.await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut() {
            task.abort();
        }
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter")
            .field("metrics", &self.metrics())
            .field("traces", &self.traces())
            .field("logs", &self.logs())
            .finish()
    }
}

#[cfg(test)]
mod tests;
