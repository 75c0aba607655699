//! Health: `/livez` says that the process turns, `/readyz` that it wants traffic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Json, Response};
use http::StatusCode;
use iap_session::Sessions;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::AdminState;

/// How long a check of the session store may take.
const CHECK: Duration = Duration::from_secs(2);

/// Whether the platform wants traffic. Turned off first when it stops.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readiness(Arc<AtomicBool>);

impl Readiness {
    pub(crate) fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// How the store of the sessions answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "SessionStoreState")]
pub(super) enum StoreState {
    Reachable,
    /// It does not answer in time.
    Slow,
    Unreachable,
}

/// Asks it, and what it is.
pub(super) async fn store(sessions: &Sessions) -> (StoreState, Option<String>) {
    match tokio::time::timeout(CHECK, sessions.stats()).await {
        Ok(Ok(stats)) => (StoreState::Reachable, Some(stats.backend.to_owned())),
        Ok(Err(_)) => (StoreState::Unreachable, None),
        Err(_) => (StoreState::Slow, None),
    }
}

pub(super) async fn readyz(State(state): State<AdminState>) -> Response {
    let store = match &state.0.sessions {
        None => json!("off"),
        Some(sessions) => json!(store(sessions).await.0),
    };
    let ready = state.0.readiness.get() && matches!(store.as_str(), Some("off" | "reachable"));
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let draining = !state.0.readiness.get();
    (status, Json(json!({ "ready": ready, "draining": draining, "session_store": store }))).into_response()
}
