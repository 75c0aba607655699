//! Sessions for operators: listed, looked at, ended. Never by raw id, values never shown.

use axum::extract::{Path, State};
use axum::response::Json;
use http::StatusCode;
use iap_session::{Detail, ScanPage, ScanQuery, SessionKey, Sessions, Values};
use serde::Deserialize;
use serde_json::{Value, json};

use super::AdminState;
use super::error::{ApiError, ApiResult};
use super::params::Params;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    user: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

fn sessions(state: &AdminState) -> ApiResult<&Sessions> {
    state.0.sessions.as_ref().ok_or_else(|| ApiError::not_found("sessions are switched off"))
}

fn parse_key(key: &str) -> ApiResult<SessionKey> {
    SessionKey::from_hex(key).ok_or_else(|| ApiError::bad_request("not a session key"))
}

pub(super) async fn list(
    State(state): State<AdminState>,
    Params(query): Params<ListQuery>,
) -> ApiResult<Json<Value>> {
    let sessions = sessions(&state)?;
    let user = query.user.filter(|user| !user.is_empty()).map(Into::into);
    let scan = ScanQuery { user, cursor: query.cursor, limit: query.limit.unwrap_or(0) };
    let ScanPage { sessions: rows, next } = sessions.list(scan).await?;
    let stats = sessions.stats().await?;
    Ok(Json(json!({ "sessions": rows, "next": next, "stats": stats })))
}

pub(super) async fn one(State(state): State<AdminState>, Path(key): Path<String>) -> ApiResult<Json<Detail>> {
    let found = sessions(&state)?.get(parse_key(&key)?, Values::Hidden).await?;
    found.map(Json).ok_or_else(|| ApiError::not_found("there is no such session"))
}

pub(super) async fn revoke(
    State(state): State<AdminState>,
    Path(key): Path<String>,
) -> ApiResult<StatusCode> {
    match sessions(&state)?.revoke(parse_key(&key)?).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::not_found("there is no such session")),
    }
}
