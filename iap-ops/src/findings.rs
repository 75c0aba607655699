//! What is wrong, in types: every number with its unit in its name, every claim with evidence.

mod examine;
mod recent;

use std::collections::BTreeSet;

use iap_apm::{RouteStats, Window};
use schemars::JsonSchema;
use serde::Serialize;

pub(crate) use self::examine::culprit_of;
use self::examine::examine;
pub use self::recent::Recent;
use self::recent::Tails;
use crate::blame::Blame;
use crate::detect::Incident;
use crate::question::named_routes;
use crate::telemetry::{SessionStats, Telemetry, TelemetryError};

/// Routes of each problem that are looked into.
const MAX_FINDINGS: usize = 3;
/// Incidents that are told.
const MAX_INCIDENTS: usize = 5;
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Problem {
    /// At least 5 % of its transactions failed, or it is [`Finding::failing_now`].
    Failing,
    /// Its p95 is at least a second, or twice that of the hour before and 100 ms.
    Slow,
}

/// What the examined traces have in common.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
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
    /// The end of a window that ends now, if there was enough in it; the last ten seconds where only
    /// those show a failure.
    pub recent: Option<Recent>,
    /// Whether at least a fifth failed there.
    pub failing_now: bool,
    /// Sessions among the examined transactions.
    pub sessions: usize,
    /// The cause, when the examined traces show one.
    pub culprit: Option<Culprit>,
    /// Traces to look at, as 32 hexadecimal digits.
    pub evidence: Vec<String>,
}

/// What a route did in the window, whether or not anything is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RouteNumbers {
    /// The route.
    pub route: String,
    /// Its transactions.
    pub count: u64,
    /// Those that failed.
    pub errors: u64,
    /// 95 % were at most this long; 0 without transactions.
    pub p95_us: u64,
}

/// What to look into.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The time that is asked about.
    pub window: Window,
    /// What it is compared against.
    pub baseline: Window,
    /// Whether the window ends now: its last minute tells then what is failing at this moment.
    pub until_now: bool,
    /// The question and those before it: the routes that the first of them names are the only ones looked at.
    pub subject: &'a [String],
}

/// All that was found in a window.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Findings {
    /// Transactions in the window, on all routes.
    pub count: u64,
    /// Those that failed.
    pub errors: u64,
    /// The sessions at this moment, if known.
    pub sessions: Option<SessionStats>,
    /// Whether there is a session store and it does not answer.
    pub sessions_unavailable: bool,
    /// The routes that the question names; all else here is about these only. Empty: about all routes.
    pub subjects: Vec<RouteNumbers>,
    /// Routes that had errors, or were named, but too few transactions to judge: most errors first.
    pub unjudged: Vec<RouteNumbers>,
    /// Incidents of the window that are not over, by detection; the latest first. Of the named routes only, if any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub incidents: Vec<Incident>,
    /// The problems: routes that fail now, other failing ones, each by errors, then slow ones by their time.
    pub problems: Vec<Finding>,
}

/// Looks into a window.
///
/// # Errors
/// When the history cannot be read. Sessions that cannot be read are told in the findings instead.
pub async fn look_into(telemetry: &dyn Telemetry, scope: Scope<'_>) -> Result<Findings, TelemetryError> {
    let mut now = telemetry.route_stats(scope.window).await?;
    let before = telemetry.route_stats(scope.baseline).await?;
    let known: BTreeSet<&str> = now.iter().chain(&before).map(|route| route.route.as_str()).collect();
    let named = scope.subject.iter().map(|text| named_routes(text, &known));
    let named = named.into_iter().find(|named| !named.is_empty()).unwrap_or_default();
    let subjects: Vec<_> = named.iter().map(|route| numbers(route, &now)).collect();
    if !named.is_empty() {
        now.retain(|route| named.contains(&route.route));
    }
    let tails = if scope.until_now { Tails::read(telemetry, scope.window).await? } else { Tails::default() };
    let sessions = telemetry.sessions().await;
    let mut findings = Findings {
        count: now.iter().map(|route| route.count).sum(),
        errors: now.iter().map(|route| route.errors).sum(),
        sessions_unavailable: sessions.is_err(),
        sessions: sessions.unwrap_or(None),
        unjudged: unjudged(&now, &tails, !named.is_empty()),
        incidents: active(telemetry, scope.window, &named),
        subjects,
        problems: Vec::new(),
    };
    for (problem, stats) in candidates(&now, &before, &tails) {
        let earlier = before.iter().find(|route| route.route == stats.route).filter(comparable);
        let (recent, failing_now) = tails.of(&stats.route);
        let mut finding = Finding {
            problem,
            route: stats.route.clone(),
            count: stats.count,
            errors: stats.errors,
            error_percent: percent(stats.errors, stats.count),
            p95_us: stats.p95_us,
            baseline_p95_us: earlier.map(|route| route.p95_us),
            baseline_error_percent: earlier.map(|route| percent(route.errors, route.count)),
            recent,
            failing_now,
            sessions: 0,
            culprit: None,
            evidence: Vec::new(),
        };
        examine(telemetry, scope.window, &mut finding).await?;
        findings.problems.push(finding);
    }
    Ok(findings)
}

/// Incidents that are not over; those of which the route is not known stand for all.
fn active(telemetry: &dyn Telemetry, window: Window, named: &[String]) -> Vec<Incident> {
    let found = telemetry.estate().and_then(|estate| estate.incidents(window)).unwrap_or_default();
    let about = |incident: &Incident| {
        let route = incident.cause.route.as_ref();
        named.is_empty() || route.is_none_or(|route| named.contains(route))
    };
    found.into_iter().filter(|one| one.is_active() && about(one)).take(MAX_INCIDENTS).collect()
}

/// The route with most failures.
pub(crate) async fn worst_route(
    telemetry: &dyn Telemetry,
    window: Window,
) -> Result<Option<String>, TelemetryError> {
    let routes = telemetry.route_stats(window).await?;
    Ok(routes
        .into_iter()
        .filter(|route| route.errors > 0)
        .max_by_key(|route| route.errors)
        .map(|route| route.route))
}

fn numbers(route: &str, now: &[RouteStats]) -> RouteNumbers {
    let stats = now.iter().find(|stats| stats.route == route);
    let (count, errors, p95_us) = stats.map_or((0, 0, 0), |stats| (stats.count, stats.errors, stats.p95_us));
    RouteNumbers { route: route.to_owned(), count, errors, p95_us }
}

/// Rare routes that cannot be called well: those with errors, or any of them that was asked about.
fn unjudged(now: &[RouteStats], tails: &Tails, named: bool) -> Vec<RouteNumbers> {
    let rare = |route: &&RouteStats| {
        let asked = named && route.count > 0;
        route.count < MIN_COUNT && (route.errors > 0 || asked) && !tails.of(&route.route).1
    };
    let mut rare: Vec<_> = now.iter().filter(rare).map(|route| numbers(&route.route, now)).collect();
    rare.sort_by(|a, b| b.errors.cmp(&a.errors).then_with(|| a.route.cmp(&b.route)));
    rare
}

fn candidates<'a>(
    now: &'a [RouteStats],
    before: &[RouteStats],
    tails: &Tails,
) -> Vec<(Problem, &'a RouteStats)> {
    let failing_now = |route: &RouteStats| tails.of(&route.route).1;
    let failing = |route: &&RouteStats| {
        let over_all = route.count >= MIN_COUNT && percent(route.errors, route.count) >= FAILING_PERCENT;
        over_all || failing_now(route)
    };
    let slow = |route: &&RouteStats| {
        let earlier = before.iter().find(|other| other.route == route.route).filter(comparable);
        let slower =
            earlier.is_some_and(|earlier| route.p95_us as f64 >= earlier.p95_us as f64 * SLOWER_TIMES);
        route.count >= MIN_COUNT && (route.p95_us >= SLOW_US || (slower && route.p95_us >= SLOWER_MIN_US))
    };
    let mut failing: Vec<_> = now.iter().filter(failing).collect();
    // What fails at this moment before what is over.
    failing.sort_by(|a, b| {
        let now = failing_now(b).cmp(&failing_now(a));
        now.then_with(|| b.errors.cmp(&a.errors)).then_with(|| a.route.cmp(&b.route))
    });
    let mut slow: Vec<_> = now.iter().filter(slow).collect();
    // By what users waited in all.
    slow.sort_by(|a, b| b.total_us.cmp(&a.total_us).then_with(|| a.route.cmp(&b.route)));
    let failing = failing.into_iter().take(MAX_FINDINGS).map(|route| (Problem::Failing, route));
    failing.chain(slow.into_iter().take(MAX_FINDINGS).map(|route| (Problem::Slow, route))).collect()
}

fn comparable(route: &&RouteStats) -> bool {
    route.count >= MIN_BASELINE
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}
