//! Guarded actions: proposals, and what people say to them.

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Json;
use http::StatusCode;
use iap_core::{Error, Kind, Origin};
use iap_ops::actions::{By, Proposal, Proposer, Refusal, Request};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::AdminState;
use super::error::{ApiError, ApiResult};
use super::params::{Body, Params};
use crate::access::Caller;
use crate::actions::Actions;

fn actions(state: &AdminState) -> ApiResult<Actions> {
    state.actions().ok_or_else(|| ApiError::not_found("the APM is switched off"))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// For this incident alone.
    incident: Option<u64>,
}

pub(super) async fn list(
    State(state): State<AdminState>,
    Params(query): Params<ListQuery>,
) -> ApiResult<Json<Value>> {
    Ok(Json(json!({ "actions": actions(&state)?.list(query.incident) })))
}

/// The limits that an action can change.
pub(super) async fn limits(State(state): State<AdminState>) -> ApiResult<Json<Value>> {
    let actions = actions(&state)?;
    let limits = tokio::task::spawn_blocking(move || actions.limits()).await.unwrap_or_default();
    Ok(Json(json!({ "limits": limits })))
}

/// Looks at what an action would do, and keeps it until somebody decides.
pub(super) async fn propose(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<Request>,
) -> ApiResult<(StatusCode, Json<Proposal>)> {
    let proposal = actions(&state)?.propose(request, person(&caller)).await.map_err(refused)?;
    Ok((StatusCode::CREATED, Json(proposal)))
}

/// Why somebody decides as they do.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    /// Why, in a sentence.
    why: String,
}

pub(super) async fn approve(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<u64>,
    Body(reason): Body<Reason>,
) -> ApiResult<Json<Proposal>> {
    actions(&state)?.approve(id, person(&caller), &reason.why).await.map(Json).map_err(refused)
}

pub(super) async fn reject(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<u64>,
    Body(reason): Body<Reason>,
) -> ApiResult<Json<Proposal>> {
    actions(&state)?.reject(id, person(&caller), &reason.why).await.map(Json).map_err(refused)
}

fn person(caller: &Caller) -> By {
    By::Person(caller.name.to_string())
}

fn refused(refusal: Refusal) -> ApiError {
    let kind = match refusal {
        Refusal::Unknown => Kind::NotFound,
        Refusal::Decided => Kind::Conflict,
        Refusal::Policy(_) | Refusal::SamePerson | Refusal::NoPerson => Kind::Forbidden,
        Refusal::TooMany(_) => Kind::TooManyRequests,
        _ => Kind::BadRequest,
    };
    Error::new(kind, Origin::Client, refusal.to_string()).into()
}
