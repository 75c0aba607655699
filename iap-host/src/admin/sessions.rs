//! Sessions for operators: found, looked at, ended. Never by raw id, values never shown.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Json;
use http::StatusCode;
use iap_session::{
    Budget, Detail, Filter, Note, Revocation, Revoked, Search, SearchPage, SessionKey, Sessions, Values,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::AdminState;
use super::error::{ApiError, ApiResult};
use super::params::{Body, Named, Params, Size, Time};

/// The most keys of one revocation.
const MAX_KEYS: usize = 1_000;
/// How long one call ends sessions: the next one goes on.
const REVOKE_FOR: Duration = Duration::from_secs(5);

fn sessions(state: &AdminState) -> ApiResult<&Sessions> {
    state.0.sessions.as_ref().ok_or_else(|| ApiError::not_found("sessions are switched off"))
}

fn parse_key(key: &str) -> ApiResult<SessionKey> {
    SessionKey::from_hex(key).ok_or_else(|| ApiError::bad_request("not a session key"))
}

fn note(reason: Option<&str>) -> ApiResult<Option<Note>> {
    let given = reason.filter(|reason| !reason.is_empty());
    given.map(Note::new).transpose().map_err(|error| ApiError::bad_request(format!("reason: {error}")))
}

fn filter(named: &mut Named) -> ApiResult<Filter> {
    let mut text = |name| named.take::<String>(name).map(|text| text.map(Arc::from));
    let (user, user_prefix) = (text("user")?, text("user_prefix")?);
    let (node, route) = (text("node")?, text("route")?);
    let mut time = |name| named.take::<Time>(name).map(|time| time.map(|time| time.0));
    let (min_age, max_age, min_idle) = (time("min_age")?, time("max_age")?, time("min_idle")?);
    Ok(Filter {
        user,
        user_prefix,
        address: named.take("address")?,
        node,
        route,
        login: named.take("login")?,
        min_age,
        max_age,
        min_idle,
        min_bytes: named.take::<Size>("min_bytes")?.map(|size| size.0),
        min_attributes: named.take("min_attributes")?,
    })
}

fn budget(named: &mut Named) -> ApiResult<Budget> {
    let sessions = named.take("budget")?.unwrap_or(Budget::default().sessions);
    Ok(Budget { sessions, ..Budget::default() })
}

pub(super) async fn list(State(state): State<AdminState>, mut named: Named) -> ApiResult<Json<SearchPage>> {
    let sessions = sessions(&state)?;
    let search = Search {
        filter: filter(&mut named)?,
        sort: named.take("sort")?,
        limit: named.take("limit")?.unwrap_or(0),
        cursor: named.take("cursor")?,
        budget: budget(&mut named)?,
    };
    named.finish()?;
    Ok(Json(sessions.search(&search).await?))
}

pub(super) async fn one(State(state): State<AdminState>, Path(key): Path<String>) -> ApiResult<Json<Detail>> {
    let found = sessions(&state)?.get(parse_key(&key)?, Values::Hidden).await?;
    found.map(Json).ok_or_else(|| ApiError::not_found("there is no such session"))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndQuery {
    reason: Option<String>,
}

pub(super) async fn end(
    State(state): State<AdminState>,
    Path(key): Path<String>,
    Params(query): Params<EndQuery>,
) -> ApiResult<StatusCode> {
    let note = note(query.reason.as_deref())?;
    match sessions(&state)?.revoke(parse_key(&key)?, note.as_ref()).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::not_found("there is no such session")),
    }
}

/// Which sessions are to be ended: by their keys, by a filter, or all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RevokeBody {
    keys: Option<Vec<String>>,
    filter: Option<Named>,
    #[serde(default)]
    all: bool,
    reason: Option<String>,
    /// Only counted, unless it says `false`.
    #[serde(default = "yes")]
    dry_run: bool,
    cursor: Option<String>,
}

fn yes() -> bool {
    true
}

pub(super) async fn revoke(
    State(state): State<AdminState>,
    Body(body): Body<RevokeBody>,
) -> ApiResult<Json<Value>> {
    let sessions = sessions(&state)?;
    let note = note(body.reason.as_deref())?;
    let dry_run = body.dry_run;
    let revoked = match (body.keys, body.filter, body.all) {
        (Some(keys), None, false) => of_keys(sessions, &keys, note, dry_run).await?,
        (None, Some(mut named), false) => {
            let filter = filter(&mut named)?;
            named.finish()?;
            if filter.is_empty() {
                return Err(ApiError::bad_request(
                    "filter: it has no condition; to end all sessions write `all: true`",
                ));
            }
            matching(sessions, filter, note, body.cursor, dry_run).await?
        }
        (None, None, true) => matching(sessions, Filter::default(), note, body.cursor, dry_run).await?,
        _ => return Err(ApiError::bad_request("give one of `keys`, `filter` and `all: true`")),
    };
    let mut answer = serde_json::to_value(&revoked).unwrap_or_default();
    answer["dry_run"] = json!(dry_run);
    Ok(Json(answer))
}

async fn matching(
    sessions: &Sessions,
    filter: Filter,
    note: Option<Note>,
    cursor: Option<String>,
    dry_run: bool,
) -> ApiResult<Revoked> {
    let budget = Budget { time: REVOKE_FOR, ..Budget::default() };
    Ok(sessions.revoke_matching(&Revocation { filter, note, dry_run, cursor, budget }).await?)
}

async fn of_keys(
    sessions: &Sessions,
    keys: &[String],
    note: Option<Note>,
    dry_run: bool,
) -> ApiResult<Revoked> {
    if keys.len() > MAX_KEYS {
        return Err(ApiError::bad_request(format!("keys: at most {MAX_KEYS} at a time")));
    }
    let keys = keys.iter().map(|key| SessionKey::from_hex(key)).collect::<Option<Vec<_>>>();
    let keys = keys.ok_or_else(|| ApiError::bad_request("keys: not all of them are keys of sessions"))?;
    if !dry_run {
        return Ok(sessions.revoke_keys(&keys, note.as_ref()).await);
    }
    let mut counted = Revoked { looked_at: keys.len() as u64, ..Revoked::default() };
    for key in keys {
        counted.matched += u64::from(sessions.get(key, Values::Hidden).await?.is_some());
    }
    Ok(counted)
}
