//! What the assistant can read. There is no way to write through it.

use std::fmt;
use std::sync::Arc;

use iap_apm::history::{BoxFuture, EventQuery};
use iap_apm::{
    History, HistoryError, LogLine, LogQuery, MetricAnswer, MetricInfo, MetricNamesQuery, MetricQuery,
    RouteStats, SeriesPoint, SeriesQuery, TimelineEvent, Trace, TransactionPage, TransactionQuery, Window,
};
use iap_core::{BoxError, TraceId};
use serde::Serialize;

use crate::estate::Estate;

/// The sessions at this moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct SessionStats {
    /// Sessions that have not expired.
    pub active: u64,
    /// Their store, as far as it tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreNumbers>,
}

/// What a session store tells of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct StoreNumbers {
    /// The kind of store: `memory`, `redis`.
    pub backend: &'static str,
    /// Whether sessions were counted, not estimated.
    pub exact: bool,
    /// Bytes in use, if known.
    pub bytes: Option<u64>,
    /// Sessions that expired since the start, as far as the store knows.
    pub expired: u64,
    /// Sessions that were dropped for want of room since the start.
    pub evicted: u64,
}

/// Where the numbers of sessions come from; the host implements it over its session store.
pub trait SessionSource: Send + Sync + 'static {
    /// The sessions at this moment.
    fn stats(&self) -> BoxFuture<'_, Result<SessionStats, BoxError>>;
}

/// Reading failed. The text is for operators.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// The history did not answer.
    #[error("the history could not be read")]
    History(#[source] HistoryError),
    /// The session store did not answer.
    #[error("the sessions could not be read")]
    Sessions(#[source] BoxError),
}

impl TelemetryError {
    /// Whether the same question may work later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::History(error) => error.is_retryable(),
            Self::Sessions(_) => true,
        }
    }
}

impl From<HistoryError> for TelemetryError {
    fn from(error: HistoryError) -> Self {
        Self::History(error)
    }
}

/// What a query of [`Telemetry`] answers.
pub type Reading<'a, T> = BoxFuture<'a, Result<T, TelemetryError>>;

/// Sessions and history, read-only. All text in what it gives came from outside and is data only.
pub trait Telemetry: Send + Sync + 'static {
    /// The sessions at this moment; `None` without a session store.
    fn sessions(&self) -> Reading<'_, Option<SessionStats>>;
    /// What each route did in a window.
    fn route_stats(&self, window: Window) -> Reading<'_, Vec<RouteStats>>;
    /// Transactions.
    fn transactions<'a>(&'a self, query: &'a TransactionQuery) -> Reading<'a, TransactionPage>;
    /// All of one trace.
    fn trace(&self, trace_id: TraceId) -> Reading<'_, Option<Trace>>;
    /// What happened step by step.
    fn series<'a>(&'a self, query: &'a SeriesQuery) -> Reading<'a, Vec<SeriesPoint>>;
    /// Log lines.
    fn logs<'a>(&'a self, query: &'a LogQuery) -> Reading<'a, Vec<LogLine>>;
    /// The metrics of applications.
    fn metric_names<'a>(&'a self, query: &'a MetricNamesQuery) -> Reading<'a, Vec<MetricInfo>>;
    /// One of them, step by step.
    fn metric<'a>(&'a self, query: &'a MetricQuery) -> Reading<'a, MetricAnswer>;
    /// Events of the time line.
    fn events<'a>(&'a self, query: &'a EventQuery) -> Reading<'a, Vec<TimelineEvent>>;
    /// Users, servers, processes and changes; `None` where nobody tells of them.
    fn estate(&self) -> Option<&dyn Estate>;
}

/// [`Telemetry`] of this process: its history and, if there is one, its session store.
#[derive(Clone)]
pub struct Live {
    history: Arc<dyn History>,
    sessions: Option<Arc<dyn SessionSource>>,
    estate: Option<Arc<dyn Estate>>,
}

impl Live {
    /// Reads a history.
    pub fn new(history: Arc<dyn History>) -> Self {
        Self { history, sessions: None, estate: None }
    }

    /// Reads the sessions too.
    #[must_use]
    pub fn with_sessions(mut self, sessions: Arc<dyn SessionSource>) -> Self {
        self.sessions = Some(sessions);
        self
    }

    /// Knows of users, servers, processes and changes too.
    #[must_use]
    pub fn with_estate(mut self, estate: Arc<dyn Estate>) -> Self {
        self.estate = Some(estate);
        self
    }
}

impl Telemetry for Live {
    fn sessions(&self) -> Reading<'_, Option<SessionStats>> {
        Box::pin(async move {
            match &self.sessions {
                Some(sessions) => sessions.stats().await.map(Some).map_err(TelemetryError::Sessions),
                None => Ok(None),
            }
        })
    }

    fn route_stats(&self, window: Window) -> Reading<'_, Vec<RouteStats>> {
        Box::pin(async move { Ok(self.history.route_stats(window).await?) })
    }

    fn transactions<'a>(&'a self, query: &'a TransactionQuery) -> Reading<'a, TransactionPage> {
        Box::pin(async move { Ok(self.history.transactions(query).await?) })
    }

    fn trace(&self, trace_id: TraceId) -> Reading<'_, Option<Trace>> {
        Box::pin(async move { Ok(self.history.trace(trace_id).await?) })
    }

    fn series<'a>(&'a self, query: &'a SeriesQuery) -> Reading<'a, Vec<SeriesPoint>> {
        Box::pin(async move { Ok(self.history.series(query).await?) })
    }

    fn logs<'a>(&'a self, query: &'a LogQuery) -> Reading<'a, Vec<LogLine>> {
        Box::pin(async move { Ok(self.history.logs(query).await?) })
    }

    fn metric_names<'a>(&'a self, query: &'a MetricNamesQuery) -> Reading<'a, Vec<MetricInfo>> {
        Box::pin(async move { Ok(self.history.metric_names(query).await?) })
    }

    fn metric<'a>(&'a self, query: &'a MetricQuery) -> Reading<'a, MetricAnswer> {
        Box::pin(async move { Ok(self.history.metric(query).await?) })
    }

    fn events<'a>(&'a self, query: &'a EventQuery) -> Reading<'a, Vec<TimelineEvent>> {
        Box::pin(async move { Ok(self.history.events(query).await?) })
    }

    fn estate(&self) -> Option<&dyn Estate> {
        self.estate.as_deref()
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("sessions", &self.sessions.is_some()).finish_non_exhaustive()
    }
}
