//! The configuration that runs, those before it, and another one.

mod told;

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Json, Response};
use http::{HeaderMap, StatusCode, header};
use iap_core::{Error, Kind, Origin as ErrorOrigin};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use self::told::Plan;
pub(super) use self::told::{Asked, Drifted, Judged, Outcome, Taken, Wrong};
use super::AdminState;
use super::error::{ApiError, ApiResult};
use super::params::{Body, Params};
use super::reload::{BUSY, ConfigRequest, STOPPING, extended, problem};
use crate::access::Caller;
use crate::boot;
use crate::config::{self, Config};
use crate::revisions::{
    self, Applied, Change, Drift, MAX_REASON, Origin, Refused, Revision, Revisions, State as RevisionState,
    Wish, redact, unified,
};

const DEFAULT_PAGE: usize = 50;
const MAX_PAGE: usize = 500;
/// Settings that are listed one by one.
const MAX_SETTINGS: usize = 5_000;

pub(super) fn revisions(state: &AdminState) -> ApiResult<Arc<Revisions>> {
    let revisions = state.0.revisions.load_full();
    revisions.ok_or_else(|| unavailable("the process is not ready yet"))
}

fn unavailable(text: &'static str) -> ApiError {
    Error::new(Kind::Unavailable, ErrorOrigin::Internal, text).into()
}

/// Runs what reads files, or looks through large texts.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> ApiResult<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        Error::new(Kind::Internal, ErrorOrigin::Internal, "it could not be read").with_source(error).into()
    })
}

/// What runs: text, settings one by one, and whether the file says the same.
pub(super) async fn running(State(state): State<AdminState>) -> ApiResult<Response> {
    let revisions = revisions(&state)?;
    let etag = revisions.running().etag();
    let last_error = state.0.reloads.state();
    let told = aside(move || {
        let running = revisions.running();
        let mut settings = revisions::settings(
            &running.config,
            (&running.text, revisions.instance()),
            revisions.environment(),
        );
        let left_out = settings.len().saturating_sub(MAX_SETTINGS);
        settings.truncate(MAX_SETTINGS);
        json!({
            "revision": revisions.get(running.number),
            "hash": running.hash,
            "etag": running.etag(),
            "text": redact(&running.text),
            "file": revisions.file(),
            "instance": revisions.instance(),
            "drift": drift(&revisions, &running),
            "trial": revisions.trial(),
            "kept": revisions.are_kept(),
            "state": last_error,
            "settings": settings,
            "left_out": left_out,
        })
    });
    Ok(([(header::ETAG, etag)], Json(told.await?)).into_response())
}

/// How the file differs from what this process knows of it.
fn drift(revisions: &Revisions, running: &revisions::Running) -> Option<Drifted> {
    match revisions.drift() {
        Drift::None => None,
        Drift::Unreadable(error) => Some(Drifted::Error(error)),
        Drift::Edited(text) => Some(match revisions.parse(&text) {
            Ok(config) => Drifted::Changes(revisions::changes(&running.config, &config)),
            Err(error) => Drifted::Error(error.to_string()),
        }),
    }
}

/// What settings there are: a JSON schema.
pub(super) async fn schema() -> Json<Value> {
    Json(config::schema())
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    cursor: Option<u64>,
    /// How many: 50, at most 500.
    limit: Option<usize>,
}

/// Those that are kept, the latest first.
pub(super) async fn list(
    State(state): State<AdminState>,
    Params(query): Params<ListQuery>,
) -> ApiResult<Json<Value>> {
    let revisions = revisions(&state)?;
    let limit = query.limit.unwrap_or(DEFAULT_PAGE).clamp(1, MAX_PAGE);
    let (page, next) = revisions.list(query.cursor, limit);
    Ok(Json(json!({ "revisions": page, "next": next, "running": revisions.running().number })))
}

/// One of them, with its text.
pub(super) async fn one(State(state): State<AdminState>, Path(number): Path<u64>) -> ApiResult<Json<Value>> {
    let revisions = revisions(&state)?;
    let (revision, text) = kept(&revisions, number).await?;
    Ok(Json(json!({ "revision": revision, "text": redact(&text) })))
}

async fn kept(revisions: &Arc<Revisions>, number: u64) -> ApiResult<(Revision, Arc<str>)> {
    let reads = revisions.clone();
    let unknown = || ApiError::not_found("there is no such revision (any more)");
    let revision = revisions.get(number).ok_or_else(unknown)?;
    let text = aside(move || reads.text(number)).await?;
    let text = text.map_err(|error| {
        Error::new(Kind::Unavailable, ErrorOrigin::Internal, "it cannot be read now").with_source(error)
    })?;
    Ok((revision, text.ok_or_else(unknown)?))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DiffQuery {
    /// The revision to begin with.
    from: u64,
    /// The one to compare it with; what runs unless something is said.
    to: Option<u64>,
}

/// What differs between two, without secrets.
pub(super) async fn diff(
    State(state): State<AdminState>,
    Params(query): Params<DiffQuery>,
) -> ApiResult<Json<Value>> {
    let revisions = revisions(&state)?;
    let to = query.to.unwrap_or_else(|| revisions.running().number);
    let (before, after) = (kept(&revisions, query.from).await?.1, kept(&revisions, to).await?.1);
    let told = aside(move || {
        // One of before may mean nothing to this version of the program.
        let both = revisions.parse(&before).ok().zip(revisions.parse(&after).ok());
        let changes = both.map(|(before, after)| revisions::changes(&before, &after));
        let diff = difference((query.from, &before), (&format!("revision {to}"), &after));
        json!({ "from": query.from, "to": to, "diff": diff, "changes": changes })
    });
    Ok(Json(told.await?))
}

/// A unified diff of what may be seen.
fn difference((from, before): (u64, &str), (to, after): (&str, &str)) -> String {
    unified((&format!("revision {from}"), &redact(before)), (to, &redact(after)))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Text {
    /// The whole configuration, as YAML.
    text: String,
}

/// Whether a text is a configuration, and what it would change. Looks at nothing else.
pub(super) async fn validate(
    State(state): State<AdminState>,
    Body(given): Body<Text>,
) -> ApiResult<Json<Judged>> {
    let revisions = revisions(&state)?;
    let judged = aside(move || match restored(&revisions, &given.text) {
        Ok((config, text)) => plan(&revisions, &config, &text),
        Err(wrong) => Judged { valid: false, errors: vec![wrong], plan: None },
    });
    Ok(Json(judged.await?))
}

/// The configuration that somebody means, with the secrets that were taken out of what they have seen.
fn restored(revisions: &Revisions, text: &str) -> Result<(Config, Arc<str>), Wrong> {
    let source = revisions.running().text.clone();
    let text = revisions::restore(text, &source).map_err(|mark| {
        let text = "this stands for a secret of another configuration, or would be seen here: write the secret, or \
                    better a reference to it, like {env: NAME}";
        Wrong::new(Some((mark.0, mark.1)), text.to_owned())
    })?;
    match revisions.parse(&text) {
        Ok(config) => Ok((config, text.into())),
        Err(error) => Err(Wrong::new(error.place, revisions::conceal(&error.message, &source))),
    }
}

/// What would happen.
pub(super) fn plan(revisions: &Revisions, config: &Config, text: &str) -> Judged {
    let running = revisions.running();
    let before = &running.config;
    let plan = Plan {
        hash: revisions::hash(config),
        diff: difference((running.number, &running.text), ("new", text)),
        changes: revisions::changes(before, config),
        instances: revisions::others(&running.text, text, revisions.instance()),
        sections: boot::changed_sections(before, config),
        needs_hand_over: boot::fixed(before, config),
    };
    Judged { valid: true, errors: Vec::new(), plan: Some(plan) }
}

/// Another configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// The whole configuration, as YAML.
    text: String,
    /// Why: a line of 1 to 500 characters.
    #[serde(default)]
    reason: String,
    /// Only say what would happen.
    #[serde(default)]
    dry_run: bool,
    /// Lose what others have written into the file.
    #[serde(default)]
    overwrite: bool,
}

/// Takes another configuration up, or says what would happen.
pub(super) async fn apply(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(wanted): Body<Wanted>,
) -> ApiResult<Response> {
    let revisions = revisions(&state)?;
    if seen(&headers).is_some_and(|seen| seen != "*" && seen != revisions.running().etag()) {
        return Ok(refused(&Refused::Seen));
    }
    let reads = revisions.clone();
    let judged = aside(move || {
        restored(&reads, &wanted.text).map(|(config, text)| match wanted.dry_run {
            true => (text.clone(), Some(plan(&reads, &config, &text))),
            false => (text, None),
        })
    });
    let text = match judged.await? {
        Ok((_, Some(plan))) => return Ok(Json(plan).into_response()),
        Ok((text, None)) => text,
        Err(wrong) => return Ok(invalid(&wrong)),
    };
    let asked = Asked { text, reason: wanted.reason, overwrite: wanted.overwrite };
    take(&state, &revisions, &caller, &headers, asked).await.map(|taken| answered(&revisions, taken))
}

/// Takes a text up for somebody who has seen what runs.
pub(super) async fn take(
    state: &AdminState,
    revisions: &Revisions,
    caller: &Caller,
    headers: &HeaderMap,
    asked: Asked,
) -> ApiResult<Taken> {
    let Some(seen) = seen(headers) else {
        let text = "send `If-Match` with the ETag of GET /api/config, so that nobody's change is lost";
        return Ok(Err(Box::new(problem(StatusCode::PRECONDITION_REQUIRED, text))));
    };
    let wish = Wish {
        origin: Origin::Api,
        author: caller.name.to_string(),
        reason: reason(&asked.reason)?,
        restores: None,
    };
    let change = Change { wish, text: asked.text, seen, overwrite: asked.overwrite, is_tried: true };
    ask(state, revisions, change).await.map(Ok)
}

fn seen(headers: &HeaderMap) -> Option<String> {
    headers.get(header::IF_MATCH).and_then(|seen| seen.to_str().ok()).map(str::to_owned)
}

/// A way back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Back {
    /// The revision.
    to: u64,
    /// Why: a line of 1 to 500 characters.
    reason: String,
    /// Lose what others have written into the file.
    #[serde(default)]
    overwrite: bool,
}

/// Takes one up that has run before. It is not tried out: whatever runs now is what somebody wants to get rid of.
pub(super) async fn rollback(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(back): Body<Back>,
) -> ApiResult<Response> {
    let revisions = revisions(&state)?;
    let (revision, text) = kept(&revisions, back.to).await?;
    if revision.state != RevisionState::Stable {
        let text = "it has never been stable: send its text to POST /api/config, so that it is tried out";
        return Ok(problem(StatusCode::CONFLICT, text));
    }
    let wish = Wish {
        origin: Origin::Rollback,
        author: caller.name.to_string(),
        reason: reason(&back.reason)?,
        restores: Some(back.to),
    };
    let seen = seen(&headers).unwrap_or_else(|| "*".to_owned());
    let change = Change { wish, text, seen, overwrite: back.overwrite, is_tried: false };
    ask(&state, &revisions, change).await.map(|applied| answered(&revisions, Ok(applied)))
}

fn reason(given: &str) -> ApiResult<String> {
    let given = given.trim();
    match (1..=MAX_REASON).contains(&given.chars().count()) && !given.chars().any(char::is_control) {
        true => Ok(given.to_owned()),
        false => Err(ApiError::bad_request(format!("reason: a line of 1 to {MAX_REASON} characters"))),
    }
}

/// Hands it over, and waits until it runs.
async fn ask(state: &AdminState, revisions: &Revisions, change: Change) -> ApiResult<Applied> {
    if let Some(trial) = revisions.trial() {
        let text = format!("revision {} is being tried out: wait until that is over", trial.revision);
        return Err(Error::new(Kind::Conflict, ErrorOrigin::Client, text).into());
    }
    let (reply, answer) = oneshot::channel();
    if !state.0.reloads.ask(ConfigRequest::Apply { change, reply }) {
        return Err(unavailable(BUSY));
    }
    answer.await.map_err(|_| unavailable(STOPPING))
}

/// 202 while it is tried out, 200 when it is stable.
pub(super) fn answered(revisions: &Revisions, taken: Taken) -> Response {
    match taken {
        Err(response) => *response,
        Ok(Err(why)) => refused(&why),
        Ok(Ok(revision)) => {
            let status = match revision.state {
                RevisionState::Pending => StatusCode::ACCEPTED,
                RevisionState::Stable => StatusCode::OK,
                _ => StatusCode::UNPROCESSABLE_ENTITY,
            };
            let running = revisions.running();
            let told = json!({ "revision": revision, "etag": running.etag(), "trial": revisions.trial() });
            (status, [(header::ETAG, running.etag())], Json(told)).into_response()
        }
    }
}

fn refused(why: &Refused) -> Response {
    let status = match why {
        Refused::Seen => StatusCode::PRECONDITION_FAILED,
        Refused::Drift | Refused::File(_) => StatusCode::CONFLICT,
        Refused::Invalid(error) => {
            return invalid(&Wrong::new(error.place, error.message.clone()));
        }
        Refused::Fixed(_) | Refused::Built(..) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let more = match why {
        Refused::Seen => json!({ "reason": "seen" }),
        Refused::Drift => json!({ "reason": "drift" }),
        Refused::Fixed(setting) => json!({ "reason": "needs_hand_over", "setting": setting }),
        Refused::Built(revision, _) => json!({ "reason": "build", "revision": revision }),
        _ => json!({ "reason": "file" }),
    };
    extended(status, &why.to_string(), more)
}

pub(super) fn invalid(wrong: &Wrong) -> Response {
    let more = json!({ "reason": "invalid", "errors": [wrong] });
    let text = match wrong.line.zip(wrong.column) {
        Some((line, column)) => format!("{line}:{column}: {}", wrong.message),
        None => wrong.message.clone(),
    };
    extended(StatusCode::UNPROCESSABLE_ENTITY, &text, more)
}
