//! An application behind the gateway sends its own spans, and they join the gateway's tree.

mod common;

use common::{begin, finish, listed, trace};
use http::{Request, StatusCode};
use iap_apm::{Apm, Source};
use iap_core::Body;
use iap_core::hooks::{Hooks, SpanEnd, Stage};
use serde_json::json;
use tower::ServiceExt;

#[tokio::test]
async fn spans_of_an_application_join_the_gateways_transaction() {
    let apm = Apm::builder().service_name("gateway").build().expect("an APM");
    let hooks = apm.hooks();
    let transaction = begin(&hooks, "/orders/7", None);
    hooks.routed(&transaction, &"orders".into());
    let upstream = hooks.start(&transaction, Stage::Upstream, None);
    let context = hooks.context(&transaction).expect("recorded");
    let sent = context.with_span(hooks.span_id(&upstream).expect("recorded"));

    // The application answers, and its exporter is faster than we are.
    let (server, query) = ("00000000000000a1", "00000000000000a2");
    let now_ns = apm.live().now_us * 1_000;
    let span = |id: &str, parent: String, name: &str, kind: u8, attributes: serde_json::Value| {
        json!({
            "traceId": sent.trace_id.to_string(), "spanId": id, "parentSpanId": parent, "name": name, "kind": kind,
            "startTimeUnixNano": now_ns.to_string(), "endTimeUnixNano": (now_ns + 1_000_000).to_string(),
            "attributes": attributes,
        })
    };
    let sql = json!([{ "key": "db.query.text", "value": { "stringValue": "SELECT 1" } }]);
    let spans = [
        span(server, sent.span_id.to_string(), "GET /orders/{id}", 2, json!([])),
        span(query, server.to_owned(), "SELECT", 3, sql),
    ];
    let body = json!({ "resourceSpans": [{
        "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": "orders" } }] },
        "scopeSpans": [{ "spans": spans }],
    }] });
    let request = Request::post("/v1/traces").header("content-type", "application/json");
    let request = request.body(Body::from(body.to_string())).expect("a request");
    let response = apm.otlp().oneshot(request).await.expect("infallible");
    assert_eq!(response.status(), StatusCode::OK);

    // Until the gateway's transaction is there, the application's stands for the trace.
    let rows = listed(&apm).await;
    assert_eq!(rows.iter().map(|row| row.source).collect::<Vec<_>>(), [Source::OtlpEntry]);
    assert_eq!((rows[0].service.as_str(), rows[0].route.as_str()), ("orders", "GET /orders/{id}"));

    hooks.end(&transaction, upstream, SpanEnd { status: Some(StatusCode::OK), ..SpanEnd::default() });
    hooks.finish(transaction, finish(200, None));
    apm.flush().await.expect("flushed");
    let rows = listed(&apm).await;
    assert_eq!(rows.iter().map(|row| row.source).collect::<Vec<_>>(), [Source::Own], "one row a trace");

    let tree = trace(&apm, sent.trace_id).await.tree();
    let mut names = Vec::new();
    let mut level = &tree.roots;
    while let [node] = level.as_slice() {
        names.push((node.span.service.as_str(), node.span.name.as_str()));
        level = &node.children;
    }
    let expected = [
        ("gateway", "GET orders"),
        ("gateway", "upstream"),
        ("orders", "GET /orders/{id}"),
        ("orders", "SELECT"),
    ];
    assert_eq!(names, expected);
}
