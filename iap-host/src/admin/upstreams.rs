//! Upstreams for operators: how their servers are, and taking one out without an error.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Json;
use http::StatusCode;
use iap_core::Upstream;
use iap_core::upstream::{ServerStatus, UpstreamStatus};
use serde::Deserialize;
use serde_json::{Value, json};

use super::AdminState;
use super::error::{ApiError, ApiResult};
use super::params::Params;

/// How to drain.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DrainQuery {
    /// Whether clients that are bound to the server still reach it.
    #[serde(default)]
    keep_bound: bool,
}

pub(super) async fn list(State(state): State<AdminState>) -> Json<Value> {
    let upstreams = state.0.upstreams.load();
    let rows: Vec<Value> = upstreams.iter().map(|upstream| row(&upstream.status())).collect();
    Json(json!({ "upstreams": rows }))
}

pub(super) async fn drain(
    State(state): State<AdminState>,
    Path((name, server)): Path<(String, String)>,
    Params(query): Params<DrainQuery>,
) -> ApiResult<StatusCode> {
    act(&state, &name, &server, "drained", |upstream| upstream.drain(&server, query.keep_bound))
}

pub(super) async fn undrain(
    State(state): State<AdminState>,
    Path((name, server)): Path<(String, String)>,
) -> ApiResult<StatusCode> {
    act(&state, &name, &server, "taken back", |upstream| upstream.undrain(&server))
}

fn act(
    state: &AdminState,
    name: &str,
    server: &str,
    done: &str,
    act: impl Fn(&Arc<Upstream>) -> bool,
) -> ApiResult<StatusCode> {
    let upstreams = state.0.upstreams.load();
    let upstream = upstreams.iter().find(|upstream| **upstream.name() == *name);
    let upstream = upstream.ok_or_else(|| ApiError::not_found("there is no such upstream"))?;
    if !act(upstream) {
        return Err(ApiError::not_found("the upstream has no such server"));
    }
    tracing::info!(upstream = name, server, "a server was {done}");
    Ok(StatusCode::NO_CONTENT)
}

fn row(status: &UpstreamStatus) -> Value {
    let servers: Vec<Value> = status.servers.iter().map(server).collect();
    json!({ "name": &*status.name, "queued": status.queued, "servers": servers })
}

fn server(server: &ServerStatus) -> Value {
    json!({
        "address": &*server.address,
        "name": server.name.as_deref(),
        "state": server.state.as_str(),
        "weight": server.weight,
        "in_flight": server.in_flight,
        "connections": server.connections,
        "idle": server.pool.idle,
        "opened": server.pool.opened,
        "reused": server.pool.reused,
        "failed": server.pool.failed,
        "resolved": server.addresses,
        "last_error": server.last_error.as_deref(),
    })
}
