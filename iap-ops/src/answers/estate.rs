//! Sessions, users, servers and changes.

use iap_apm::Window;

use super::{Asked, Found, chart, percent, source};
use crate::estate::{Change, ChangeKind, InstanceState, ServerState};
use crate::facts::{Facts, Table, Unit, Value, figure};

/// The time before and after a change that is looked at.
const AROUND_US: u64 = 10 * 60 * 1_000_000;
/// Changes that are listed.
const CHANGES: usize = 15;

/// The sessions and their store.
pub(super) async fn sessions(asked: Asked<'_>) -> Found {
    let mut facts = Facts::default();
    let stats = match asked.telemetry.sessions().await {
        Ok(Some(stats)) => stats,
        Ok(None) => {
            facts.say("no_session_store", []);
            facts.empty = true;
            return Ok(facts);
        }
        Err(_) => {
            facts.problem = true;
            facts.say("session_store_away", []);
            return Ok(facts);
        }
    };
    facts.say("sessions", [figure("active", stats.active, Unit::Count)]);
    if let Some(store) = stats.store {
        facts.say(
            if store.exact { "session_store" } else { "session_store_estimated" },
            [
                figure("backend", store.backend, Unit::Text),
                figure("bytes", store.bytes, Unit::Bytes),
                figure("expired", store.expired, Unit::Count),
                figure("evicted", store.evicted, Unit::Count),
            ],
        );
        if store.evicted > 0 {
            facts.problem = true;
            facts.say("sessions_evicted", [figure("evicted", store.evicted, Unit::Count)]);
        }
    }
    Ok(facts)
}

/// Different users at once.
pub(super) async fn users(asked: Asked<'_>) -> Found {
    let mut facts = Facts::default();
    let kinds = match asked.telemetry.estate() {
        Some(estate) => estate.audience(asked.window).await,
        None => Ok(None),
    };
    let kinds = match kinds {
        Ok(Some(kinds)) if !kinds.is_empty() => kinds,
        Ok(_) => {
            facts.say("users_not_counted", []);
            facts.empty = true;
            return Ok(facts);
        }
        Err(_) => {
            facts.problem = true;
            facts.say("session_store_away", []);
            return Ok(facts);
        }
    };
    let last_s = asked.window.length_us() / super::SECOND_US;
    for kind in kinds {
        let peak = kind.points.iter().max_by_key(|(at, users)| (*users, std::cmp::Reverse(*at)));
        facts.say(
            "users_at_once",
            [
                figure("by", kind.by.as_str(), Unit::Text),
                figure("now", kind.now, Unit::Count),
                figure("window", kind.window, Unit::Count),
                figure("peak", peak.map(|(_, users)| *users), Unit::Count),
                figure("at", peak.map(|(at_ms, _)| at_ms * 1_000), Unit::Time),
            ],
        );
        let points = kind.points.iter().map(|(at_ms, users)| (at_ms * 1_000, *users as f64)).collect();
        let link = format!("/api/audience?last_s={last_s}&by={}", kind.by.replace(':', "%3A"));
        facts.charts.push(chart("users", Unit::Count, points, link));
    }
    Ok(facts)
}

/// Upstreams and processes.
pub(super) fn health(asked: Asked<'_>) -> Facts {
    let mut facts = Facts::default();
    let (servers, instances) = match asked.telemetry.estate() {
        Some(estate) => (estate.servers(), estate.instances()),
        None => (Vec::new(), Vec::new()),
    };
    if servers.is_empty() && instances.is_empty() {
        facts.say("no_servers", []);
        facts.empty = true;
        return facts;
    }
    let well = servers.iter().filter(|server| server.is_well()).count();
    let running = instances.iter().filter(|instance| instance.is_well()).count();
    facts.problem = well < servers.len() || running < instances.len();
    if !servers.is_empty() {
        let figures = [figure("well", well, Unit::Count), figure("servers", servers.len(), Unit::Count)];
        facts.say(if well == servers.len() { "servers_well" } else { "servers_ill" }, figures);
        facts.tables.push(server_table(servers));
    }
    if !instances.is_empty() {
        let figures =
            [figure("well", running, Unit::Count), figure("instances", instances.len(), Unit::Count)];
        facts.say(if running == instances.len() { "instances_well" } else { "instances_ill" }, figures);
        facts.tables.push(instance_table(instances));
    }
    facts
}

/// The ill ones first.
fn server_table(mut servers: Vec<ServerState>) -> Table {
    let columns = [
        ("upstream", Unit::Text),
        ("address", Unit::Code),
        ("state", Unit::Text),
        ("in_flight", Unit::Count),
        ("connections", Unit::Count),
        ("failed", Unit::Count),
        ("error", Unit::Text),
    ];
    let mut table = Table::new("servers", &columns, "/api/upstreams".to_owned());
    servers.sort_by_key(ServerState::is_well);
    for server in servers {
        table.push(vec![
            server.upstream.as_str().into(),
            server.address.as_str().into(),
            server.state.as_str().into(),
            server.in_flight.into(),
            server.connections.into(),
            server.failed.into(),
            server.last_error.as_deref().into(),
        ]);
    }
    table
}

fn instance_table(mut instances: Vec<InstanceState>) -> Table {
    let columns = [
        ("process", Unit::Text),
        ("number", Unit::Count),
        ("state", Unit::Text),
        ("since", Unit::Time),
        ("restarts", Unit::Count),
        ("last_exit", Unit::Text),
    ];
    let mut table = Table::new("instances", &columns, "/api/processes".to_owned());
    instances.sort_by_key(InstanceState::is_well);
    for instance in instances {
        table.push(vec![
            instance.process.as_str().into(),
            instance.number.into(),
            instance.state.as_str().into(),
            (instance.since_ms * 1_000).into(),
            instance.restarts.into(),
            instance.last_exit.as_deref().into(),
        ]);
    }
    table
}

/// What has changed, and how requests went before and after.
pub(super) async fn changes(asked: Asked<'_>) -> Found {
    let mut facts = Facts::default();
    let mut changes = asked.telemetry.estate().map(|estate| estate.changes()).unwrap_or_default();
    changes.retain(|change| asked.window.contains(change.at_ms * 1_000));
    changes.sort_by_key(|change| std::cmp::Reverse(change.at_ms));
    let all = changes.len();
    facts.say(if all == 0 { "no_changes" } else { "changes" }, [figure("changes", all, Unit::Count)]);
    if all == 0 {
        return Ok(facts);
    }
    facts.say("around_changes", [figure("around", AROUND_US, Unit::Us)]);
    let columns = [
        ("at", Unit::Time),
        ("change", Unit::Text),
        ("what", Unit::Text),
        ("error_percent_before", Unit::Percent),
        ("error_percent_after", Unit::Percent),
        ("p95_before", Unit::Us),
        ("p95_after", Unit::Us),
    ];
    let mut table = Table::new("changes", &columns, source("routes", asked.window));
    for change in changes.iter().take(CHANGES) {
        table.push(row(asked, change).await?);
    }
    table.more = all.saturating_sub(CHANGES) as u64;
    facts.tables.push(table);
    Ok(facts)
}

async fn row(asked: Asked<'_>, change: &Change) -> Result<Vec<Value>, crate::TelemetryError> {
    let at_us = change.at_ms * 1_000;
    let before = asked.whole(Window::last(AROUND_US, at_us), None).await?;
    let until = (at_us + AROUND_US).min(asked.now_us.max(at_us + 1));
    let after = asked.whole(Window::new(at_us, until), None).await?;
    let kind = match change.kind {
        ChangeKind::Started => "started",
        ChangeKind::Reloaded => "reloaded",
        ChangeKind::Refused => "refused",
        ChangeKind::Instance => "instance",
        ChangeKind::Deployed => "deployed",
        ChangeKind::Acted => "acted",
    };
    let errors = |count: u64, errors: u64| (count > 0).then(|| percent(errors, count));
    let p95 = |count: u64, us: u64| (count > 0).then_some(us);
    Ok(vec![
        at_us.into(),
        kind.into(),
        change.what.as_str().into(),
        errors(before.count, before.errors).into(),
        errors(after.count, after.errors).into(),
        p95(before.count, before.p95_us).into(),
        p95(after.count, after.p95_us).into(),
    ])
}
