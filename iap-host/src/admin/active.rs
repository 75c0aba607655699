//! Requests that run, where they wait, and those that ran when the process before this one crashed.

use axum::extract::{Path, State};
use axum::response::Json;
use iap_apm::{ActiveView, AwaitError, AwaitView};
use iap_core::{Error, Kind, Origin, SpanId, TraceId};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::AdminState;
use super::error::{ApiError, ApiResult};
use super::params::Params;
use super::telemetry::apm;

/// Requests that a call lists when it does not say how many.
const DEFAULT_LIMIT: usize = 100;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ActiveQuery {
    /// How many: 100, at most 1,000.
    limit: Option<usize>,
}

/// What runs now: bands of speed by route, and the longest-running requests.
pub(super) async fn active(
    State(state): State<AdminState>,
    Params(query): Params<ActiveQuery>,
) -> ApiResult<Json<ActiveView>> {
    Ok(Json(apm(&state)?.active(query.limit.unwrap_or(DEFAULT_LIMIT))))
}

/// Where the tasks of a request wait.
pub(super) async fn await_points(
    State(state): State<AdminState>,
    Path((trace_id, span_id)): Path<(String, String)>,
) -> ApiResult<Json<AwaitView>> {
    let trace_id = TraceId::from_hex(&trace_id).ok_or_else(|| ApiError::bad_request("not a trace id"))?;
    let span_id = SpanId::from_hex(&span_id).ok_or_else(|| ApiError::bad_request("not a span id"))?;
    let view = apm(&state)?.await_points(trace_id, span_id).await;
    view.map(Json).map_err(|error| {
        let kind = match error {
            AwaitError::NoTask => Kind::Conflict,
            AwaitError::Busy => Kind::TooManyRequests,
            _ => Kind::NotFound,
        };
        Error::new(kind, Origin::Client, error.to_string()).into()
    })
}

/// What was in flight at a crash.
pub(super) async fn interrupted(State(state): State<AdminState>) -> ApiResult<Json<Value>> {
    Ok(Json(json!({ "requests": apm(&state)?.interrupted() })))
}
