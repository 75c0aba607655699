//! Requests that run, and those that ran when the process before this one crashed.

use axum::extract::State;
use axum::response::Json;
use iap_apm::ActiveView;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::AdminState;
use super::error::ApiResult;
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

/// What was in flight at a crash.
pub(super) async fn interrupted(State(state): State<AdminState>) -> ApiResult<Json<Value>> {
    Ok(Json(json!({ "requests": apm(&state)?.interrupted() })))
}
