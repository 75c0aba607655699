//! Questions to the operations assistant.

use axum::Extension;
use axum::extract::State;
use axum::response::Json;
use iap_apm::history::BoxFuture;
use iap_core::{BoxError, Error, Kind, Origin};
use iap_ops::{
    Answer, AskOptions, Assistant, Intent, Language, SessionSource, SessionStats, StoreNumbers,
    TelemetryError,
};
use iap_session::Sessions;
use serde::Deserialize;

use super::AdminState;
use super::error::{ApiError, ApiResult};
use super::params::Params;
use crate::access::{Caller, Right};
use crate::config::Lang;

/// The longest question, in bytes.
const MAX_QUESTION: usize = 1_000;
/// The longest name of a conversation, in bytes.
const MAX_CONVERSATION: usize = 64;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskQuery {
    q: String,
    conversation: Option<String>,
    lang: Option<Lang>,
}

pub(super) async fn ask(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    Params(query): Params<AskQuery>,
) -> ApiResult<Json<Answer>> {
    if query.q.trim().is_empty() || query.q.len() > MAX_QUESTION {
        return Err(ApiError::bad_request("a question has 1 to 1000 bytes"));
    }
    if query.conversation.as_ref().is_some_and(|id| id.is_empty() || id.len() > MAX_CONVERSATION) {
        return Err(ApiError::bad_request("the name of a conversation has 1 to 64 bytes"));
    }
    let options =
        AskOptions { conversation: query.conversation.as_deref(), language: query.lang.map(Language::from) };
    let answer = assistant(&state)?.ask_with(&query.q, options).await.map_err(unreadable)?;
    // Its text names them.
    if answer.question.intent == Intent::Activity && !caller.may(Right::Person) {
        return Err(ApiError::forbidden(Right::Person.missing()));
    }
    Ok(Json(answer))
}

pub(super) fn assistant(state: &AdminState) -> ApiResult<&Assistant> {
    state.0.assistant.as_ref().ok_or_else(|| ApiError::not_found("the APM is switched off"))
}

pub(super) fn unreadable(error: TelemetryError) -> Error {
    Error::new(Kind::Unavailable, Origin::Internal, "telemetry cannot be read now").with_source(error)
}

/// The session store as the assistant sees it.
pub(super) struct StoreSource(pub(super) Sessions);

impl SessionSource for StoreSource {
    fn stats(&self) -> BoxFuture<'_, Result<SessionStats, BoxError>> {
        Box::pin(async {
            let stats = self.0.stats().await?;
            let store = StoreNumbers {
                backend: stats.backend,
                exact: stats.exact,
                bytes: stats.bytes,
                expired: stats.expired,
                evicted: stats.evicted,
            };
            Ok(SessionStats { active: stats.live, store: Some(store) })
        })
    }
}
