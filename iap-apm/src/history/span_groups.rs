//! Figures of spans, grouped by what they say of themselves.
//!
//! Of every kept span, not of a sample. Engines may hold them by the minute, so windows are whole minutes.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::OTHER_ROUTES;
use crate::error::{HistoryError, HistoryErrorKind};
use crate::model::{SpanKind, SpanStatus, Window};
use crate::sketch::Sketch;

/// The most columns that spans are grouped by.
pub const MAX_SPAN_COLUMNS: usize = 3;
/// The most groups that an answer holds.
pub const MAX_SPAN_GROUPS: usize = 1_000;
/// Groups that are told apart while they are counted; what is beyond is called `other` in each column.
const MAX_TOLD_APART: usize = 10_000;
pub(super) const MINUTE_US: u64 = 60_000_000;

/// What spans are grouped and chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpanColumn {
    /// The service that reported them.
    Service,
    /// Their name: of a server's span often its method and route, of a client's what it asks for.
    Name,
    /// `internal`, `server`, `client`, `producer` or `consumer`.
    Kind,
    /// `unset`, `ok` or `error`.
    Status,
}

impl SpanColumn {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Service, Self::Name, Self::Kind, Self::Status];

    /// Its name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Name => "name",
            Self::Kind => "kind",
            Self::Status => "status",
        }
    }

    /// The column of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|column| column.as_str() == name)
    }
}

/// The order of groups. Those that are equal come by their names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpanGroupOrder {
    /// Where the most time is spent first.
    #[default]
    TotalTime,
    /// The most spans first.
    Count,
    /// The most errors first.
    Errors,
    /// The highest 95th percentile first.
    P95,
}

/// How to group spans.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanGroupsQuery {
    /// When they began; widened to whole minutes.
    pub window: Window,
    /// One to [`MAX_SPAN_COLUMNS`] columns, each once.
    pub by: Vec<SpanColumn>,
    /// Only spans with these values.
    pub only: Vec<(SpanColumn, String)>,
    /// Which come first.
    pub order: SpanGroupOrder,
    /// How many groups, at most [`MAX_SPAN_GROUPS`].
    pub limit: usize,
}

impl SpanGroupsQuery {
    /// By some columns, where the most time is spent first.
    pub fn new(window: Window, by: impl Into<Vec<SpanColumn>>) -> Self {
        Self { window, by: by.into(), only: Vec::new(), order: SpanGroupOrder::default(), limit: 100 }
    }

    /// The whole minutes that have the window in them.
    pub(crate) fn minutes(&self) -> Window {
        let Window { from_us, to_us } = self.window;
        let to_us = to_us.checked_next_multiple_of(MINUTE_US).unwrap_or(to_us);
        Window::new(from_us - from_us % MINUTE_US, to_us)
    }

    pub(crate) fn check(&self) -> Result<(), HistoryError> {
        let refused = |message| Err(HistoryError::new(HistoryErrorKind::InvalidQuery, message));
        let twice = |(at, column): (usize, &SpanColumn)| self.by[..at].contains(column);
        match self.by.len() {
            0 => refused("spans are grouped by at least one column"),
            1..=MAX_SPAN_COLUMNS if self.by.iter().enumerate().any(twice) => refused("a column stands twice"),
            1..=MAX_SPAN_COLUMNS => Ok(()),
            _ => refused("spans are grouped by at most three columns"),
        }
    }
}

/// Spans that say the same of themselves. Percentiles are read from buckets, within 1.6 %.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SpanGroup {
    /// The value of each column that was asked for, in that order.
    pub values: Vec<String>,
    /// Spans.
    pub count: u64,
    /// Those with the status `error`.
    pub errors: u64,
    /// The sum of their durations.
    pub total_us: u64,
    /// Half of them were at most this long.
    pub p50_us: u64,
    /// 95 % of them were at most this long.
    pub p95_us: u64,
    /// 99 % of them were at most this long.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

/// Groups of spans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SpanGroups {
    /// The whole minutes that were looked at.
    pub window: Window,
    /// Kept spans in it that were asked for.
    pub spans: u64,
    /// Groups that there are, also those beyond the limit.
    pub found: usize,
    /// The first of them.
    pub groups: Vec<SpanGroup>,
}

/// What a span says of itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpanClass<'a> {
    pub(crate) service: &'a str,
    pub(crate) name: &'a str,
    pub(crate) kind: SpanKind,
    pub(crate) status: SpanStatus,
}

impl<'a> SpanClass<'a> {
    fn value(&self, column: SpanColumn) -> &'a str {
        match column {
            SpanColumn::Service => self.service,
            SpanColumn::Name => self.name,
            SpanColumn::Kind => self.kind.as_str(),
            SpanColumn::Status => self.status.as_str(),
        }
    }
}

/// The place of a group among those that are counted.
pub(crate) type GroupId = usize;

#[derive(Default)]
struct Counted {
    errors: u64,
    durations: Sketch,
}

/// Adds groups up.
pub(crate) struct SpanGather<'a> {
    query: &'a SpanGroupsQuery,
    known: HashMap<Vec<String>, GroupId>,
    counted: Vec<Counted>,
}

impl<'a> SpanGather<'a> {
    pub(crate) fn new(query: &'a SpanGroupsQuery) -> Self {
        Self { query, known: HashMap::new(), counted: Vec::new() }
    }

    /// The group of a class of spans; `None` when it was not asked for.
    pub(crate) fn group(&mut self, class: &SpanClass<'_>) -> Option<GroupId> {
        if !self.query.only.iter().all(|(column, value)| class.value(*column) == value) {
            return None;
        }
        let full = self.known.len() >= MAX_TOLD_APART;
        let values: Vec<String> =
            self.query.by.iter().map(|column| class.value(*column).to_owned()).collect();
        let values = match full && !self.known.contains_key(&values) {
            true => vec![OTHER_ROUTES.to_owned(); values.len()],
            false => values,
        };
        let next = self.counted.len();
        let id = *self.known.entry(values).or_insert(next);
        if id == next {
            self.counted.push(Counted::default());
        }
        Some(id)
    }

    /// Adds to a group what `add` adds to its durations; whether they are of spans that failed.
    pub(crate) fn add<T>(&mut self, id: GroupId, failed: bool, add: impl FnOnce(&mut Sketch) -> T) -> T {
        let Counted { errors, durations } = &mut self.counted[id];
        let before = durations.count();
        let answer = add(durations);
        if failed {
            *errors += durations.count() - before;
        }
        answer
    }

    pub(crate) fn finish(self) -> SpanGroups {
        let Self { query, known, mut counted } = self;
        let group = |(values, id): (Vec<String>, GroupId)| {
            let Counted { errors, durations } = std::mem::take(&mut counted[id]);
            SpanGroup {
                values,
                count: durations.count(),
                errors,
                total_us: durations.total(),
                p50_us: durations.percentile(50),
                p95_us: durations.percentile(95),
                p99_us: durations.percentile(99),
                max_us: durations.max(),
            }
        };
        let mut groups: Vec<SpanGroup> =
            known.into_iter().map(group).filter(|group| group.count > 0).collect();
        let key = |group: &SpanGroup| match query.order {
            SpanGroupOrder::TotalTime => group.total_us,
            SpanGroupOrder::Count => group.count,
            SpanGroupOrder::Errors => group.errors,
            SpanGroupOrder::P95 => group.p95_us,
        };
        groups.sort_by(|a, b| key(b).cmp(&key(a)).then_with(|| a.values.cmp(&b.values)));
        let (spans, found) = (groups.iter().map(|group| group.count).sum(), groups.len());
        groups.truncate(query.limit.clamp(1, MAX_SPAN_GROUPS));
        SpanGroups { window: query.minutes(), spans, found, groups }
    }
}
