//! The history: where finished transactions, spans and log lines are kept and found again.
//!
//! [`History`] is what an engine implements. The embedded one is [`SqliteHistory`], [`ClickHouseHistory`] is for more than
//! one machine; others (a Tempo) can implement the same trait, and all who read go through it.

mod clickhouse;
mod codec;
mod drill;
mod evaluate;
mod metric_query;
mod points;
mod query;
mod span_groups;
mod spans;
mod sqlite;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use iap_core::TraceId;

use crate::error::{HistoryError, HistoryErrorKind};
use crate::model::{
    LinkedFrom, LogLine, MetricExemplar, MetricPoint, MetricSeries, RouteCounts, RouteStats, SeriesPoint,
    TimelineEvent, Trace, TransactionSummary, Window,
};

pub use clickhouse::{ClickHouseHistory, ClickHouseSettings, Retention, check_database, check_url};
pub use drill::{
    Basis, DRILL_STEPS, Edge, ErrorAnswer, ErrorGroup, ErrorSource, ErrorsQuery, Example, MAX_EDGES,
    MAX_ERROR_GROUPS, MAX_STATEMENTS, NodeKind, ServiceMap, ServiceNode, Statement, StatementAnswer,
    StatementCaller, StatementDetail, StatementOrder, StatementsQuery, statement_id,
};
pub use evaluate::Evaluation;
pub use metric_query::{
    MAX_EXEMPLARS, MAX_GROUPS, MAX_METRICS, MAX_VALUES, MetricAnswer, MetricFunction, MetricGroup,
    MetricInfo, MetricNamesQuery, MetricQuery,
};
pub use points::{Cell, Grid, MAX_POINTS, POINT_COLUMNS, Point, Points};
pub use query::{
    EventQuery, LogQuery, MAX_EVENT_US, MAX_LIMIT, MAX_SERIES_POINTS, Order, SeriesQuery, StatusFilter,
    TransactionPage, TransactionQuery,
};
pub use span_groups::{
    MAX_SPAN_COLUMNS, MAX_SPAN_GROUPS, SpanColumn, SpanGroup, SpanGroupOrder, SpanGroups, SpanGroupsQuery,
};
pub use spans::TraceSpans;
#[cfg(test)]
pub(crate) use spans::unpack;
pub(crate) use spans::{Head, Origin, unpack_within};
pub use sqlite::{Evicted, Rollups, SqliteHistory, SqliteOptions};

/// The most links to a trace that are told.
pub const MAX_LINKED_FROM: usize = 128;

/// The most spans of a trace that are read; one that has more is [truncated](Trace::truncated).
pub const MAX_TRACE_SPANS: usize = 20_000;

/// The most log lines of a trace that are read; one that has more is truncated, too.
pub const MAX_TRACE_LINES: usize = 5_000;

/// The most bytes of a trace's spans, about as they lie in memory, that are read; one that has more is truncated, too.
pub const MAX_TRACE_BYTES: usize = 64 << 20;

/// The most routes that figures tell apart; those beyond are together as [`OTHER_ROUTES`].
pub const MAX_ROUTES: usize = 1_000;

/// What routes beyond [`MAX_ROUTES`] are called.
pub const OTHER_ROUTES: &str = "other";

/// A boxed future, so that [`History`] can be a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a call of [`History`] answers.
pub type HistoryResult<'a, T> = BoxFuture<'a, Result<T, HistoryError>>;

/// Points of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesPoints {
    /// The series.
    pub series: MetricSeries,
    /// Some of its points.
    pub points: Vec<MetricPoint>,
}

/// Exemplars of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesExemplars {
    /// The series.
    pub series: MetricSeries,
    /// Some of its exemplars.
    pub exemplars: Vec<MetricExemplar>,
}

/// What is written at once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Finished transactions.
    pub transactions: Vec<TransactionSummary>,
    /// Finished spans, also of transactions that still run or are not known here.
    pub spans: Vec<TraceSpans>,
    /// Log lines, with or without a trace.
    pub logs: Vec<LogLine>,
    /// Points of metrics.
    pub metrics: Vec<SeriesPoints>,
    /// Exemplars of series that have points in the same batch.
    pub exemplars: Vec<SeriesExemplars>,
    /// Events of the time line.
    pub events: Vec<TimelineEvent>,
}

impl Batch {
    /// The spans of a trace, to be added to; `places` is where in the batch those of each trace are.
    pub(crate) fn trace(
        &mut self,
        places: &mut HashMap<TraceId, usize>,
        trace_id: TraceId,
    ) -> &mut TraceSpans {
        let at = *places.entry(trace_id).or_insert_with(|| {
            self.spans.push(TraceSpans::new(trace_id));
            self.spans.len() - 1
        });
        &mut self.spans[at]
    }

    /// How many spans it holds.
    pub(crate) fn span_count(&self) -> usize {
        self.spans.iter().map(TraceSpans::len).sum()
    }

    /// How many points of metrics it holds.
    pub(crate) fn point_count(&self) -> usize {
        self.metrics.iter().map(|series| series.points.len()).sum()
    }

    /// How many records it holds.
    pub(crate) fn records(&self) -> usize {
        let points = self.point_count();
        let exemplars = self.exemplars.iter().map(|series| series.exemplars.len()).sum::<usize>();
        self.transactions.len() + self.span_count() + self.logs.len() + self.events.len() + points + exemplars
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.transactions.is_empty()
            && self.spans.is_empty()
            && self.logs.is_empty()
            && self.metrics.is_empty()
            && self.exemplars.is_empty()
            && self.events.is_empty()
    }
}

/// A store of telemetry.
///
/// Contract for engines:
/// - `append` answers `Ok` only once the batch survives the end of the process (`kill -9`) and is
///   seen by every query that begins afterwards. A refused batch has left nothing behind, or, in an engine that writes
///   to several places, records that count once when the batch comes again.
/// - The same batch may come twice (a sender that lost our answer): a transaction is told apart by
///   trace and span id, a span by its id inside the trace, a log line by all of its content, a point of a metric by its
///   series and its two times, an event by all of its content.
/// - Spans may come before, with or long after their transaction; [`History::trace`] merges them.
/// - Listings and aggregates agree: of each trace they take the transactions of the first
///   [`Source`](crate::model::Source) present.
/// - Aggregates count each transaction by its [`weight`](TransactionSummary::weight).
/// - Queries are bounded by the limits in them. All content came from outside and is data only.
/// - Futures are driven by a tokio runtime and may be dropped at any await point.
pub trait History: Send + Sync + 'static {
    /// Writes a batch. [`HistoryErrorKind::Overloaded`] and
    /// `Full` mean that the caller keeps it and comes back, or counts it as lost.
    fn append(&self, batch: Arc<Batch>) -> HistoryResult<'_, ()>;

    /// Lists transactions; the next page continues after [`TransactionPage::next`].
    fn transactions<'a>(&'a self, query: &'a TransactionQuery) -> HistoryResult<'a, TransactionPage>;

    /// All that is known of a trace; `None` when nothing is.
    fn trace(&self, trace_id: TraceId) -> HistoryResult<'_, Option<Trace>>;

    /// The same where it is known about when the trace was: an engine may look there first, and at all else only when
    /// there is nothing.
    fn trace_near(&self, trace_id: TraceId, _near: Window) -> HistoryResult<'_, Option<Trace>> {
        self.trace(trace_id)
    }

    /// Spans that link to a trace, the earliest first, at most [`MAX_LINKED_FROM`]. With `near`, about when the trace was,
    /// an engine may leave out what came much later. An engine that keeps no such index has none.
    fn linked_from(&self, _trace_id: TraceId, _near: Option<Window>) -> HistoryResult<'_, Vec<LinkedFrom>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// What each route did in the window, by falling total time.
    fn route_stats(&self, window: Window) -> HistoryResult<'_, Vec<RouteStats>>;

    /// How many transactions of each route failed, and how many of the others took no longer than each of
    /// `limits_us`; by name.
    fn route_counts<'a>(
        &'a self,
        window: Window,
        limits_us: &'a [u64],
    ) -> HistoryResult<'a, Vec<RouteCounts>>;

    /// What happened step by step, steps without transactions included.
    fn series<'a>(&'a self, query: &'a SeriesQuery) -> HistoryResult<'a, Vec<SeriesPoint>>;

    /// Log lines by time, the latest `limit` of them.
    fn logs<'a>(&'a self, query: &'a LogQuery) -> HistoryResult<'a, Vec<LogLine>>;

    /// The metrics that were reported in a window, by name; at most [`MAX_METRICS`].
    fn metric_names<'a>(&'a self, query: &'a MetricNamesQuery) -> HistoryResult<'a, Vec<MetricInfo>>;

    /// What one metric did step by step, computed by an [`Evaluation`].
    fn metric<'a>(&'a self, query: &'a MetricQuery) -> HistoryResult<'a, MetricAnswer>;

    /// Events of the time line, oldest first. An engine without one has none.
    fn events<'a>(&'a self, _query: &'a EventQuery) -> HistoryResult<'a, Vec<TimelineEvent>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// The scatter of what a listing would have, whatever its order and page: at most `limit` points, capped by
    /// [`MAX_POINTS`], and a grid beyond. This and the next four are refused by an engine that has no such queries.
    fn points<'a>(&'a self, _query: &'a TransactionQuery, _limit: usize) -> HistoryResult<'a, Points> {
        not_offered()
    }

    /// SQL statements by their shape.
    fn statements<'a>(&'a self, _query: &'a StatementsQuery) -> HistoryResult<'a, StatementAnswer> {
        not_offered()
    }

    /// Failed transactions and spans, by what they say.
    fn errors<'a>(&'a self, _query: &'a ErrorsQuery) -> HistoryResult<'a, ErrorAnswer> {
        not_offered()
    }

    /// Spans by what they say of themselves: all that are kept, not a sample.
    fn span_groups<'a>(&'a self, _query: &'a SpanGroupsQuery) -> HistoryResult<'a, SpanGroups> {
        not_offered()
    }

    /// Who calls whom.
    fn edges(&self, _window: Window) -> HistoryResult<'_, ServiceMap> {
        not_offered()
    }
}

fn not_offered<'a, T: Send + 'a>() -> HistoryResult<'a, T> {
    let message = "this history has no such query";
    Box::pin(std::future::ready(Err(HistoryError::new(HistoryErrorKind::InvalidQuery, message))))
}
