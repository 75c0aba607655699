//! The history in a ClickHouse, for more telemetry than one machine holds, and for several gateways together.
//!
//! Each kind of record has a table whose key is what tells two records apart, so what comes twice is merged into one
//! ([`ReplacingMergeTree`]); queries do the same for what is not merged yet, so it counts once from the beginning.
//! Percentiles are computed of the same buckets as in the embedded engine, and so are the same.
//!
//! A batch is written kind by kind, the transactions last. If the server fails in between, the batch is refused and what
//! is written of it stays; it counts once when the batch comes again.
//!
//! [`ReplacingMergeTree`]: https://clickhouse.com/docs/engines/table-engines/mergetree-family/replacingmergetree

mod client;
mod encode;
mod failure;
mod figures;
mod lines;
mod listing;
mod metrics;
mod place;
mod points;
mod rows;
mod sample;
mod schema;
mod span_groups;
mod traces;
mod writer;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use iap_core::upstream::UpstreamTls;
use iap_core::{Clock, SystemClock, TraceId};
use tokio::runtime::Handle;
use tokio::sync::{OnceCell, Semaphore, mpsc, oneshot};

use self::client::Client;
use self::failure::unavailable;
use self::writer::Job;
use super::drill::{EdgeGather, ErrorGather, StatementGather};
use super::{
    Batch, ErrorAnswer, ErrorsQuery, EventQuery, History, HistoryResult, LogQuery, MetricAnswer, MetricInfo,
    MetricNamesQuery, MetricQuery, Points, SeriesQuery, ServiceMap, SpanGroups, SpanGroupsQuery,
    StatementAnswer, StatementsQuery, TransactionPage, TransactionQuery,
};
use crate::error::{HistoryError, HistoryErrorKind};
use crate::model::{LinkedFrom, LogLine, RouteCounts, RouteStats, SeriesPoint, TimelineEvent, Trace, Window};

pub use self::place::check_url;

/// Batches that may wait for the writer; beyond, [`HistoryErrorKind::Overloaded`].
const QUEUE: usize = 64;
/// Queries that run at the same time; the others wait.
const READERS: usize = 8;

/// How long ClickHouse keeps each kind of record, counted from its arrival. What is older goes by whole days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Transactions, and so figures of routes.
    pub transactions: Duration,
    /// Spans, and links between them.
    pub spans: Duration,
    /// Log lines.
    pub logs: Duration,
    /// Series, points and exemplars of metrics.
    pub metrics: Duration,
    /// Events of the time line.
    pub events: Duration,
}

impl Retention {
    /// The longest time that can be set for a kind: ten years.
    pub const LONGEST: Duration = Duration::from_secs(3_650 * 86_400);

    /// The same for all kinds.
    pub fn of_all(time: Duration) -> Self {
        Self { transactions: time, spans: time, logs: time, metrics: time, events: time }
    }
}

/// Where a ClickHouse is, and how it is used.
#[derive(Clone)]
pub struct ClickHouseSettings {
    /// `http://` or `https://`, a host, perhaps a port (8123, or 8443 with TLS, unless given) and a path.
    pub url: String,
    /// The database, a plain name; made if it is not there.
    pub database: String,
    /// Who we are; the server's `default` user when absent.
    pub user: Option<String>,
    /// The password, which is never shown.
    pub password: Option<String>,
    /// For an `https://` address.
    pub tls: Option<UpstreamTls>,
    /// How long one statement may take.
    pub timeout: Duration,
    /// The shortest time between two writes. What comes meanwhile is written together, since a server takes few large
    /// blocks better than many small ones.
    pub pace: Duration,
    /// What this process is called in the column `node`.
    pub node: String,
    /// How long records are kept.
    pub retention: Retention,
    /// Decides when something arrived.
    pub clock: Arc<dyn Clock>,
}

impl ClickHouseSettings {
    /// The database `iap`, 30 s a statement, five writes a second, all kept for 30 days.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            database: "iap".to_owned(),
            user: None,
            password: None,
            tls: None,
            timeout: Duration::from_secs(30),
            pace: Duration::from_millis(200),
            node: String::new(),
            retention: Retention::of_all(Duration::from_secs(30 * 86_400)),
            clock: Arc::new(SystemClock),
        }
    }
}

impl fmt::Debug for ClickHouseSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClickHouseSettings")
            .field("url", &self.url)
            .field("database", &self.database)
            .field("user", &self.user)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}

/// A [`History`] in a ClickHouse.
///
/// The server need not be there when this is made: tables are made or brought up to date before the first use, and until
/// that has worked each call is refused as [`Unavailable`](HistoryErrorKind::Unavailable). Any number of processes may
/// use one database.
pub struct ClickHouseHistory {
    shared: Arc<Shared>,
    jobs: mpsc::Sender<Job>,
    /// Where all sockets live, whoever asks.
    runtime: Handle,
    readers: Arc<Semaphore>,
}

/// What the writer and the readers share.
struct Shared {
    client: Client,
    settings: ClickHouseSettings,
    prepared: OnceCell<()>,
}

impl Shared {
    /// The way to tables that are there.
    async fn client(&self) -> Result<&Client, HistoryError> {
        let prepare = || schema::prepare(&self.client, &self.settings.database, &self.settings.retention);
        self.prepared.get_or_try_init(prepare).await?;
        Ok(&self.client)
    }
}

impl ClickHouseHistory {
    /// Begins to use a server, by tasks on `runtime`. Does no I/O itself.
    ///
    /// # Errors
    /// [`HistoryErrorKind::Unavailable`] when the settings cannot be used; the text says which.
    pub fn open(settings: ClickHouseSettings, runtime: &Handle) -> Result<Self, HistoryError> {
        if !is_plain_name(&settings.database) {
            return Err(unavailable("the database needs a plain name: letters, digits and _"));
        }
        let client = Client::new(&settings)?;
        let shared = Arc::new(Shared { client, settings, prepared: OnceCell::new() });
        let (jobs, queue) = mpsc::channel(QUEUE);
        // It ends once what was accepted is written, when the other end is dropped.
        runtime.spawn(writer::run(shared.clone(), queue));
        Ok(Self { shared, jobs, runtime: runtime.clone(), readers: Arc::new(Semaphore::new(READERS)) })
    }

    /// Waits until the tables are there.
    ///
    /// # Errors
    /// As of any query: when the server cannot be reached, refuses the user, or has tables of a later version.
    pub async fn ready(&self) -> Result<(), HistoryError> {
        self.read(async |_| Ok(())).await
    }

    fn read<'a, T, F, Fut>(&'a self, query: F) -> HistoryResult<'a, T>
    where
        T: Send + 'static,
        F: FnOnce(Arc<Shared>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, HistoryError>> + Send + 'static,
    {
        Box::pin(async move {
            let permit = self.readers.clone().acquire_owned().await.map_err(|_| closed())?;
            let shared = self.shared.clone();
            let read = self.runtime.spawn(async move {
                let _permit = permit;
                shared.client().await?;
                query(shared).await
            });
            // Whoever asked may go, and the query with it.
            let mut read = AbortOnDrop(read);
            (&mut read.0).await.map_err(|_| closed())?
        })
    }
}

struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl History for ClickHouseHistory {
    fn append(&self, batch: Arc<Batch>) -> HistoryResult<'_, ()> {
        Box::pin(async move {
            if batch.is_empty() {
                return Ok(());
            }
            let (done, wait) = oneshot::channel();
            self.jobs.try_send(Job { batch, done }).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => {
                    HistoryError::new(HistoryErrorKind::Overloaded, "too many batches wait to be written")
                }
                mpsc::error::TrySendError::Closed(_) => closed(),
            })?;
            wait.await.map_err(|_| closed())?
        })
    }

    fn transactions<'a>(&'a self, query: &'a TransactionQuery) -> HistoryResult<'a, TransactionPage> {
        let query = query.clone();
        self.read(async move |shared| listing::transactions(&shared.client, &query).await)
    }

    fn trace(&self, trace_id: TraceId) -> HistoryResult<'_, Option<Trace>> {
        self.read(async move |shared| traces::trace(&shared.client, trace_id, None).await)
    }

    fn trace_near(&self, trace_id: TraceId, near: Window) -> HistoryResult<'_, Option<Trace>> {
        self.read(async move |shared| traces::trace(&shared.client, trace_id, Some(near)).await)
    }

    fn linked_from(&self, trace_id: TraceId, _near: Option<Window>) -> HistoryResult<'_, Vec<LinkedFrom>> {
        self.read(async move |shared| traces::linked_from(&shared.client, trace_id).await)
    }

    fn route_stats(&self, window: Window) -> HistoryResult<'_, Vec<RouteStats>> {
        self.read(async move |shared| figures::route_stats(&shared.client, window).await)
    }

    fn route_counts<'a>(
        &'a self,
        window: Window,
        limits_us: &'a [u64],
    ) -> HistoryResult<'a, Vec<RouteCounts>> {
        let limits_us = limits_us.to_vec();
        self.read(async move |shared| figures::route_counts(&shared.client, window, &limits_us).await)
    }

    fn series<'a>(&'a self, query: &'a SeriesQuery) -> HistoryResult<'a, Vec<SeriesPoint>> {
        let query = query.clone();
        self.read(async move |shared| figures::series(&shared.client, &query).await)
    }

    fn logs<'a>(&'a self, query: &'a LogQuery) -> HistoryResult<'a, Vec<LogLine>> {
        let query = query.clone();
        self.read(async move |shared| lines::logs(&shared.client, &query).await)
    }

    fn events<'a>(&'a self, query: &'a EventQuery) -> HistoryResult<'a, Vec<TimelineEvent>> {
        let query = query.clone();
        self.read(async move |shared| lines::events(&shared.client, &query).await)
    }

    fn metric_names<'a>(&'a self, query: &'a MetricNamesQuery) -> HistoryResult<'a, Vec<MetricInfo>> {
        let query = query.clone();
        self.read(async move |shared| metrics::names(&shared.client, &query).await)
    }

    fn metric<'a>(&'a self, query: &'a MetricQuery) -> HistoryResult<'a, MetricAnswer> {
        let query = query.clone();
        self.read(async move |shared| metrics::evaluate(&shared.client, &query).await)
    }

    fn points<'a>(&'a self, query: &'a TransactionQuery, limit: usize) -> HistoryResult<'a, Points> {
        let query = query.clone();
        self.read(async move |shared| points::points(&shared.client, &query, limit).await)
    }

    fn statements<'a>(&'a self, query: &'a StatementsQuery) -> HistoryResult<'a, StatementAnswer> {
        let query = query.clone();
        self.read(async move |shared| {
            let (window, route) = (query.window, query.route.clone());
            let mut gather = StatementGather::new(query);
            let basis = sample::read(&shared.client, window, route.as_deref(), &mut gather).await?;
            Ok(gather.finish(basis))
        })
    }

    fn errors<'a>(&'a self, query: &'a ErrorsQuery) -> HistoryResult<'a, ErrorAnswer> {
        let query = query.clone();
        self.read(async move |shared| {
            let mut gather = ErrorGather::new(query.clone());
            sample::failed(&shared.client, &query, &mut gather).await?;
            let (window, route) = (query.window, query.route.as_deref());
            let basis = sample::read(&shared.client, window, route, &mut gather).await?;
            Ok(gather.finish(basis))
        })
    }

    fn span_groups<'a>(&'a self, query: &'a SpanGroupsQuery) -> HistoryResult<'a, SpanGroups> {
        let query = query.clone();
        self.read(async move |shared| span_groups::groups(&shared.client, &query).await)
    }

    fn edges(&self, window: Window) -> HistoryResult<'_, ServiceMap> {
        self.read(async move |shared| {
            let mut gather = EdgeGather::default();
            let basis = sample::read(&shared.client, window, None, &mut gather).await?;
            Ok(gather.finish(basis))
        })
    }
}

impl fmt::Debug for ClickHouseHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClickHouseHistory").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

/// Whether it can be a part of a statement as it is.
fn is_plain_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.len() <= 64 && name.bytes().all(plain) && !name.as_bytes()[0].is_ascii_digit()
}

/// Whether a name can be that of the database.
///
/// # Errors
/// What is wrong with it.
pub fn check_database(name: &str) -> Result<(), &'static str> {
    if is_plain_name(name) { Ok(()) } else { Err("a plain name is needed: letters, digits and `_`") }
}

fn closed() -> HistoryError {
    HistoryError::new(HistoryErrorKind::Closed, "the history was shut down")
}

/// Integers of times and amounts are those that the embedded engine can hold, too.
fn clamp(value: u64) -> u64 {
    value.min(i64::MAX as u64)
}

#[cfg(test)]
mod tests;
