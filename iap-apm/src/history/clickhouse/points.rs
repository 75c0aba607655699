//! Scatters of a window.

use iap_core::TraceId;

use super::client::Client;
use super::listing::Filter;
use super::rows::Reader;
use crate::error::HistoryError;
use crate::history::TransactionQuery;
use crate::history::points::{BUCKETS, MAX_FAILED, MAX_POINTS, MAX_SLOWEST, Plot, Point, Points};

/// What a point is made of.
const COLUMNS: &str = "start_us, duration_us, status, failed, weight, trace_id, toString(route)";

pub(super) async fn points(
    client: &Client,
    query: &TransactionQuery,
    limit: usize,
) -> Result<Points, HistoryError> {
    let (limit, filter) = (limit.clamp(1, MAX_POINTS), Filter::listing(query));
    let sql = format!("SELECT count() FROM transactions FINAL WHERE {}", filter.sql);
    let counted = client.select(&sql, filter.params.clone()).await?;
    let kept = Reader::all(&counted, Reader::number)?.first().copied().unwrap_or_default();
    let mut plot = Plot::new(query.window);
    if kept <= limit as u64 {
        show(client, &filter, &format!("LIMIT {limit}"), |point, route| {
            plot.count((0, 0), 1, point.weight, if point.failed { point.weight } else { 0 });
            plot.show(point, route);
        })
        .await?;
        return Ok(plot.finish());
    }
    plot = plot.with_grid();
    let sql = format!(
        "SELECT toUInt64(intDiv(start_us - {{from:UInt64}}, {{column:UInt64}})) AS at,
           toUInt16(intDiv(bucket, {BUCKETS})) AS level, count(), sum(weight), sumIf(weight, failed = 1)
         FROM transactions FINAL WHERE {} GROUP BY at, level",
        filter.sql
    );
    let params = filter.params.clone().number("column", Plot::column_us(query.window));
    Reader::all(&client.select(&sql, params).await?, |row| {
        let (column, level) = (row.number()? as u32, row.short()?);
        plot.count((column, level), row.number()?, row.number()?, row.number()?);
        Ok(())
    })?;
    let slowest = format!("ORDER BY duration_us DESC LIMIT {MAX_SLOWEST}");
    show(client, &filter, &slowest, |point, route| plot.show(point, route)).await?;
    let mut failed = filter;
    failed.and("failed = 1", |params| params);
    // Any of them, and the same ones each time.
    let any = format!("ORDER BY cityHash64(trace_id, span_id) LIMIT {MAX_FAILED}");
    show(client, &failed, &any, |point, route| plot.show(point, route)).await?;
    Ok(plot.finish())
}

async fn show(
    client: &Client,
    filter: &Filter,
    which: &str,
    mut each: impl FnMut(Point, &str),
) -> Result<(), HistoryError> {
    let sql = format!("SELECT {COLUMNS} FROM transactions FINAL WHERE {} {which}", filter.sql);
    let answer = client.select(&sql, filter.params.clone()).await?;
    Reader::all(&answer, |row| {
        let point = Point {
            start_us: row.number()?,
            duration_us: row.number()?,
            status: row.short()?,
            failed: row.byte()? != 0,
            weight: row.number()?,
            trace_id: TraceId(row.array()?),
            route: 0,
        };
        each(point, &row.text()?);
        Ok(())
    })
    .map(drop)
}
