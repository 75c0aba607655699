//! Incidents: what was found out of order, why, and who knows of it; and changes that others tell of.

use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Json;
use iap_apm::EventKind;
use iap_core::{Error, Kind, Origin};
use iap_ops::detect::{AckError, Incident, Story, story};
use iap_ops::{Language, Zone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::AdminState;
use super::error::{ApiError, ApiResult};
use super::params::{Body, Params};
use super::telemetry::Range;
use crate::access::Caller;
use crate::config::Lang;
use crate::detection::{Detection, is_in};

/// Incidents of a page.
const PAGE: usize = 100;
const MAX_PAGE: usize = 1_000;
/// Bytes of a name, of a note, and of what was changed.
const MAX_WHO: usize = 100;
const MAX_NOTE: usize = 1_000;
const MAX_WHAT: usize = 300;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// `active`, `open`, `acknowledged` or `resolved`.
    state: Option<String>,
    /// Those of the last seconds; all that are kept unless something is said.
    last_s: Option<u64>,
    from_us: Option<u64>,
    to_us: Option<u64>,
    /// How many: 100, at most 1,000.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<u64>,
    lang: Option<Lang>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OneQuery {
    lang: Option<Lang>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AckBody {
    /// Who knows of it: 1 to 100 bytes. Where there are accounts it is the one who has signed in.
    #[serde(default)]
    who: String,
    /// What they say: at most 1,000 bytes.
    #[serde(default)]
    note: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeBody {
    /// What was changed: 1 to 300 bytes.
    what: String,
}

/// An incident, and what it is in words.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "IncidentTold")]
pub(super) struct Told {
    #[serde(flatten)]
    incident: Incident,
    story: Story,
}

pub(super) async fn list(
    State(state): State<AdminState>,
    Params(query): Params<ListQuery>,
) -> ApiResult<Json<Value>> {
    let detection = detection(&state)?;
    let all = query.last_s.is_none() && query.from_us.is_none() && query.to_us.is_none();
    let window = Range { last_s: query.last_s, from_us: query.from_us, to_us: query.to_us };
    let (from_s, to_s) = match all {
        true => (0, u64::MAX),
        false => {
            window.window().map(|window| (window.from_us / 1_000_000, window.to_us.div_ceil(1_000_000)))?
        }
    };
    let asked = query.state.as_deref();
    if asked.is_some_and(|asked| is_in(iap_ops::detect::IncidentState::Open, asked).is_none()) {
        return Err(ApiError::bad_request("state: write active, open, acknowledged or resolved"));
    }
    let before = query.cursor.unwrap_or(u64::MAX);
    let wanted = |incident: &Incident| {
        incident.id < before && asked.is_none_or(|asked| is_in(incident.state, asked).unwrap_or_default())
    };
    let found: Vec<_> = detection.list(from_s, to_s).into_iter().filter(wanted).collect();
    let limit = query.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE);
    let language = language(query.lang);
    let told: Vec<Told> = found.iter().take(limit).map(|incident| told(incident, language)).collect();
    let more = found.len().saturating_sub(limit);
    let next = found.get(limit - 1).filter(|_| more > 0).map(|last| last.id);
    Ok(Json(json!({ "incidents": told, "more": more, "next": next, "watched": detection.watched() })))
}

pub(super) async fn one(
    State(state): State<AdminState>,
    Path(id): Path<u64>,
    Params(query): Params<OneQuery>,
) -> ApiResult<Json<Told>> {
    let found = detection(&state)?.get(id).ok_or_else(unknown)?;
    Ok(Json(told(&found, language(query.lang))))
}

pub(super) async fn acknowledge(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<u64>,
    Body(body): Body<AckBody>,
) -> ApiResult<Json<Told>> {
    let (who, note) = (caller.signs(body.who.trim()), body.note.trim());
    if who.is_empty() || who.len() > MAX_WHO || note.len() > MAX_NOTE {
        return Err(ApiError::bad_request("who has 1 to 100 bytes, note at most 1000"));
    }
    let known = detection(&state)?.acknowledge(id, who.to_owned(), note.to_owned()).await;
    match known {
        Ok(incident) => Ok(Json(told(&incident, language(None)))),
        Err(AckError::Resolved) => {
            Err(Error::new(Kind::Conflict, Origin::Client, "the incident is resolved").into())
        }
        Err(_) => Err(unknown()),
    }
}

/// Takes up a change that was made elsewhere: a deployment, a migration.
pub(super) async fn changed(
    State(state): State<AdminState>,
    Body(body): Body<ChangeBody>,
) -> ApiResult<Json<Value>> {
    let what = body.what.trim();
    if what.is_empty() || what.len() > MAX_WHAT {
        return Err(ApiError::bad_request("what has 1 to 300 bytes"));
    }
    let at_ms = state.0.reloads.journal().deployed(what);
    if let Some(apm) = &state.0.apm {
        apm.event(EventKind::Deployed, Duration::ZERO, what);
    }
    Ok(Json(json!({ "at_ms": at_ms, "what": what })))
}

fn detection(state: &AdminState) -> ApiResult<Detection> {
    let found = state.0.detection.load_full();
    found
        .map(|found| Detection::clone(&found))
        .ok_or_else(|| ApiError::not_found("nothing is watched: apm.enabled or apm.detection.enabled is off"))
}

fn unknown() -> ApiError {
    ApiError::not_found("there is no such incident")
}

fn language(asked: Option<Lang>) -> Language {
    asked.map_or(Language::English, Language::from)
}

fn told(incident: &Incident, language: Language) -> Told {
    Told { story: story(incident, language, &Zone::default()), incident: incident.clone() }
}
