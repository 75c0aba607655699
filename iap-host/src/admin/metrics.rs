//! Metrics that applications have sent.

use std::str::FromStr;

use axum::extract::State;
use axum::response::Json;
use iap_apm::{MetricFunction, MetricKind, MetricNamesQuery, MetricQuery};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::AdminState;
use super::error::{ApiError, ApiResult};
use super::openapi::{Shape, parameters};
use super::params::Params;
use super::telemetry::{Range, apm};

/// Steps of a query that names none.
const DEFAULT_STEPS: u64 = 60;
/// Labels that one query may name.
const MAX_LABELS: usize = 16;

/// Parameters as they come: some may come more than once.
type Pairs = Vec<(String, String)>;

/// What [`names`] takes.
pub(super) const NAMES: Shape = parameters! {
    "last_s": u64, "The time that is looked at: the last seconds, 300 unless something is said.";
    "from_us": u64, "Where that begins, in Unix microseconds.";
    "to_us": u64, "Where it ends.";
    "service": String, "Of this service alone.";
};
/// What [`query`] takes.
pub(super) const QUERY: Shape = parameters! {
    "name": String, "Which metric.", needed;
    "last_s": u64, "The time that is looked at: the last seconds, 300 unless something is said.";
    "from_us": u64, "Where that begins, in Unix microseconds.";
    "to_us": u64, "Where it ends.";
    "service": String, "Of this service alone.";
    "kind": MetricKind, "Needed where a name is used for several kinds.";
    "fn": MetricFunction, "What is computed; without it what is usual for the kind.";
    "where": Vec<String>, "`label=value` restricts; up to 16 times.";
    "by": Vec<String>, "A label that tells groups apart; up to 16 times.";
    "step_s": u64, "The length of a step in seconds, from 1 on; 1/60 of the time unless something is said.";
};

/// The metrics there are.
pub(super) async fn names(
    State(state): State<AdminState>,
    Params(pairs): Params<Pairs>,
) -> ApiResult<Json<Value>> {
    let (mut range, mut service) = (Range::default(), None);
    for (name, value) in pairs {
        match name.as_str() {
            "service" => once(&mut service, Some(value), "service: given twice")?,
            _ if window(&mut range, &name, &value)? => {}
            _ => return Err(ApiError::bad_request("a parameter is unknown: service and a window are known")),
        }
    }
    let query = MetricNamesQuery { window: range.window()?, service };
    let metrics = apm(&state)?.history().metric_names(&query).await?;
    Ok(Json(json!({ "window": query.window, "metrics": metrics })))
}

/// What one metric did.
pub(super) async fn query(
    State(state): State<AdminState>,
    Params(pairs): Params<Pairs>,
) -> ApiResult<Json<Value>> {
    let query = read(pairs)?;
    let answer = apm(&state)?.history().metric(&query).await?;
    Ok(Json(serde_json::to_value(answer).unwrap_or_default()))
}

fn read(pairs: Pairs) -> ApiResult<MetricQuery> {
    let (mut range, mut name, mut step_s) = (Range::default(), None, None);
    let mut query = MetricQuery::new("", range.window()?);
    for (parameter, value) in pairs {
        match parameter.as_str() {
            "name" => once(&mut name, Some(value), "name: given twice")?,
            "service" => once(&mut query.service, Some(value), "service: given twice")?,
            "kind" => {
                let kind = word::<MetricKind>(value, "kind: no such kind of metric: see docs/metrics.md")?;
                once(&mut query.kind, Some(kind), "kind: given twice")?;
            }
            "fn" => {
                let message = "fn: one of rate, sum, avg, min, max, last, p50, p95, p99";
                let function = word::<MetricFunction>(value, message)?;
                once(&mut query.function, Some(function), "fn: given twice")?;
            }
            "where" => {
                let (key, value) = value
                    .split_once('=')
                    .filter(|(key, _)| !key.is_empty())
                    .ok_or_else(|| ApiError::bad_request("where: write label=value"))?;
                if query.filter.insert(key.to_owned(), value.to_owned()).is_some() {
                    return Err(ApiError::bad_request("where: a label is given twice"));
                }
            }
            "by" if value.is_empty() => return Err(ApiError::bad_request("by: name a label")),
            "by" => query.by.push(value),
            "step_s" => {
                let step = number::<u64>(&value, "step_s: a whole number of seconds, from 1 on")?;
                if step == 0 {
                    return Err(ApiError::bad_request("step_s: a whole number of seconds, from 1 on"));
                }
                once(&mut step_s, Some(step), "step_s: given twice")?;
            }
            _ if window(&mut range, &parameter, &value)? => {}
            _ => {
                return Err(ApiError::bad_request(
                    "a parameter is unknown: name, service, kind, where, by, step_s, fn and a window are known",
                ));
            }
        }
    }
    if query.filter.len() > MAX_LABELS || query.by.len() > MAX_LABELS {
        return Err(ApiError::bad_request("where, by: at most 16 labels"));
    }
    query.name = name.ok_or_else(|| ApiError::bad_request("name: say which metric"))?;
    query.window = range.window()?;
    let even = (query.window.length_us() / DEFAULT_STEPS).max(1_000_000);
    query.step_us = step_s.map_or(even, |step| step.saturating_mul(1_000_000));
    Ok(query)
}

/// Reads a parameter of the window; whether it is one.
fn window(range: &mut Range, name: &str, value: &str) -> ApiResult<bool> {
    let (place, number) = match name {
        "last_s" => (&mut range.last_s, number(value, "last_s: a whole number of seconds")?),
        "from_us" => (&mut range.from_us, number(value, "from_us: a whole number of microseconds")?),
        "to_us" => (&mut range.to_us, number(value, "to_us: a whole number of microseconds")?),
        _ => return Ok(false),
    };
    once(place, Some(number), "last_s, from_us, to_us: given twice").map(|()| true)
}

fn once<T>(place: &mut Option<T>, value: Option<T>, message: &'static str) -> ApiResult<()> {
    match std::mem::replace(place, value) {
        None => Ok(()),
        Some(_) => Err(ApiError::bad_request(message)),
    }
}

fn number<T: FromStr>(value: &str, message: &'static str) -> ApiResult<T> {
    value.parse().map_err(|_| ApiError::bad_request(message))
}

/// A word of the API.
fn word<T: DeserializeOwned>(value: String, message: &'static str) -> ApiResult<T> {
    serde_json::from_value(Value::String(value)).map_err(|_| ApiError::bad_request(message))
}
