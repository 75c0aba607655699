//! The configuration that runs, and how it is read again.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Json, Response};
use http::{StatusCode, header};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::AdminState;
use super::estate::Journal;
use crate::access::Caller;

/// What a reload has changed, or why nothing has.
pub(crate) type ReloadResult = Result<Vec<&'static str>, String>;

/// Asks the process to read its configuration again.
pub(crate) struct ReloadRequest {
    /// Who asks.
    pub(crate) author: String,
    pub(crate) reply: oneshot::Sender<ReloadResult>,
}

/// The way to ask, and what became of it. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Reloads {
    requests: mpsc::Sender<ReloadRequest>,
    state: Arc<Mutex<ReloadState>>,
    journal: Journal,
}

/// The configuration's state.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ReloadState {
    /// Counts the configurations that have run, from 1.
    generation: u64,
    /// Since when the present one runs, Unix milliseconds.
    since_ms: u64,
    /// Why the last attempt to change it was refused, if it was.
    last_error: Option<String>,
}

impl Reloads {
    /// The other end is for whoever holds the platform. Requests beyond a few are turned away.
    pub(crate) fn new() -> (Self, mpsc::Receiver<ReloadRequest>) {
        let (requests, receiver) = mpsc::channel(4);
        let state = ReloadState { generation: 1, since_ms: now_ms(), last_error: None };
        (Self { requests, state: Arc::new(Mutex::new(state)), journal: Journal::new() }, receiver)
    }

    pub(crate) fn state(&self) -> ReloadState {
        self.state.lock().clone()
    }

    /// The latest changes.
    pub(super) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Notes how an attempt went.
    pub(crate) fn note(&self, result: &ReloadResult) {
        self.journal.note(result);
        let mut state = self.state.lock();
        match result {
            Ok(changed) => {
                state.last_error = None;
                if !changed.is_empty() {
                    state.generation += 1;
                    state.since_ms = now_ms();
                }
            }
            Err(error) => state.last_error = Some(error.clone()),
        }
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

/// Reads the configuration again: 200 with the sections that have changed, 422 with the place of the
/// error where it was refused and nothing has changed.
pub(super) async fn reload(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
) -> Response {
    let (reply, answer) = oneshot::channel();
    let request = ReloadRequest { author: caller.name.to_string(), reply };
    if state.0.reloads.requests.try_send(request).is_err() {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "others are waiting for the same: try again");
    }
    match answer.await {
        Ok(Ok(changed)) => {
            Json(json!({ "changed": changed, "config": state.0.reloads.state() })).into_response()
        }
        Ok(Err(error)) => problem(StatusCode::UNPROCESSABLE_ENTITY, &error),
        Err(_) => problem(StatusCode::SERVICE_UNAVAILABLE, "the process is stopping"),
    }
}

fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let body = json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail });
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}
