//! What the slowest transactions of the busiest routes waited for.

use std::collections::BTreeMap;

use iap_apm::{Order, RouteStats, Trace, TransactionQuery};
use iap_core::TraceId;

use super::Asked;
use crate::blame::{Blame, critical_path};
use crate::telemetry::TelemetryError;

/// Routes that are looked into.
const ROUTES: usize = 5;
/// Traces of each.
const TRACES: usize = 20;
/// Trace ids that are kept of each thing.
const EVIDENCE: usize = 3;

/// What was seen of a thing to blame.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Its own time on the critical paths.
    pub(super) time_us: u64,
    /// Traces it is in.
    pub(super) traces: u64,
    /// The longest time in one of them.
    pub(super) max_us: u64,
    /// The routes of those.
    pub(super) routes: BTreeMap<String, u64>,
    /// The traces with most of it, the most first.
    pub(super) evidence: Vec<(u64, TraceId)>,
    /// A statement with its columns, where it is SQL.
    pub(super) statement: Option<String>,
}

/// The examined traces.
#[derive(Debug, Default)]
pub(super) struct Sample {
    pub(super) things: Vec<(Blame, Seen)>,
    pub(super) traces: u64,
    pub(super) time_us: u64,
    /// The routes, as in the statistics.
    pub(super) routes: Vec<RouteStats>,
}

impl Sample {
    /// Reads the slowest transactions of the routes with most time in all.
    pub(super) async fn read(asked: Asked<'_>) -> Result<Self, TelemetryError> {
        let routes: Vec<RouteStats> = asked.routes(asked.window).await?.into_iter().take(ROUTES).collect();
        let mut things: BTreeMap<Blame, Seen> = BTreeMap::new();
        let mut sample = Self::default();
        for route in &routes {
            let query = TransactionQuery {
                route: Some(route.route.clone()),
                order: Order::Slowest,
                limit: TRACES,
                ..TransactionQuery::new(asked.window)
            };
            for row in asked.telemetry.transactions(&query).await?.items {
                let Some(trace) = asked.telemetry.trace(row.trace_id).await? else { continue };
                let tree = trace.tree();
                let Some(root) = tree.find(row.span_id).or(tree.roots.first()) else { continue };
                sample.traces += 1;
                for (blame, time_us) in critical_path(root) {
                    sample.time_us += time_us;
                    let seen = things.entry(blame).or_default();
                    seen.add(&route.route, row.trace_id, time_us);
                }
                statements(&trace, &mut things);
            }
        }
        sample.routes = routes;
        sample.things = things.into_iter().collect();
        // Of equals the first by name, so that the same data gives the same answer.
        sample.things.sort_by_key(|(_, seen)| std::cmp::Reverse(seen.time_us));
        Ok(sample)
    }
}

impl Seen {
    fn add(&mut self, route: &str, trace: TraceId, time_us: u64) {
        self.time_us += time_us;
        self.traces += 1;
        self.max_us = self.max_us.max(time_us);
        *self.routes.entry(route.to_owned()).or_default() += time_us;
        self.evidence.push((time_us, trace));
        self.evidence.sort_by_key(|(time_us, id)| (std::cmp::Reverse(*time_us), *id));
        self.evidence.truncate(EVIDENCE);
    }

    /// The route with most of its time.
    pub(super) fn route(&self) -> Option<&str> {
        self.routes.iter().max_by_key(|(_, time)| **time).map(|(route, _)| route.as_str())
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.evidence.iter().map(|(_, id)| id.to_string()).collect()
    }
}

/// Keeps one statement of each, for what its text tells.
fn statements(trace: &Trace, things: &mut BTreeMap<Blame, Seen>) {
    for span in &trace.spans {
        let Some(sql) = span.sql() else { continue };
        if let Some(seen) = things.get_mut(&Blame::of(span)) {
            seen.statement.get_or_insert_with(|| sql.chars().take(2_000).collect());
        }
    }
}
