//! Upstreams for operators: how their servers are, and taking one out without an error.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Json;
use http::StatusCode;
use iap_core::Upstream;
use iap_core::upstream::{ServerStatus, UpstreamStatus, WEIGHTS};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::AdminState;
use super::error::{ApiError, ApiResult};
use super::params::{Body, Params};

/// How to drain.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DrainQuery {
    /// Whether clients that are bound to the server still reach it.
    #[serde(default)]
    keep_bound: bool,
}

pub(super) async fn list(State(state): State<AdminState>) -> Json<Value> {
    let upstreams = state.0.upstreams.load();
    let rows: Vec<Row> = upstreams.iter().map(|upstream| row(&upstream.status())).collect();
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
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Weight {
    /// From 1 to 1000.
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

/// An upstream.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Upstream")]
pub(super) struct Row {
    name: String,
    /// Requests that wait for a server.
    queued: usize,
    servers: Vec<Server>,
}

/// A server of an upstream.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UpstreamServer")]
struct Server {
    address: String,
    name: Option<String>,
    /// `up`, `unreachable`, `unhealthy`, `ejected`, `probing`, `draining` or `absent`.
    state: &'static str,
    /// How long it stays `ejected` or `unreachable`, if nothing happens before.
    out_for_ms: Option<u64>,
    /// It drains, and clients that are bound to it still reach it.
    keeps_bound: bool,
    weight: u32,
    /// What it goes back to.
    configured_weight: u32,
    /// Its part of the requests that are spread now, from 0 to 1, by weights and slow starts of those that get any.
    share: f32,
    /// Requests at it, counted to the end of their responses.
    in_flight: usize,
    /// Requests that were sent there since the upstream began, retries included.
    requests: u64,
    /// Those of them that got the head of a response.
    answered: u64,
    /// How long these took for it, added up, microseconds: the mean between two looks is the difference of this over that of
    /// `answered`.
    waited_us: u64,
    connections: usize,
    /// Of its connections those that wait for a request.
    idle: usize,
    opened: u64,
    reused: u64,
    failed: u64,
    /// The addresses of its name.
    resolved: Vec<SocketAddr>,
    last_error: Option<String>,
}

fn row(status: &UpstreamStatus) -> Row {
    let servers = status.servers.iter().map(server).collect();
    Row { name: status.name.to_string(), queued: status.queued, servers }
}

fn server(server: &ServerStatus) -> Server {
    Server {
        address: server.address.to_string(),
        name: server.name.as_deref().map(str::to_owned),
        state: server.state.as_str(),
        out_for_ms: server.out_for.map(|left| left.as_millis() as u64),
        keeps_bound: server.keeps_bound,
        weight: server.weight,
        configured_weight: server.configured_weight,
        share: server.share,
        in_flight: server.in_flight,
        requests: server.requests,
        answered: server.answered,
        waited_us: server.waited.as_micros() as u64,
        connections: server.connections,
        idle: server.pool.idle,
        opened: server.pool.opened,
        reused: server.pool.reused,
        failed: server.pool.failed,
        resolved: server.addresses.clone(),
        last_error: server.last_error.as_deref().map(str::to_owned),
    }
}
