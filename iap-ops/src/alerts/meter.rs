//! What rules measure, read from the history.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use iap_apm::{History, HistoryError, MetricQuery, Order, RouteCounts, RouteStats, TransactionQuery, Window};

use super::rule::{Bound, Measure, Rule, Signal};
use super::state::Group;

const MINUTE_US: u64 = 60_000_000;
/// Shorter windows are counted anew each time, longer ones minute by minute.
const COUNTED_WHOLE: Duration = Duration::from_secs(600);
/// A minute is counted once after this, when what began in it has mostly ended.
const SETTLED_US: u64 = 30_000_000;
/// Minutes that are counted in one round; after a start those of long windows come in several.
const MINUTES_A_ROUND: usize = 60;

/// The minutes that long windows are made of, and what is read for several rules of one round.
#[derive(Default)]
pub(super) struct Meter {
    minutes: BTreeMap<u64, Vec<RouteCounts>>,
    /// The limits that they were counted by.
    limits_us: Vec<u64>,
    counts: BTreeMap<u64, Arc<[RouteCounts]>>,
    stats: BTreeMap<u64, Arc<[RouteStats]>>,
}

/// The values of one rule.
pub(super) type Values = Vec<(Group, Option<f64>)>;

impl Meter {
    /// Begins a round: counts the minutes that long windows need and that have ended.
    pub(super) async fn begin(
        &mut self,
        rules: &[Rule],
        history: &dyn History,
        now_us: u64,
    ) -> Result<(), HistoryError> {
        (self.counts, self.stats) = Default::default();
        let limits_us = limits(rules);
        if self.limits_us != limits_us {
            self.minutes.clear();
            self.limits_us = limits_us;
        }
        let long = rules.iter().filter(|rule| counts(rule) && rule.over > COUNTED_WHOLE);
        let Some(longest) = long.map(|rule| rule.over).max() else {
            self.minutes.clear();
            return Ok(());
        };
        let end = now_us.saturating_sub(SETTLED_US) / MINUTE_US;
        let first = end.saturating_sub(longest.as_secs() / 60 + 1);
        self.minutes = self.minutes.split_off(&first);
        let missing = (first..end).rev().filter(|minute| !self.minutes.contains_key(minute));
        for minute in missing.take(MINUTES_A_ROUND).collect::<Vec<_>>() {
            let window = Window::new(minute * MINUTE_US, (minute + 1) * MINUTE_US);
            let counted = history.route_counts(window, &self.limits_us).await?;
            self.minutes.insert(minute, counted);
        }
        Ok(())
    }

    /// What a rule measures now.
    pub(super) async fn measure(
        &mut self,
        rule: &Rule,
        history: &dyn History,
        now_us: u64,
    ) -> Result<Values, HistoryError> {
        let window = Window::last(micros(rule.over), now_us);
        match &rule.signal {
            Signal::Metric { .. } => metric(&rule.signal, history, window).await,
            Signal::Route { route, measure: measure @ (Measure::P50 | Measure::P95 | Measure::P99) } => {
                let stats = self.stats(history, window).await?;
                let wanted =
                    stats.iter().filter(|stats| route.as_ref().is_none_or(|route| *route == stats.route));
                let value = |stats: &RouteStats| {
                    let us = match measure {
                        Measure::P50 => stats.p50_us,
                        Measure::P95 => stats.p95_us,
                        _ => stats.p99_us,
                    };
                    (stats.count >= rule.min_requests.max(1)).then_some(us as f64 / 1e3)
                };
                Ok(named(route, wanted.map(|stats| (of(&stats.route), value(stats))).collect(), None))
            }
            Signal::Route { route, measure } => {
                let counted = self.counted(history, window).await?;
                let seconds = rule.over.as_secs_f64();
                let value = |counts: &RouteCounts| match measure {
                    Measure::Rate => Some(counts.count as f64 / seconds),
                    _ if counts.count < rule.min_requests.max(1) => None,
                    Measure::Apdex(fast) => Some(self.apdex(counts, *fast)),
                    _ => Some(counts.errors as f64 * 100.0 / counts.count as f64),
                };
                let all =
                    counted.iter().filter(|counts| matches(route, counts)).filter(|counts| counts.count > 0);
                // Nobody asks: that is a rate of zero, or, for who asks whether there is any, none.
                let quiet = (*measure == Measure::Rate && rule.bound != Bound::Absent).then_some(0.0);
                Ok(named(route, all.map(|counts| (of(&counts.route), value(counts))).collect(), quiet))
            }
            Signal::Burn { route, objective, faster_than } => {
                let short = Window::last(window.length_us() / 12, now_us);
                let windows = [self.counted(history, window).await?, self.counted(history, short).await?];
                let burn = |counts: &RouteCounts| self.burn(counts, *objective, *faster_than);
                let values = windows[0].iter().filter(|counts| matches(route, counts)).map(|counts| {
                    let now = windows[1].iter().find(|short| short.route == counts.route && short.count > 0);
                    let enough = counts.count >= rule.min_requests.max(1);
                    (of(&counts.route), now.filter(|_| enough).map(|now| burn(now).min(burn(counts))))
                });
                Ok(named(route, values.collect(), None))
            }
        }
    }

    /// How much faster than allowed a budget is used up.
    fn burn(&self, counts: &RouteCounts, objective: f64, faster_than: Option<Duration>) -> f64 {
        let good = match faster_than {
            Some(limit) => self.within(counts, limit),
            None => counts.count.saturating_sub(counts.errors),
        };
        counts.count.saturating_sub(good) as f64 / counts.count.max(1) as f64 / (1.0 - objective / 100.0)
    }

    /// A transaction that shows what a rule has found.
    pub(super) async fn example(
        rule: &Rule,
        group: &Group,
        history: &dyn History,
        now_us: u64,
    ) -> Result<Option<String>, HistoryError> {
        let slow = match &rule.signal {
            Signal::Metric { .. } => return Ok(None),
            Signal::Route { measure, .. } => *measure != Measure::ErrorPercent,
            Signal::Burn { faster_than, .. } => faster_than.is_some(),
        };
        let query = TransactionQuery {
            route: group.get("route").cloned(),
            errors_only: !slow,
            order: if slow { Order::Slowest } else { Order::Newest },
            limit: 1,
            ..TransactionQuery::new(Window::last(micros(rule.over), now_us))
        };
        let page = history.transactions(&query).await?;
        Ok(page.items.first().map(|row| row.trace_id.to_string()))
    }

    async fn stats(
        &mut self,
        history: &dyn History,
        window: Window,
    ) -> Result<Arc<[RouteStats]>, HistoryError> {
        if let Some(known) = self.stats.get(&window.length_us()) {
            return Ok(known.clone());
        }
        let stats: Arc<[_]> = history.route_stats(window).await?.into();
        self.stats.insert(window.length_us(), stats.clone());
        Ok(stats)
    }

    async fn counted(
        &mut self,
        history: &dyn History,
        window: Window,
    ) -> Result<Arc<[RouteCounts]>, HistoryError> {
        let length_us = window.length_us();
        if let Some(known) = self.counts.get(&length_us) {
            return Ok(known.clone());
        }
        let counted: Arc<[_]> = if length_us <= micros(COUNTED_WHOLE) {
            history.route_counts(window, &self.limits_us).await?.into()
        } else {
            let minutes = self.minutes.range(window.from_us / MINUTE_US..).map(|(_, counts)| counts);
            sum(minutes.flatten()).into()
        };
        self.counts.insert(length_us, counted.clone());
        Ok(counted)
    }

    fn within(&self, counts: &RouteCounts, limit: Duration) -> u64 {
        let at = self.limits_us.iter().position(|known| *known == micros(limit));
        at.and_then(|at| counts.within.get(at)).copied().unwrap_or(0)
    }

    fn apdex(&self, counts: &RouteCounts, fast: Duration) -> f64 {
        counts.apdex(self.within(counts, fast), self.within(counts, fast * 4))
    }
}

/// The values of a metric, for each group that is told apart.
async fn metric(signal: &Signal, history: &dyn History, window: Window) -> Result<Values, HistoryError> {
    let Signal::Metric { name, service, function, filter, by } = signal else { return Ok(Values::new()) };
    let query = MetricQuery {
        step_us: window.length_us().max(1),
        service: service.clone(),
        function: *function,
        filter: filter.clone().into_iter().collect(),
        by: by.clone(),
        ..MetricQuery::new(name.as_str(), window)
    };
    let groups = history.metric(&query).await?.groups.into_iter();
    let mut values: Values = groups
        .map(|group| (group.labels.into_iter().collect(), group.values.first().copied().flatten()))
        .collect();
    if values.is_empty() && by.is_empty() {
        values.push((Group::new(), None));
    }
    Ok(values)
}

/// The limits that some rule asks for.
fn limits(rules: &[Rule]) -> Vec<u64> {
    let mut limits: Vec<u64> = rules
        .iter()
        .flat_map(|rule| match rule.signal {
            Signal::Route { measure: Measure::Apdex(fast), .. } => vec![micros(fast), micros(fast * 4)],
            Signal::Burn { faster_than: Some(limit), .. } => vec![micros(limit)],
            _ => Vec::new(),
        })
        .collect();
    limits.sort_unstable();
    limits.dedup();
    limits
}

/// Whether a rule is judged by counts of routes.
fn counts(rule: &Rule) -> bool {
    match rule.signal {
        Signal::Metric { .. } => false,
        Signal::Burn { .. } => true,
        Signal::Route { measure, .. } => {
            matches!(measure, Measure::Rate | Measure::ErrorPercent | Measure::Apdex(_))
        }
    }
}

fn sum<'a>(minutes: impl Iterator<Item = &'a RouteCounts>) -> Vec<RouteCounts> {
    let mut all: BTreeMap<&str, RouteCounts> = BTreeMap::new();
    for counts in minutes {
        let Some(known) = all.get_mut(counts.route.as_str()) else {
            all.insert(&counts.route, counts.clone());
            continue;
        };
        known.count += counts.count;
        known.errors += counts.errors;
        for (known, more) in known.within.iter_mut().zip(&counts.within) {
            *known += more;
        }
    }
    all.into_values().collect()
}

fn matches(route: &Option<String>, counts: &RouteCounts) -> bool {
    route.as_ref().is_none_or(|route| *route == counts.route)
}

fn of(route: &str) -> Group {
    Group::from([("route".to_owned(), route.to_owned())])
}

/// A route that is named is there also when nobody has asked for it.
fn named(route: &Option<String>, mut values: Values, quiet: Option<f64>) -> Values {
    if let (Some(route), true) = (route, values.is_empty()) {
        values.push((of(route), quiet));
    }
    values
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
