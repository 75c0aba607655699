//! How routes have performed, in one window or beside another.

use std::collections::BTreeMap;

use iap_apm::{RouteStats, SeriesPoint, Window};

use super::{Asked, Found, MIN_COUNT, chart, chart_step, per_second, percent, source};
use crate::facts::{Facts, Figure, Table, Unit, Value, figure};

/// A change of p95, or of the share of errors in percentage points, from which a route is worse.
const WORSE_TIMES: f64 = 1.5;
const WORSE_POINTS: f64 = 2.0;
/// A p95 below this is fast, however much slower it has become.
const WORSE_MIN_US: u64 = 20_000;

/// Counts, rates and percentiles, over all and by route.
pub(super) async fn report(asked: Asked<'_>) -> Found {
    let (window, mut facts) = (asked.window, Facts::default());
    let route = asked.route().await?;
    let whole = asked.whole(window, route.clone()).await?;
    if whole.count == 0 {
        return Ok(nothing());
    }
    let step_us = chart_step(window);
    let points = asked.series(window, step_us, route).await?;
    facts.say("performance", totals(&whole, window));
    if let Some(peak) = points.iter().max_by_key(|point| (point.count, std::cmp::Reverse(point.start_us))) {
        let rate = per_second(peak.count, step_us.min(window.to_us - peak.start_us));
        facts.say(
            "peak",
            [figure("peak_rate", rate, Unit::PerSecond), figure("at", peak.start_us, Unit::Time)],
        );
    }
    let routes = asked.routes(window).await?;
    facts.tables.push(route_table("by_route", &routes, window));
    charts(&mut facts, &points, step_us, window);
    Ok(facts)
}

/// The routes by p95.
pub(super) async fn slowest(asked: Asked<'_>) -> Found {
    let mut facts = Facts::default();
    let mut routes = asked.routes(asked.window).await?;
    if routes.is_empty() {
        return Ok(nothing());
    }
    let all = routes.len();
    routes.retain(|route| route.count >= MIN_COUNT);
    routes.sort_by(|a, b| b.p95_us.cmp(&a.p95_us).then_with(|| a.route.cmp(&b.route)));
    if let Some(first) = routes.first() {
        facts.say(
            "slowest_route",
            [
                figure("route", first.route.as_str(), Unit::Route),
                figure("p95", first.p95_us, Unit::Us),
                figure("p50", first.p50_us, Unit::Us),
                figure("count", first.count, Unit::Count),
            ],
        );
    }
    if routes.len() < all {
        let rare = [figure("rare", all - routes.len(), Unit::Count), figure("least", MIN_COUNT, Unit::Count)];
        facts.say("too_rare", rare);
    }
    facts.tables.push(route_table("slowest_routes", &routes, asked.window));
    Ok(facts)
}

/// Two windows beside each other.
pub(super) async fn compare(asked: Asked<'_>) -> Found {
    let mut facts = Facts::default();
    let (window, Some(other)) = (asked.window, asked.other) else { return Ok(nothing()) };
    let route = asked.route().await?;
    let (now, before) = (asked.whole(window, route.clone()).await?, asked.whole(other, route).await?);
    if now.count + before.count == 0 {
        return Ok(nothing());
    }
    facts.say(
        "compared_windows",
        [figure("from", other.from_us, Unit::Time), figure("to", other.to_us, Unit::Time)],
    );
    let rate = |point: &SeriesPoint, window: Window| per_second(point.count, window.length_us());
    let errors = |point: &SeriesPoint| percent(point.errors, point.count);
    for (says, a, b, unit) in [
        ("compared_rate", rate(&now, window), rate(&before, other), Unit::PerSecond),
        ("compared_errors", errors(&now), errors(&before), Unit::Percent),
        ("compared_p95", now.p95_us as f64, before.p95_us as f64, Unit::Us),
    ] {
        let times = if b > 0.0 { a / b } else { f64::NAN };
        facts.say(
            says,
            [figure("now", a, unit), figure("before", b, unit), figure("times", times, Unit::Times)],
        );
    }
    let (routes, earlier) = (asked.routes(window).await?, asked.routes(other).await?);
    let (table, worse) = beside(&routes, &earlier, source("routes", window));
    facts.problem = !worse.is_empty();
    let says = if worse.is_empty() { "nothing_worse" } else { "worse" };
    facts.say(says, [figure("routes", worse.join(", ").as_str(), Unit::Route)]);
    facts.tables.push(table);
    Ok(facts)
}

/// The routes of two windows beside each other, and those that are worse.
fn beside(routes: &[RouteStats], earlier: &[RouteStats], source: String) -> (Table, Vec<String>) {
    let columns = [
        ("route", Unit::Route),
        ("count", Unit::Count),
        ("count_before", Unit::Count),
        ("error_percent", Unit::Percent),
        ("error_percent_before", Unit::Percent),
        ("p95", Unit::Us),
        ("p95_before", Unit::Us),
    ];
    let mut table = Table::new("compared_routes", &columns, source);
    let mut both: BTreeMap<&str, (Option<&RouteStats>, Option<&RouteStats>)> = BTreeMap::new();
    for route in routes {
        both.entry(&route.route).or_default().0 = Some(route);
    }
    for route in earlier {
        both.entry(&route.route).or_default().1 = Some(route);
    }
    let mut rows: Vec<_> = both.into_iter().collect();
    let total = |pair: &(Option<&RouteStats>, Option<&RouteStats>)| pair.0.map_or(0, |route| route.total_us);
    rows.sort_by_key(|(_, pair)| std::cmp::Reverse(total(pair)));
    let mut worse = Vec::new();
    for (name, (now, before)) in rows {
        if let (Some(now), Some(before)) = (now, before)
            && is_worse(now, before)
        {
            worse.push(name.to_owned());
        }
        let errors = |route: &RouteStats| percent(route.errors, route.count);
        table.push(vec![
            name.into(),
            now.map_or(0, |route| route.count).into(),
            before.map_or(0, |route| route.count).into(),
            now.map(errors).into(),
            before.map(errors).into(),
            now.map(|route| route.p95_us).into(),
            before.map(|route| route.p95_us).into(),
        ]);
    }
    (table, worse)
}

fn is_worse(now: &RouteStats, before: &RouteStats) -> bool {
    let enough = now.count >= MIN_COUNT && before.count >= MIN_COUNT;
    let slower = now.p95_us >= WORSE_MIN_US && now.p95_us as f64 >= before.p95_us as f64 * WORSE_TIMES;
    let failing = percent(now.errors, now.count) >= percent(before.errors, before.count) + WORSE_POINTS;
    enough && (slower || failing)
}

/// No transactions.
pub(super) fn nothing() -> Facts {
    Facts { empty: true, ..Facts::default() }
}

pub(super) fn totals(whole: &SeriesPoint, window: Window) -> Vec<Figure> {
    vec![
        figure("count", whole.count, Unit::Count),
        figure("rate", per_second(whole.count, window.length_us()), Unit::PerSecond),
        figure("errors", whole.errors, Unit::Count),
        figure("error_percent", percent(whole.errors, whole.count), Unit::Percent),
        figure("p50", whole.p50_us, Unit::Us),
        figure("p95", whole.p95_us, Unit::Us),
        figure("p99", whole.p99_us, Unit::Us),
    ]
}

pub(super) fn route_table(name: &'static str, routes: &[RouteStats], window: Window) -> Table {
    let columns = [
        ("route", Unit::Route),
        ("count", Unit::Count),
        ("errors", Unit::Count),
        ("error_percent", Unit::Percent),
        ("p50", Unit::Us),
        ("p95", Unit::Us),
        ("p99", Unit::Us),
        ("max", Unit::Us),
        ("time_percent", Unit::Percent),
    ];
    let mut table = Table::new(name, &columns, source("routes", window));
    let total: u64 = routes.iter().map(|route| route.total_us).sum();
    for route in routes {
        let numbers: [Value; 8] = [
            route.count.into(),
            route.errors.into(),
            percent(route.errors, route.count).into(),
            route.p50_us.into(),
            route.p95_us.into(),
            route.p99_us.into(),
            route.max_us.into(),
            percent(route.total_us, total).into(),
        ];
        table.push(std::iter::once(route.route.as_str().into()).chain(numbers).collect());
    }
    table
}

/// Requests a second, failures a step, and p95.
pub(super) fn charts(facts: &mut Facts, points: &[SeriesPoint], step_us: u64, window: Window) {
    let source = format!("{}&step_s={}", source("series", window), step_us / super::SECOND_US);
    let of = |value: &dyn Fn(&SeriesPoint) -> f64| -> Vec<(u64, f64)> {
        points.iter().map(|point| (point.start_us, value(point))).collect()
    };
    let length = |point: &SeriesPoint| step_us.min(window.to_us.saturating_sub(point.start_us));
    let rate = of(&|point| per_second(point.count, length(point)));
    facts.charts.push(chart("rate", Unit::PerSecond, rate, source.clone()));
    facts.charts.push(chart("p95", Unit::Us, of(&|point| point.p95_us as f64), source.clone()));
    facts.charts.push(chart("errors", Unit::Count, of(&|point| point.errors as f64), source));
}
