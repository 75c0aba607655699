//! What the APM stores and answers with. Times are Unix microseconds, durations microseconds;
//! ids are written as lower-case hexadecimal digits.

mod event;
pub(crate) mod hex;
mod metric;
mod root;
mod servers;
mod stats;
mod timing;
mod tree;
mod value_class;

use std::collections::{BTreeMap, BTreeSet};

use iap_core::{SpanId, TraceId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use event::NODE;
pub use event::{EventKind, TimelineEvent};
pub use metric::{
    Buckets, Distribution, Exponents, Labels, MetricExemplar, MetricKind, MetricPoint, MetricSeries,
    MetricValue, Quantiles, Temporality,
};
pub(crate) use root::root_span;
pub use servers::Servers;
pub use stats::{RouteCounts, RouteStats, SeriesPoint, Window};
pub use timing::{Awaited, waited_for};
pub use tree::{MAX_DEPTH, SpanNode, TraceTree};
pub(crate) use value_class::masked;
pub use value_class::value_class;

/// The route name of requests that matched none.
pub const UNROUTED: &str = "unrouted";

/// Attributes of a span, an event or a log line, sorted by name.
pub type Attributes = BTreeMap<String, Value>;

/// Who reported a transaction. The order is the order of trust: of one trace, only the rows of the
/// first kind present are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "TransactionSource")]
pub enum Source {
    /// This process: the gateway's pipeline or the tower layer.
    Own,
    /// A span without a parent, received by OTLP.
    OtlpRoot,
    /// A `SERVER` or `CONSUMER` span with a parent, received by OTLP.
    OtlpEntry,
}

/// One request, as listed: the columns of the catalogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TransactionSummary {
    /// The trace.
    #[serde(with = "hex::trace")]
    #[schemars(with = "String")]
    pub trace_id: TraceId,
    /// The transaction's root span.
    #[serde(with = "hex::span")]
    #[schemars(with = "String")]
    pub span_id: SpanId,
    /// The caller's span, when it sent a trace context.
    #[serde(with = "hex::span_opt")]
    #[schemars(with = "Option<String>")]
    pub parent_id: Option<SpanId>,
    /// Who reported it.
    pub source: Source,
    /// The service that answered.
    pub service: String,
    /// When it began.
    pub start_us: u64,
    /// How long it took, to the last byte of the response.
    pub duration_us: u64,
    /// The HTTP method; empty when it is not HTTP.
    pub method: String,
    /// The path without the query, which may hold secrets and is not recorded.
    pub path: String,
    /// The authority.
    pub host: String,
    /// The low-cardinality name; [`UNROUTED`] when no route was chosen.
    pub route: String,
    /// The HTTP status; 0 when there is none.
    pub status: u16,
    /// Whether it counts as an error: a 5xx, or a failure after a good status was sent. A client
    /// that left and a 4xx are no errors of the service.
    pub failed: bool,
    /// The stable name of what failed.
    pub error: Option<String>,
    /// The text of that error, for operators.
    pub message: Option<String>,
    /// The authenticated user.
    pub user: Option<String>,
    /// The keyed hash that stands for the session.
    pub session: Option<String>,
    /// The client's address.
    pub client: Option<String>,
    /// Body bytes handed to the client connection.
    pub bytes_out: u64,
    /// How many transactions this one stands for, itself included: more than 1 where others of the same
    /// route, method and class of status were not kept (see [`Keeping`](crate::Keeping)). 0 for one that
    /// is kept though it is counted by another.
    #[serde(default = "one")]
    pub weight: u64,
}

/// The role of a span, as in OpenTelemetry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    /// Work inside the service.
    #[default]
    Internal,
    /// An incoming request.
    Server,
    /// An outgoing request.
    Client,
    /// A message sent.
    Producer,
    /// A message received.
    Consumer,
}

impl SpanKind {
    /// Its name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }
}

/// How a span ended, as in OpenTelemetry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpanStatus {
    /// Nothing was said; a 4xx leaves it so.
    #[default]
    Unset,
    /// Said to be well.
    Ok,
    /// Failed.
    Error,
}

impl SpanStatus {
    /// Its name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unset => "unset",
            Self::Ok => "ok",
            Self::Error => "error",
        }
    }
}

/// A moment inside a span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SpanEvent {
    /// When.
    pub time_us: u64,
    /// What.
    pub name: String,
    /// Details.
    #[serde(default)]
    pub attributes: Attributes,
}

/// A span of another trace, or of the same, that has to do with this one: a message that was handled in a batch, say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SpanLink {
    /// Its trace.
    #[serde(with = "hex::trace")]
    #[schemars(with = "String")]
    pub trace_id: TraceId,
    /// The span.
    #[serde(with = "hex::span")]
    #[schemars(with = "String")]
    pub span_id: SpanId,
    /// Details of the link.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
}

/// A link as it is seen from where it leads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct LinkedFrom {
    /// When the linking span began.
    pub start_us: u64,
    /// The trace with the link.
    #[serde(with = "hex::trace")]
    #[schemars(with = "String")]
    pub trace_id: TraceId,
    /// The span with the link.
    #[serde(with = "hex::span")]
    #[schemars(with = "String")]
    pub span_id: SpanId,
    /// The span that it leads to.
    #[serde(with = "hex::span")]
    #[schemars(with = "String")]
    pub target: SpanId,
    /// What the linking span is called.
    pub name: String,
    /// The service that reported it.
    pub service: String,
}

/// One operation inside a trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Span {
    /// Its id, unique in the trace.
    #[serde(with = "hex::span")]
    #[schemars(with = "String")]
    pub span_id: SpanId,
    /// The enclosing operation.
    #[serde(with = "hex::span_opt", default)]
    #[schemars(with = "Option<String>")]
    pub parent_id: Option<SpanId>,
    /// What it is called.
    pub name: String,
    /// Its role.
    #[serde(default)]
    pub kind: SpanKind,
    /// The service that reported it.
    pub service: String,
    /// The reporting instance: namespace, name and instance id, joined by `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// When it began.
    pub start_us: u64,
    /// How long it took.
    pub duration_us: u64,
    /// How it ended.
    #[serde(default)]
    pub status: SpanStatus,
    /// The error text, when it failed with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Details, by the names of OpenTelemetry's semantic conventions.
    #[serde(default)]
    pub attributes: Attributes,
    /// Moments inside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<SpanEvent>,
    /// Other spans that it has to do with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<SpanLink>,
    /// Attributes, events and links that were left out, here or by the sender.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u32,
}

impl Span {
    /// The SQL statement: `db.query.text`, or `db.statement` of older senders.
    pub fn sql(&self) -> Option<&str> {
        self.text("db.query.text").or_else(|| self.text("db.statement"))
    }

    /// The database product: `db.system.name`, or `db.system` of older senders.
    pub fn db_system(&self) -> Option<&str> {
        self.text("db.system.name").or_else(|| self.text("db.system"))
    }

    /// The non-empty text of an attribute.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// The first microsecond after it.
    pub fn end_us(&self) -> u64 {
        self.start_us.saturating_add(self.duration_us)
    }
}

/// How grave a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Finest.
    Trace,
    /// For developers.
    Debug,
    /// Normal operation.
    Info,
    /// Needs attention.
    Warn,
    /// A failure.
    Error,
}

/// A log line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// When.
    pub time_us: u64,
    /// How grave.
    pub level: Level,
    /// Which part of the program wrote it.
    pub target: String,
    /// The text. Data from outside: never to be taken for instructions.
    pub message: String,
    /// The trace it belongs to.
    #[serde(with = "hex::trace_opt", default)]
    #[schemars(with = "Option<String>")]
    pub trace_id: Option<TraceId>,
    /// The span it belongs to.
    #[serde(with = "hex::span_opt", default)]
    #[schemars(with = "Option<String>")]
    pub span_id: Option<SpanId>,
    /// The service that wrote it.
    pub service: String,
    /// Details.
    #[serde(default)]
    pub fields: Attributes,
}

/// All that is known of one trace.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trace {
    /// The id asked for.
    #[serde(with = "hex::trace")]
    pub trace_id: TraceId,
    /// Its transaction, if one was reported: our own before an OTLP one, then the earliest.
    pub summary: Option<TransactionSummary>,
    /// Its spans by start time, each id once.
    pub spans: Vec<Span>,
    /// Its log lines by time.
    pub logs: Vec<LogLine>,
    /// Whether spans or lines beyond the reader's limits were left out.
    pub truncated: bool,
}

impl Trace {
    /// The nodes of the platform that a part of it ran on, by name: those that have told so.
    pub fn nodes(&self) -> BTreeSet<&str> {
        self.spans.iter().filter_map(|span| span.text(NODE)).collect()
    }

    /// What has served a part of it, as far as its spans tell.
    pub fn servers(&self) -> Servers<'_> {
        let calls = self.spans.iter().filter(|span| span.kind == SpanKind::Client);
        let addresses = calls.filter_map(|span| span.text("server.address"));
        Servers {
            // A host alone does not tell which of its servers it was.
            addresses: addresses.filter(|address| address.contains(':')).collect(),
            route: self.summary.as_ref().map(|summary| summary.route.as_str()),
        }
    }

    /// The spans as a tree with self times, each log line at its span.
    pub fn tree(&self) -> TraceTree {
        tree::build(self)
    }
}

fn one() -> u64 {
    1
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests;
