//! Figures of spans, grouped by what they say of themselves: added up by the server, by the buckets of the embedded
//! engine's sketch.

use super::client::Client;
use super::listing::Filter;
use super::rows::Reader;
use crate::error::HistoryError;
use crate::history::span_groups::{SpanClass, SpanGather, SpanGroups, SpanGroupsQuery};
use crate::history::spans::{KINDS, STATUSES};
use crate::model::SpanStatus;
use crate::sketch::Sketch;

/// Classes that are told apart, those with the most spans; the others are left out.
const MAX_CLASSES: usize = 50_000;

pub(super) async fn groups(client: &Client, query: &SpanGroupsQuery) -> Result<SpanGroups, HistoryError> {
    query.check()?;
    let filter = Filter::window(query.minutes());
    let sql = format!(
        "SELECT toString(service), toString(name), kind, status, count() AS number,
           toUInt64(least(sum(toUInt128(duration_us)), toUInt128(18446744073709551615))), max(duration_us),
           sumMap([bucket], [toUInt64(1)])
         FROM spans FINAL WHERE {} GROUP BY service, name, kind, status ORDER BY number DESC LIMIT {MAX_CLASSES}",
        filter.sql
    );
    let answer = client.select(&sql, filter.params).await?;
    let mut gather = SpanGather::new(query);
    Reader::all(&answer, |row| {
        let (service, name, kind, status) = (row.text()?, row.text()?, row.byte()?, row.byte()?);
        let (count, total, max) = (row.number()?, row.number()?, row.number()?);
        let (buckets, counts) = (row.list(Reader::short)?, row.list(Reader::number)?);
        let status = STATUSES.get(usize::from(status)).copied().unwrap_or_default();
        let kind = KINDS.get(usize::from(kind)).copied().unwrap_or_default();
        if let Some(id) = gather.group(&SpanClass { service: &service, name: &name, kind, status }) {
            let more = Sketch::of_buckets(buckets.into_iter().zip(counts), count, total, max);
            gather.add(id, status == SpanStatus::Error, |durations| durations.merge(&more));
        }
        Ok(())
    })?;
    Ok(gather.finish())
}
