//! Application performance monitoring: every request a transaction with its call tree, kept and
//! found again.
//!
//! ```
//! use std::sync::Arc;
//!
//! use iap_apm::{Apm, SqliteHistory, SqliteOptions, TransactionQuery, Window};
//! use iap_core::hooks::{Begin, Finish, Hooks, Stage};
//! use iap_core::Connection;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let history = Arc::new(SqliteHistory::temporary(SqliteOptions::default())?);
//! let apm = Apm::builder().service_name("shop").history(history).build()?;
//!
//! // A server calls the hooks; here it is done by hand.
//! let hooks = apm.hooks();
//! let connection = Arc::new(Connection::new(([192, 0, 2, 7], 4711).into(), ([127, 0, 0, 1], 80).into(), false));
//! let transaction = hooks.begin(&Begin {
//!     connection: &connection,
//!     method: &http::Method::GET,
//!     path: "/orders/7",
//!     query: None,
//!     host: "shop.example",
//!     version: http::Version::HTTP_11,
//!     parent: None,
//! });
//! hooks.routed(&transaction, &"orders".into());
//! let span = hooks.start(&transaction, Stage::Handler, None);
//! hooks.end(&transaction, span, Default::default());
//! hooks.finish(
//!     transaction,
//!     Finish { status: http::StatusCode::OK, bytes_out: 12, error: None, message: None },
//! );
//!
//! apm.flush().await?;
//! let page = apm.history().transactions(&TransactionQuery::new(Window::all())).await?;
//! assert_eq!(page.items[0].route, "orders");
//! let trace = apm.history().trace(page.items[0].trace_id).await?.expect("recorded");
//! let tree = trace.tree();
//! assert_eq!(tree.roots[0].span.name, "GET orders");
//! assert_eq!(tree.roots[0].children[0].span.name, "handler");
//! # Ok(())
//! # }
//! ```
//!
//! # The way of a span
//!
//! hooks, tracing bridge → ring of the thread → collector → live feed, metrics, history; OTLP goes
//! straight to the history and is answered once that has committed. Nothing on the serving threads
//! blocks; what does not fit is counted ([`Dropped`]). Under load the history keeps a part of the
//! ordinary transactions ([`Keeping`]); the live feed and the metrics count all.
//!
//! # Modules
//!
//! | module | what |
//! |---|---|
//! | [`model`] | transactions, spans, log lines, traces and their trees |
//! | [`history`] | the store's trait, its queries, the embedded SQLite engine |
//! | [`hooks`] | the observer that the pipeline calls |
//! | [`bridge`] | `tracing` events and spans, SQL statements |
//! | [`tower_layer`] | the APM inside an existing tower or axum service |
//! | [`otlp`] | the OTLP receiver, HTTP and gRPC |
//! | [`export`] | our own metrics, spans and log lines to a collector, by OTLP; metrics by Prometheus' remote write |
//! | [`live`] | the last two minutes, running transactions, points of the scatter |
//! | [`in_flight`] | requests that were in flight at a crash |
//! | [`runtime`] | event loops, processes, the machine, JVMs |
//! | [`metrics`] | Prometheus text |
//! | [`sql`] | the shape of an SQL statement |
//! | `testing` | the conformance suite for histories (feature `testing`) |

mod active;
mod apm;
mod await_point;
pub mod bridge;
mod builder;
mod bursts;
mod collector;
mod error;
mod exemplars;
pub mod export;
mod follow;
pub mod history;
pub mod hooks;
pub mod in_flight;
mod keeping;
mod ledger;
pub mod live;
mod marks;
pub mod metrics;
pub mod model;
mod openmetrics;
pub mod otlp;
mod record;
pub mod runtime;
mod shared;
mod sketch;
pub mod sql;
mod stages;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod text;
mod ticks;
mod timeline;
pub mod tower_layer;

pub use apm::Apm;
pub use await_point::{AwaitError, AwaitView, Awaited};
pub use bridge::ApmLayer;
pub use builder::ApmBuilder;
pub use error::{Error, ErrorKind, HistoryError, HistoryErrorKind};
pub use export::{ExportProtocol, ExportSettings, Exporter, RemoteWriteSettings, RemoteWriter};
pub use follow::{Follow, Followed, MAX_FOLLOWED};
pub use history::{
    Batch, ClickHouseHistory, ClickHouseSettings, ErrorsQuery, EventQuery, History, LogQuery, MetricAnswer,
    MetricFunction, MetricGroup, MetricInfo, MetricNamesQuery, MetricQuery, Order, Points, Retention,
    Rollups, SeriesExemplars, SeriesPoints, SeriesQuery, SqliteHistory, SqliteOptions, StatementsQuery,
    StatusFilter, TraceSpans, TransactionPage, TransactionQuery,
};
pub use hooks::{ApmHooks, ApmTransaction};
pub use in_flight::Interrupted;
pub use keeping::Keeping;
pub use ledger::{Account, Ledger};
pub use live::{
    ActiveRoute, ActiveTransaction, ActiveView, BANDS_US, LiveSecond, LiveSnapshot, RecentPoint, RecentPoints,
};
pub use model::{
    EventKind, LinkedFrom, LogLine, MetricExemplar, MetricKind, MetricPoint, MetricSeries, MetricValue,
    RouteCounts, RouteStats, SeriesPoint, Servers, Source, Span, SpanKind, SpanLink, SpanNode, SpanStatus,
    Temporality, TimelineEvent, Trace, TraceTree, TransactionSummary, UNROUTED, Window, value_class,
};
pub use otlp::{OtlpQuota, OtlpService, OtlpToken, SqlParameters};
pub use record::Dropped;
pub use runtime::{RuntimeSampler, RuntimeSettings, RuntimeView, Watched, WatchedProcess, WatchedServer};
pub use tower_layer::ApmTowerLayer;
