//! From what an ended process has left to the history.

use std::sync::Arc;
use std::time::Duration;

use iap_core::SpanId;

use super::{Found, IN_FLIGHT_AT_CRASH, Interrupted};
use crate::error::HistoryError;
use crate::history::{Batch, History, TraceSpans};
use crate::model::{
    Attributes, EventKind, Source, Span, SpanKind, SpanStatus, TimelineEvent, TransactionSummary, root_span,
};
use crate::shared::Shared;

/// How long it is waited before the history is asked again.
const AGAIN: Duration = Duration::from_millis(500);

/// Brings what was in flight into the history. One of which the history has the end was in flight no more, and is
/// struck off the list. Goes on until the history has taken it.
pub(crate) async fn recover(shared: Arc<Shared>, history: Arc<dyn History>, found: Vec<Found>) {
    for found in found {
        while let Err(error) = bring_in(&shared, &history, &found.requests).await {
            if !error.is_retryable() {
                tracing::warn!(%error, "what was in flight at a crash could not be written to the history");
                break;
            }
            tokio::time::sleep(AGAIN).await;
        }
        found.remove();
    }
}

async fn bring_in(
    shared: &Shared,
    history: &Arc<dyn History>,
    requests: &[Interrupted],
) -> Result<(), HistoryError> {
    let mut batch = Batch::default();
    for interrupted in requests {
        let (trace_id, span_id) = (interrupted.request.trace_id, interrupted.request.span_id);
        let trace = history.trace(trace_id).await?;
        let known = trace.and_then(|trace| trace.summary).filter(|summary| summary.span_id == span_id);
        if known.is_some_and(|summary| summary.error.as_deref() != Some(IN_FLIGHT_AT_CRASH)) {
            shared.interrupted.lock().retain(|listed| listed.request.span_id != span_id);
            continue;
        }
        let row = row(&shared.service, interrupted);
        let spans = [Some(root_span(&row, &shared.node)), stage_span(&shared.service, interrupted)];
        batch.spans.push(TraceSpans::of(trace_id, spans.iter().flatten()));
        batch.transactions.push(row);
    }
    if let Some(seen_us) = requests.iter().map(|interrupted| interrupted.seen_us).max() {
        batch.events.push(TimelineEvent {
            time_us: seen_us,
            duration_us: 0,
            kind: EventKind::Crashed,
            node: shared.node.clone(),
            text: format!("requests in flight: {}", batch.transactions.len()),
        });
    }
    let batch = Arc::new(batch);
    history.append(batch.clone()).await?;
    shared.outlet.offer_recovered(&batch);
    Ok(())
}

fn row(service: &str, interrupted: &Interrupted) -> TransactionSummary {
    let request = interrupted.request.clone();
    TransactionSummary {
        trace_id: request.trace_id,
        span_id: request.span_id,
        parent_id: None,
        source: Source::Own,
        service: service.to_owned(),
        start_us: request.start_us,
        duration_us: interrupted.seen_us.saturating_sub(request.start_us),
        method: request.method,
        path: request.path,
        host: String::new(),
        route: request.route,
        status: 0,
        failed: true,
        error: Some(IN_FLIGHT_AT_CRASH.to_owned()),
        message: Some(interrupted.describe()),
        user: request.user,
        session: request.session,
        client: request.client,
        bytes_out: 0,
        weight: 1,
    }
}

/// The stage that had not ended.
fn stage_span(service: &str, interrupted: &Interrupted) -> Option<Span> {
    let request = &interrupted.request;
    let mut attributes = Attributes::new();
    if let Some(server) = &request.server {
        attributes.insert("server.address".to_owned(), server.as_str().into());
    }
    // The same id each time, so that it is written once.
    let mut id = request.span_id;
    id.0[7] ^= 1;
    Some(Span {
        span_id: Some(id).filter(|id| *id != SpanId([0; 8]))?,
        parent_id: Some(request.span_id),
        name: request.stage.as_deref()?.to_owned(),
        kind: if request.server.is_some() { SpanKind::Client } else { SpanKind::Internal },
        service: service.to_owned(),
        instance: None,
        start_us: interrupted.seen_us.saturating_sub(request.stage_us),
        duration_us: request.stage_us,
        status: SpanStatus::Error,
        error: Some(interrupted.describe()),
        attributes,
        events: Vec::new(),
        links: Vec::new(),
        dropped: 0,
    })
}
