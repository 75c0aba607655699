//! What became of each record: the accounts agree with what was done, and with what is found.

mod common;

use std::sync::Arc;

use common::{begin, finish, trace};
use http::{Request, StatusCode};
use iap_apm::history::{MAX_LIMIT, MAX_TRACE_LINES};
use iap_apm::{Account, Apm, ApmHooks, Keeping, LogQuery, OtlpQuota, TransactionQuery, Window};
use iap_core::hooks::{Hooks, SpanEnd, Stage};
use iap_core::{Body, Transaction};
use serde_json::{Value, json};
use tower::ServiceExt;
use tracing_subscriber::layer::SubscriberExt;

const THREADS: u64 = 4;
const EACH: u64 = 1_000;
/// Of each transaction; one of them ends after it.
const SPANS: u64 = 7;

/// What one thread does: every tenth transaction is dropped without an end, every fifth fails, every tenth says a line.
fn work(hooks: &ApmHooks) {
    for n in 0..EACH {
        let transaction = begin(hooks, "/", None);
        hooks.routed(&transaction, &["orders", "cart"][n as usize % 2].into());
        let late = hooks.start(&transaction, Stage::Response, None);
        for _ in 1..SPANS {
            let span = hooks.start(&transaction, Stage::Handler, None);
            hooks.end(&transaction, span, SpanEnd::default());
        }
        if n % 10 == 2 {
            let handle: Transaction = hooks.handle(&transaction).expect("recorded");
            handle.enter(|| tracing::info!(n, "looked up"));
        }
        if n % 10 == 0 {
            hooks.end(&transaction, late, SpanEnd::default());
            continue;
        }
        hooks.finish(transaction.clone(), finish(if n % 5 == 1 { 500 } else { 200 }, None));
        hooks.end(&transaction, late, SpanEnd::default());
    }
}

fn flood(apm: &Apm) {
    let layer = || tracing_subscriber::registry().with(apm.tracing_layer());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| tracing::subscriber::with_default(layer(), || work(&apm.hooks())));
        }
    });
}

/// What the history has: transactions, their spans without their roots, lines.
async fn found(apm: &Apm) -> [u64; 3] {
    let mut query = TransactionQuery { limit: MAX_LIMIT, ..TransactionQuery::new(Window::all()) };
    let (mut rows, mut spans) = (0, 0);
    loop {
        let page = apm.history().transactions(&query).await.expect("a page");
        for row in &page.items {
            rows += 1;
            spans += trace(apm, row.trace_id).await.spans.len() as u64 - 1;
        }
        query.cursor = page.next;
        if query.cursor.is_none() {
            break;
        }
    }
    let query = LogQuery { limit: MAX_LIMIT, ..LogQuery::new(Window::all()) };
    let lines = apm.history().logs(&query).await.expect("lines");
    [rows, spans, lines.len() as u64]
}

fn made(account: Account) -> u64 {
    assert_eq!(account.waiting(), 0, "{account:?}");
    assert_eq!(account.made, account.kept + account.sampled_out + account.dropped, "{account:?}");
    account.made
}

#[tokio::test]
async fn every_record_of_a_flood_is_accounted_for() {
    // Of three floods one is kept whole, of one a part is left out, of one a part is lost.
    for (keeping, ring) in
        [(Keeping::all(), 1 << 17), (Keeping::per_second(5), 1 << 17), (Keeping::per_second(5), 16)]
    {
        let apm = Apm::builder().keeping(keeping).ring_capacity(ring).build().expect("an APM");
        flood(&apm);
        apm.flush().await.expect("flushed");
        let ledger = apm.ledger();
        let (transactions, spans, logs) = (ledger.transactions, ledger.spans, ledger.logs);
        let all = THREADS * EACH;
        assert_eq!([transactions, spans, logs].map(made), [all, all * SPANS, all / 10], "{keeping:?}");
        assert!(transactions.dropped >= all / 10, "those without an end: {transactions:?}");
        match (keeping == Keeping::all(), ring == 16) {
            (true, _) => assert_eq!((spans.sampled_out, spans.dropped), (0, 0), "{spans:?}"),
            (_, true) => assert!(spans.dropped > 0 && logs.dropped > 0, "{spans:?} {logs:?}"),
            _ => assert!(spans.sampled_out > all && logs.sampled_out > 0, "{spans:?} {logs:?}"),
        }
        let found = found(&apm).await;
        assert_eq!((found[0], found[2]), (transactions.kept, logs.kept));
        // Spans of transactions without an end are in the history, but no listing leads to them.
        let unlisted = all / 10 * SPANS;
        assert!(
            (spans.kept - unlisted.min(spans.kept)..=spans.kept).contains(&found[1]),
            "{found:?} {spans:?}"
        );
        if keeping == Keeping::all() {
            assert_eq!(found[1], spans.kept - unlisted);
        }
    }
}

/// However much is said inside of one span: it is counted, what is read of it is bounded, and it costs no span.
#[tokio::test]
async fn a_span_with_very_many_events_is_bounded() {
    const EVENTS: u64 = 200_000;
    let apm = Apm::builder().keeping(Keeping::all()).build().expect("an APM");
    let hooks = apm.hooks();
    let transaction = begin(&hooks, "/", None);
    let trace_id = hooks.context(&transaction).expect("recorded").trace_id;
    let handle: Transaction = hooks.handle(&transaction).expect("recorded");
    let subscriber = tracing_subscriber::registry().with(apm.tracing_layer());
    tracing::subscriber::with_default(subscriber, || {
        handle.enter(|| {
            let _span = tracing::info_span!("import").entered();
            (0..EVENTS).for_each(|n| tracing::info!(n, "a row"));
        });
    });
    drop(handle);
    hooks.finish(transaction, finish(200, None));
    apm.flush().await.expect("flushed");
    let ledger = apm.ledger();
    assert_eq!((made(ledger.logs), made(ledger.spans)), (EVENTS, 1), "{ledger:?}");
    assert_eq!((ledger.spans.kept, ledger.transactions.kept), (1, 1), "{ledger:?}");
    let found = trace(&apm, trace_id).await;
    assert!(found.logs.len() <= MAX_TRACE_LINES && found.logs.len() > 100, "{}", found.logs.len());
    assert!(found.spans.iter().any(|span| span.name == "import"));
}

async fn send(apm: &Apm, path: &str, body: Value) -> StatusCode {
    let request = Request::post(path).header("content-type", "application/json");
    let request = request.body(Body::from(body.to_string())).expect("a request");
    apm.otlp().oneshot(request).await.expect("infallible").status()
}

fn traces(spans: Vec<Value>) -> Value {
    json!({ "resourceSpans": [{
        "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": "orders" } }] },
        "scopeSpans": [{ "spans": spans }],
    }] })
}

/// A sender that goes before it is told leaves nothing on the way for ever.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_sender_has_left_behind_is_accounted_for() {
    let apm = Apm::builder().build().expect("an APM");
    let now_ns = apm.live().now_us * 1_000;
    for n in 1..=20_u64 {
        let span = |at: u64| {
            json!({ "traceId": format!("{n:032x}"), "spanId": format!("{:016x}", at + 1), "name": "work",
                    "startTimeUnixNano": now_ns.to_string(), "endTimeUnixNano": (now_ns + 1_000).to_string() })
        };
        let (own, body) = (apm.clone(), traces((0..50).map(span).collect()));
        let sending = tokio::spawn(async move { send(&own, "/v1/traces", body).await });
        while apm.ledger().received_spans.made < n * 50 {
            tokio::task::yield_now().await;
        }
        sending.abort();
        let _ = sending.await;
        let spans = apm.ledger().received_spans;
        assert_eq!((made(spans), spans.kept + spans.dropped), (n * 50, n * 50), "{spans:?}");
    }
}

#[tokio::test]
async fn every_received_record_is_accounted_for() {
    let quota = OtlpQuota { logs: Some(1), ..OtlpQuota::default() };
    let apm = Apm::builder().keeping(Keeping::per_second(0)).otlp_quota(quota).build().expect("an APM");
    let hooks = apm.hooks();
    // The first of a class is held for those after it, so the ones in between are let go.
    let begun: Vec<_> = (0..50).map(|_| begin(&hooks, "/", None)).collect();
    let ids: Vec<_> = begun.iter().map(|one| hooks.context(one).expect("recorded").trace_id).collect();
    begun.into_iter().for_each(|one: Arc<_>| hooks.finish(one, finish(200, None)));
    apm.flush().await.expect("flushed");
    assert!(apm.ledger().transactions.sampled_out > 40);

    let now_ns = apm.live().now_us * 1_000;
    let span = |trace: String, n: usize| {
        json!({ "traceId": trace, "spanId": format!("{:016x}", n + 1), "name": "work", "kind": 1,
                "startTimeUnixNano": now_ns.to_string(), "endTimeUnixNano": (now_ns + 1_000).to_string() })
    };
    let mut spans: Vec<_> = ids.iter().enumerate().map(|(n, id)| span(id.to_string(), n)).collect();
    spans.extend([span("00".into(), 60), span("f".repeat(32), 61)]);
    assert_eq!(send(&apm, "/v1/traces", traces(spans)).await, StatusCode::OK);
    let spans = apm.ledger().received_spans;
    assert_eq!((made(spans), spans.dropped), (52, 1), "{spans:?}");
    assert_eq!(spans.sampled_out, apm.ledger().transactions.sampled_out, "as their transactions were");

    let line =
        |n: u64| json!({ "timeUnixNano": (now_ns + n).to_string(), "body": { "stringValue": "hello" } });
    let lines: Vec<_> = (0..25).map(|n| line(n * 1_000)).collect();
    let body = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": lines }] }] });
    assert_eq!(send(&apm, "/v1/logs", body).await, StatusCode::OK);
    let logs = apm.ledger().received_logs;
    assert_eq!((made(logs), logs.kept, logs.dropped), (25, 10, 15), "beyond the quota of ten seconds");

    let point = |n: u64| json!({ "timeUnixNano": (now_ns + n).to_string(), "asInt": n.to_string() });
    let points = json!([point(1_000), point(2_000), { "asInt": "3" }]);
    let gauge = json!({ "name": "depth", "gauge": { "dataPoints": points } });
    let body = json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [gauge] }] }] });
    assert_eq!(send(&apm, "/v1/metrics", body).await, StatusCode::OK);
    let points = apm.ledger().received_points;
    assert_eq!((made(points), points.kept, points.dropped), (3, 2, 1), "one has no time");
}
