//! Failures by what they are.

use std::collections::{BTreeMap, BTreeSet};

use iap_apm::{TransactionQuery, TransactionSummary};

use super::{Asked, Found, percent, source};
use crate::facts::{Facts, Table, Unit, figure};

/// Failed transactions that are read.
const PAGES: usize = 5;
const PAGE: usize = 1_000;

/// What is counted of a kind.
#[derive(Default)]
struct Kind {
    count: u64,
    routes: BTreeSet<String>,
    last_us: u64,
    message: Option<String>,
    trace: String,
}

/// Counts failures by the name of the error and the status.
pub(super) async fn by_kind(asked: Asked<'_>) -> Found {
    let mut facts = Facts::default();
    let route = asked.route().await?;
    let whole = asked.whole(asked.window, route.clone()).await?;
    if whole.count == 0 {
        return Ok(super::performance::nothing());
    }
    let (rows, cut) = failed(asked, route).await?;
    let mut kinds: BTreeMap<(String, u16), Kind> = BTreeMap::new();
    for row in &rows {
        let name = row.error.clone().unwrap_or_else(|| "error".to_owned());
        kinds.entry((name, row.status)).or_default().add(row);
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by(|(a, one), (b, other)| other.count.cmp(&one.count).then_with(|| a.cmp(b)));
    facts.problem = whole.errors > 0;
    facts.say(
        if whole.errors == 0 { "no_errors" } else { "errors" },
        [
            figure("errors", whole.errors, Unit::Count),
            figure("count", whole.count, Unit::Count),
            figure("error_percent", percent(whole.errors, whole.count), Unit::Percent),
            figure("kinds", kinds.len(), Unit::Count),
        ],
    );
    if cut {
        facts.say("only_newest", [figure("read", rows.len(), Unit::Count)]);
    }
    let columns = [
        ("error", Unit::Text),
        ("status", Unit::Count),
        ("count", Unit::Count),
        ("share", Unit::Percent),
        ("routes", Unit::Route),
        ("last", Unit::Time),
        ("message", Unit::Text),
        ("trace", Unit::Trace),
    ];
    let mut table = Table::new(
        "errors_by_kind",
        &columns,
        format!("{}&errors=true", source("transactions", asked.window)),
    );
    let all: u64 = kinds.iter().map(|(_, kind)| kind.count).sum();
    for ((name, status), kind) in kinds {
        let routes = kind.routes.iter().cloned().collect::<Vec<_>>().join(" ");
        table.push(vec![
            name.as_str().into(),
            u64::from(status).into(),
            kind.count.into(),
            percent(kind.count, all).into(),
            routes.as_str().into(),
            kind.last_us.into(),
            kind.message.as_deref().into(),
            kind.trace.as_str().into(),
        ]);
    }
    facts.tables.push(table);
    Ok(facts)
}

/// The newest failures, and whether there are more.
async fn failed(
    asked: Asked<'_>,
    route: Option<String>,
) -> Result<(Vec<TransactionSummary>, bool), crate::TelemetryError> {
    let mut query =
        TransactionQuery { route, errors_only: true, limit: PAGE, ..TransactionQuery::new(asked.window) };
    let mut rows = Vec::new();
    for _ in 0..PAGES {
        let page = asked.telemetry.transactions(&query).await?;
        rows.extend(page.items);
        query.cursor = page.next;
        if query.cursor.is_none() {
            return Ok((rows, false));
        }
    }
    Ok((rows, true))
}

impl Kind {
    fn add(&mut self, row: &TransactionSummary) {
        self.count += row.weight;
        self.routes.insert(row.route.clone());
        // The newest comes first.
        if self.last_us == 0 {
            self.last_us = row.start_us;
            self.trace = row.trace_id.to_string();
        }
        if self.message.is_none() {
            self.message.clone_from(&row.message);
        }
    }
}
