//! How an APM is put together.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::active::ActiveTable;
use crate::apm::Apm;
use crate::bursts::Bursts;
use crate::collector::{Collector, Settings};
use crate::error::{Error, ErrorKind};
use crate::exemplars::Exemplars;
use crate::export::Outlet;
use crate::follow::Follows;
use crate::history::{History, SqliteHistory, SqliteOptions};
use crate::in_flight::{Found, Notes};
use crate::keeping::Keeping;
use crate::ledger::Books;
use crate::live::LiveState;
use crate::marks::Marks;
use crate::otlp::{OtlpQuota, OtlpService, OtlpToken, SqlParameters};
use crate::record::Rings;
use crate::runtime::Board;
use crate::shared::Shared;
use crate::ticks::Ticks;
use crate::timeline::Timeline;

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
    tokens: Vec<OtlpToken>,
    quota: OtlpQuota,
    parameters: SqlParameters,
    in_flight: Option<PathBuf>,
    node: String,
}

impl ApmBuilder {
    pub(crate) fn new() -> Self {
        Self {
            history: None,
            service: "iap".into(),
            ring_capacity: 8_192,
            active_slots: 4_096,
            recent_points: 10_000,
            flush_interval: Duration::from_millis(200),
            max_routes: 200,
            keeping: Keeping::default(),
            max_series: None,
            tokens: Vec::new(),
            quota: OtlpQuota::default(),
            parameters: SqlParameters::default(),
            in_flight: None,
            node: "node".into(),
        }
    }

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

    /// Records that a thread's ring holds until the collector comes by (each 50 ms, or when it is half full); by default
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

    /// Takes received telemetry only with one of these tokens; see [`OtlpService::tokens`].
    #[must_use]
    pub fn otlp_tokens(mut self, tokens: impl IntoIterator<Item = OtlpToken>) -> Self {
        self.tokens = tokens.into_iter().collect();
        self
    }

    /// How much is received of each service; see [`OtlpService::quota`].
    #[must_use]
    pub fn otlp_quota(mut self, quota: OtlpQuota) -> Self {
        self.quota = quota;
        self
    }

    /// What is kept of the values that statements were given; see [`OtlpService::sql_parameters`].
    #[must_use]
    pub fn sql_parameters(mut self, parameters: SqlParameters) -> Self {
        self.parameters = parameters;
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
        let (marks, bursts) = (Arc::new(Marks::new()), Arc::<Bursts>::default());
        let shared = Arc::new(Shared {
            service: self.service,
            node: self.node,
            ticks: Ticks::new(),
            rings: Rings::new(self.ring_capacity),
            active: ActiveTable::new(self.active_slots),
            live: LiveState::new(self.recent_points),
            marks: marks.clone(),
            follows: Follows::default(),
            books: Books::default(),
            exemplars: Exemplars::default(),
            outlet: Outlet::default(),
            bursts: bursts.clone(),
            noted_us: AtomicU64::new(0),
            timeline: Timeline::default(),
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
        let otlp = OtlpService::new(history.clone()).following(marks, self.keeping.slow).counting(bursts);
        let mut otlp = otlp.tokens(self.tokens).quota(self.quota).sql_parameters(self.parameters);
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
