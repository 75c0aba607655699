//! Figures of routes over time, each transaction counted once and by its weight.
//!
//! Durations are summed by the buckets of the embedded engine's sketch, by the server, and percentiles are read from
//! those: the same as from the embedded engine, however many rows there are.

use super::client::Client;
use super::listing::Filter;
use super::rows::Reader;
use crate::error::HistoryError;
use crate::history::{MAX_ROUTES, OTHER_ROUTES, SeriesQuery};
use crate::model::{RouteCounts, RouteStats, SeriesPoint, Window};
use crate::sketch::Sketch;

/// What [`Tally::read`] reads: transactions, failed ones, time in all, the longest, and the buckets with their numbers.
/// A sum that does not fit is the largest number that does.
const TALLY: &str = "sum(weight), sumIf(weight, failed = 1),
    toUInt64(least(sum(toUInt128(weight) * duration_us), toUInt128(18446744073709551615))), max(duration_us),
    sumMap([bucket], [weight])";

struct Tally {
    errors: u64,
    sketch: Sketch,
}

impl Tally {
    fn read(row: &mut Reader<'_>) -> Result<Self, HistoryError> {
        let (count, errors, total, max) = (row.number()?, row.number()?, row.number()?, row.number()?);
        let (buckets, counts) = (row.list(Reader::short)?, row.list(Reader::number)?);
        let sketch = Sketch::of_buckets(buckets.into_iter().zip(counts), count, total, max);
        Ok(Self { errors, sketch })
    }
}

/// The name of a route, or what those beyond the limit are called.
fn route_name() -> String {
    format!(
        "if(route IN (SELECT route FROM transactions WHERE start_us >= {{from:UInt64}} AND start_us < {{to:UInt64}}
         GROUP BY route ORDER BY count() DESC, route LIMIT {MAX_ROUTES}), toString(route), '{OTHER_ROUTES}') AS name"
    )
}

pub(super) async fn route_stats(client: &Client, window: Window) -> Result<Vec<RouteStats>, HistoryError> {
    let filter = Filter::window(window).trusted();
    let sql = format!(
        "SELECT {}, {TALLY} FROM transactions FINAL WHERE {} GROUP BY name",
        route_name(),
        filter.sql
    );
    let answer = client.select(&sql, filter.params).await?;
    let mut stats = Reader::all(&answer, |row| {
        let (route, Tally { errors, sketch }) = (row.text()?, Tally::read(row)?);
        Ok(RouteStats::of(route, errors, &sketch))
    })?;
    RouteStats::sort(&mut stats);
    Ok(stats)
}

pub(super) async fn route_counts(
    client: &Client,
    window: Window,
    limits_us: &[u64],
) -> Result<Vec<RouteCounts>, HistoryError> {
    let filter = Filter::window(window).trusted();
    let sql = format!(
        "SELECT {}, sum(weight), sumIf(weight, failed = 1), sumForEach(arrayMap(
           limit_us -> if(failed = 0 AND duration_us <= limit_us, weight, toUInt64(0)), {{limits:Array(UInt64)}}))
         FROM transactions FINAL WHERE {} GROUP BY name",
        route_name(),
        filter.sql
    );
    let answer = client.select(&sql, filter.params.numbers("limits", limits_us)).await?;
    let mut counts = Reader::all(&answer, |row| {
        let (route, count, errors) = (row.text()?, row.number()?, row.number()?);
        Ok(RouteCounts { route, count, errors, within: row.list(Reader::number)? })
    })?;
    counts.sort_by(|a, b| a.route.cmp(&b.route));
    Ok(counts)
}

pub(super) async fn series(client: &Client, query: &SeriesQuery) -> Result<Vec<SeriesPoint>, HistoryError> {
    let from_us = query.window.from_us;
    let steps = query.steps()?;
    let mut filter = Filter::window(query.window);
    if let Some(route) = &query.route {
        filter.and("route = {route:String}", |params| params.text("route", route));
    }
    let filter = filter.trusted();
    let sql = format!(
        "SELECT toUInt64(intDiv(start_us - {{from:UInt64}}, {{step:UInt64}})) AS at, {TALLY}
         FROM transactions FINAL WHERE {} GROUP BY at",
        filter.sql
    );
    let answer = client.select(&sql, filter.params.number("step", query.step_us)).await?;
    let nothing = Sketch::default();
    let mut points: Vec<_> =
        (0..steps).map(|at| SeriesPoint::of(from_us + at * query.step_us, 0, &nothing)).collect();
    for (at, Tally { errors, sketch }) in Reader::all(&answer, |row| Ok((row.number()?, Tally::read(row)?)))?
    {
        if let Some(point) = usize::try_from(at).ok().and_then(|at| points.get_mut(at)) {
            *point = SeriesPoint::of(point.start_us, errors, &sketch);
        }
    }
    Ok(points)
}
