//! What can be asked of a history.

use iap_core::{SpanId, TraceId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{HistoryError, HistoryErrorKind};
use crate::model::{EventKind, Level, TransactionSummary, Window, hex};

/// The most rows that one page holds.
pub const MAX_LIMIT: usize = 1_000;

/// The most steps of a series.
pub const MAX_SERIES_POINTS: u64 = 10_000;

/// The order of a listing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The latest start first.
    #[default]
    Newest,
    /// The longest first.
    Slowest,
}

/// Which HTTP statuses to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusFilter {
    /// One status.
    Exact(u16),
    /// All of a hundred: `5` for 500 to 599.
    Class(u8),
}

/// Which transactions to list. Fields that are `None` do not restrict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TransactionQuery {
    /// When they began.
    pub window: Window,
    /// Their route.
    pub route: Option<String>,
    /// The service that answered.
    pub service: Option<String>,
    /// Their HTTP status.
    pub status: Option<StatusFilter>,
    /// Only those that failed.
    #[serde(default)]
    pub errors_only: bool,
    /// Only those that took at least this long.
    pub min_duration_us: Option<u64>,
    /// Only those that took at most this long.
    #[serde(default)]
    pub max_duration_us: Option<u64>,
    /// Of one user.
    pub user: Option<String>,
    /// Of one session, by its key for operators.
    pub session: Option<String>,
    /// Rows on a page, at most [`MAX_LIMIT`].
    #[serde(default = "default_limit")]
    pub limit: usize,
    /// [`TransactionPage::next`] of the page before, asked with the same order.
    pub cursor: Option<String>,
    /// By time or by duration.
    #[serde(default)]
    pub order: Order,
}

impl TransactionQuery {
    /// The newest 100 in a window.
    pub fn new(window: Window) -> Self {
        Self {
            window,
            route: None,
            service: None,
            status: None,
            errors_only: false,
            min_duration_us: None,
            max_duration_us: None,
            user: None,
            session: None,
            limit: default_limit(),
            cursor: None,
            order: Order::Newest,
        }
    }
}

/// A page of transactions.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TransactionPage {
    /// The rows, in the order asked for.
    pub items: Vec<TransactionSummary>,
    /// Where the next page begins; `None` on the last one. Opaque.
    pub next: Option<String>,
}

/// Which series to compute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeriesQuery {
    /// The time it covers; the first step begins with it.
    pub window: Window,
    /// The length of a step; at most [`MAX_SERIES_POINTS`] steps fit a query.
    pub step_us: u64,
    /// Of one route, or of all.
    pub route: Option<String>,
}

impl SeriesQuery {
    /// How many steps there are.
    ///
    /// # Errors
    /// [`HistoryErrorKind::InvalidQuery`] when the step is zero, or there are too many.
    pub fn steps(&self) -> Result<u64, HistoryError> {
        match self.window.length_us().div_ceil(self.step_us.max(1)) {
            steps if self.step_us > 0 && steps <= MAX_SERIES_POINTS => Ok(steps),
            _ => {
                let message = "the step is too small for the window";
                Err(HistoryError::new(HistoryErrorKind::InvalidQuery, message))
            }
        }
    }
}

/// Which log lines to list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogQuery {
    /// When they were written.
    pub window: Window,
    /// Of one trace.
    #[serde(with = "hex::trace_opt", default)]
    pub trace_id: Option<TraceId>,
    /// At least this grave.
    pub min_level: Option<Level>,
    /// Of one service.
    #[serde(default)]
    pub service: Option<String>,
    /// With this text in the message; letters of ASCII match in both cases.
    #[serde(default)]
    pub contains: Option<String>,
    /// At most this many, capped by [`MAX_LIMIT`].
    #[serde(default = "default_limit")]
    pub limit: usize,
}

impl LogQuery {
    /// The latest 100 of a window.
    pub fn new(window: Window) -> Self {
        Self {
            window,
            trace_id: None,
            min_level: None,
            service: None,
            contains: None,
            limit: default_limit(),
        }
    }

    /// The lines of one trace.
    pub fn of_trace(trace_id: TraceId) -> Self {
        Self { trace_id: Some(trace_id), limit: MAX_LIMIT, ..Self::new(Window::all()) }
    }
}

/// Events that last longer are found by their first so many microseconds only: ten minutes.
pub const MAX_EVENT_US: u64 = 600_000_000;

/// Which events of the time line to list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventQuery {
    /// They overlap it.
    pub window: Window,
    /// Of one kind.
    pub kind: Option<EventKind>,
    /// At most this many, the latest ones, capped by [`MAX_LIMIT`].
    pub limit: usize,
}

impl EventQuery {
    /// All of a window, as many as may be asked for.
    pub fn new(window: Window) -> Self {
        Self { window, kind: None, limit: MAX_LIMIT }
    }
}

fn default_limit() -> usize {
    100
}

/// A position in a listing: the sort key and, among equals, the ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) key: u64,
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
}

impl Cursor {
    pub(crate) fn of(order: Order, row: &TransactionSummary) -> Self {
        let key = match order {
            Order::Newest => row.start_us,
            Order::Slowest => row.duration_us,
        };
        Self { key, trace_id: row.trace_id, span_id: row.span_id }
    }

    pub(crate) fn write(&self) -> String {
        format!("{}-{}-{}", self.key, self.trace_id, self.span_id)
    }

    pub(crate) fn read(text: &str) -> Result<Self, HistoryError> {
        let mut parts = text.splitn(3, '-');
        let mut parse = || {
            let key = parts.next()?.parse().ok().filter(|key| i64::try_from(*key).is_ok())?;
            let trace_id = TraceId::from_hex(parts.next()?)?;
            Some(Self { key, trace_id, span_id: SpanId::from_hex(parts.next()?)? })
        };
        parse().ok_or_else(|| HistoryError::new(HistoryErrorKind::InvalidQuery, "not a cursor of a listing"))
    }
}
