//! One transaction; what a user or a session did.

use std::collections::BTreeMap;

use iap_apm::{Order, Trace, TransactionQuery, TransactionSummary};
use iap_core::TraceId;

use super::{Asked, Found, percent, source};
use crate::blame::{BlameKind, critical_path, error_line, failed_span};
use crate::facts::{Facts, Table, Unit, figure};

/// Transactions of a user that are read.
const READ: usize = 1_000;
/// Of those, the ones that are listed.
const LISTED: usize = 15;

/// The transaction that is named, or the slowest.
pub(super) async fn transaction(asked: Asked<'_>) -> Found {
    let mut facts = Facts::default();
    let named = asked.question.named.trace.as_deref();
    let id = match named {
        Some(id) => TraceId::from_hex(id),
        None => slowest(asked).await?.map(|row| row.trace_id),
    };
    let trace = match id {
        Some(id) => asked.telemetry.trace(id).await?,
        None => None,
    };
    let Some(trace) = trace else {
        if named.is_none() {
            return Ok(super::performance::nothing());
        }
        facts.say("no_such_trace", [figure("trace", named, Unit::Trace)]);
        facts.empty = true;
        return Ok(facts);
    };
    tell(&mut facts, &trace);
    Ok(facts)
}

async fn slowest(asked: Asked<'_>) -> Result<Option<TransactionSummary>, crate::TelemetryError> {
    let query = TransactionQuery {
        route: asked.route().await?,
        order: Order::Slowest,
        limit: 1,
        ..TransactionQuery::new(asked.window)
    };
    Ok(asked.telemetry.transactions(&query).await?.items.into_iter().next())
}

fn tell(facts: &mut Facts, trace: &Trace) {
    let (id, tree) = (trace.trace_id.to_string(), trace.tree());
    if let Some(row) = &trace.summary {
        facts.problem = row.failed;
        facts.say(
            "transaction",
            [
                figure("trace", id.as_str(), Unit::Trace),
                figure("method", row.method.as_str(), Unit::Text),
                figure("path", row.path.as_str(), Unit::Code),
                figure("route", row.route.as_str(), Unit::Route),
                figure("status", u64::from(row.status), Unit::Count),
                figure("duration", row.duration_us, Unit::Us),
                figure("at", row.start_us, Unit::Time),
                figure("spans", trace.spans.len(), Unit::Count),
            ],
        );
    }
    if trace.truncated {
        facts.say("truncated_trace", []);
    }
    if let Some(failed) = failed_span(&tree) {
        let said = trace.summary.as_ref().and_then(|row| row.message.clone().or_else(|| row.error.clone()));
        let error = failed.error.clone().or_else(|| error_line(&tree, failed)).or(said);
        facts.say(
            "failed_span",
            [
                figure("span", failed.name.as_str(), Unit::Code),
                figure("service", failed.service.as_str(), Unit::Text),
                figure("error", error.as_deref(), Unit::Text),
            ],
        );
    }
    let root = trace.summary.as_ref().and_then(|row| tree.find(row.span_id)).or(tree.roots.first());
    let Some(root) = root else { return };
    let columns = [
        ("thing", Unit::Code),
        ("kind", Unit::Text),
        ("service", Unit::Text),
        ("self_time", Unit::Us),
        ("time_percent", Unit::Percent),
    ];
    let mut table = Table::new("critical_path", &columns, format!("/api/transactions/{id}"));
    let mut path: Vec<_> = critical_path(root).into_iter().collect();
    let total: u64 = path.iter().map(|(_, time)| time).sum();
    path.sort_by(|(a, one), (b, other)| other.cmp(one).then_with(|| a.cmp(b)));
    for (blame, time_us) in path {
        let kind = match blame.kind {
            BlameKind::Sql => "SQL",
            BlameKind::Upstream => "upstream",
            BlameKind::Code => "code",
        };
        table.push(vec![
            blame.name.as_str().into(),
            kind.into(),
            blame.service.as_str().into(),
            time_us.into(),
            percent(time_us, total).into(),
        ]);
    }
    facts.tables.push(table);
}

/// What the user or session that is named did; without one, who did most.
pub(super) async fn activity(asked: Asked<'_>) -> Found {
    let named = &asked.question.named;
    let query = TransactionQuery {
        user: named.user.clone(),
        session: named.session.clone(),
        limit: READ,
        ..TransactionQuery::new(asked.window)
    };
    let page = asked.telemetry.transactions(&query).await?;
    let mut facts = Facts::default();
    let who = named.user.as_deref().or(named.session.as_deref());
    if page.items.is_empty() {
        if let Some(who) = who {
            facts.say("nobody", [figure("who", who, Unit::Text)]);
        }
        facts.empty = true;
        return Ok(facts);
    }
    let read = page.items.len();
    let link = |name: &str| named_link(asked, name);
    match who {
        Some(who) => one(&mut facts, who, &page.items, link("transactions")),
        None => everybody(&mut facts, &page.items, link("transactions")),
    }
    if page.next.is_some() {
        facts.say("only_newest", [figure("read", read, Unit::Count)]);
    }
    Ok(facts)
}

fn named_link(asked: Asked<'_>, path: &str) -> String {
    let named = &asked.question.named;
    let encode = |text: &str| -> String {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
        text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
    };
    let mut link = source(path, asked.window);
    for (key, value) in [("user", &named.user), ("session", &named.session)] {
        if let Some(value) = value {
            link.push_str(&format!("&{key}={}", encode(value)));
        }
    }
    link
}

fn one(facts: &mut Facts, who: &str, rows: &[TransactionSummary], source: String) {
    let errors = rows.iter().filter(|row| row.failed).count();
    let sessions: std::collections::BTreeSet<_> =
        rows.iter().filter_map(|row| row.session.as_deref()).collect();
    facts.problem = errors > 0;
    facts.say(
        "activity",
        [
            figure("who", who, Unit::Text),
            figure("count", rows.len(), Unit::Count),
            figure("errors", errors, Unit::Count),
            figure("sessions", sessions.len(), Unit::Count),
            figure("first", rows.iter().map(|row| row.start_us).min(), Unit::Time),
            figure("last", rows.iter().map(|row| row.start_us).max(), Unit::Time),
        ],
    );
    let columns = [
        ("at", Unit::Time),
        ("method", Unit::Text),
        ("path", Unit::Code),
        ("status", Unit::Count),
        ("duration", Unit::Us),
        ("trace", Unit::Trace),
    ];
    let mut table = Table::new("latest_requests", &columns, source);
    for row in rows.iter().take(LISTED) {
        table.push(vec![
            row.start_us.into(),
            row.method.as_str().into(),
            row.path.as_str().into(),
            u64::from(row.status).into(),
            row.duration_us.into(),
            row.trace_id.to_string().as_str().into(),
        ]);
    }
    table.more = rows.len().saturating_sub(LISTED) as u64;
    facts.tables.push(table);
}

fn everybody(facts: &mut Facts, rows: &[TransactionSummary], source: String) {
    let mut users: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
    for row in rows {
        if let Some(user) = row.user.as_deref() {
            let (count, errors, last_us) = users.entry(user).or_default();
            *count += row.weight;
            *errors += if row.failed { row.weight } else { 0 };
            *last_us = (*last_us).max(row.start_us);
        }
    }
    facts.say(
        if users.is_empty() { "no_users" } else { "users" },
        [figure("users", users.len(), Unit::Count), figure("read", rows.len(), Unit::Count)],
    );
    let columns =
        [("user", Unit::Text), ("count", Unit::Count), ("errors", Unit::Count), ("last", Unit::Time)];
    let mut table = Table::new("most_active", &columns, source);
    let mut users: Vec<_> = users.into_iter().collect();
    users.sort_by(|(a, one), (b, other)| other.0.cmp(&one.0).then_with(|| a.cmp(b)));
    for (user, (count, errors, last_us)) in users {
        table.push(vec![user.into(), count.into(), errors.into(), last_us.into()]);
    }
    facts.tables.push(table);
}
