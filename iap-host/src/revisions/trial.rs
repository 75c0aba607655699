//! Whether things are worse since another configuration runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use iap_apm::LiveSecond;
use iap_core::Upstream;
use iap_core::upstream::ServerState;
use iap_ops::actions::{Gate, Health, Verdict};
use schemars::JsonSchema;
use serde::Serialize;

use crate::config::RevisionsConfig;

/// The time before is at least as long as this: a short trial is compared with more than an instant.
const MIN_BEFORE_MS: u64 = 10_000;
/// Looks in a row that must find an upstream without a server: one alone may be a moment.
const LOOKS: u32 = 2;

/// A configuration that is tried out.
#[derive(Debug)]
pub(crate) struct Trial {
    gate: Gate,
    before: Health,
    /// Upstreams that had no server before.
    idle: BTreeSet<String>,
    /// How often in a row an upstream was seen without one.
    seen: BTreeMap<String, u32>,
    pub(crate) shown: Shown,
}

/// What is told of a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Trial")]
pub(crate) struct Shown {
    pub(crate) revision: u64,
    pub(crate) began_ms: u64,
    pub(crate) until_ms: u64,
    /// Requests and failed ones, in as long a time before and since then.
    before: Counts,
    after: Counts,
    /// Upstreams that have no server ready now, and had one.
    without_servers: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "TrialCounts")]
struct Counts {
    requests: u64,
    failed: u64,
}

impl From<Health> for Counts {
    fn from(health: Health) -> Self {
        Self { requests: health.count, failed: health.errors }
    }
}

/// Upstreams of which no server is ready.
pub(crate) fn without_servers(upstreams: &[Arc<Upstream>]) -> BTreeSet<String> {
    let all = upstreams.iter().map(|upstream| upstream.status());
    let idle = all.filter(|status| {
        status.servers.iter().all(|server| !matches!(server.state, ServerState::Up | ServerState::Probing))
    });
    idle.map(|status| status.name.to_string()).collect()
}

impl Trial {
    /// Begins now; `seconds` are those up to now, `idle` the upstreams without a server before the change.
    pub(crate) fn begin(
        revision: u64,
        settings: &RevisionsConfig,
        seconds: &[LiveSecond],
        idle: BTreeSet<String>,
        now_ms: u64,
    ) -> Self {
        let watch_ms = settings.watch.0.as_millis() as u64;
        let from_ms = now_ms.saturating_sub(watch_ms.max(MIN_BEFORE_MS));
        // The second that is not over yet has some of both.
        let before = health(seconds, from_ms, now_ms / 1_000 * 1_000);
        let gate = Gate {
            watch_ms,
            worse_percent: settings.worse,
            // Only failures count: a cache that is cold again is no reason to go back.
            slower: f64::INFINITY,
            min_requests: settings.min_requests,
        };
        let shown = Shown {
            revision,
            began_ms: now_ms,
            until_ms: now_ms + watch_ms,
            before: before.into(),
            after: Counts::default(),
            without_servers: Vec::new(),
        };
        Self { gate, before, idle, seen: BTreeMap::new(), shown }
    }

    /// Looks once more. Gives why it is to be taken back, if it is.
    pub(crate) fn look(&mut self, seconds: &[LiveSecond], idle: &BTreeSet<String>) -> Option<String> {
        let after = health(seconds, self.shown.began_ms, u64::MAX);
        self.shown.after = after.into();
        self.seen.retain(|name, _| idle.contains(name));
        for name in idle.difference(&self.idle) {
            *self.seen.entry(name.clone()).or_default() += 1;
        }
        self.shown.without_servers = self.seen.keys().cloned().collect();
        if let Some((name, _)) = self.seen.iter().find(|(_, looks)| **looks >= LOOKS) {
            return Some(format!("upstream {name} has no server ready, and had one before"));
        }
        match self.gate.judge(&self.before, &after) {
            Verdict::MoreFail(was, is) => {
                Some(format!("failed requests: {was:.1} % before, {is:.1} % since then"))
            }
            _ => None,
        }
    }
}

/// How requests went that ended in a time. A second belongs to the time that it begins in.
fn health(seconds: &[LiveSecond], from_ms: u64, to_ms: u64) -> Health {
    let within = seconds.iter().filter(|second| (from_ms..to_ms).contains(&(second.start_us / 1_000)));
    within.fold(Health::default(), |all, second| Health {
        count: all.count + second.count,
        errors: all.errors + second.errors,
        p95_us: 0,
    })
}
