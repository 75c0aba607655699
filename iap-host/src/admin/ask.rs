//! Questions to the operations assistant.

use axum::extract::State;
use axum::response::Json;
use iap_apm::history::BoxFuture;
use iap_core::{BoxError, Error, Kind, Origin};
use iap_ops::{Answer, Assistant, SessionSource, SessionStats};
use iap_session::Sessions;
use serde::Deserialize;

use super::AdminState;
use super::error::{ApiError, ApiResult};
use super::params::Params;

/// The longest question, in bytes.
const MAX_QUESTION: usize = 1_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskQuery {
    q: String,
}

pub(super) async fn ask(
    State(state): State<AdminState>,
    Params(query): Params<AskQuery>,
) -> ApiResult<Json<Answer>> {
    if query.q.trim().is_empty() || query.q.len() > MAX_QUESTION {
        return Err(ApiError::bad_request("a question has 1 to 1000 bytes"));
    }
    let assistant: &Assistant =
        state.0.assistant.as_ref().ok_or_else(|| ApiError::not_found("the APM is switched off"))?;
    let answer = assistant.ask(&query.q).await.map_err(|error| {
        Error::new(Kind::Unavailable, Origin::Internal, "telemetry cannot be read now").with_source(error)
    })?;
    Ok(Json(answer))
}

/// The session store as the assistant sees it.
pub(super) struct StoreSource(pub(super) Sessions);

impl SessionSource for StoreSource {
    fn stats(&self) -> BoxFuture<'_, Result<SessionStats, BoxError>> {
        Box::pin(async {
            let stats = self.0.stats().await?;
            Ok(SessionStats { active: stats.live })
        })
    }
}
