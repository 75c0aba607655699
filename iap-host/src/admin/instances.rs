//! The instances of the configuration file: how they are, a new one, one that goes, all of them to read the file again.

use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Json, Response};
use futures_util::{FutureExt, StreamExt, stream};
use http::HeaderMap;
use iap_core::{Error, Kind, Origin as ErrorOrigin};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use super::AdminState;
use super::config::{Asked, Judged, Wrong, answered, aside, invalid, plan, revisions, take};
use super::error::{ApiError, ApiResult};
use super::params::Body;
use super::reload::{BUSY, ConfigRequest, STOPPING};
use crate::access::Caller;
use crate::config::{self, Instance, Parsed, ProfileShown};
use crate::instances::{self, Acknowledged, Cleared, Made, Own, Shown, Text};
use crate::revisions::{Revision, Revisions, Shown as Trial, State as RevisionState, conceal};

/// Instances that are asked to reload at a time.
const AT_ONCE: usize = 4;

/// All instances, and what they are made of.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "Instances")]
pub(crate) struct Listed {
    /// Which of them answers.
    own: Option<String>,
    instances: Vec<Shown>,
    profiles: Vec<ProfileShown>,
    /// What is wrong with the file, where it is not the one that is told of.
    error: Option<String>,
}

/// What this process is.
pub(super) async fn own(State(state): State<AdminState>) -> ApiResult<Json<Own>> {
    let revisions = revisions(&state)?;
    own_of(&state, &revisions).await.map(Json)
}

async fn own_of(state: &AdminState, revisions: &Arc<Revisions>) -> ApiResult<Own> {
    let (reads, reloads) = (revisions.clone(), state.0.reloads.state());
    aside(move || {
        let running = reads.running();
        let name = reads.instance().map(str::to_owned);
        let (id, written) = instances::meaning(&running.text, name.as_deref()).unwrap_or_default();
        Own {
            id,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: running.number,
            written,
            since_ms: reloads.since_ms,
            last_error: reloads.last_error,
            name,
        }
    })
    .await
}

/// What the file says of them, and how each is: all are asked.
pub(super) async fn list(State(state): State<AdminState>) -> ApiResult<Json<Listed>> {
    let began = Instant::now();
    // Those who come while others are asked wait for one answer, which begins after they came.
    let mut last = state.0.instances.lock().await;
    if let Some((at, listed)) = &*last
        && *at >= began
    {
        return Ok(Json(listed.clone()));
    }
    let at = Instant::now();
    let listed = ask_all(&state).await?;
    *last = Some((at, listed.clone()));
    Ok(Json(listed))
}

async fn ask_all(state: &AdminState) -> ApiResult<Listed> {
    let revisions = revisions(state)?;
    let own = own_of(state, &revisions).await?;
    let reads = revisions.clone();
    let (text, error) = aside(move || Text::current(&reads)).await?;
    let (mut instances, profiles) = match &text {
        Some(text) => (instances::list(text, &own, revisions.environment()).await, text.document.profiles()),
        None => (Vec::new(), Vec::new()),
    };
    if revisions.trial().is_some() {
        // What is tried out is not in the file yet.
        instances.iter_mut().filter(|one| one.own).for_each(|one| one.in_sync = None);
    }
    Ok(Listed { own: own.name, instances, profiles, error })
}

/// A new instance.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    /// 1 to 64 letters, digits, `-` and `_`.
    name: String,
    /// Its UUID; one is made unless it is given, as when a dry run has made one before.
    id: Option<String>,
    /// Settings of its own, over those that are chosen for it.
    #[serde(default)]
    settings: Map<String, Value>,
    /// Where its admin API is, on another machine.
    url: Option<String>,
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

/// What would happen with a new one.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "NewInstancePlan")]
pub(super) struct NewPlan {
    made: Made,
    #[serde(flatten)]
    judged: Judged,
}

/// Puts one into the file that has the settings of the request alone.
pub(super) async fn register(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(new): Body<New>,
) -> ApiResult<Response> {
    add(&state, &caller, &headers, (None, new)).await
}

/// Puts one into the file that is like another one.
pub(super) async fn clone(
    State(state): State<AdminState>,
    Path(like): Path<String>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(new): Body<New>,
) -> ApiResult<Response> {
    add(&state, &caller, &headers, (Some(like), new)).await
}

async fn add(
    state: &AdminState,
    caller: &Caller,
    headers: &HeaderMap,
    (like, new): (Option<String>, New),
) -> ApiResult<Response> {
    let revisions = revisions(state)?;
    let text = running(&revisions).await?;
    if let Some(like) = &like {
        known(&text, like)?;
    }
    if text.get(&new.name).is_some() {
        let text = format!("there is an instance `{}` already", new.name);
        return Err(Error::new(Kind::Conflict, ErrorOrigin::Client, text).into());
    }
    let (reads, dry_run, reason, overwrite) =
        (revisions.clone(), new.dry_run, new.reason.clone(), new.overwrite);
    let made = aside(move || {
        let settings = Value::Object(new.settings);
        let (edited, made) =
            instances::make(&text, like.as_deref(), (&new.name, new.id), (&settings, new.url.as_deref()))
                .map_err(|wrong| Wrong::new(wrong.place, wrong.message))?;
        let config = read(&reads, &edited)?;
        let plan = dry_run.then(|| plan(&reads, &config, &edited));
        Ok((edited, made, plan))
    });
    match made.await? {
        Err(wrong) => Ok(invalid(&wrong)),
        Ok((_, made, Some(judged))) => Ok(Json(NewPlan { made, judged }).into_response()),
        Ok((edited, ..)) => {
            let asked = Asked { text: edited.into(), reason, overwrite };
            take(state, &revisions, caller, headers, asked).await.map(|taken| answered(&revisions, taken))
        }
    }
}

/// What [`register`] and [`clone`] answer: what has happened, or what would.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "NewInstanceOutcome")]
#[allow(dead_code)] // It is answered in parts; this is their description.
pub(super) enum NewOutcome {
    Applied { revision: Revision, etag: String, trial: Option<Trial> },
    Plan(NewPlan),
}

/// How an instance goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum How {
    /// It is taken out of the file. A process that runs goes on, and what it has written stays.
    Unregister,
    /// The directories that it alone has go as well. Refused while anything answers there.
    Destroy,
}

/// An instance that goes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "InstanceEnd")]
pub(super) struct End {
    how: How,
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

/// What would happen without an instance.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "InstanceEndPlan")]
pub(super) struct EndPlan {
    /// Directories that would be removed, with all that is in them.
    directories: Vec<std::path::PathBuf>,
    #[serde(flatten)]
    judged: Judged,
}

/// What [`remove`] answers: what has happened, or what would.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "InstanceEndOutcome")]
#[allow(dead_code)] // It is answered in parts; this is their description.
pub(super) enum EndOutcome {
    Applied { revision: Revision, etag: String, cleared: Cleared },
    Plan(EndPlan),
}

/// Takes one out of the file.
pub(super) async fn remove(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(end): Body<End>,
) -> ApiResult<Response> {
    let revisions = revisions(&state)?;
    let text = running(&revisions).await?;
    let (instance, config) = known(&text, &name)?;
    if revisions.instance() == Some(&name) {
        let text = "this is the instance that answers: ask another one, or take it out of the file by hand";
        return Err(Error::new(Kind::Conflict, ErrorOrigin::Client, text).into());
    }
    let destroys = end.how == How::Destroy;
    if destroys && !end.dry_run && instances::is_there(instance, config, revisions.environment()).await {
        let text = format!("`{name}` answers: stop it first, or unregister it");
        return Err(Error::new(Kind::Conflict, ErrorOrigin::Client, text).into());
    }
    let (reads, gone, dry_run) = (revisions.clone(), name.clone(), end.dry_run);
    let made = aside(move || {
        let edited =
            config::remove(&text.text, &gone).map_err(|wrong| Wrong::new(wrong.place, wrong.message))?;
        let config = read(&reads, &edited)?;
        let file = reads.file().filter(|_| destroys);
        let directories = file.map(|file| instances::clearable(&text, &gone, file)).unwrap_or_default();
        let plan = dry_run.then(|| plan(&reads, &config, &edited));
        Ok((edited, directories, plan))
    });
    let (edited, directories) = match made.await? {
        Err(wrong) => return Ok(invalid(&wrong)),
        Ok((_, directories, Some(judged))) => {
            return Ok(Json(EndPlan { directories, judged }).into_response());
        }
        Ok((edited, directories, None)) => (edited, directories),
    };
    let asked = Asked { text: edited.into(), reason: end.reason, overwrite: end.overwrite };
    let taken = take(&state, &revisions, &caller, &headers, asked).await?;
    let revision = match &taken {
        Ok(Ok(revision)) if revision.state == RevisionState::Stable => revision.clone(),
        _ => return Ok(answered(&revisions, taken)),
    };
    let cleared: Cleared = aside(move || instances::clear(&directories, &name)).await?;
    let etag = revisions.running().etag();
    Ok(Json(json!({ "revision": revision, "etag": etag, "cleared": cleared })).into_response())
}

/// Has all instances read the file again, this one at last. Each says what became of it; one that refuses keeps what it had.
pub(super) async fn reload(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
) -> ApiResult<Json<Value>> {
    let revisions = revisions(&state)?;
    let text = running(&revisions).await?;
    if let Some(trial) = revisions.trial() {
        let text =
            format!("revision {} is being tried out: the file has it when that is over", trial.revision);
        return Err(Error::new(Kind::Conflict, ErrorOrigin::Client, text).into());
    }
    let others = text.all.iter().filter_map(|parsed| Some((parsed.instance.as_ref()?, &parsed.config)));
    let others = others.filter(|(instance, _)| revisions.instance() != Some(&instance.name));
    let environment = revisions.environment();
    let asked = others.map(|(instance, config)| instances::reload(instance, config, environment).boxed());
    let asked: Vec<_> = asked.collect();
    let mut told: Vec<Acknowledged> = stream::iter(asked).buffered(AT_ONCE).collect().await;
    if let Some(name) = revisions.instance() {
        let (reply, answer) = oneshot::channel();
        let request = ConfigRequest::Reload { author: caller.name.to_string(), reply };
        let result = match state.0.reloads.ask(request) {
            false => Err(BUSY.to_owned()),
            true => answer.await.unwrap_or_else(|_| Err(STOPPING.to_owned())),
        };
        let (changed, detail) = match result {
            Ok(changed) => (changed.into_iter().map(str::to_owned).collect(), None),
            Err(error) => (Vec::new(), Some(error)),
        };
        told.push(Acknowledged { name: name.to_owned(), done: detail.is_none(), changed, detail });
    }
    Ok(Json(json!({ "instances": told })))
}

/// What a text means here; what is wrong with it is told without its secrets.
fn read(revisions: &Revisions, text: &str) -> Result<config::Config, Wrong> {
    revisions.parse(text).map_err(|error| Wrong::new(error.place, conceal(&error.message, text)))
}

/// The text that runs, with its instances.
async fn running(revisions: &Arc<Revisions>) -> ApiResult<Text> {
    let reads = revisions.clone();
    let text = aside(move || Text::read(reads.running().text.clone()).unwrap_or_default()).await?;
    text.filter(|text| !text.document.instances().is_empty()).ok_or_else(|| {
        let text = "the configuration has no instances: docs/instances.md says how to begin";
        Error::new(Kind::Conflict, ErrorOrigin::Client, text).into()
    })
}

fn known<'a>(text: &'a Text, name: &str) -> ApiResult<(&'a Instance, &'a config::Config)> {
    let found = text.get(name).and_then(|Parsed { config, instance }| Some((instance.as_ref()?, config)));
    found.ok_or_else(|| ApiError::not_found("there is no such instance"))
}
