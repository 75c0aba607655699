//! What advice about a setting would change.

use axum::extract::State;
use axum::response::Json;
use schemars::JsonSchema;
use serde::Deserialize;

use super::AdminState;
use super::config::{Judged, aside, plan, revisions};
use super::error::{ApiError, ApiResult};
use super::params::Params;
use crate::config::{Config, TextOr};
use crate::revisions::{self, NoPreview};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PreviewQuery {
    /// The path of the setting: `server.drain`, `routes[shop].limits.response`.
    key: String,
    /// Its other value, one line.
    value: String,
    /// Whose setting it is, where the key leaves that open, as the advice of answers does.
    route: Option<String>,
}

/// What runs with another value of one setting, as a diff; comments stay.
pub(super) async fn preview(
    State(state): State<AdminState>,
    Params(query): Params<PreviewQuery>,
) -> ApiResult<Json<Judged>> {
    let revisions = revisions(&state)?;
    if query.value.is_empty() || query.value.chars().any(char::is_control) {
        return Err(ApiError::bad_request("value: one line, and not empty"));
    }
    let edited = aside(move || {
        let running = revisions.running();
        let path = path(&running.config, &query.key, query.route.as_deref()).ok_or(NoPreview::NotWritten)?;
        let parse = |text: &str| revisions.parse(text);
        let (edited, config) =
            revisions::preview(&running.text, (&path, &query.value), &running.config, parse)?;
        Ok(plan(&revisions, &config, &edited))
    });
    match edited.await? {
        Ok(plan) => Ok(Json(plan)),
        Err(NoPreview::NotWritten) => Err(ApiError::not_found(
            "this setting does not stand in the text as a single value, so it cannot be previewed: write it where it \
             belongs",
        )),
        Err(NoPreview::NotValid(message)) => Err(ApiError::bad_request(format!("value: {message}"))),
    }
}

/// The path of a setting, also where the key speaks of any route, or of the upstream of one.
fn path(config: &Config, key: &str, route: Option<&str>) -> Option<String> {
    if let Some(rest) = key.strip_prefix("routes[]") {
        return Some(format!("routes[{}]{rest}", route?));
    }
    let Some(rest) = key.strip_prefix("upstreams.<name>") else { return Some(key.to_owned()) };
    let route = config.routes.iter().find(|known| Some(known.name.as_str()) == route)?;
    match route.upstream.as_ref()? {
        TextOr::Text(upstream) => Some(format!("upstreams.{upstream}{rest}")),
        TextOr::Block(_) => Some(format!("routes[{}].upstream{rest}", route.name)),
    }
}
