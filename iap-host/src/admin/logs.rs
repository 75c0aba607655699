//! Log lines, one by one or as what they say.

use axum::extract::State;
use axum::response::Json;
use iap_apm::history::MAX_LIMIT;
use iap_apm::model::Level;
use iap_apm::{LogLine, LogQuery, Window};
use iap_core::TraceId;
use iap_ops::log_patterns;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::AdminState;
use super::error::{ApiError, ApiResult};
use super::params::Params;
use super::telemetry::{Range, apm};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogsQuery {
    last_s: Option<u64>,
    from_us: Option<u64>,
    to_us: Option<u64>,
    /// At least this grave.
    level: Option<Level>,
    service: Option<String>,
    /// With this in the message; letters of ASCII match in both cases.
    text: Option<String>,
    /// Of this trace alone.
    trace_id: Option<String>,
    /// How many lines are looked at: 100, for patterns 1,000, and not more than 1,000.
    limit: Option<usize>,
}

impl LogsQuery {
    /// The lines, oldest first, and their window.
    async fn lines(self, state: &AdminState, usual_limit: usize) -> ApiResult<(Window, Vec<LogLine>)> {
        let window = Range { last_s: self.last_s, from_us: self.from_us, to_us: self.to_us }.window()?;
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let mut wanted = LogQuery::new(window);
        (wanted.min_level, wanted.service, wanted.contains) =
            (self.level, given(self.service), given(self.text));
        wanted.limit = self.limit.unwrap_or(usual_limit);
        if let Some(id) = given(self.trace_id) {
            let id =
                TraceId::from_hex(&id).ok_or_else(|| ApiError::bad_request("trace_id: not a trace id"))?;
            wanted.trace_id = Some(id);
        }
        Ok((window, apm(state)?.history().logs(&wanted).await?))
    }
}

/// The latest lines of a window.
pub(super) async fn logs(
    State(state): State<AdminState>,
    Params(query): Params<LogsQuery>,
) -> ApiResult<Json<Value>> {
    let (window, lines) = query.lines(&state, LogQuery::new(Window::all()).limit).await?;
    Ok(Json(json!({ "window": window, "lines": lines })))
}

/// What they say.
pub(super) async fn patterns(
    State(state): State<AdminState>,
    Params(query): Params<LogsQuery>,
) -> ApiResult<Json<Value>> {
    let limit = query.limit.unwrap_or(MAX_LIMIT).clamp(1, MAX_LIMIT);
    let (window, lines) = query.lines(&state, limit).await?;
    let (read, complete) = (lines.len(), lines.len() < limit);
    Ok(Json(
        json!({ "window": window, "read": read, "complete": complete, "patterns": log_patterns(&lines) }),
    ))
}
