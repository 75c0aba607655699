//! Managed processes: what they are doing, and a restart that loses no request.

use std::time::SystemTime;

use axum::extract::{Path, State};
use axum::response::Json;
use iap_core::process::{InstanceStatus, ProcessStatus};
use iap_core::{Error, Kind, Origin};
use serde_json::{Value, json};

use super::AdminState;
use super::error::{ApiError, ApiResult};

/// All processes with their instances.
pub(super) async fn list(State(state): State<AdminState>) -> Json<Value> {
    let processes: Vec<Value> =
        state.0.processes.load().iter().map(|process| show(&process.status())).collect();
    Json(json!({ "processes": processes }))
}

/// Replaces the instances of one, one after the other. Answers when that is done, and goes on to the end
/// even if nobody waits for the answer.
pub(super) async fn restart(
    State(state): State<AdminState>,
    Path(name): Path<String>,
) -> ApiResult<Json<Value>> {
    let found = state.0.processes.load().iter().find(|process| **process.name() == *name).cloned();
    let process = found.ok_or_else(|| ApiError::not_found("there is no process of that name"))?;
    let replaced = process.clone();
    let task = tokio::spawn(async move { replaced.replace().await });
    let lost = |_| Error::new(Kind::Internal, Origin::Internal, "the restart was broken off");
    task.await.map_err(lost)??;
    Ok(Json(show(&process.status())))
}

fn show(status: &ProcessStatus) -> Value {
    let instances: Vec<Value> = status.instances.iter().map(show_instance).collect();
    json!({ "name": &*status.name, "dropped_lines": status.dropped_lines, "instances": instances })
}

fn show_instance(status: &InstanceStatus) -> Value {
    let since = status.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    json!({
        "number": status.number,
        "state": status.state.as_str(),
        "since_ms": since.as_millis() as u64,
        "pid": status.pid,
        "address": status.address,
        "restarts": status.restarts,
        "replaced": status.replaced,
        "last_exit": status.last_exit,
    })
}
