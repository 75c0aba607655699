//! Health: `/livez` says that the process turns, `/readyz` that it wants traffic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Json, Response};
use http::StatusCode;
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

pub(super) async fn readyz(State(state): State<AdminState>) -> Response {
    let store = match &state.0.sessions {
        None => Ok("off"),
        Some(sessions) => match tokio::time::timeout(CHECK, sessions.stats()).await {
            Ok(Ok(_)) => Ok("reachable"),
            Ok(Err(_)) => Err("unreachable"),
            Err(_) => Err("slow"),
        },
    };
    let ready = state.0.readiness.get() && store.is_ok();
    let store = store.unwrap_or_else(|problem| problem);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let draining = !state.0.readiness.get();
    (status, Json(json!({ "ready": ready, "draining": draining, "session_store": store }))).into_response()
}
