//! From records to what the history keeps.

use std::collections::HashMap;

use http::StatusCode;
use iap_core::hooks::{Finish, Stage};
use iap_core::{Kind, TraceId};

use crate::history::Batch;
use crate::hooks::{ApmTransaction, Facts};
use crate::ledger::Counts;
use crate::model::{
    Attributes, LogLine, Source, Span, SpanKind, SpanStatus, TimelineEvent, TransactionSummary, root_span,
};
use crate::record::StageRecord;
use crate::shared::Shared;
use crate::text::{cut, cut_owned};

const MAX_TEXT: usize = 4_096;

/// What waits to be written.
#[derive(Default)]
pub(super) struct Pending {
    batch: Batch,
    traces: HashMap<TraceId, usize>,
    records: usize,
    counts: Counts,
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.records
    }

    /// Adds a transaction and its root span.
    pub(super) fn add_transaction(&mut self, row: TransactionSummary, node: &str) {
        self.batch.trace(&mut self.traces, row.trace_id).push(&root_span(&row, node));
        self.batch.transactions.push(row);
        self.records += 2;
        self.counts.transactions += 1;
    }

    pub(super) fn add_span(&mut self, trace_id: TraceId, span: &Span) {
        self.batch.trace(&mut self.traces, trace_id).push(span);
        self.records += 1;
        self.counts.spans += 1;
    }

    pub(super) fn add_log(&mut self, line: LogLine) {
        self.batch.logs.push(line);
        self.records += 1;
        self.counts.logs += 1;
    }

    pub(super) fn add_event(&mut self, event: TimelineEvent) {
        self.batch.events.push(event);
        self.records += 1;
    }

    /// What waits, and what of it the ledger has.
    pub(super) fn take(&mut self) -> Option<(Batch, Counts)> {
        let Self { batch, counts, .. } = std::mem::take(self);
        (!batch.is_empty()).then_some((batch, counts))
    }
}

pub(super) fn summary(
    shared: &Shared,
    transaction: &ApmTransaction,
    facts: Facts,
    end: u64,
    finish: Finish,
    weight: u64,
) -> TransactionSummary {
    let start_us = shared.ticks.unix_us(transaction.start);
    TransactionSummary {
        trace_id: transaction.context.trace_id,
        span_id: transaction.context.span_id,
        parent_id: transaction.parent,
        source: Source::Own,
        service: shared.service.clone(),
        start_us,
        duration_us: shared.ticks.unix_us(end).saturating_sub(start_us),
        method: cut(transaction.method.as_str(), 32).to_owned(),
        path: transaction.path().to_owned(),
        host: transaction.host().to_owned(),
        route: facts.route().to_owned(),
        status: finish.status.as_u16(),
        failed: failed(finish.status, finish.error),
        error: finish.error.map(|kind| kind.as_str().to_owned()),
        message: finish.message.map(|text| cut_owned(text, MAX_TEXT)),
        user: facts.user.map(Into::into),
        session: facts.session.map(Into::into),
        client: transaction.client().map(|ip| ip.to_string()),
        bytes_out: finish.bytes_out,
        weight,
    }
}

/// A 5xx, or a failure after a good status was sent; not a client that left.
pub(super) fn failed(status: StatusCode, error: Option<Kind>) -> bool {
    let broke_off = error.is_some_and(|kind| kind != Kind::ClientGone);
    status.is_server_error() || (broke_off && status.as_u16() < 400)
}

pub(super) fn stage(shared: &Shared, record: StageRecord) -> Span {
    let start_us = shared.ticks.unix_us(record.start);
    let kind = match record.stage {
        Stage::Upstream | Stage::UpstreamConnect | Stage::Command { .. } => SpanKind::Client,
        _ => SpanKind::Internal,
    };
    let mut attributes = Attributes::new();
    if let Some(status) = record.status {
        attributes.insert("http.response.status_code".into(), status.as_u16().into());
    }
    if let Some(detail) = record.detail {
        let is_server = matches!(record.stage, Stage::Upstream | Stage::UpstreamConnect);
        let name = if is_server { "server.address" } else { "iap.detail" };
        attributes.insert(name.into(), cut(&detail, MAX_TEXT).into());
    }
    if let Stage::Command { system, operation } = record.stage {
        attributes.insert("db.system.name".into(), system.into());
        attributes.insert("db.operation.name".into(), operation.into());
    }
    let bad = record.error.is_some() || record.status.is_some_and(|status| status.is_server_error());
    Span {
        span_id: record.id,
        parent_id: Some(record.parent),
        name: record.stage.name().to_owned(),
        kind,
        service: shared.service.clone(),
        instance: None,
        start_us,
        duration_us: shared.ticks.unix_us(record.end).saturating_sub(start_us),
        status: if bad { SpanStatus::Error } else { SpanStatus::Unset },
        error: record.error.map(|text| cut_owned(text.into_owned(), MAX_TEXT)),
        attributes,
        events: Vec::new(),
        links: Vec::new(),
        dropped: 0,
    }
}
