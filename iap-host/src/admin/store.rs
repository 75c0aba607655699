//! The store of the sessions: whether it answers, and what is asked of it.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Json;
use schemars::JsonSchema;
use serde::Serialize;

use super::AdminState;
use super::error::{ApiError, ApiResult};
use super::health::{StoreState, store};
use crate::detection::series;

/// Lines of metrics that are read at most.
const MAX_LINES: usize = 10_000;
const DURATIONS: &str = "iap_session_store_duration_seconds";
const BYTES: &str = "iap_session_store_bytes_total";
const BREAKER: &str = "iap_session_breaker_open";

/// Operations of a kind, since the process began: between two looks the mean is the difference of `time_s` over that of `count`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "StoreOperations")]
pub(super) struct Operations {
    /// `create`, `load`, `commit`, `touch`, `rotate`, `revoke` or `scan`.
    op: String,
    count: u64,
    /// How long they took together, in seconds.
    time_s: f64,
}

/// The store of the sessions.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SessionStore")]
pub(super) struct Shown {
    /// `memory` or `redis`.
    backend: String,
    state: StoreState,
    /// It was away, and is not asked for now.
    breaker_open: bool,
    /// Of a store elsewhere; none of one in memory.
    operations: Vec<Operations>,
    bytes_read: u64,
    bytes_written: u64,
}

pub(super) async fn shown(State(state): State<AdminState>) -> ApiResult<Json<Shown>> {
    let none = || ApiError::not_found("there are no sessions: sessions.enabled is false");
    let sessions = state.0.sessions.as_ref().ok_or_else(none)?;
    let (answer, backend) = store(sessions).await;
    let text = state.0.apm.as_ref().and_then(iap_apm::Apm::prometheus).unwrap_or_default();
    let counted = count(&text);
    // One that does not answer is what the settings say.
    let facts = state.0.facts.load();
    let said = || Some(facts.as_ref()?.sessions.as_ref()?["store"].as_str()?.to_owned());
    let backend = backend.or_else(said).unwrap_or_default();
    Ok(Json(Shown { backend, state: answer, ..counted }))
}

/// What the metrics say, in the text format of Prometheus.
fn count(text: &str) -> Shown {
    let mut operations = BTreeMap::<String, Operations>::new();
    let (mut read, mut written, mut breaker_open) = (0.0, 0.0, false);
    let ours = |line: &&str| line.starts_with("iap_session_store_") || line.starts_with(BREAKER);
    for line in text.lines().filter(ours).take(MAX_LINES) {
        let Some((name, value)) = line.rsplit_once(' ') else { continue };
        let (Some((name, labels)), Ok(value)) = (series(name), value.parse::<f64>()) else { continue };
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        match name.strip_prefix(DURATIONS) {
            Some(part @ ("_count" | "_sum")) => {
                let op = label("op");
                let of = operations
                    .entry(op.clone())
                    .or_insert_with(|| Operations { op, ..Operations::default() });
                if part == "_count" { of.count = value as u64 } else { of.time_s = value }
            }
            Some(_) => {}
            None if name == BREAKER => breaker_open = value > 0.0,
            None if name == BYTES && label("direction") == "read" => read += value,
            None if name == BYTES => written += value,
            None => {}
        }
    }
    Shown {
        backend: String::new(),
        state: StoreState::Reachable,
        breaker_open,
        operations: operations.into_values().collect(),
        bytes_read: read as u64,
        bytes_written: written as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_summed_up_by_kind() {
        let told = count(
            "# TYPE iap_session_store_duration_seconds histogram\n\
             iap_session_store_duration_seconds_bucket{op=\"load\",le=\"0.1\"} 3\n\
             iap_session_store_duration_seconds_sum{op=\"load\"} 0.25\n\
             iap_session_store_duration_seconds_count{op=\"load\"} 4\n\
             iap_session_store_bytes_total{direction=\"read\"} 70\n\
             iap_session_store_bytes_total{direction=\"written\"} 7\n\
             iap_session_breaker_open 1\n",
        );
        let load = Operations { op: "load".into(), count: 4, time_s: 0.25 };
        assert_eq!((told.operations, told.bytes_read, told.bytes_written), (vec![load], 70, 7));
        assert!(told.breaker_open);
    }
}
