//! Reads failed transactions, and spans of some of a window's traces.

use std::collections::HashMap;

use iap_core::{SpanId, TraceId};

use super::client::{Client, Params};
use super::listing::Filter;
use super::rows::{Reader, damaged};
use crate::error::HistoryError;
use crate::history::drill::{
    BATCH, Basis, Deadline, ErrorGather, Example, FailedRow, Gather, MAX_FAILED_ROWS, MAX_SPANS, MAX_TRACES,
    Row, Sampled, Sampler,
};
use crate::history::{ErrorsQuery, MAX_TRACE_BYTES, TransactionQuery};
use crate::model::{Span, Window};

/// Hands spans of the traces of a window to `gather`.
pub(super) async fn read(
    client: &Client,
    window: Window,
    route: Option<&str>,
    gather: &mut impl Gather,
) -> Result<Basis, HistoryError> {
    let (mut sampler, deadline) = (Sampler::new(window), Deadline::begin());
    choose(client, window, route, &mut sampler).await?;
    let chosen = sampler.take();
    for batch in chosen.chunks(BATCH) {
        if sampler.is_over(&deadline) {
            break;
        }
        let (mut found, truncated) = spans(client, batch).await?;
        for of in batch {
            let spans = found.remove(&of.trace_id).unwrap_or_default();
            sampler.read(gather, of, spans, truncated);
        }
    }
    Ok(sampler.finish())
}

/// The server counts all of them, and chooses.
async fn choose(
    client: &Client,
    window: Window,
    route: Option<&str>,
    sampler: &mut Sampler,
) -> Result<(), HistoryError> {
    let wanted = TransactionQuery { route: route.map(str::to_owned), ..TransactionQuery::new(window) };
    let filter = Filter::listing(&wanted);
    let of = format!("FROM transactions FINAL WHERE {}", filter.sql);
    let sql = format!(
        "SELECT trace_id, span_id, start_us, weight, toString(route) {of}
         ORDER BY cityHash64(trace_id), trace_id LIMIT {MAX_TRACES}"
    );
    Reader::all(&client.select(&sql, filter.params.clone()).await?, |row| {
        let (trace_id, span_id) = (TraceId(row.array()?), SpanId(row.array()?));
        let (start_us, weight) = (row.number()?, row.number()?);
        sampler.choose(&Row { trace_id, span_id, start_us, weight, route: &row.text()? });
        Ok(())
    })?;
    let sql = format!("SELECT count(), sum(weight) {of}");
    let counted = client.select(&sql, filter.params).await?;
    Reader::all(&counted, |row| {
        sampler.counted(row.number()?, row.number()?);
        Ok(())
    })
    .map(drop)
}

/// The spans of some traces, and whether there are more.
async fn spans(client: &Client, of: &[Sampled]) -> Result<(HashMap<TraceId, Vec<Span>>, bool), HistoryError> {
    // Ids are digits only: they may stand in the statement.
    let ids: Vec<_> = of.iter().map(|of| format!("unhex('{}')", of.trace_id)).collect();
    // The one that crosses a limit is read, so that it is known that there is one.
    let sql = format!(
        "SELECT total, trace_id, body FROM (
           SELECT trace_id, span_id, body, toUInt64(sum(length(body)) OVER (
             ORDER BY trace_id, span_id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)) AS total
           FROM (SELECT trace_id, span_id, body FROM spans WHERE trace_id IN ({})
             ORDER BY trace_id, span_id LIMIT 1 BY trace_id, span_id LIMIT {}))
         WHERE total - length(body) <= {MAX_TRACE_BYTES}",
        ids.join(", "),
        MAX_SPANS + 1
    );
    let answer = client.select(&sql, Params::default()).await?;
    let (mut found, mut count, mut truncated) = (HashMap::<_, Vec<Span>>::new(), 0, false);
    Reader::all(&answer, |row| {
        let (total, trace_id, body) = (row.number()?, TraceId(row.array()?), row.bytes()?);
        count += 1;
        if total > MAX_TRACE_BYTES as u64 || count > MAX_SPANS {
            truncated = true;
            return Ok(());
        }
        let span = serde_json::from_slice(body).map_err(|error| damaged().with_source(error))?;
        found.entry(trace_id).or_default().push(span);
        Ok(())
    })?;
    Ok((found, truncated))
}

/// Hands failed transactions to `gather`, the latest first.
pub(super) async fn failed(
    client: &Client,
    query: &ErrorsQuery,
    gather: &mut ErrorGather,
) -> Result<(), HistoryError> {
    let filter = Filter::listing(&query.failed());
    let sql = format!(
        "SELECT toString(service), toString(route), toString(method), status, error, message, weight, trace_id,
           span_id, start_us, duration_us
         FROM transactions FINAL WHERE {} ORDER BY start_us DESC LIMIT {}",
        filter.sql,
        MAX_FAILED_ROWS + 1
    );
    let (answer, mut room) = (client.select(&sql, filter.params).await?, MAX_FAILED_ROWS);
    Reader::all(&answer, |row| {
        let (service, route, method) = (row.text()?, row.text()?, row.text()?);
        let (status, error, message) =
            (row.short()?, row.optional(Reader::text)?, row.optional(Reader::text)?);
        let weight = row.number()?;
        let example = Example {
            trace_id: TraceId(row.array()?),
            span_id: SpanId(row.array()?),
            start_us: row.number()?,
            duration_us: row.number()?,
        };
        let Some(left) = room.checked_sub(1) else {
            gather.cut();
            return Ok(());
        };
        room = left;
        let (error, message) = (error.as_deref(), message.as_deref());
        let (service, route, method) = (&*service, &*route, &*method);
        gather.failed(&FailedRow { service, route, method, status, error, message, weight, example });
        Ok(())
    })
    .map(drop)
}
