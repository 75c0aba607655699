//! Reports of the assistant.

use std::path::PathBuf;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Json, Response};
use http::{HeaderName, header};
use iap_apm::Window;
use iap_core::{Clock, Error, Kind, Origin, SystemClock};
use iap_ops::report::{html, markdown};
use iap_ops::{Language, ReportKind};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::AdminState;
use super::ask::{assistant, unreadable};
use super::error::{ApiError, ApiResult};
use super::params::Params;
use crate::config::Lang;
use crate::reports;

/// The time of a report that names none, in seconds: a week.
const DEFAULT_WINDOW_S: u64 = 7 * 24 * 3_600;
/// The longest time that is reported on, in seconds: what a quarter has.
const MAX_WINDOW_S: u64 = 92 * 24 * 3_600;
/// The longest address that links may begin with.
const MAX_BASE: usize = 300;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReportQuery {
    /// Where it begins: a date, or a time with an offset. Not together with `last_s`.
    from: Option<String>,
    /// Where it ends; now unless something is said.
    to: Option<String>,
    /// The last seconds: a week unless something is said, at most 92 days.
    last_s: Option<u64>,
    lang: Option<Lang>,
    /// In which form.
    #[serde(default)]
    format: Format,
    /// What comes before the addresses of links: `http://…`, at most 300 bytes.
    base: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    Md,
    #[default]
    Html,
}

/// A report about a window, in one file.
pub(super) async fn report(
    State(state): State<AdminState>,
    Path(kind): Path<String>,
    Params(query): Params<ReportQuery>,
) -> ApiResult<Response> {
    let kind: ReportKind = kind.parse().map_err(ApiError::not_found)?;
    let base = query.base.as_deref().unwrap_or("").trim_end_matches('/');
    let web = base.starts_with("http://") || base.starts_with("https://");
    if base.len() > MAX_BASE || !(base.is_empty() || web) {
        return Err(ApiError::bad_request("`base` is an address with http:// or https://"));
    }
    let assistant = assistant(&state)?;
    let window = match (&query.from, &query.to, query.last_s) {
        (Some(from), to, None) => assistant.between(from, to.as_deref()),
        (None, None, last_s) => {
            let length_us = last_s.unwrap_or(DEFAULT_WINDOW_S).saturating_mul(1_000_000);
            Some(Window::last(length_us, (SystemClock.now_ms() + 1) * 1_000))
        }
        _ => None,
    };
    let bounds = 1..=MAX_WINDOW_S.saturating_mul(1_000_000);
    let window = window.filter(|window| bounds.contains(&window.length_us())).ok_or_else(|| {
        ApiError::bad_request(
            "give `last_s`, or `from` and a later `to`: dates such as 2026-11-01, or times with an offset; at most 92 days",
        )
    })?;
    let language = query.lang.map_or(Language::Korean, Language::from);
    let report = assistant.report(kind, window, language).await.map_err(unreadable)?;
    let report = assistant.summed_up(report).await;
    let (content, text) = match query.format {
        Format::Md => ("text/markdown; charset=utf-8", markdown(&report, base)),
        Format::Html => ("text/html; charset=utf-8", html(&report, base)),
    };
    Ok(page(content, text))
}

/// A document that loads and runs nothing.
fn page(content: &'static str, text: String) -> Response {
    let headers: [(HeaderName, &str); 3] = [
        (header::CONTENT_TYPE, content),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        ),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, text).into_response()
}

/// The reports that were made by themselves.
pub(super) async fn kept(State(state): State<AdminState>) -> ApiResult<Json<Value>> {
    let directory = directory(&state)?;
    let listed = tokio::task::spawn_blocking(move || reports::list(&directory)).await;
    match listed {
        Ok(Ok(reports)) => Ok(Json(json!({ "reports": reports }))),
        _ => Err(Error::new(Kind::Unavailable, Origin::Internal, "the reports cannot be read now").into()),
    }
}

/// One of them.
pub(super) async fn one(State(state): State<AdminState>, Path(file): Path<String>) -> ApiResult<Response> {
    let directory = directory(&state)?;
    let read = tokio::task::spawn_blocking(move || reports::read(&directory, &file)).await;
    let text = read.ok().flatten().ok_or_else(|| ApiError::not_found("there is no such report"))?;
    Ok(page("text/html; charset=utf-8", text))
}

fn directory(state: &AdminState) -> ApiResult<PathBuf> {
    let facts = state.0.facts.load();
    facts
        .as_ref()
        .map(|facts| facts.reports.clone())
        .ok_or_else(|| ApiError::not_found("there are no reports yet"))
}
