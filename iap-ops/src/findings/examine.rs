//! What the worst transactions of a finding have in common.

use std::collections::{BTreeMap, BTreeSet};

use iap_apm::{Order, Trace, TransactionQuery, TransactionSummary, Window};

use super::{Culprit, Finding, Problem, percent};
use crate::blame::{Blame, critical_path, error_line, failed_span};
use crate::telemetry::{Telemetry, TelemetryError};

/// Traces that are read for each finding.
const EXAMINED: usize = 20;
/// The same where many incidents of a long time are looked into: old traces are far down in the history.
const EXAMINED_OF_MANY: usize = 5;
/// Trace ids that are given as evidence.
const EVIDENCE: usize = 3;

/// Reads the worst transactions of a finding and says what they have in common.
pub(super) async fn examine(
    telemetry: &dyn Telemetry,
    window: Window,
    finding: &mut Finding,
) -> Result<(), TelemetryError> {
    let (rows, culprit, evidence) =
        worst_of(telemetry, window, (&finding.route, finding.problem), EXAMINED).await?;
    finding.sessions = rows.iter().filter_map(|row| row.session.as_deref()).collect::<BTreeSet<_>>().len();
    finding.culprit = culprit;
    finding.evidence = evidence;
    Ok(())
}

/// The cause of the failures of a route, and traces that show it.
pub(crate) async fn culprit_of(
    telemetry: &dyn Telemetry,
    window: Window,
    route: &str,
) -> Result<(Option<Culprit>, Vec<String>), TelemetryError> {
    let (_, culprit, evidence) =
        worst_of(telemetry, window, (route, Problem::Failing), EXAMINED_OF_MANY).await?;
    Ok((culprit, evidence))
}

/// The worst transactions, what they have in common, and those of them that show it best.
async fn worst_of(
    telemetry: &dyn Telemetry,
    window: Window,
    (route, problem): (&str, Problem),
    limit: usize,
) -> Result<(Vec<TransactionSummary>, Option<Culprit>, Vec<String>), TelemetryError> {
    let failing = problem == Problem::Failing;
    let query = TransactionQuery {
        route: Some(route.to_owned()),
        errors_only: failing,
        order: if failing { Order::Newest } else { Order::Slowest },
        limit,
        ..TransactionQuery::new(window)
    };
    let rows = telemetry.transactions(&query).await?.items;
    let mut tally = Tally::default();
    for row in &rows {
        if let Some(trace) = telemetry.trace(row.trace_id).await? {
            tally.add(problem, row, &trace);
        }
    }
    let worst = tally.worst(problem);
    // Traces that show the cause come first.
    let shows = |row: &&TransactionSummary| {
        let hit = worst.as_ref().is_some_and(|culprit| {
            tally.first.iter().any(|(id, blame)| *id == row.trace_id && *blame == culprit.blame)
        });
        !hit
    };
    let mut evidence: Vec<&TransactionSummary> = rows.iter().collect();
    evidence.sort_by_key(shows);
    let evidence = evidence.iter().take(EVIDENCE).map(|row| row.trace_id.to_string()).collect();
    Ok((rows, worst, evidence))
}

/// What was seen in the traces of one finding.
#[derive(Default)]
struct Tally {
    things: BTreeMap<Blame, Seen>,
    /// The first to blame of each trace.
    first: Vec<(iap_core::TraceId, Blame)>,
    total_us: u64,
}

#[derive(Default)]
struct Seen {
    time_us: u64,
    traces: u64,
    first: usize,
    error: Option<String>,
}

impl Tally {
    fn add(&mut self, problem: Problem, row: &TransactionSummary, trace: &Trace) {
        let tree = trace.tree();
        // The transaction's own span: a trace may hold several transactions.
        let Some(root) = tree.find(row.span_id).or(tree.roots.first()) else { return };
        let path = critical_path(root);
        self.total_us += path.values().sum::<u64>();
        for (blame, time_us) in &path {
            let seen = self.things.entry(blame.clone()).or_default();
            seen.time_us += time_us;
            seen.traces += 1;
        }
        let (first, error) = match problem {
            Problem::Slow => {
                (path.iter().max_by_key(|(_, time)| **time).map(|(blame, _)| blame.clone()), None)
            }
            Problem::Failing => {
                let failed = failed_span(&tree).unwrap_or(&root.span);
                let said = [error_line(&tree, failed), row.message.clone(), row.error.clone()];
                let error = failed.error.clone().or_else(|| said.into_iter().flatten().next());
                (Some(Blame::of(failed)), error)
            }
        };
        if let Some(first) = first {
            let seen = self.things.entry(first.clone()).or_default();
            seen.first += 1;
            seen.error = seen.error.take().or(error.map(|text| printable(&text)));
            self.first.push((row.trace_id, first));
        }
    }

    /// For slowness what took most time in all; for failures what failed in most traces.
    fn worst(&self, problem: Problem) -> Option<Culprit> {
        let key = |(_, seen): &(&Blame, &Seen)| match problem {
            Problem::Slow => (seen.time_us, seen.first),
            Problem::Failing => (seen.first as u64, 0),
        };
        // Of equals the first by name, so that the same data gives the same answer.
        let (blame, seen) = self.things.iter().rev().max_by_key(key).filter(|_| !self.first.is_empty())?;
        Some(Culprit {
            blame: blame.clone(),
            traces: seen.first,
            examined: self.first.len(),
            mean_self_us: seen.time_us.checked_div(seen.traces).unwrap_or(0),
            time_percent: percent(seen.time_us, self.total_us),
            error: seen.error.clone(),
        })
    }
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
