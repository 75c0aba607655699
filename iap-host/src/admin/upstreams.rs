//! Upstreams for operators: how their servers are, and taking one out without an error.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Json;
use http::StatusCode;
use iap_core::Upstream;
use iap_core::upstream::{ServerStatus, UpstreamStatus, WEIGHTS};
use serde::Deserialize;
use serde_json::{Value, json};

use super::AdminState;
use super::error::{ApiError, ApiResult};
use super::params::{Body, Params};

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

/// What a server is to weigh.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Weight {
    weight: u32,
}

pub(super) async fn weigh(
    State(state): State<AdminState>,
    Path((name, server)): Path<(String, String)>,
    Body(Weight { weight }): Body<Weight>,
) -> ApiResult<StatusCode> {
    if !WEIGHTS.contains(&weight) {
        return Err(ApiError::bad_request("weight: from 1 to 1000; what takes a server out is `drain`"));
    }
    act(&state, &name, &server, "given another weight", |upstream| {
        upstream.set_weight(&server, weight).unwrap_or_default()
    })
}

/// Gives a server the weight of its settings again.
pub(super) async fn unweigh(
    State(state): State<AdminState>,
    Path((name, server)): Path<(String, String)>,
) -> ApiResult<StatusCode> {
    act(&state, &name, &server, "given its own weight", |upstream| {
        let is_it = |one: &ServerStatus| *one.address == *server || one.name.as_deref() == Some(&server);
        let servers = upstream.status().servers;
        let own = servers.iter().find(|one| is_it(one)).map(|one| one.configured_weight);
        own.is_some_and(|weight| upstream.set_weight(&server, weight).unwrap_or_default())
    })
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
        "configured_weight": server.configured_weight,
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
