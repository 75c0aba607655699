//! A made-up load, and an assistant that reads it.

use std::sync::Arc;

use iap_apm::history::BoxFuture;
use iap_apm::{Batch, History, Source, Span, SqliteHistory, SqliteOptions, TraceSpans, TransactionSummary};
use iap_core::{BoxError, ManualClock, SpanId, TraceId};
use iap_ops::{Answer, Assistant, Live, SessionSource, SessionStats};
use serde_json::{Value, json};

/// 2026-11-25T04:00:00Z, 13:00 in Seoul.
pub(crate) const NOW_MS: u64 = 1_795_579_200_000;
pub(crate) const NOW_US: u64 = NOW_MS * 1_000;
pub(crate) const MINUTE: u64 = 60_000_000;
pub(crate) const MS: u64 = 1_000;

pub(crate) struct Load {
    pub(crate) batch: Batch,
    next: u64,
}

impl Load {
    pub(crate) fn new() -> Self {
        Self { batch: Batch::default(), next: 1 }
    }

    /// A transaction whose root span has the given children: (name, kind, start and length in it, attributes,
    /// error).
    pub(crate) fn add(
        &mut self,
        route: &str,
        start_us: u64,
        duration_us: u64,
        status: u16,
        children: &[Child<'_>],
    ) -> String {
        let n = self.next;
        self.next += 1;
        let (trace_id, root) = (TraceId(u128::from(n).to_be_bytes()), SpanId((n << 16).to_be_bytes()));
        let failed = status >= 500;
        let mut spans = vec![span(root, None, route, "server", start_us, duration_us, failed, json!({}))];
        for (at, child) in children.iter().enumerate() {
            let id = SpanId(((n << 16) + 1 + at as u64).to_be_bytes());
            let start = start_us + child.at_us;
            let mut span = span(
                id,
                Some(root),
                child.name,
                child.kind,
                start,
                child.duration_us,
                child.error.is_some(),
                child.attributes.clone(),
            );
            span.error = child.error.map(str::to_owned);
            spans.push(span);
        }
        self.batch.spans.push(TraceSpans::of(trace_id, &spans));
        self.batch.transactions.push(TransactionSummary {
            weight: 1,
            trace_id,
            span_id: root,
            parent_id: None,
            source: Source::Own,
            service: "gateway".into(),
            start_us,
            duration_us,
            method: "GET".into(),
            path: format!("/{route}/{n}"),
            host: "shop.example".into(),
            route: route.into(),
            status,
            failed,
            error: None,
            message: None,
            user: None,
            session: Some(format!("s-{}", n % 4)),
            client: None,
            bytes_out: 0,
        });
        trace_id.to_string()
    }

    pub(crate) async fn ask(self, question: &str) -> Answer {
        let history = SqliteHistory::temporary(SqliteOptions::default()).expect("a history");
        history.append(Arc::new(self.batch)).await.expect("kept");
        assistant(Live::new(Arc::new(history))).ask(question).await.expect("an answer")
    }
}

pub(crate) struct Child<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) at_us: u64,
    pub(crate) duration_us: u64,
    pub(crate) attributes: Value,
    pub(crate) error: Option<&'a str>,
}

#[expect(clippy::too_many_arguments, reason = "the columns of a made-up span")]
fn span(
    id: SpanId,
    parent: Option<SpanId>,
    name: &str,
    kind: &str,
    start_us: u64,
    duration_us: u64,
    failed: bool,
    attributes: Value,
) -> Span {
    serde_json::from_value(json!({
        "span_id": id.to_string(), "parent_id": parent.map(|id| id.to_string()), "name": name,
        "kind": kind, "service": "shop", "start_us": start_us, "duration_us": duration_us,
        "status": if failed { "error" } else { "unset" }, "attributes": attributes,
    }))
    .expect("a span")
}

pub(crate) fn assistant(live: Live) -> Assistant {
    Assistant::new(Arc::new(live)).with_clock(Arc::new(ManualClock::at(NOW_MS)))
}

pub(crate) fn query(sql: &str, at_us: u64, duration_us: u64) -> Child<'static> {
    let attributes = json!({ "db.query.text": sql });
    Child { name: "query", kind: "client", at_us, duration_us, attributes, error: None }
}

/// A call of the payment service, which is refused where it fails.
pub(crate) fn payment(duration_us: u64, fails: bool) -> Child<'static> {
    Child {
        name: "upstream",
        kind: "client",
        at_us: MS,
        duration_us,
        attributes: json!({ "server.address": "10.0.0.9:8443" }),
        error: fails.then_some("connection refused"),
    }
}

/// An hour of normal traffic on three routes, then five minutes in which `orders` waits for one statement
/// and `pay` gets errors from an upstream.
pub(crate) fn incident() -> (Load, Vec<String>) {
    let mut load = Load::new();
    for n in 0..60 {
        let start = NOW_US - 65 * MINUTE + n * MINUTE;
        load.add("orders", start, 40 * MS, 200, &[query("SELECT * FROM orders WHERE id = 1", MS, 10 * MS)]);
        load.add("pay", start, 30 * MS, 200, &[]);
        load.add("home", start, 5 * MS, 200, &[]);
    }
    for n in 0..30 {
        let start = NOW_US - 4 * MINUTE + n * 1_000 * MS;
        let sql = format!("SELECT *  FROM orders WHERE customer = {n} AND note = 'secret {n}'");
        let children = [query("SELECT 1", MS, 2 * MS), query(&sql, 10 * MS, 1_400 * MS)];
        load.add("orders", start, 1_500 * MS, 200, &children);
        load.add("home", start, 6 * MS, 200, &[]);
    }
    let mut failed = Vec::new();
    for n in 0..20 {
        let start = NOW_US - 3 * MINUTE + n * 1_000 * MS;
        let bad = n % 4 == 0;
        let child = payment(20 * MS, bad);
        let id = load.add("pay", start, 25 * MS, if bad { 502 } else { 200 }, &[child]);
        failed.extend(bad.then_some(id));
    }
    (load, failed)
}

pub(crate) struct Sessions(pub(crate) Result<SessionStats, &'static str>);

impl SessionSource for Sessions {
    fn stats(&self) -> BoxFuture<'_, Result<SessionStats, BoxError>> {
        Box::pin(std::future::ready(self.0.map_err(Into::into)))
    }
}
