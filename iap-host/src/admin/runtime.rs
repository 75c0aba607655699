//! What the runtime and the JVMs are doing.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Json;
use iap_apm::runtime::{AttachError, JvmCommand};
use iap_apm::{RuntimeView, Watched, WatchedProcess, WatchedServer};
use iap_core::upstream::ServerStatus;
use iap_core::{Error, Kind, Origin, Process, Upstream};
use iap_session::Sessions;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::AdminState;
use super::certificates;
use super::error::{ApiError, ApiResult};
use super::telemetry::apm;

impl AdminState {
    /// Changes the event loops that are sampled.
    pub(crate) fn set_runtimes(&self, runtimes: Vec<(String, Handle)>) {
        self.0.runtimes.store(Arc::new(runtimes));
    }

    pub(crate) fn processes(&self) -> Arc<Vec<Arc<Process>>> {
        self.0.processes.load_full()
    }

    pub(crate) fn upstreams(&self) -> Arc<Vec<Arc<Upstream>>> {
        self.0.upstreams.load_full()
    }

    pub(crate) fn sessions(&self) -> Option<&Sessions> {
        self.0.sessions.as_ref()
    }

    /// What there is to be sampled.
    pub(crate) fn watched(&self) -> Watched {
        let processes = self.processes();
        let processes = processes.iter().map(|process| process.status()).flat_map(|status| {
            let name = status.name.clone();
            status.instances.into_iter().filter_map(move |instance| {
                Some(WatchedProcess { name: name.clone(), instance: instance.number, pid: instance.pid? })
            })
        });
        let addresses = self.0.facts.load().as_ref().map(|facts| facts.addresses);
        let listeners = addresses.into_iter().flat_map(|all| {
            [Some(all.http), all.https, Some(all.admin), all.session_api, all.otlp].into_iter().flatten()
        });
        let servers = self.upstreams();
        let servers = servers.iter().flat_map(|upstream| {
            let named = |server: ServerStatus| WatchedServer {
                upstream: upstream.name().clone(),
                address: server.address,
            };
            upstream.status().servers.into_iter().map(named)
        });
        Watched {
            servers: servers.collect(),
            runtimes: self.0.runtimes.load().to_vec(),
            listeners: listeners.collect(),
            processes: processes.collect(),
            readings: certificates::readings(self.0.certificates.load().as_deref()),
        }
    }
}

/// The last sample.
pub(super) async fn runtime(State(state): State<AdminState>) -> ApiResult<Json<RuntimeView>> {
    if !state.0.runtime.enabled {
        return Err(ApiError::not_found("the runtime is not sampled: apm.runtime.enabled is false"));
    }
    Ok(Json(apm(&state)?.runtime()))
}

/// What the threads of a JVM are doing.
pub(super) async fn threads(State(state): State<AdminState>, Path(pid): Path<u32>) -> ApiResult<Json<Value>> {
    question(&state, pid, JvmCommand::Threads).await
}

/// How many objects of each class a JVM has.
pub(super) async fn histogram(
    State(state): State<AdminState>,
    Path(pid): Path<u32>,
) -> ApiResult<Json<Value>> {
    question(&state, pid, JvmCommand::Histogram).await
}

async fn question(state: &AdminState, pid: u32, command: JvmCommand) -> ApiResult<Json<Value>> {
    if !(state.0.runtime.enabled && state.0.runtime.jvms && state.0.runtime.jvm_questions) {
        return Err(ApiError::forbidden("JVMs are not asked: apm.runtime.jvm_questions is false"));
    }
    // One at a time: each stops a JVM, and may be large.
    let busy = || Error::new(Kind::Unavailable, Origin::Client, "a JVM is being asked: try again");
    let _turn = state.0.questions.try_acquire().map_err(|_| busy())?;
    let answer = apm(state)?.ask_jvm(pid, command).await.map_err(refused)?;
    Ok(Json(json!({ "pid": pid, "text": answer.text, "truncated": answer.truncated })))
}

fn refused(error: AttachError) -> ApiError {
    let text = error.to_string();
    match error {
        AttachError::Unknown => ApiError::not_found("there is no JVM of that number"),
        AttachError::Foreign => ApiError::forbidden("the JVM belongs to another user"),
        AttachError::Late => Error::new(Kind::Timeout, Origin::App, text).into(),
        _ => Error::new(Kind::Unavailable, Origin::App, text).into(),
    }
}
