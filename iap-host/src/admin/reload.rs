//! The configuration that runs, and how it is read again.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Json, Response};
use http::{StatusCode, header};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::AdminState;
use super::estate::Journal;
use crate::access::Caller;
use crate::revisions::{Applied, Change};

/// What a reload has changed, or why nothing has.
pub(crate) type ReloadResult = Result<Vec<&'static str>, String>;

/// What the process is asked to do about its configuration.
pub(crate) enum ConfigRequest {
    /// To read it again.
    Reload {
        /// Who asks.
        author: String,
        reply: oneshot::Sender<ReloadResult>,
    },
    /// To take up another one.
    Apply { change: Change, reply: oneshot::Sender<Applied> },
}

/// The way to ask, and what became of it. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Reloads {
    requests: mpsc::Sender<ConfigRequest>,
    state: Arc<Mutex<ReloadState>>,
    journal: Journal,
}

/// The configuration's state.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "ConfigState")]
pub(crate) struct ReloadState {
    /// Counts the configurations that have run, from 1.
    generation: u64,
    /// Since when the present one runs, Unix milliseconds.
    pub(super) since_ms: u64,
    /// Why the last attempt to change it was refused, if it was.
    pub(super) last_error: Option<String>,
}

impl Reloads {
    /// The other end is for whoever holds the platform. Requests beyond a few are turned away.
    pub(crate) fn new() -> (Self, mpsc::Receiver<ConfigRequest>) {
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

    /// Hands a request to whoever holds the platform. Whether there was room for it.
    pub(crate) fn ask(&self, request: ConfigRequest) -> bool {
        self.requests.try_send(request).is_ok()
    }

    /// Notes how an attempt went, and which revision runs by it. Gives when something has changed, Unix milliseconds.
    pub(crate) fn note(&self, result: &ReloadResult, revision: Option<u64>) -> Option<u64> {
        let changed_ms = self.journal.note(result, revision);
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
        changed_ms
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
    let request = ConfigRequest::Reload { author: caller.name.to_string(), reply };
    if !state.0.reloads.ask(request) {
        return problem(StatusCode::SERVICE_UNAVAILABLE, BUSY);
    }
    match answer.await {
        Ok(Ok(changed)) => {
            Json(json!({ "changed": changed, "config": state.0.reloads.state() })).into_response()
        }
        Ok(Err(error)) => problem(StatusCode::UNPROCESSABLE_ENTITY, &error),
        Err(_) => problem(StatusCode::SERVICE_UNAVAILABLE, STOPPING),
    }
}

/// Others wait already.
pub(crate) const BUSY: &str = "others are waiting for the same: try again";
/// Nobody answers any more.
pub(crate) const STOPPING: &str = "the process is stopping";

pub(super) fn problem(status: StatusCode, detail: &str) -> Response {
    extended(status, detail, Value::Null)
}

/// A problem document with members of its own (RFC 9457 section 3.2).
pub(super) fn extended(status: StatusCode, detail: &str, more: Value) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let mut body =
        json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail });
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}
