//! How many users there are at once.

use axum::extract::State;
use axum::response::Json;
use iap_core::{Clock, SystemClock};
use iap_session::audience::{AudienceView, By, Point};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::AdminState;
use super::error::{ApiError, ApiResult};
use super::params::Params;

/// The window of a query that names none, and the one that counts as "now", in seconds.
const DEFAULT_WINDOW_S: u64 = 3600;
const NOW_S: u64 = 60;
/// Steps of a series that names no step.
const DEFAULT_STEPS: u64 = 60;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AudienceQuery {
    /// One kind of users alone, as in `sessions.audience.by`.
    by: Option<String>,
    /// Of this application alone.
    application: Option<String>,
    /// The time that is looked at, up to now: 3,600 seconds unless something is said.
    last_s: Option<u64>,
    step_s: Option<u64>,
}

/// Users of one kind: now, in the window, and in each of its steps.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Audience")]
pub(super) struct Counted {
    by: String,
    now: u64,
    window: u64,
    points: Vec<Point>,
}

/// Users of one kind now.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AudienceNow")]
pub(super) struct Now {
    by: String,
    now: u64,
}

/// Different users now, in the window, and in each of its steps.
pub(super) async fn audience(
    State(state): State<AdminState>,
    Params(query): Params<AudienceQuery>,
) -> ApiResult<Json<Value>> {
    let view = state.0.audience.as_ref().ok_or_else(|| {
        ApiError::not_found("users are not counted: sessions are off, or sessions.audience.by is empty")
    })?;
    let known = view.audience.kinds();
    let asked = query.by.as_deref().map(str::parse::<By>).transpose().map_err(ApiError::bad_request)?;
    if asked.as_ref().is_some_and(|by| !known.contains(by)) {
        return Err(ApiError::bad_request("users are not counted that way: see sessions.audience.by"));
    }
    let now_s = SystemClock.now_ms() / 1000;
    let length_s = query.last_s.unwrap_or(DEFAULT_WINDOW_S).clamp(2, now_s);
    let step_s = query.step_s.unwrap_or(length_s / DEFAULT_STEPS).max(2);
    let application = query.application.as_deref();
    let (window, now) = (view.audience.window(now_s, length_s), view.audience.window(now_s, NOW_S));
    let mut kinds = Vec::new();
    for by in known.iter().filter(|by| asked.as_ref().is_none_or(|asked| asked == *by)) {
        let points = view.series(by, application, now_s, (window, step_s)).await?;
        let points = points.ok_or_else(|| {
            ApiError::bad_request("more than 2,000 points: ask for a shorter time or a longer step")
        })?;
        kinds.push(Counted {
            by: by.to_string(),
            now: view.count(by, application, now_s, now).await?,
            window: view.count(by, application, now_s, window).await?,
            points,
        });
    }
    let applications: Vec<String> = view.audience.applications().iter().map(ToString::to_string).collect();
    Ok(Json(json!({
        "application": application,
        "applications": applications,
        "scope": if view.is_shared(step_s) { "cluster" } else { "node" },
        "now_s": NOW_S,
        "window_s": length_s,
        "step_s": step_s,
        "kinds": kinds,
    })))
}

/// How many there are now, for the overview; what this gateway has seen while the store is away.
pub(super) async fn now(view: &AudienceView) -> Vec<Now> {
    let now_s = SystemClock.now_ms() / 1000;
    let now = view.audience.window(now_s, NOW_S);
    let mut kinds = Vec::new();
    for by in view.audience.kinds() {
        let count = view.count(by, None, now_s, now).await;
        let count = count.unwrap_or_else(|_| view.audience.count(by, None, now));
        kinds.push(Now { by: by.to_string(), now: count });
    }
    kinds
}
