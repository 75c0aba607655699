//! Live figures and history.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Json, Response};
use http::{HeaderMap, header};
use iap_apm::model::{LinkedFrom, TraceTree};
use iap_apm::{
    Apm, Order, RouteStats, SeriesQuery, StatusFilter, TransactionPage, TransactionQuery, TransactionSummary,
    Window,
};
use iap_core::{Clock, Error, Kind, Origin, SystemClock, TraceId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::AdminState;
use super::error::{ApiError, ApiResult};
use super::openapi::{Shape, object};
use super::params::Params;
use super::timeline;
use crate::access::{Caller, Right};

/// The window of a query that names none, in seconds.
const DEFAULT_WINDOW_S: u64 = 300;
/// Steps of a series that names no step.
const DEFAULT_STEPS: u64 = 60;
const MINUTE_US: u64 = 60_000_000;
/// From here on a series is of whole minutes.
const LONG_US: u64 = 2 * 3_600_000_000;
const OPENMETRICS: &str = "application/openmetrics-text";

pub(super) fn apm(state: &AdminState) -> ApiResult<&Apm> {
    state.0.apm.as_ref().ok_or_else(|| ApiError::not_found("the APM is switched off"))
}

/// The time a query covers: `last_s` up to now, or `from_us` to `to_us`.
#[derive(Debug, Default)]
pub(super) struct Range {
    pub(super) last_s: Option<u64>,
    pub(super) from_us: Option<u64>,
    pub(super) to_us: Option<u64>,
}

impl Range {
    pub(super) fn window(&self) -> ApiResult<Window> {
        let now_us = SystemClock.now_ms() * 1000 + 999;
        match (self.last_s, self.from_us, self.to_us) {
            (last, None, None) => {
                let seconds = last.unwrap_or(DEFAULT_WINDOW_S);
                Ok(Window::last(seconds.saturating_mul(1_000_000), now_us))
            }
            (None, Some(from), to) if to.is_none_or(|to| to > from) => {
                Ok(Window::new(from, to.unwrap_or(now_us)))
            }
            _ => Err(ApiError::bad_request("give `last_s`, or `from_us` and a later `to_us`")),
        }
    }
}

/// Prometheus text, or OpenMetrics for those who ask for it.
pub(super) async fn metrics(State(state): State<AdminState>, headers: HeaderMap) -> Response {
    let asks = |value: &http::HeaderValue| value.to_str().is_ok_and(|value| value.contains(OPENMETRICS));
    if headers.get_all(header::ACCEPT).iter().any(asks)
        && let Some(text) = state.0.apm.as_ref().and_then(Apm::openmetrics)
    {
        let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        return ([(header::CONTENT_TYPE, content_type)], text).into_response();
    }
    let text = state.0.apm.as_ref().and_then(Apm::prometheus).unwrap_or_default();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LiveQuery {
    /// Points after this one: `recent.next_seq` of the answer before.
    #[serde(default)]
    since: u64,
}

/// One poll of the console: rates, running transactions, new points, sessions.
pub(super) async fn live(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    Params(query): Params<LiveQuery>,
) -> ApiResult<Json<Value>> {
    let apm = apm(&state)?;
    let sessions = match &state.0.sessions {
        // The store's trouble must not blind the rest of the page.
        Some(sessions) => sessions.stats().await.ok(),
        None => None,
    };
    let users = match &state.0.audience {
        Some(view) => Some(super::audience::now(view).await),
        None => None,
    };
    let mut live = apm.live();
    if !caller.may(Right::Detail) {
        live.active.clear();
    }
    Ok(Json(json!({
        "live": live,
        "recent": apm.recent_since(query.since),
        "sessions": sessions,
        "users": users,
        "dropped": apm.dropped(),
    })))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    last_s: Option<u64>,
    from_us: Option<u64>,
    to_us: Option<u64>,
    route: Option<String>,
    status: Option<u16>,
    #[serde(default)]
    errors: bool,
    min_us: Option<u64>,
    max_us: Option<u64>,
    service: Option<String>,
    user: Option<String>,
    session: Option<String>,
    /// What comes first.
    #[serde(default)]
    order: Order,
    /// How many: 100, at most 1,000.
    limit: Option<usize>,
    cursor: Option<String>,
}

/// Only who may know people may ask for those of one.
pub(super) fn may_ask(caller: &Caller, user: Option<&String>, session: Option<&String>) -> ApiResult<()> {
    match (user, session) {
        (None, None) => Ok(()),
        _ if caller.may(Right::Person) => Ok(()),
        _ => Err(ApiError::forbidden(Right::Person.missing())),
    }
}

pub(super) async fn transactions(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    Params(query): Params<ListQuery>,
) -> ApiResult<Json<TransactionPage>> {
    may_ask(&caller, query.user.as_ref(), query.session.as_ref())?;
    let range = Range { last_s: query.last_s, from_us: query.from_us, to_us: query.to_us };
    let mut wanted = TransactionQuery::new(range.window()?);
    wanted.route = query.route;
    wanted.status = query.status.map(StatusFilter::Exact);
    wanted.errors_only = query.errors;
    wanted.min_duration_us = query.min_us;
    wanted.max_duration_us = query.max_us;
    wanted.service = query.service;
    wanted.user = query.user;
    wanted.session = query.session;
    wanted.order = query.order;
    wanted.limit = query.limit.unwrap_or(wanted.limit);
    wanted.cursor = query.cursor;
    Ok(Json(apm(&state)?.history().transactions(&wanted).await?))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TraceQuery {
    /// About when it was, where that is known.
    at_us: Option<u64>,
    /// In which form.
    #[serde(default)]
    format: TraceFormat,
}

/// How a transaction is told.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum TraceFormat {
    /// As a tree with all that belongs to it.
    #[default]
    Tree,
    /// Its spans alone, as they can be sent to a receiver of OTLP.
    Otlp,
}

/// What [`transaction`] answers as a tree.
pub(super) const TRANSACTION: Shape = object! {
    "trace_id": String, "summary": Option<TransactionSummary>, "span_count": usize, "truncated": bool,
    "tree": TraceTree, "linked_from": Vec<LinkedFrom>, "events": Vec<timeline::Met>,
};

pub(super) async fn transaction(
    State(state): State<AdminState>,
    Path(trace_id): Path<String>,
    Params(query): Params<TraceQuery>,
) -> ApiResult<Json<Value>> {
    let trace_id = TraceId::from_hex(&trace_id).ok_or_else(|| ApiError::bad_request("not a trace id"))?;
    let apm = apm(&state)?;
    let history = apm.history();
    let found = match query.at_us {
        Some(at_us) => history.trace_near(trace_id, Window::new(at_us, at_us.saturating_add(1))).await?,
        None => history.trace(trace_id).await?,
    };
    let trace = found.ok_or_else(|| ApiError::not_found("there is no such transaction"))?;
    if matches!(query.format, TraceFormat::Otlp) {
        let unreadable = |error| {
            Error::new(Kind::Unavailable, Origin::Internal, "it cannot be written").with_source(error)
        };
        return Ok(Json(iap_apm::export::trace_as_otlp(&trace).map_err(unreadable)?));
    }
    let extent = timeline::extent(&trace);
    let (linked_from, events) =
        tokio::try_join!(history.linked_from(trace_id, extent), timeline::met(apm, &trace, extent))?;
    Ok(Json(json!({
        "trace_id": trace_id.to_string(),
        "summary": trace.summary,
        "span_count": trace.spans.len(),
        "truncated": trace.truncated,
        "tree": trace.tree(),
        "linked_from": linked_from,
        "events": events,
    })))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WindowQuery {
    last_s: Option<u64>,
    from_us: Option<u64>,
    to_us: Option<u64>,
    step_s: Option<u64>,
    route: Option<String>,
}

impl WindowQuery {
    fn window(&self) -> ApiResult<Window> {
        Range { last_s: self.last_s, from_us: self.from_us, to_us: self.to_us }.window()
    }
}

/// A route, and how satisfied those were who used it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Route")]
pub(super) struct RouteRow {
    #[serde(flatten)]
    stats: RouteStats,
    /// From 0 to 1, by the threshold `apdex_us`.
    apdex: Option<f64>,
}

pub(super) async fn routes(
    State(state): State<AdminState>,
    Params(query): Params<WindowQuery>,
) -> ApiResult<Json<Value>> {
    let window = query.window()?;
    let history = apm(&state)?.history();
    let routes = history.route_stats(window).await?;
    let fast = state.0.facts.load().as_ref().map_or(Duration::from_millis(500), |facts| facts.apdex);
    let fast_us = fast.as_micros() as u64;
    let counts = history.route_counts(window, &[fast_us, fast_us.saturating_mul(4)]).await?;
    let apdex: BTreeMap<&str, f64> = counts
        .iter()
        .map(|counts| (counts.route.as_str(), counts.apdex(counts.within[0], counts.within[1])))
        .collect();
    let routes = routes.into_iter().map(|stats| {
        let apdex = apdex.get(stats.route.as_str()).copied();
        RouteRow { stats, apdex }
    });
    let routes: Vec<RouteRow> = routes.collect();
    Ok(Json(json!({ "window": window, "routes": routes, "apdex_us": fast_us })))
}

pub(super) async fn series(
    State(state): State<AdminState>,
    Params(query): Params<WindowQuery>,
) -> ApiResult<Json<Value>> {
    let mut window = query.window()?;
    let even = (window.length_us() / DEFAULT_STEPS).max(1_000_000);
    // A step beyond the window is all of it.
    let longest = window.length_us().max(1_000_000);
    let mut step_us = query.step_s.map_or(even, |step| step.saturating_mul(1_000_000).min(longest));
    if step_us >= MINUTE_US && window.length_us() >= LONG_US {
        // Whole minutes need not be counted one transaction at a time.
        step_us = step_us.next_multiple_of(MINUTE_US);
        window.from_us -= window.from_us % MINUTE_US;
    }
    let wanted = SeriesQuery { window, step_us, route: query.route };
    let points = apm(&state)?.history().series(&wanted).await?;
    Ok(Json(json!({ "window": window, "step_us": step_us, "points": points })))
}
