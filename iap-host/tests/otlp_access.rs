//! Who may send telemetry, how much, and where links lead: as the configuration and the admin API have it.

mod common;

use common::Host;
use common::http::{get, send};
use serde_json::{Value, json};

const CONFIG: &str = "\
server: {listen: 127.0.0.1:0, drain: 5s}
admin: {listen: 127.0.0.1:0}
sessions: {enabled: false}
log: {format: json}
";

fn span(trace: &str, name: &str) -> Value {
    let now = iap_core::Clock::now_ms(&iap_core::SystemClock) * 1_000_000;
    json!({
        "traceId": trace, "spanId": "00f067aa0ba902b7", "name": name, "kind": 2,
        "startTimeUnixNano": now.to_string(), "endTimeUnixNano": (now + 1_000_000).to_string(),
    })
}

/// The status of the answer, and how many spans were refused.
fn sent(host: &Host, token: Option<&str>, service: &str, spans: Vec<Value>) -> (u16, Option<String>) {
    let name = json!({ "key": "service.name", "value": { "stringValue": service } });
    let group = json!({ "resource": { "attributes": [name] }, "scopeSpans": [{ "spans": spans }] });
    let body = json!({ "resourceSpans": [group] }).to_string();
    let bearer = format!("Bearer {}", token.unwrap_or_default());
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(token.map(|_| ("authorization", bearer.as_str())));
    let answer = send(host.otlp.unwrap(), "POST", "/v1/traces", &headers, body.as_bytes()).unwrap();
    let rejected = answer.json()["partialSuccess"]["rejectedSpans"].as_str().map(str::to_owned);
    (answer.status, rejected)
}

#[test]
fn tokens_and_quotas_of_the_configuration_are_heeded() {
    let config = "apm:\n  otlp: 127.0.0.1:0\n  otlp_quota: {spans: 1/s}\n  otlp_tokens:\n    \
        - {secret: {file: shop.token}, services: [shop, cart]}\n    - {secret: {file: fleet.token}}\n";
    let host = Host::start_prepared(&format!("{CONFIG}{config}"), |directory| {
        std::fs::write(directory.join("shop.token"), "shop-secret\n").unwrap();
        std::fs::write(directory.join("fleet.token"), "fleet-secret").unwrap();
    });
    let id = |n: u32| format!("{n:032x}");
    let one = |n: u32| vec![span(&id(n), "s")];
    assert_eq!(sent(&host, None, "shop", one(1)).0, 401);
    assert_eq!(sent(&host, Some("wrong"), "shop", one(2)).0, 401);
    assert_eq!(sent(&host, Some("shop-secret"), "shop", one(3)), (200, None));
    assert_eq!(sent(&host, Some("shop-secret"), "billing", one(4)), (200, Some("1".into())));
    assert_eq!(sent(&host, Some("fleet-secret"), "billing", one(5)), (200, None));
    for (n, status) in [(1, 404), (2, 404), (3, 200), (4, 404), (5, 200)] {
        assert_eq!(get(host.admin, &format!("/api/transactions/{}", id(n))).status, status, "{n}");
    }
    // Nine of ten are left, and what time has passed since gives no two hundred more.
    let many = (100..300).map(|n| span(&id(n), "s")).collect();
    let (status, rejected) = sent(&host, Some("shop-secret"), "shop", many);
    assert_eq!(status, 200);
    assert!((100..=191).contains(&rejected.unwrap().parse::<u32>().unwrap()));
    let metrics = get(host.admin, "/metrics").text();
    assert!(metrics.contains(r#"iap_apm_otlp_over_quota_total{service="shop",what="span"}"#), "{metrics}");
}

#[test]
fn links_lead_both_ways() {
    let host = Host::start_with(&format!("{CONFIG}apm: {{otlp: 127.0.0.1:0}}\n"));
    let (first, second) = ("11".repeat(16), "22".repeat(16));
    let mut linking = span(&second, "handle the batch");
    linking["links"] = json!([{ "traceId": first, "spanId": "00f067aa0ba902b7" }]);
    assert_eq!(sent(&host, None, "shop", vec![span(&first, "send"), linking]), (200, None));
    let trace = host.admin(&format!("/api/transactions/{second}"));
    assert_eq!(trace["tree"]["roots"][0]["span"]["links"][0]["trace_id"], first.as_str(), "{trace:#}");
    for at in ["".to_owned(), format!("?at_us={}", trace["summary"]["start_us"])] {
        let target = host.admin(&format!("/api/transactions/{first}{at}"));
        let back = &target["linked_from"][0];
        assert_eq!((&back["trace_id"], &back["name"]), (&second.as_str().into(), &"handle the batch".into()));
    }
}
