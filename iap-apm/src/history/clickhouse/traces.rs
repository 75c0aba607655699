//! Traces, put together from all that came of them, and links between them.

use iap_core::{SpanId, TraceId};

use super::client::{Client, Params};
use super::rows::{Reader, damaged};
use super::{clamp, lines, listing};
use crate::error::HistoryError;
use crate::history::{MAX_LINKED_FROM, MAX_TRACE_BYTES, MAX_TRACE_LINES, MAX_TRACE_SPANS};
use crate::model::{LinkedFrom, LogLine, Span, Trace, TransactionSummary, Window};

/// How far from where a trace is said to be its transaction and lines are looked for first.
const AROUND_US: u64 = 3_600_000_000;

const OF_TRACE: &str = "trace_id = toFixedString(unhex({trace:String}), 16)";

pub(super) async fn trace(
    client: &Client,
    trace_id: TraceId,
    near: Option<Window>,
) -> Result<Option<Trace>, HistoryError> {
    let (spans, mut truncated) = spans(client, trace_id).await?;
    let mut found = around(client, trace_id, near.unwrap_or(Window::all())).await?;
    if near.is_some() && found.0.is_none() && found.1.is_empty() {
        found = around(client, trace_id, Window::all()).await?;
    }
    let (summary, mut logs) = found;
    if summary.is_none() && spans.is_empty() && logs.is_empty() {
        return Ok(None);
    }
    truncated |= logs.len() > MAX_TRACE_LINES;
    logs.truncate(MAX_TRACE_LINES);
    Ok(Some(Trace { trace_id, summary, spans, logs, truncated }))
}

/// The spans by their start, and whether there are more.
async fn spans(client: &Client, trace_id: TraceId) -> Result<(Vec<Span>, bool), HistoryError> {
    // The one that crosses the limit of bytes is read, so that it is known that there is one.
    let sql = format!(
        "SELECT total, body FROM (
           SELECT start_us, span_id, body, toUInt64(sum(length(body)) OVER (
             ORDER BY start_us, span_id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)) AS total
           FROM (SELECT start_us, span_id, body FROM spans WHERE {OF_TRACE}
             ORDER BY start_us, span_id LIMIT 1 BY span_id LIMIT {}))
         WHERE total - length(body) <= {MAX_TRACE_BYTES} ORDER BY start_us, span_id",
        MAX_TRACE_SPANS + 1
    );
    let answer = client.select(&sql, of(trace_id)).await?;
    let mut truncated = false;
    let spans = Reader::all(&answer, |row| {
        let (total, body) = (row.number()?, row.bytes()?);
        if total > MAX_TRACE_BYTES as u64 {
            truncated = true;
            return Ok(None);
        }
        serde_json::from_slice(body).map(Some).map_err(|error| damaged().with_source(error))
    })?;
    let mut spans: Vec<Span> = spans.into_iter().flatten().collect();
    truncated |= spans.len() > MAX_TRACE_SPANS;
    spans.truncate(MAX_TRACE_SPANS);
    Ok((spans, truncated))
}

/// The transaction and the lines of a trace, of about a time.
async fn around(
    client: &Client,
    trace_id: TraceId,
    window: Window,
) -> Result<(Option<TransactionSummary>, Vec<LogLine>), HistoryError> {
    let params = of(trace_id)
        .number("from", clamp(window.from_us.saturating_sub(AROUND_US)))
        .number("to", clamp(window.to_us.saturating_add(AROUND_US)));
    let sql = format!(
        "SELECT {} FROM transactions WHERE {OF_TRACE} AND start_us >= {{from:UInt64}} AND start_us <= {{to:UInt64}}
         ORDER BY rank, start_us LIMIT 1",
        listing::COLUMNS
    );
    let answer = client.select(&sql, params.clone()).await?;
    let summary = Reader::all(&answer, listing::summary)?.pop();
    let sql = format!(
        "SELECT {} FROM logs WHERE {OF_TRACE} AND time_us >= {{from:UInt64}} AND time_us <= {{to:UInt64}}
         ORDER BY time_us, hash LIMIT 1 BY time_us, hash LIMIT {}",
        lines::COLUMNS,
        MAX_TRACE_LINES + 1
    );
    Ok((summary, Reader::all(&client.select(&sql, params).await?, lines::line)?))
}

pub(super) async fn linked_from(client: &Client, trace_id: TraceId) -> Result<Vec<LinkedFrom>, HistoryError> {
    let sql = format!(
        "SELECT DISTINCT start_us, trace_id, span_id, target_span, toString(name), toString(service) FROM links
         WHERE target = toFixedString(unhex({{trace:String}}), 16)
         ORDER BY start_us, trace_id, span_id, target_span LIMIT {MAX_LINKED_FROM}"
    );
    Reader::all(&client.select(&sql, of(trace_id)).await?, |row| {
        Ok(LinkedFrom {
            start_us: row.number()?,
            trace_id: TraceId(row.array()?),
            span_id: SpanId(row.array()?),
            target: SpanId(row.array()?),
            name: row.text()?,
            service: row.text()?,
        })
    })
}

fn of(trace_id: TraceId) -> Params {
    Params::default().text("trace", &trace_id.to_string())
}
