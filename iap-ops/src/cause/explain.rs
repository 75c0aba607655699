//! From an event to its cause: queries of the telemetry, and what they say together.

use std::collections::BTreeSet;

use iap_apm::{Order, RouteStats, TransactionQuery, TransactionSummary, Window};

use super::found::{Candidate, CauseKind, Evidence, Impact, MAX_OTHERS, RootCause, kind_of};
use super::parameters::parameter;
use super::traces::{Group, NETWORK, Suspect, failing, printable, property, slower};
use crate::detect::{Alert, Entity};
use crate::estate::{ChangeKind, ServerState};
use crate::telemetry::{Telemetry, TelemetryError};

/// Transactions of either kind that are read.
const EXAMINED: usize = 20;
/// Rows that users and sessions are counted in.
const COUNTED: usize = 500;
/// What was changed so long before a change point, or so shortly after it as clocks and steps differ, may be its cause.
const BEFORE_S: u64 = 180;
const AFTER_S: u64 = 15;
/// The time that is compared with, before the change point.
const USUAL_S: u64 = 600;
/// How many times the requests of before are a surge.
const SURGE: f64 = 2.0;
const SECOND_US: u64 = 1_000_000;

/// Finds what an event is due to.
///
/// # Errors
/// When the telemetry cannot be read.
pub async fn explain(
    telemetry: &dyn Telemetry,
    alert: &Alert,
    now_us: u64,
) -> Result<RootCause, TelemetryError> {
    // A step of the series is what came before it was measured.
    let since_us = alert.since_s.saturating_sub(10) * SECOND_US;
    let window = Window::new(since_us, now_us.max(since_us + 1));
    let usual = Window::new(since_us.saturating_sub(USUAL_S * SECOND_US), since_us);
    let stats = telemetry.route_stats(window).await?;
    let asked = Asked { telemetry, alert, window, usual, stats: &stats };
    let mut cause = match &alert.key.entity {
        Entity::Route(route) if alert.key.signal == "requests" && alert.value < alert.expected => {
            // Those who wait ask less: most often an effect.
            let mut cause =
                RootCause::new(CauseKind::Metric, format!("fewer requests of {}", printable(route)));
            (cause.route, cause.confidence) = (Some(route.clone()), 0.2);
            cause
        }
        Entity::Route(route) if alert.key.signal == "requests" => asked.load(Some(route)),
        Entity::Route(route) => asked.route(route).await?,
        Entity::Upstream(name) => asked.upstream(name).await?,
        Entity::SessionStore => {
            let mut cause = RootCause::new(CauseKind::SessionStore, "session store");
            cause.confidence = 0.8;
            cause
        }
        Entity::Sessions if matches!(alert.key.signal.as_str(), "logins" | "created") => asked.load(None),
        Entity::Sessions => {
            let mut cause = RootCause::new(CauseKind::SessionStore, "session store");
            cause.confidence = 0.5;
            cause
        }
        Entity::Process(name) => asked.process(name, &alert.key.signal).await?,
        Entity::Log(service) => {
            let mut cause = RootCause::new(CauseKind::Log, printable(&alert.key.signal));
            cause.service = Some(service.clone());
            cause.confidence = 0.5;
            cause
        }
        Entity::Metric(name) => {
            let mut cause = RootCause::new(CauseKind::Metric, printable(name));
            cause.confidence = 0.3;
            cause
        }
    };
    if cause.kind == CauseKind::SessionStore && asked.is_surge().await? {
        // More work than usual makes any store slow: then it is an effect rather than the cause.
        cause.confidence /= 2.0;
    }
    cause.show(Evidence::Series(alert.key.to_string()));
    asked.changes(&mut cause);
    Ok(cause)
}

/// The one server of several that nearly all failures of an upstream come from.
fn alone<'a>(suspects: &[Suspect], own: &[&'a ServerState]) -> Option<&'a ServerState> {
    let of_server = |server: &ServerState| -> f64 {
        let its = suspects.iter().filter(|suspect| suspect.blame.name == server.address);
        its.map(|suspect| suspect.confidence).sum()
    };
    let all: f64 = own.iter().map(|server| of_server(server)).sum();
    let one = own.iter().find(|server| of_server(server) >= 0.8 * all)?;
    (own.len() > 1 && all > 0.0).then_some(*one)
}

pub(super) struct Asked<'a> {
    pub(super) telemetry: &'a dyn Telemetry,
    pub(super) alert: &'a Alert,
    pub(super) window: Window,
    pub(super) usual: Window,
    stats: &'a [RouteStats],
}

impl Asked<'_> {
    /// Failing or slow transactions of a route.
    async fn route(&self, route: &str) -> Result<RootCause, TelemetryError> {
        let errors = self.alert.key.signal == "errors";
        let mut query = TransactionQuery {
            route: Some(route.to_owned()),
            errors_only: errors,
            order: if errors { Order::Newest } else { Order::Slowest },
            limit: EXAMINED,
            ..TransactionQuery::new(self.window)
        };
        let rows = self.telemetry.transactions(&query).await?.items;
        let bad = self.read(&rows).await?;
        let usual =
            TransactionQuery { limit: EXAMINED, errors_only: false, order: Order::Newest, ..query.clone() };
        let usual = TransactionQuery { window: self.usual, ..usual };
        let passing: Vec<_> = self.telemetry.transactions(&usual).await?.items;
        let passing: Vec<_> = passing.into_iter().filter(|row| !(errors && row.failed)).collect();
        let good = self.read(&passing).await?;
        let suspects = if errors { failing(&bad, &good) } else { slower(&bad, &good) };
        let mut cause = self.blamed(&suspects);
        cause.route = Some(route.to_owned());
        cause.parameter =
            cause.sql.as_ref().and_then(|statement| parameter(&bad.calls, &good.calls, statement));
        if let Some((name, value, _)) = property(&bad, &good) {
            let node = cause.node.take().unwrap_or_else(|| format!("{name}={value}"));
            cause.node = Some(node);
        }
        let first = suspects.first().map(|suspect| &suspect.blame);
        let shows = |(_, blame): &&(String, Option<_>)| blame.is_none() || blame.as_ref() == first;
        for (id, _) in bad.shown.iter().filter(shows).take(3) {
            cause.show(Evidence::Trace(id.clone()));
        }
        query.limit = COUNTED;
        cause.impact = self.impact(route, errors, &self.telemetry.transactions(&query).await?.items);
        self.name_server(&mut cause);
        if !errors {
            self.pauses(&mut cause, &rows, &passing).await?;
        }
        Ok(cause)
    }

    async fn read(&self, rows: &[TransactionSummary]) -> Result<Group, TelemetryError> {
        let mut group = Group::default();
        for row in rows {
            if let Some(trace) = self.telemetry.trace(row.trace_id).await? {
                group.add(row, &trace);
            }
        }
        Ok(group)
    }

    fn blamed(&self, suspects: &[Suspect]) -> RootCause {
        let Some((first, others)) = suspects.split_first() else {
            let mut cause = RootCause::new(CauseKind::Metric, self.alert.key.to_string());
            cause.confidence = 0.1;
            return cause;
        };
        let mut cause = RootCause::blaming(&first.blame);
        if first.blame.name.starts_with(NETWORK) {
            cause.kind = CauseKind::Network;
        }
        cause.confidence = first.confidence;
        cause.error.clone_from(&first.error);
        cause.self_us = first.self_us;
        let other = |suspect: &Suspect| Candidate {
            kind: kind_of(&suspect.blame),
            name: suspect.blame.name.clone(),
            confidence: suspect.confidence,
        };
        cause.others =
            others.iter().filter(|other| other.confidence >= 0.05).take(MAX_OTHERS).map(other).collect();
        cause
    }

    /// How much is concerned; slow is what took as long as what the event is about.
    fn impact(&self, route: &str, errors: bool, rows: &[TransactionSummary]) -> Impact {
        let transactions = self.stats.iter().map(|route| route.count).sum();
        let stats = self.stats.iter().find(|stats| stats.route == route);
        let least_us = (self.alert.expected * 1.5 * SECOND_US as f64) as u64;
        let bad = |row: &&TransactionSummary| errors || row.duration_us >= least_us;
        let bad: Vec<_> = rows.iter().filter(bad).collect();
        let affected = match stats {
            Some(stats) if errors => stats.errors,
            _ => bad.iter().map(|row| row.weight).sum(),
        };
        let different = |of: fn(&TransactionSummary) -> Option<&str>| {
            bad.iter().filter_map(|row| of(row)).collect::<BTreeSet<_>>().len()
        };
        Impact {
            transactions,
            affected,
            share_percent: percent(affected, transactions),
            users: different(|row| row.user.as_deref()),
            sessions: different(|row| row.session.as_deref()),
        }
    }

    /// An upstream of which much fails or is refused.
    async fn upstream(&self, name: &str) -> Result<RootCause, TelemetryError> {
        let mut cause = RootCause::new(CauseKind::Upstream, name);
        cause.upstream = Some(name.to_owned());
        cause.confidence = 0.7;
        let query =
            TransactionQuery { errors_only: true, limit: EXAMINED, ..TransactionQuery::new(self.window) };
        let rows = self.telemetry.transactions(&query).await?.items;
        let group = self.read(&rows).await?;
        let suspects = failing(&group, &Group::default());
        if let Some(first) = suspects.first() {
            cause.error.clone_from(&first.error);
        }
        let servers = self.telemetry.estate().map(|estate| estate.servers()).unwrap_or_default();
        let own: Vec<_> = servers.iter().filter(|server| server.upstream == name).collect();
        let ill: Vec<_> =
            own.iter().filter(|server| !server.is_well() || server.last_error.is_some()).collect();
        for server in &ill {
            cause.show(Evidence::Server(format!("{} {}", server.upstream, server.address)));
        }
        if let [one] = &ill[..] {
            cause.node = Some(one.address.clone());
            cause.error = cause.error.or_else(|| one.last_error.as_deref().map(printable));
            cause.confidence = 0.9;
        } else if let Some(one) = alone(&suspects, &own) {
            cause.show(Evidence::Server(format!("{} {}", one.upstream, one.address)));
            cause.node = Some(one.address.clone());
            cause.confidence = 0.85;
        }
        for (id, _) in group.shown.iter().take(3) {
            cause.show(Evidence::Trace(id.clone()));
        }
        let worst = self.stats.iter().max_by_key(|route| route.errors).filter(|route| route.errors > 0);
        if let Some(worst) = worst {
            cause.route = Some(worst.route.clone());
            cause.impact = self.impact(&worst.route, true, &rows);
        }
        Ok(cause)
    }

    /// More requests than usual; those of the route with most of them.
    fn load(&self, route: Option<&String>) -> RootCause {
        let name =
            if self.alert.key.entity == Entity::Sessions { &*self.alert.key.signal } else { "requests" };
        let mut cause = RootCause::new(CauseKind::Load, name);
        let busiest = self.stats.iter().max_by_key(|route| route.count).map(|route| route.route.clone());
        cause.route = route.cloned().or(busiest);
        let transactions = self.stats.iter().map(|route| route.count).sum();
        let of_route = |stats: &&RouteStats| Some(&stats.route) == cause.route.as_ref();
        let affected = self.stats.iter().find(of_route).map_or(0, |stats| stats.count);
        let share_percent = percent(affected, transactions);
        cause.impact = Impact { transactions, affected, share_percent, ..Impact::default() };
        cause.confidence = if route.is_some() { 0.4 } else { 0.8 };
        cause
    }

    /// Whether there are far more requests than there were.
    async fn is_surge(&self) -> Result<bool, TelemetryError> {
        let rate = |stats: &[RouteStats], window: Window| {
            let count: u64 = stats.iter().map(|route| route.count).sum();
            count as f64 * SECOND_US as f64 / window.length_us().max(1) as f64
        };
        let before = self.telemetry.route_stats(self.usual).await?;
        let (now, before) = (rate(self.stats, self.window), rate(&before, self.usual));
        Ok(before > 0.0 && now >= SURGE * before)
    }

    /// The upstream that a server belongs to, and whether that server is known to be ill.
    fn name_server(&self, cause: &mut RootCause) {
        if cause.kind != CauseKind::Upstream {
            return;
        }
        let servers = self.telemetry.estate().map(|estate| estate.servers()).unwrap_or_default();
        let Some(server) = servers.iter().find(|server| server.address == cause.name) else { return };
        cause.upstream = Some(server.upstream.clone());
        cause.name.clone_from(&server.upstream);
        if !server.is_well() || server.last_error.is_some() {
            cause.show(Evidence::Server(format!("{} {}", server.upstream, server.address)));
        }
    }

    /// What was changed just before. Where the code is to blame, the change is.
    fn changes(&self, cause: &mut RootCause) {
        let Some(estate) = self.telemetry.estate() else { return };
        let at_ms = self.alert.since_s * 1_000;
        let near = at_ms.saturating_sub(BEFORE_S * 1_000)..=at_ms + AFTER_S * 1_000;
        let counts = |kind| {
            matches!(
                kind,
                ChangeKind::Reloaded | ChangeKind::Instance | ChangeKind::Deployed | ChangeKind::Acted
            )
        };
        let changes = estate.changes().into_iter().filter(|change| counts(change.kind));
        let latest = changes.filter(|change| near.contains(&change.at_ms)).max_by_key(|change| change.at_ms);
        let Some(change) = latest else { return };
        let what = printable(&change.what);
        cause.show(Evidence::Change(format!("{} {what}", change.at_ms)));
        cause.change = Some((change.at_ms, what.clone()));
        let deployed = matches!(change.kind, ChangeKind::Deployed | ChangeKind::Reloaded);
        if deployed && matches!(cause.kind, CauseKind::Code | CauseKind::Metric) {
            cause.give_way(CauseKind::Change, what, cause.confidence);
            // That it came just before is much, and not all.
            cause.confidence = (0.5 + cause.confidence / 2.0).min(0.9);
        }
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}
