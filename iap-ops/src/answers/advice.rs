//! Recommendations, each with its formula and the numbers in it.

use iap_apm::{Order, RouteStats, TransactionQuery};

use super::sampled::Seen;
use super::{Asked, percent};
use crate::blame::Blame;
use crate::facts::{Advice, Figure, Sentence, Unit, figure};
use crate::sql;
use crate::telemetry::TelemetryError;

/// The part of a pool that is to be busy: what is left is for bursts.
const HEADROOM: f64 = 0.7;
/// A time-out is this many times the p99.9.
const TIME_OUT_TIMES: f64 = 1.5;
/// The least time-out that is recommended.
const TIME_OUT_MIN_US: f64 = 100_000.0;
/// Transactions from which a p99.9 can be told.
const P999_MIN_COUNT: u64 = 1_000;
/// The most rows that are read for it.
const P999_MAX_ROWS: u64 = 1_000;

/// An index on the columns that a statement looks for, by its text alone; where the text does not tell
/// (several tables, a query in a query, no condition), its query plan.
pub(super) fn statement(blame: &Blame, seen: &Seen, total_us: u64) -> Advice {
    let mut figures = vec![
        figure("time_percent", percent(seen.time_us, total_us), Unit::Percent),
        figure("mean", seen.time_us / seen.traces.max(1), Unit::Us),
    ];
    let says = match seen.statement.as_deref().and_then(sql::looked_for) {
        Some((table, columns)) => {
            figures.push(figure("table", table.as_str(), Unit::Code));
            figures.push(figure("columns", columns.join(", ").as_str(), Unit::Code));
            "advise_index"
        }
        None => {
            figures.push(figure("thing", blame.name.as_str(), Unit::Code));
            "advise_plan"
        }
    };
    let inputs = vec![
        figure("share", percent(seen.time_us, total_us), Unit::Percent),
        figure("sql_time", seen.time_us, Unit::Us),
        figure("examined_time", total_us, Unit::Us),
    ];
    Advice { evidence: seen.ids(), ..advice(says, figures, "share = sql_time / examined_time", inputs) }
}

/// Requests that are at the upstream at once: Little's law, L = λ·W, with λ at its busiest and W at p99.
pub(super) fn pool(stats: &RouteStats, seen: &Seen, rate: f64) -> Advice {
    let hold_us = stats.p99_us as f64;
    let busy = rate * hold_us / 1e6;
    let size = (busy / HEADROOM).ceil().max(1.0);
    let said = vec![figure("route", stats.route.as_str(), Unit::Route), figure("size", size, Unit::Count)];
    let inputs = vec![
        figure("λ", rate, Unit::PerSecond),
        figure("W", hold_us, Unit::Us),
        figure("L", (busy * 1e4).round() / 1e4, Unit::Count),
        figure("headroom", HEADROOM, Unit::Count),
        figure("limit", size, Unit::Count),
    ];
    advice("advise_pool", said, "L = λ(max)·W(p99), limit = ⌈L / headroom⌉", inputs)
        .with("upstreams.<name>.limits.total", seen)
}

/// A time-out above what good requests need.
pub(super) async fn time_out(
    asked: Asked<'_>,
    stats: &RouteStats,
    seen: &Seen,
) -> Result<Option<Advice>, TelemetryError> {
    let beyond = stats.count / 1_000 + 1;
    if stats.count < P999_MIN_COUNT || beyond > P999_MAX_ROWS {
        return Ok(None);
    }
    let query = TransactionQuery {
        route: Some(stats.route.clone()),
        order: Order::Slowest,
        limit: beyond as usize,
        ..TransactionQuery::new(asked.window)
    };
    let rows = asked.telemetry.transactions(&query).await?.items;
    let mut left = beyond;
    let p999 = rows.iter().find(|row| {
        left = left.saturating_sub(row.weight);
        left == 0
    });
    let Some(p999_us) = p999.map(|row| row.duration_us) else { return Ok(None) };
    let time_out = (p999_us as f64 * TIME_OUT_TIMES).max(TIME_OUT_MIN_US);
    let said =
        vec![figure("route", stats.route.as_str(), Unit::Route), figure("time_out", time_out, Unit::Us)];
    let inputs = vec![
        figure("p99.9", p999_us, Unit::Us),
        figure("times", TIME_OUT_TIMES, Unit::Count),
        figure("least", TIME_OUT_MIN_US, Unit::Us),
        figure("count", stats.count, Unit::Count),
    ];
    let given = advice("advise_time_out", said, "max(p99.9 · times, least)", inputs);
    Ok(Some(given.with("routes[].limits.response", seen)))
}

/// A service's own code.
pub(super) fn code(blame: &Blame, seen: &Seen, total_us: u64) -> Advice {
    let said = vec![
        figure("thing", blame.name.as_str(), Unit::Code),
        figure("service", blame.service.as_str(), Unit::Text),
        figure("time_percent", percent(seen.time_us, total_us), Unit::Percent),
    ];
    Advice { evidence: seen.ids(), ..advice("advise_code", said, "", Vec::new()) }
}

fn advice(says: &'static str, figures: Vec<Figure>, formula: &'static str, inputs: Vec<Figure>) -> Advice {
    Advice {
        sentence: Sentence::new(says, figures),
        formula,
        inputs,
        config_key: None,
        evidence: Vec::new(),
        text: String::new(),
    }
}

impl Advice {
    fn with(self, key: &'static str, seen: &Seen) -> Self {
        Self { config_key: Some(key), evidence: seen.ids(), ..self }
    }
}
