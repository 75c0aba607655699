//! Failures that are the same but for what they name.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Basis, DRILL_STEPS, Example, Gather, Sampled, step_of, step_us};
use crate::history::TransactionQuery;
use crate::model::{Span, SpanStatus, Window};
use crate::text;

/// The most groups of an answer.
pub const MAX_ERROR_GROUPS: usize = 500;
/// Rows of failed transactions that are read, the latest ones.
pub(in crate::history) const MAX_FAILED_ROWS: usize = 50_000;
/// Groups that are told apart while they are counted; of others only the number is known.
const MAX_GROUPS: usize = 5_000;
/// Examples of a group.
const MAX_EXAMPLES: usize = 3;
/// Bytes of the name of a kind.
const MAX_KIND: usize = 200;

/// Which failures to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorsQuery {
    /// When the transactions began.
    pub window: Window,
    /// Of transactions of this route.
    pub route: Option<String>,
    /// Of this service.
    pub service: Option<String>,
    /// At most this many groups, capped by [`MAX_ERROR_GROUPS`].
    pub limit: usize,
}

impl ErrorsQuery {
    /// The 100 largest groups of a window.
    pub fn new(window: Window) -> Self {
        Self { window, route: None, service: None, limit: 100 }
    }

    /// The transactions that it is about.
    pub(crate) fn failed(&self) -> TransactionQuery {
        TransactionQuery {
            route: self.route.clone(),
            service: self.service.clone(),
            errors_only: true,
            ..TransactionQuery::new(self.window)
        }
    }
}

/// What has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorSource {
    /// A transaction: all of them are counted.
    Transaction,
    /// A span inside one, which may have gone well for all that: counted by what [`Basis`] says.
    Span,
}

/// Failures that are the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ErrorGroup {
    /// What has failed.
    pub source: ErrorSource,
    /// The stable name of the failure: an exception's type, a kind of ours, or the status.
    pub kind: String,
    /// The message, with `<*>` for what differs. Untrusted text.
    pub message: String,
    /// The route of the transactions.
    pub route: String,
    /// The service that told.
    pub service: String,
    /// The span's name, or the method of a request; of the latest.
    pub operation: String,
    /// How often.
    pub count: u64,
    /// When the first one began.
    pub first_us: u64,
    /// When the last one did.
    pub last_us: u64,
    /// The latest ones.
    pub examples: Vec<Example>,
    /// How often, step by step.
    pub series: Vec<u64>,
}

impl ErrorGroup {
    /// What tells it from another one of its source.
    fn names(&self) -> [&str; 4] {
        [&self.kind, &self.message, &self.route, &self.service]
    }
}

/// The failures of a window.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ErrorAnswer {
    /// What the groups of spans are made of.
    pub basis: Basis,
    /// Failed transactions, by weight.
    pub failed: u64,
    /// Whether there are more failed transactions than were read; the latest were.
    pub failed_truncated: bool,
    /// The window of the series.
    pub window: Window,
    /// The length of a step of the series.
    pub step_us: u64,
    /// The most frequent first; transactions before spans.
    pub groups: Vec<ErrorGroup>,
    /// How many more there are.
    pub more: u64,
}

/// A failed transaction.
pub(in crate::history) struct FailedRow<'a> {
    pub(in crate::history) service: &'a str,
    pub(in crate::history) route: &'a str,
    pub(in crate::history) method: &'a str,
    pub(in crate::history) status: u16,
    pub(in crate::history) error: Option<&'a str>,
    pub(in crate::history) message: Option<&'a str>,
    pub(in crate::history) weight: u64,
    pub(in crate::history) example: Example,
}

type Key = (ErrorSource, String, String, String, String);

struct Group {
    operation: String,
    count: u64,
    first_us: u64,
    last_us: u64,
    examples: Vec<Example>,
    series: Vec<u64>,
}

/// Gathers failures.
pub(in crate::history) struct ErrorGather {
    query: ErrorsQuery,
    groups: HashMap<Key, Group>,
    failed: u64,
    failed_truncated: bool,
}

impl ErrorGather {
    pub(in crate::history) fn new(query: ErrorsQuery) -> Self {
        Self { query, groups: HashMap::new(), failed: 0, failed_truncated: false }
    }

    /// A transaction that failed; whether more may come.
    pub(in crate::history) fn failed(&mut self, row: &FailedRow<'_>) {
        self.failed = self.failed.saturating_add(row.weight);
        let status = || format!("HTTP {}", row.status);
        let kind = row.error.map_or_else(status, |kind| text::cut(kind, MAX_KIND).to_owned());
        let message = text::template(row.message.unwrap_or_default());
        let key = (ErrorSource::Transaction, kind, message, row.route.to_owned(), row.service.to_owned());
        self.add(key, row.method, row.weight, row.example.clone());
    }

    /// Not all failed transactions were read.
    pub(in crate::history) fn cut(&mut self) {
        self.failed_truncated = true;
    }

    fn add(&mut self, key: Key, operation: &str, weight: u64, example: Example) {
        if self.groups.len() >= MAX_GROUPS && !self.groups.contains_key(&key) {
            return;
        }
        let at_us = example.start_us;
        let group = self.groups.entry(key).or_insert_with(|| Group {
            operation: operation.to_owned(),
            count: 0,
            first_us: at_us,
            last_us: 0,
            examples: Vec::new(),
            series: vec![0; DRILL_STEPS as usize],
        });
        group.count = group.count.saturating_add(weight);
        group.first_us = group.first_us.min(at_us);
        if at_us > group.last_us {
            group.last_us = at_us;
            operation.clone_into(&mut group.operation);
        }
        let step = &mut group.series[step_of(self.query.window, at_us)];
        *step = step.saturating_add(weight);
        let at = group.examples.partition_point(|other| other.start_us >= at_us);
        if at < MAX_EXAMPLES {
            group.examples.insert(at, example);
            group.examples.truncate(MAX_EXAMPLES);
        }
    }

    pub(in crate::history) fn finish(self, basis: Basis) -> ErrorAnswer {
        let mut groups: Vec<ErrorGroup> = self
            .groups
            .into_iter()
            .map(|((source, kind, message, route, service), group)| {
                let scaled = |count| if source == ErrorSource::Span { basis.scaled(count) } else { count };
                ErrorGroup {
                    source,
                    kind,
                    message,
                    route,
                    service,
                    operation: group.operation,
                    count: scaled(group.count),
                    first_us: group.first_us,
                    last_us: group.last_us,
                    examples: group.examples,
                    series: group.series.into_iter().map(scaled).collect(),
                }
            })
            .collect();
        groups.sort_by(|a, b| {
            let order = a.source.cmp(&b.source).then_with(|| b.count.cmp(&a.count));
            order.then_with(|| a.names().cmp(&b.names()))
        });
        let limit = self.query.limit.clamp(1, MAX_ERROR_GROUPS);
        let more = groups.len().saturating_sub(limit) as u64;
        groups.truncate(limit);
        ErrorAnswer {
            basis,
            failed: self.failed,
            failed_truncated: self.failed_truncated,
            window: self.query.window,
            step_us: step_us(self.query.window),
            groups,
            more,
        }
    }
}

impl Gather for ErrorGather {
    fn trace(&mut self, of: &Sampled, spans: &[Span]) {
        for span in spans.iter().filter(|span| span.status == SpanStatus::Error) {
            // A transaction's own span is counted as one.
            let own = of.entries.contains(&span.span_id);
            let wanted = self.query.service.as_ref().is_none_or(|service| *service == span.service);
            if own || !wanted {
                continue;
            }
            let Some((kind, message)) = failure(of, span) else { continue };
            let key = (ErrorSource::Span, kind, message, of.route.clone(), span.service.clone());
            self.add(key, &span.name, of.weight, Example::of(of, span));
        }
    }
}

/// What a failed span says: the kind and the template of its message. `None` for a stage that says no more than what its
/// transaction answered.
fn failure(of: &Sampled, span: &Span) -> Option<(String, String)> {
    let thrown = span.events.iter().rev().find(|event| event.name == "exception");
    let of_thrown = |name| thrown.and_then(|event| event.attributes.get(name)?.as_str());
    let kind = of_thrown("exception.type").or_else(|| span.text("error.type"));
    let message = span.error.as_deref().or_else(|| of_thrown("exception.message"));
    let is_stage = span.parent_id.is_some_and(|parent| of.entries.contains(&parent));
    if kind.is_none() && message.is_none() && is_stage {
        return None;
    }
    let status = || {
        let status = span.attributes.get("http.response.status_code")?.as_u64()?;
        Some(format!("HTTP {status}"))
    };
    let kind = kind.map(|kind| text::cut(kind, MAX_KIND).to_owned()).or_else(status);
    Some((kind.unwrap_or_else(|| "error".to_owned()), text::template(message.unwrap_or_default())))
}
