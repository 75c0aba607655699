//! What is wrong, in types: every number with its unit in its name, every claim with evidence.

use std::collections::{BTreeMap, BTreeSet};

use iap_apm::{Order, RouteStats, Trace, TransactionQuery, TransactionSummary, Window};
use serde::Serialize;

use crate::blame::{Blame, critical_path, error_line, failed_span};
use crate::telemetry::{SessionStats, Telemetry, TelemetryError};

/// Routes of each problem that are looked into.
const MAX_FINDINGS: usize = 3;
/// Traces that are read for each of them.
const EXAMINED: usize = 20;
/// Trace ids that are given as evidence.
const EVIDENCE: usize = 3;
/// Transactions of a route below which percentages and percentiles say nothing.
const MIN_COUNT: u64 = 5;
/// The same for the window that is compared against.
const MIN_BASELINE: u64 = 20;
/// A route fails from this share of errors on, in percent.
const FAILING_PERCENT: f64 = 5.0;
/// A route is slow from this p95 on, whatever it was before.
const SLOW_US: u64 = 1_000_000;
/// It is slow too when p95 is this many times what it was before, and at least `SLOWER_MIN_US`.
const SLOWER_TIMES: f64 = 2.0;
const SLOWER_MIN_US: u64 = 100_000;

/// What is wrong with a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Problem {
    /// At least 5 % of its transactions failed.
    Failing,
    /// Its p95 is at least a second, or twice that of the hour before and 100 ms.
    Slow,
}

/// What the examined traces have in common.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Culprit {
    /// The thing to blame.
    #[serde(flatten)]
    pub blame: Blame,
    /// Traces in which it was the first to blame, and how many were examined.
    pub traces: usize,
    /// How many were examined.
    pub examined: usize,
    /// Its own time on the critical paths of the examined traces, for each of those it is in.
    pub mean_self_us: u64,
    /// Its part of the time of the examined traces.
    pub time_percent: f64,
    /// The error it failed with, where the problem is failures. Untrusted text.
    pub error: Option<String>,
}

/// A route with a problem.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What is wrong.
    pub problem: Problem,
    /// With which route.
    pub route: String,
    /// Its transactions in the window.
    pub count: u64,
    /// Those that failed.
    pub errors: u64,
    /// Their share.
    pub error_percent: f64,
    /// 95 % were at most this long.
    pub p95_us: u64,
    /// The same in the hour before the window, if there was enough to compare.
    pub baseline_p95_us: Option<u64>,
    /// The same share in the hour before the window.
    pub baseline_error_percent: Option<f64>,
    /// Sessions among the examined transactions.
    pub sessions: usize,
    /// The cause, when the examined traces show one.
    pub culprit: Option<Culprit>,
    /// Traces to look at, as 32 hexadecimal digits.
    pub evidence: Vec<String>,
}

/// All that was found in a window.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Findings {
    /// Transactions in the window, on all routes.
    pub count: u64,
    /// Those that failed.
    pub errors: u64,
    /// The sessions at this moment, if known.
    pub sessions: Option<SessionStats>,
    /// The problems: failing routes by errors, then slow ones by their time.
    pub problems: Vec<Finding>,
}

/// Looks into a window; `baseline` is what it is compared against.
///
/// # Errors
/// When telemetry cannot be read. Sessions that cannot be read are left out instead: they are not
/// what was asked for.
pub async fn look_into(
    telemetry: &dyn Telemetry,
    window: Window,
    baseline: Window,
) -> Result<Findings, TelemetryError> {
    let now = telemetry.route_stats(window).await?;
    let before = telemetry.route_stats(baseline).await?;
    let mut findings = Findings {
        count: now.iter().map(|route| route.count).sum(),
        errors: now.iter().map(|route| route.errors).sum(),
        sessions: telemetry.sessions().await.unwrap_or(None),
        problems: Vec::new(),
    };
    for (problem, stats) in candidates(&now, &before) {
        let earlier = before.iter().find(|route| route.route == stats.route).filter(comparable);
        let mut finding = Finding {
            problem,
            route: stats.route.clone(),
            count: stats.count,
            errors: stats.errors,
            error_percent: percent(stats.errors, stats.count),
            p95_us: stats.p95_us,
            baseline_p95_us: earlier.map(|route| route.p95_us),
            baseline_error_percent: earlier.map(|route| percent(route.errors, route.count)),
            sessions: 0,
            culprit: None,
            evidence: Vec::new(),
        };
        examine(telemetry, window, &mut finding).await?;
        findings.problems.push(finding);
    }
    Ok(findings)
}

fn candidates<'a>(now: &'a [RouteStats], before: &[RouteStats]) -> Vec<(Problem, &'a RouteStats)> {
    let failing = |route: &&RouteStats| {
        route.count >= MIN_COUNT && percent(route.errors, route.count) >= FAILING_PERCENT
    };
    let slow = |route: &&RouteStats| {
        let earlier = before.iter().find(|other| other.route == route.route).filter(comparable);
        let slower =
            earlier.is_some_and(|earlier| route.p95_us as f64 >= earlier.p95_us as f64 * SLOWER_TIMES);
        route.count >= MIN_COUNT && (route.p95_us >= SLOW_US || (slower && route.p95_us >= SLOWER_MIN_US))
    };
    let mut failing: Vec<_> = now.iter().filter(failing).collect();
    failing.sort_by(|a, b| b.errors.cmp(&a.errors).then_with(|| a.route.cmp(&b.route)));
    let mut slow: Vec<_> = now.iter().filter(slow).collect();
    // By what users waited in all.
    slow.sort_by(|a, b| b.total_us.cmp(&a.total_us).then_with(|| a.route.cmp(&b.route)));
    let failing = failing.into_iter().take(MAX_FINDINGS).map(|route| (Problem::Failing, route));
    failing.chain(slow.into_iter().take(MAX_FINDINGS).map(|route| (Problem::Slow, route))).collect()
}

fn comparable(route: &&RouteStats) -> bool {
    route.count >= MIN_BASELINE
}

/// Reads the worst transactions of a finding and says what they have in common.
async fn examine(
    telemetry: &dyn Telemetry,
    window: Window,
    finding: &mut Finding,
) -> Result<(), TelemetryError> {
    let failing = finding.problem == Problem::Failing;
    let query = TransactionQuery {
        route: Some(finding.route.clone()),
        errors_only: failing,
        order: if failing { Order::Newest } else { Order::Slowest },
        limit: EXAMINED,
        ..TransactionQuery::new(window)
    };
    let rows = telemetry.transactions(&query).await?.items;
    finding.sessions = rows.iter().filter_map(|row| row.session.as_deref()).collect::<BTreeSet<_>>().len();
    let mut tally = Tally::default();
    for row in &rows {
        if let Some(trace) = telemetry.trace(row.trace_id).await? {
            tally.add(finding.problem, row, &trace);
        }
    }
    let worst = tally.worst(finding.problem);
    // Traces that show the cause come first.
    let shows = |row: &&TransactionSummary| {
        let hit = worst.as_ref().is_some_and(|culprit| {
            tally.first.iter().any(|(id, blame)| *id == row.trace_id && *blame == culprit.blame)
        });
        !hit
    };
    let mut evidence: Vec<&TransactionSummary> = rows.iter().collect();
    evidence.sort_by_key(shows);
    finding.evidence = evidence.iter().take(EVIDENCE).map(|row| row.trace_id.to_string()).collect();
    finding.culprit = worst;
    Ok(())
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

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}
