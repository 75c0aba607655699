//! The live feed: the last two minutes second by second, what runs now, and the newest points of the
//! scatter. Fed by the collector; transactions received by OTLP are in the history only.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use iap_core::{SpanId, TraceId};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::hooks::ApmTransaction;
use crate::model::{TransactionSummary, hex};
use crate::shared::Shared;
use crate::sketch::Sketch;

/// The seconds that a snapshot covers.
pub const LIVE_SECONDS: usize = 120;
/// Points that one [`RecentPoints`] holds.
const MAX_POINTS: usize = 2_000;
/// Running transactions that a snapshot lists.
const MAX_ACTIVE: usize = 1_000;

/// One second of the feed. Percentiles as in [`RouteStats`](crate::model::RouteStats).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LiveSecond {
    /// The beginning of the second.
    pub start_us: u64,
    /// Transactions that ended in it.
    pub count: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Half of them were at most this long.
    pub p50_us: u64,
    /// 95 % of them were at most this long.
    pub p95_us: u64,
    /// 99 % of them were at most this long.
    pub p99_us: u64,
}

/// A transaction that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActiveTransaction {
    /// The trace.
    #[serde(with = "hex::trace")]
    #[schemars(with = "String")]
    pub trace_id: TraceId,
    /// The transaction's root span.
    #[serde(with = "hex::span")]
    #[schemars(with = "String")]
    pub span_id: SpanId,
    /// When it began.
    pub start_us: u64,
    /// How long it has been running.
    pub running_us: u64,
    /// The HTTP method.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The route, once chosen.
    pub route: String,
    /// The stage that it is in.
    pub stage: Option<Cow<'static, str>>,
    /// How long it has been in that stage.
    pub stage_us: u64,
    /// The upstream that it was sent to.
    pub upstream: Option<String>,
    /// The server of that upstream.
    pub server: Option<String>,
    /// The authenticated user.
    pub user: Option<String>,
    /// The keyed hash that stands for the session.
    pub session: Option<String>,
    /// The client's address.
    pub client: Option<String>,
    /// Tasks of it that wait, of which [`Apm::await_points`](crate::Apm::await_points) tells where.
    #[serde(default)]
    pub tasks: usize,
}

/// What happens now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LiveSnapshot {
    /// When the snapshot was made.
    pub now_us: u64,
    /// The last [`LIVE_SECONDS`] seconds, the oldest first; the last one is not over yet.
    pub seconds: Vec<LiveSecond>,
    /// How many transactions run.
    pub active_count: usize,
    /// The longest-running of them.
    pub active: Vec<ActiveTransaction>,
}

/// A finished transaction that the history keeps, as a point of the scatter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RecentPoint {
    /// Its number in the feed, without gaps.
    pub seq: u64,
    /// The trace.
    #[serde(with = "hex::trace")]
    #[schemars(with = "String")]
    pub trace_id: TraceId,
    /// When it began.
    pub start_us: u64,
    /// How long it took.
    pub duration_us: u64,
    /// The HTTP status.
    pub status: u16,
    /// Whether it counts as an error.
    pub failed: bool,
    /// The route.
    pub route: String,
    /// How many transactions it stands for, itself included.
    pub weight: u64,
}

/// Points after a sequence number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RecentPoints {
    /// The points, the oldest first.
    pub points: Vec<RecentPoint>,
    /// What to ask for next.
    pub next_seq: u64,
    /// Points that were asked for and are not held any more.
    pub missed: u64,
}

#[derive(Default)]
struct Second {
    unix_s: u64,
    errors: u64,
    durations: Sketch,
}

pub(crate) struct LiveState {
    seconds: Mutex<Vec<Second>>,
    recent: Mutex<Recent>,
    capacity: usize,
}

struct Recent {
    points: VecDeque<RecentPoint>,
    next_seq: u64,
}

impl LiveState {
    pub(crate) fn new(capacity: usize) -> Self {
        let seconds = (0..LIVE_SECONDS).map(|_| Second::default()).collect();
        Self {
            seconds: Mutex::new(seconds),
            recent: Mutex::new(Recent { points: VecDeque::new(), next_seq: 0 }),
            capacity: capacity.max(1),
        }
    }

    /// Counts a finished transaction.
    pub(crate) fn count(&self, start_us: u64, duration_us: u64, failed: bool) {
        let unix_s = start_us.saturating_add(duration_us) / 1_000_000;
        let mut seconds = self.seconds.lock();
        let second = &mut seconds[(unix_s % LIVE_SECONDS as u64) as usize];
        if second.unix_s < unix_s {
            second.durations.clear();
            (second.unix_s, second.errors) = (unix_s, 0);
        }
        // One that is older than what the slot holds has left the window.
        if second.unix_s == unix_s {
            second.durations.add(duration_us);
            second.errors += u64::from(failed);
        }
    }

    /// Shows a transaction that is kept: behind each point there is a trace.
    pub(crate) fn show(&self, row: &TransactionSummary) {
        let mut recent = self.recent.lock();
        if recent.points.len() == self.capacity {
            recent.points.pop_front();
        }
        let point = RecentPoint {
            seq: recent.next_seq,
            trace_id: row.trace_id,
            start_us: row.start_us,
            duration_us: row.duration_us,
            status: row.status,
            failed: row.failed,
            route: row.route.clone(),
            weight: row.weight,
        };
        recent.next_seq += 1;
        recent.points.push_back(point);
    }

    pub(crate) fn recent_since(&self, seq: u64) -> RecentPoints {
        let recent = self.recent.lock();
        let oldest = recent.next_seq - recent.points.len() as u64;
        let from = seq.clamp(oldest, recent.next_seq);
        let points: Vec<_> =
            recent.points.iter().skip((from - oldest) as usize).take(MAX_POINTS).cloned().collect();
        RecentPoints { next_seq: from + points.len() as u64, missed: oldest.saturating_sub(seq), points }
    }

    fn seconds(&self, now_us: u64) -> Vec<LiveSecond> {
        let now_s = now_us / 1_000_000;
        let seconds = self.seconds.lock();
        let range = (now_s + 1).saturating_sub(LIVE_SECONDS as u64)..=now_s;
        let second = |unix_s: u64| {
            let second = &seconds[(unix_s % LIVE_SECONDS as u64) as usize];
            let (durations, errors) = match second.unix_s == unix_s {
                true => (&second.durations, second.errors),
                false => (&Sketch::default(), 0),
            };
            LiveSecond {
                start_us: unix_s * 1_000_000,
                count: durations.count(),
                errors,
                p50_us: durations.percentile(50),
                p95_us: durations.percentile(95),
                p99_us: durations.percentile(99),
            }
        };
        range.map(second).collect()
    }
}

pub(crate) fn snapshot(shared: &Shared) -> LiveSnapshot {
    let now_us = shared.now_us();
    LiveSnapshot {
        now_us,
        seconds: shared.live.seconds(now_us),
        active_count: shared.active.running(),
        active: active(shared, now_us, MAX_ACTIVE, |_| true),
    }
}

/// The longest-running of the transactions that are wanted.
pub(crate) fn active(
    shared: &Shared,
    now_us: u64,
    limit: usize,
    wanted: impl Fn(&ApmTransaction) -> bool,
) -> Vec<ActiveTransaction> {
    let mut running = shared.active.list();
    running.retain(|transaction| wanted(transaction));
    longest(shared, now_us, limit, running)
}

fn longest(
    shared: &Shared,
    now_us: u64,
    limit: usize,
    mut running: Vec<Arc<ApmTransaction>>,
) -> Vec<ActiveTransaction> {
    running.sort_by_key(|transaction| transaction.start);
    running.iter().take(limit).map(|transaction| show(shared, transaction, now_us)).collect()
}

fn show(shared: &Shared, transaction: &Arc<ApmTransaction>, now_us: u64) -> ActiveTransaction {
    let facts = transaction.facts();
    let start_us = shared.ticks.unix_us(transaction.start);
    let (stage, ticks) = transaction.stage(shared.ticks.raw()).unzip();
    let [upstream, server] = transaction
        .server()
        .map(|names| names.map(|name| name.to_string()))
        .map_or([None, None], |[upstream, server]| [Some(upstream), Some(server)]);
    ActiveTransaction {
        trace_id: transaction.context.trace_id,
        span_id: transaction.context.span_id,
        start_us,
        running_us: now_us.saturating_sub(start_us),
        method: transaction.method.to_string(),
        path: transaction.path().to_owned(),
        route: facts.route().to_owned(),
        stage: stage.map(Cow::Borrowed),
        stage_us: ticks.map_or(0, |ticks| shared.ticks.us(ticks)),
        upstream,
        server,
        user: facts.user.map(Into::into),
        session: facts.session.map(Into::into),
        client: transaction.client().map(|ip| ip.to_string()),
        tasks: transaction.tasks.waiting(),
    }
}

/// Where the bands of speed end, in microseconds of running; the last band has no end.
pub const BANDS_US: [u64; 4] = [500_000, 1_000_000, 3_000_000, 8_000_000];

/// How long the running requests of one route have been running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ActiveRoute {
    /// The route.
    pub route: String,
    /// Its running requests by how long they have been running: see [`BANDS_US`].
    pub bands: [u64; BANDS_US.len() + 1],
    /// The longest.
    pub slowest_us: u64,
}

/// The requests that run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ActiveView {
    /// When it was looked.
    pub now_us: u64,
    /// How many run.
    pub running: usize,
    /// How many of them are known one by one; the others found the table full.
    pub listed: usize,
    /// Where the bands end.
    pub bands_us: [u64; BANDS_US.len()],
    /// By route, the one with the longest-running request first.
    pub routes: Vec<ActiveRoute>,
    /// The longest-running ones.
    pub requests: Vec<ActiveTransaction>,
    /// When those that take long were last written down, in case of a crash; 0 for never.
    pub noted_us: u64,
}

pub(crate) fn view(shared: &Shared, limit: usize) -> ActiveView {
    let now_us = shared.now_us();
    let running = shared.active.list();
    let mut routes: BTreeMap<String, ActiveRoute> = BTreeMap::new();
    for transaction in &running {
        let running_us = now_us.saturating_sub(shared.ticks.unix_us(transaction.start));
        let route = transaction.with_route(str::to_owned);
        let entry = routes.entry(route.clone()).or_insert_with(|| ActiveRoute {
            route,
            bands: Default::default(),
            slowest_us: 0,
        });
        entry.bands[BANDS_US.partition_point(|end| *end <= running_us)] += 1;
        entry.slowest_us = entry.slowest_us.max(running_us);
    }
    let mut routes: Vec<_> = routes.into_values().collect();
    routes.sort_by_key(|route| std::cmp::Reverse(route.slowest_us));
    ActiveView {
        now_us,
        running: shared.active.running(),
        listed: running.len(),
        bands_us: BANDS_US,
        routes,
        requests: longest(shared, now_us, limit.min(MAX_ACTIVE), running),
        noted_us: shared.noted_us.load(std::sync::atomic::Ordering::Relaxed),
    }
}

#[cfg(test)]
mod tests;
