//! Sessions for operators: found, looked at, ended. Never by raw id, values never shown.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Json;
use http::StatusCode;
use iap_session::{
    Budget, Detail, Filter, Note, Revocation, Revoked, Search, SearchPage, SessionKey, Sessions, Values,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AdminState;
use super::error::{ApiError, ApiResult};
use super::openapi::{Shape, joined, parameters};
use super::params::{Body, Named, Params, Size, Time};

/// The most keys of one revocation.
const MAX_KEYS: usize = 1_000;
/// How long one call ends sessions: the next one goes on.
const REVOKE_FOR: Duration = Duration::from_secs(5);

/// The conditions that [`filter`] takes.
const FILTER: Shape = parameters! {
    "user": String, "Whose it is, by name. An index answers it.";
    "user_prefix": String, "How the name begins.";
    "address": String, "An address or a network, `192.0.2.0/24`: of creation or login.";
    "node": String, "The gateway that created it.";
    "route": String, "The route that created it.";
    "login": bool, "Whether somebody is logged in.";
    "min_age": Time, "It is at least as old: seconds, or `30m`, `12h`, `7d`.";
    "max_age": Time, "It is at most as old.";
    "min_idle": Time, "It was not used for at least this time.";
    "min_bytes": Size, "The least size of all attributes: bytes, or `64KiB`.";
    "min_attributes": usize, "The least number of attributes.";
};
/// What [`list`] takes: the conditions, and how to go through what they mean.
pub(super) const SEARCH: Shape = |generator| {
    let paging: Shape = parameters! {
        "sort": String, "`created`, `accessed`, `deadline`, `attributes` or `bytes`; with `-` before it the largest first. \
            Without it pages come as the store has them.";
        "limit": usize, "About how many: 100, at most 1,000.";
        "cursor": String, "`next` of the page before.";
        "budget": u64, "How many sessions are looked at at most: 100,000, at most a million.";
    };
    joined(FILTER(generator), paging(generator))
};

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

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EndQuery {
    /// Why: a line of at most 256 bytes.
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
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RevokeBody {
    /// These sessions: at most 1,000 keys.
    keys: Option<Vec<String>>,
    /// Those that all of these conditions are true of.
    #[serde(default)]
    #[schemars(schema_with = "FILTER")]
    filter: Option<Named>,
    /// All there are. One of `keys`, `filter` and `all` is needed.
    #[serde(default)]
    all: bool,
    /// Why: a line of at most 256 bytes.
    reason: Option<String>,
    /// Only counted, unless it says `false`.
    #[serde(default = "yes")]
    dry_run: bool,
    /// `next` of the call before.
    cursor: Option<String>,
}

fn yes() -> bool {
    true
}

/// What became of them.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RevokedSessions")]
pub(super) struct Ended {
    #[serde(flatten)]
    revoked: Revoked,
    /// Whether they were only counted.
    dry_run: bool,
}

pub(super) async fn revoke(
    State(state): State<AdminState>,
    Body(body): Body<RevokeBody>,
) -> ApiResult<Json<Ended>> {
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
    Ok(Json(Ended { revoked, dry_run }))
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
