//! Events on the time line, and which of them a transaction met.

use axum::extract::State;
use axum::response::Json;
use iap_apm::{Apm, EventKind, EventQuery, HistoryError, TimelineEvent, Trace, Window};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::AdminState;
use super::error::ApiResult;
use super::params::Params;
use super::telemetry::{Range, apm};

/// Events that a transaction lists.
const MAX_MET: usize = 100;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TimelineQuery {
    last_s: Option<u64>,
    from_us: Option<u64>,
    to_us: Option<u64>,
    /// Of this kind alone.
    kind: Option<EventKind>,
    /// How many: at most 1,000, the latest.
    limit: Option<usize>,
}

/// What happened in a window.
pub(super) async fn timeline(
    State(state): State<AdminState>,
    Params(query): Params<TimelineQuery>,
) -> ApiResult<Json<Value>> {
    let window = Range { last_s: query.last_s, from_us: query.from_us, to_us: query.to_us }.window()?;
    let mut wanted = EventQuery::new(window);
    wanted.kind = query.kind;
    wanted.limit = query.limit.unwrap_or(wanted.limit);
    let events = apm(&state)?.history().events(&wanted).await?;
    Ok(Json(json!({ "window": window, "events": events })))
}

/// An event that happened, on any node, while a transaction ran.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MetEvent")]
pub(super) struct Met {
    #[serde(flatten)]
    event: TimelineEvent,
    /// How long both lasted together.
    overlap_us: u64,
    /// Whether it happened to something that has served a part of the transaction: a server that it went to, an instance of
    /// the process that its route goes to.
    served: bool,
    /// Whether it was on a node that no part of the transaction is known to have run on. An application may have run there
    /// still: it says nothing of nodes.
    elsewhere: bool,
}

/// The events that a transaction of some [`extent`] met, each with how long both lasted together. Those of what has
/// served it come first, then the others on its own nodes, then those of other nodes.
pub(super) async fn met(apm: &Apm, trace: &Trace, extent: Option<Window>) -> Result<Vec<Met>, HistoryError> {
    let Some(window) = extent else { return Ok(Vec::new()) };
    let (nodes, servers) = (trace.nodes(), trace.servers());
    let query = EventQuery { limit: MAX_MET, ..EventQuery::new(window) };
    let events = apm.history().events(&query).await?;
    let met = events.into_iter().filter_map(|event| {
        let overlap_us = event.overlap_us(window)?;
        let elsewhere = !nodes.is_empty() && !nodes.contains(event.node.as_str());
        // An address of the machine itself is another server on another node.
        let served = !elsewhere && servers.met(&event);
        Some(Met { event, overlap_us, served, elsewhere })
    });
    let mut met: Vec<_> = met.collect();
    met.sort_by_key(|met| (met.elsewhere, !met.served));
    Ok(met)
}

/// From the beginning to the end of a transaction, or of its spans where it is not known.
pub(super) fn extent(trace: &Trace) -> Option<Window> {
    if let Some(summary) = &trace.summary {
        return Some(Window::new(
            summary.start_us,
            summary.start_us.saturating_add(summary.duration_us.max(1)),
        ));
    }
    let from = trace.spans.iter().map(|span| span.start_us).min()?;
    let to = trace.spans.iter().map(|span| span.end_us()).max()?;
    Some(Window::new(from, to.max(from.saturating_add(1))))
}
