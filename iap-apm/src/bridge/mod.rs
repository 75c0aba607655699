//! The bridge from `tracing`: log lines, spans and SQL statements join the running transaction.
//!
//! The APM is not built on `tracing`; this only takes in what applications and libraries emit:
//!
//! - an event becomes a log line of the transaction (and `tracing` span) it is emitted in, or a log
//!   line without a trace;
//! - a `tracing` span that is entered in a transaction becomes a span of its call tree;
//! - a transaction reaches other threads with the `tracing` span that its scope enters, as sqlx's
//!   SQLite driver does;
//! - sqlx's query events become database spans, which end when the event comes and began as long ago
//!   as the statement took.
//!
//! Levels: lines and spans are taken in from [`ApmLayer::with_max_level`] on, `INFO` by default. Taken
//! in at any level are sqlx's events, which come at `DEBUG` (slow ones at `WARN`), and the spans of
//! scopes ([`SCOPE_TARGET`], `TRACE`). A filter over the whole subscriber would have to let
//! `sqlx::query=debug,iap_core::transaction=trace` through, so give filters to the other layers
//! instead; and sqlx's `log_statements` must not be off. Parameters are not in these events, and so are
//! never recorded.

mod fields;
mod sqlx;

use std::fmt;

use iap_core::hooks::SCOPE_TARGET;
use iap_core::{SpanId, TraceId, Transaction};
use tracing::span::{Attributes, Id, Record as Recorded};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterFn, Filtered, filter_fn};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use self::fields::Fields;
use crate::hooks::ApmHooks;
use crate::model::{Level, LogLine, Span, SpanKind, SpanStatus};
use crate::record::Record;

/// A [`tracing_subscriber::Layer`] that records into an [`Apm`](crate::Apm). See the
/// [module page](self).
#[derive(Debug, Clone)]
pub struct ApmLayer {
    hooks: ApmHooks,
    max_level: tracing::Level,
}

/// What the layer keeps with a `tracing` span of a transaction.
struct Open {
    trace_id: TraceId,
    id: SpanId,
    parent: SpanId,
    start: u64,
    fields: Fields,
}

/// The position that a transaction's scope passes on to other threads; no span of the call tree.
struct Inherited {
    trace_id: TraceId,
    id: SpanId,
}

impl ApmLayer {
    pub(crate) fn new(hooks: ApmHooks) -> Self {
        Self { hooks, max_level: tracing::Level::INFO }
    }

    /// The finest level that is taken in.
    #[must_use]
    pub fn with_max_level(mut self, level: tracing::Level) -> Self {
        self.max_level = level;
        self
    }

    /// The layer with a filter of its own, so that what it does not take in costs nothing when no
    /// other layer wants it.
    pub fn filtered<S>(self) -> Filtered<Self, FilterFn<impl Fn(&Metadata<'_>) -> bool>, S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let max_level = self.max_level;
        self.with_filter(filter_fn(move |metadata| takes(metadata, max_level)))
    }

    /// Where a new span or line belongs: below the nearest recorded `tracing` span, unless the code
    /// runs in another transaction than that span, or only a scope is nearer, which the current
    /// transaction knows better.
    fn position<S>(&self, nearest: Option<SpanRef<'_, S>>) -> Option<(TraceId, SpanId)>
    where
        S: for<'a> LookupSpan<'a>,
    {
        let current = Transaction::current().map(|transaction| transaction.context());
        let recorded = nearest.and_then(|span| {
            span.scope().find_map(|span| {
                let extensions = span.extensions();
                let open = extensions.get::<Open>().map(|open| ((open.trace_id, open.id), false));
                open.or_else(|| extensions.get::<Inherited>().map(|at| ((at.trace_id, at.id), true)))
            })
        });
        match (current, recorded) {
            (Some(context), Some((at, false))) if at.0 == context.trace_id => Some(at),
            (Some(context), _) => Some((context.trace_id, context.span_id)),
            (None, recorded) => recorded.map(|(at, _)| at),
        }
    }

    fn line(&self, metadata: &Metadata<'_>, fields: Fields, at: Option<(TraceId, SpanId)>) {
        let shared = &self.hooks.shared;
        let line = LogLine {
            time_us: shared.now_us(),
            level: level(*metadata.level()),
            target: metadata.target().to_owned(),
            message: fields.message,
            trace_id: at.map(|(trace, _)| trace),
            span_id: at.map(|(_, span)| span),
            service: shared.service.clone(),
            fields: fields.values,
        };
        shared.rings.push(Record::Log(Box::new(line)));
    }
}

impl<S> Layer<S> for ApmLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id).filter(|span| takes(span.metadata(), self.max_level)) else {
            return;
        };
        if span.metadata().target() == SCOPE_TARGET {
            // Made with its transaction as the current one.
            if let Some(context) = Transaction::current().map(|transaction| transaction.context()) {
                span.extensions_mut().insert(Inherited { trace_id: context.trace_id, id: context.span_id });
            }
            return;
        }
        let Some((trace_id, parent)) = self.position(span.parent()) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let start = self.hooks.shared.ticks.raw();
        span.extensions_mut().insert(Open { trace_id, id: SpanId::random(), parent, start, fields });
    }

    fn on_record(&self, id: &Id, values: &Recorded<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(open) = span.extensions_mut().get_mut::<Open>()
        {
            values.record(&mut open.fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        if !takes(metadata, self.max_level) {
            return;
        }
        let at = self.position(context.event_span(event));
        let mut fields = Fields::default();
        event.record(&mut fields);
        if metadata.target() == sqlx::TARGET {
            // Without a transaction (a pool's own query) there is nothing it could be a part of.
            let Some((trace_id, parent)) = at else { return };
            let shared = &self.hooks.shared;
            let now_us = shared.now_us();
            if let Some(span) = sqlx::span(&fields, parent, now_us, &shared.service) {
                shared.rings.push(Record::Span { trace_id, span: Box::new(span) });
            }
            return;
        }
        self.line(metadata, fields, at);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(open) = span.extensions_mut().remove::<Open>() else { return };
        let ticks = &self.hooks.shared.ticks;
        let start_us = ticks.unix_us(open.start);
        let error = open.fields.values.get("error").map(|error| match error.as_str() {
            Some(text) => text.to_owned(),
            None => error.to_string(),
        });
        let recorded = Span {
            span_id: open.id,
            parent_id: Some(open.parent),
            name: span.name().to_owned(),
            kind: SpanKind::Internal,
            service: self.hooks.shared.service.clone(),
            instance: None,
            start_us,
            duration_us: ticks.unix_us(ticks.raw()).saturating_sub(start_us),
            status: if error.is_some() { SpanStatus::Error } else { SpanStatus::Unset },
            error,
            attributes: open.fields.values,
            events: Vec::new(),
            links: Vec::new(),
            dropped: open.fields.dropped,
        };
        self.hooks.shared.rings.push(Record::Span { trace_id: open.trace_id, span: Box::new(recorded) });
    }
}

/// Whether the layer wants it. Its own messages would feed on themselves.
fn takes(metadata: &Metadata<'_>, max_level: tracing::Level) -> bool {
    let target = metadata.target();
    let own = target == "iap_apm" || target.starts_with("iap_apm::");
    !own && (*metadata.level() <= max_level || target == sqlx::TARGET || target == SCOPE_TARGET)
}

fn level(level: tracing::Level) -> Level {
    match level {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::INFO => Level::Info,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::TRACE => Level::Trace,
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").field("id", &self.id).finish_non_exhaustive()
    }
}
