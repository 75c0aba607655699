//! Managed processes: what they are doing, and a restart that loses no request.

use std::time::SystemTime;

use axum::extract::{Path, State};
use axum::response::Json;
use iap_core::process::{InstanceStatus, ProcessStatus};
use iap_core::{Error, Kind, Origin};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::AdminState;
use super::error::{ApiError, ApiResult};

/// All processes with their instances.
pub(super) async fn list(State(state): State<AdminState>) -> Json<Value> {
    let processes: Vec<Shown> =
        state.0.processes.load().iter().map(|process| show(&process.status())).collect();
    Json(json!({ "processes": processes }))
}

/// Replaces the instances of one, one after the other. Answers when that is done, and goes on to the end
/// even if nobody waits for the answer.
pub(super) async fn restart(
    State(state): State<AdminState>,
    Path(name): Path<String>,
) -> ApiResult<Json<Shown>> {
    let found = state.0.processes.load().iter().find(|process| **process.name() == *name).cloned();
    let process = found.ok_or_else(|| ApiError::not_found("there is no process of that name"))?;
    let replaced = process.clone();
    let task = tokio::spawn(async move { replaced.replace().await });
    let lost = |_| Error::new(Kind::Internal, Origin::Internal, "the restart was broken off");
    task.await.map_err(lost)??;
    Ok(Json(show(&process.status())))
}

/// A process.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Process")]
pub(super) struct Shown {
    name: String,
    /// Lines of output that the log could not follow.
    dropped_lines: u64,
    instances: Vec<Instance>,
}

/// One instance of a process.
#[derive(Debug, Serialize, JsonSchema)]
struct Instance {
    /// From 1.
    number: usize,
    /// `starting`, `ready`, `replacing`, `waiting`, `crash_loop`, `stopping` or `stopped`.
    state: &'static str,
    since_ms: u64,
    /// Null while it does not run.
    pid: Option<u32>,
    /// Where it listens, while it runs.
    address: Option<String>,
    /// How often it was started anew after it had ended by itself, or had not got ready.
    restarts: u64,
    /// How often it was replaced.
    replaced: u64,
    /// Why it ended the last time: `code 1`, `signal 9`, `not ready in time`.
    last_exit: Option<String>,
}

fn show(status: &ProcessStatus) -> Shown {
    let instances = status.instances.iter().map(show_instance).collect();
    Shown { name: status.name.to_string(), dropped_lines: status.dropped_lines, instances }
}

fn show_instance(status: &InstanceStatus) -> Instance {
    let since = status.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Instance {
        number: status.number,
        state: status.state.as_str(),
        since_ms: since.as_millis() as u64,
        pid: status.pid,
        address: status.address.clone(),
        restarts: status.restarts,
        replaced: status.replaced,
        last_exit: status.last_exit.clone(),
    }
}
