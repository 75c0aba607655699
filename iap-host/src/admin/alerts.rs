//! Alerts: what the rules have found, who was told, who is not to be.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Json;
use http::StatusCode;
use iap_core::{Clock, SpanId, SystemClock};
use iap_ops::alerts::{Group, MAX_EVENTS, Silence};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::AdminState;
use super::error::{ApiError, ApiResult};
use super::params::{Body, Named};
use crate::access::Caller;
use crate::alerts::Desk;
use crate::config::Span;

/// The longest silence.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

fn desk(state: &AdminState) -> ApiResult<Arc<Desk>> {
    state.0.desk.load_full().ok_or_else(|| ApiError::not_found("alerts need apm, which is switched off"))
}

/// The rules with what they have found, the silences, and the channels.
pub(super) async fn list(State(state): State<AdminState>) -> ApiResult<Json<Value>> {
    let desk = desk(&state)?;
    Ok(Json(json!({
        "rules": desk.alerts.states(),
        "silences": desk.alerts.silences(),
        "channels": desk.outbox.status(),
    })))
}

/// What has begun and ended, the latest first.
pub(super) async fn events(State(state): State<AdminState>, mut named: Named) -> ApiResult<Json<Value>> {
    let limit = named.take::<usize>("limit")?.unwrap_or(100).clamp(1, MAX_EVENTS);
    let rule = named.take::<String>("rule")?;
    named.finish()?;
    let events = desk(&state)?.alerts.events(rule.as_deref(), limit);
    Ok(Json(json!({ "events": events })))
}

/// Who is not to be told of what.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Quiet {
    /// The rule; all of them when absent.
    rule: Option<String>,
    /// What an alert's group must have.
    #[serde(default)]
    group: Group,
    /// For how long.
    #[serde(rename = "for")]
    lasts: Span,
    /// Who wants it so; where there are accounts it is the one who has signed in.
    #[serde(default)]
    by: String,
    /// Why: at most 500 bytes.
    reason: String,
}

pub(super) async fn silence(
    State(state): State<AdminState>,
    Extension(caller): Extension<Caller>,
    Body(quiet): Body<Quiet>,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let desk = desk(&state)?;
    if quiet.lasts.0.is_zero() || quiet.lasts.0 > LONGEST {
        return Err(ApiError::bad_request("for: more than nothing, and 30d at most"));
    }
    if let Some(rule) = &quiet.rule
        && !desk.alerts.rules().iter().any(|known| known.name == *rule)
    {
        return Err(ApiError::bad_request("rule: there is no such rule"));
    }
    if [&quiet.by, &quiet.reason].into_iter().any(|text| text.len() > 500) {
        return Err(ApiError::bad_request("by, reason: at most 500 bytes"));
    }
    let silence = Silence {
        id: SpanId::random().to_string(),
        rule: quiet.rule,
        group: quiet.group,
        until_us: SystemClock.now_ms() * 1_000 + quiet.lasts.0.as_micros() as u64,
        by: caller.signs(&quiet.by).to_owned(),
        reason: quiet.reason,
    };
    desk.alerts.silence(silence.clone()).map_err(ApiError::bad_request)?;
    tracing::info!(by = silence.by, rule = silence.rule, "alerts are silenced");
    desk.keep().await;
    Ok((StatusCode::CREATED, Json(json!(silence))))
}

pub(super) async fn unsilence(
    State(state): State<AdminState>,
    Path(id): Path<String>,
) -> ApiResult<StatusCode> {
    let desk = desk(&state)?;
    if !desk.alerts.unsilence(&id) {
        return Err(ApiError::not_found("there is no such silence"));
    }
    desk.keep().await;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether a message has gone out.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TriedChannel")]
pub(super) struct Tried {
    sent: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Sends one message, to see whether a channel works.
pub(super) async fn test(
    State(state): State<AdminState>,
    Path(name): Path<String>,
) -> ApiResult<Json<Tried>> {
    let sent = desk(&state)?.try_channel(&name).await;
    match sent.ok_or_else(|| ApiError::not_found("there is no such channel"))? {
        Ok(()) => Ok(Json(Tried { sent: true, error: None })),
        Err(error) => Ok(Json(Tried { sent: false, error: Some(error) })),
    }
}
