//! Questions to the operations assistant.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::response::{IntoResponse, Json, Response};
use futures_util::stream::{self, Stream};
use http::{HeaderMap, header};
use iap_apm::history::BoxFuture;
use iap_core::{BoxError, Error, Kind, Origin};
use iap_ops::{
    Answer, AskOptions, Assistant, Intent, Language, Progress, SessionSource, SessionStats, Step,
    StoreNumbers, TelemetryError,
};
use iap_session::Sessions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinHandle;

use super::AdminState;
use super::error::{ApiError, ApiResult};
use super::params::{Body, Params};
use super::redact::without_people;
use crate::access::{Caller, Right};
use crate::config::Lang;

/// Those who watch how an answer comes about, at a time.
pub(super) const MAX_STREAMS: usize = 16;
/// Steps that wait to be told.
const STEPS: usize = 64;
/// Also how soon it is seen that somebody has left.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// The longest question, in bytes.
const MAX_QUESTION: usize = 1_000;
/// The longest name of a conversation, in bytes.
const MAX_CONVERSATION: usize = 64;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AskQuery {
    /// The question: 1 to 1,000 bytes.
    q: String,
    /// A name, so that the next question may go on from this one: 1 to 64 bytes.
    conversation: Option<String>,
    lang: Option<Lang>,
}

pub(super) async fn ask(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Params(query): Params<AskQuery>,
) -> ApiResult<Response> {
    answer(&state, &headers, query, &caller).await
}

/// The same with the question in the body: what is asked stands in no address.
pub(super) async fn posted(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(query): Body<AskQuery>,
) -> ApiResult<Response> {
    answer(&state, &headers, query, &caller).await
}

async fn answer(
    state: &AdminState,
    headers: &HeaderMap,
    mut query: AskQuery,
    caller: &Caller,
) -> ApiResult<Response> {
    if query.q.trim().is_empty() || query.q.len() > MAX_QUESTION {
        return Err(ApiError::bad_request("a question has 1 to 1000 bytes"));
    }
    if query.conversation.as_ref().is_some_and(|id| id.is_empty() || id.len() > MAX_CONVERSATION) {
        return Err(ApiError::bad_request("the name of a conversation has 1 to 64 bytes"));
    }
    // Two people who choose one name go on with their own.
    query.conversation = query.conversation.map(|name| format!("{} {name}", caller.name));
    let assistant = assistant(state)?;
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if accepted.is_some_and(|accepted| accepted.contains("text/event-stream")) {
        let place = state.0.asking.clone().try_acquire_owned().map_err(|_| {
            Error::new(Kind::Unavailable, Origin::Internal, "too many ask at this moment: try again later")
        })?;
        return Ok(Asking::start(assistant, query, caller.may(Right::Person), place).into_response());
    }
    let answer = assistant.ask_with(&query.q, query.options(None)).await.map_err(unreadable)?;
    if names_people(&answer) && !caller.may(Right::Person) {
        return Err(ApiError::forbidden(Right::Person.missing()));
    }
    Ok(Json(answer).into_response())
}

/// Whether the text of an answer is about what people did.
fn names_people(answer: &Answer) -> bool {
    answer.question.intent == Intent::Activity
}

impl AskQuery {
    fn options<'a>(&'a self, progress: Option<&'a Progress>) -> AskOptions<'a> {
        let language = self.lang.map(Language::from);
        AskOptions { conversation: self.conversation.as_deref(), language, progress }
    }
}

/// Somebody who watches how an answer comes about. Who leaves ends it.
struct Asking {
    steps: mpsc::Receiver<Step>,
    task: JoinHandle<Result<Answer, TelemetryError>>,
    waiting: VecDeque<Message>,
    over: bool,
    sees_people: bool,
    _place: OwnedSemaphorePermit,
}

impl Asking {
    fn start(
        assistant: Assistant,
        query: AskQuery,
        sees_people: bool,
        place: OwnedSemaphorePermit,
    ) -> Sse<impl Stream<Item = Result<Message, Infallible>>> {
        let (told, steps) = mpsc::channel(STEPS);
        let task = tokio::spawn(async move {
            let progress = Progress::new(told);
            assistant.ask_with(&query.q, query.options(Some(&progress))).await
        });
        let waiting = VecDeque::new();
        let asking = Self { steps, task, waiting, over: false, sees_people, _place: place };
        let messages = stream::unfold(asking, |mut asking| async move {
            let message = asking.next().await?;
            Some((Ok(message), asking))
        });
        Sse::new(messages).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
    }

    async fn next(&mut self) -> Option<Message> {
        if !self.over {
            if let Some(step) = self.steps.recv().await {
                return message("step", &step);
            }
            self.over = true;
            match (&mut self.task).await {
                Ok(Ok(answer)) if names_people(&answer) && !self.sees_people => {
                    self.waiting.extend(message("error", &json!({ "error": Right::Person.missing() })));
                }
                Ok(Ok(answer)) => self.tell(json!(answer)),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "a question could not be answered");
                    let text = "telemetry cannot be read now";
                    self.waiting.extend(message("error", &json!({ "error": text })));
                }
                Err(_) => self.waiting.extend(message("error", &json!({ "error": "no answer" }))),
            }
        }
        self.waiting.pop_front()
    }

    fn tell(&mut self, answer: Value) {
        let answer = if self.sees_people { answer } else { without_people(answer) };
        let lines = answer["text"].as_str().unwrap_or_default().lines().map(|line| json!({ "text": line }));
        self.waiting.extend(lines.filter_map(|line| message("text", &line)));
        self.waiting.extend(message("answer", &json!({ "answer": answer })));
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn message(name: &str, data: &impl Serialize) -> Option<Message> {
    Message::default().event(name).json_data(data).ok()
}

pub(super) fn assistant(state: &AdminState) -> ApiResult<Assistant> {
    state.assistant().ok_or_else(|| ApiError::not_found("the APM is switched off"))
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
