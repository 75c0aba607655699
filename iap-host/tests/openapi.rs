//! The description of the admin API: what a running host answers is what it says.

mod common;
#[path = "common/description.rs"]
mod description;

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;

use common::accounts::{self, Person};
use common::http::{Browser, get, send};
use common::{Host, eventually};
use description::Description;
use serde_json::{Value, json};

/// What this host has nothing of: reports that were made by themselves, incidents, accounts, and a provider of them.
const NOT_HERE: [&str; 5] = [
    "/api/access/oidc/callback",
    "/api/access/sign-ins",
    "/api/audit",
    "/api/incidents/{id}",
    "/api/reports/kept/{file}",
];

const CONFIG: &str = "
sessions: {api: 127.0.0.1:0, audience: {by: [address, user]}}
alerts: {rules: [{name: failures, measure: error_percent, above: 5, over: 1m}]}
upstreams: {pool: {servers: ['127.0.0.1:9', {url: '127.0.0.1:10', name: b}]}}
routes:
  - {name: shop, path: /, service: demo-shop}
  - {name: broken, path: /broken, respond: {status: 500, body: 'no'}}
  - {name: away, path: /away, upstream: pool}
";

/// A host on which something has happened.
fn busy_host() -> Host {
    let host = Host::start(CONFIG);
    let mut browser = Browser::default();
    browser.post(host.http, "/login", "user=alice");
    browser.post(host.http, "/cart", "product=2");
    browser.get(host.http, "/products");
    for path in ["/broken", "/away"] {
        assert!(get(host.http, path).status >= 500);
    }
    host.lists(5);
    host
}

/// A request whose body does not come; the shop waits for it as long as the tests run. Its trace and its span.
fn waiting(host: &Host) -> [String; 2] {
    let mut client = TcpStream::connect(host.http).unwrap();
    let form = "content-type: application/x-www-form-urlencoded\r\ncontent-length: 9";
    write!(client, "POST /cart HTTP/1.1\r\nhost: shop\r\n{form}\r\n\r\n").unwrap();
    std::mem::forget(client);
    eventually("its task waits", || {
        let active = host.admin("/api/requests/active");
        let request = active["requests"].as_array()?.iter().find(|request| request["tasks"] != 0)?;
        Some(["trace_id", "span_id"].map(|id| request[id].as_str().unwrap().to_owned()))
    })
}

/// The path of an operation on this host, and what has to be asked along; `None` for what it has nothing of.
fn address(host: &Host, path: &str) -> Option<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Some(match path {
        "/api/transactions/{trace_id}" => {
            let page = host.admin("/api/transactions?route=shop");
            path.replace("{trace_id}", &text(&page["items"][0]["trace_id"])?)
        }
        "/api/requests/active/{trace_id}/{span_id}/await" => {
            let [trace_id, span_id] = waiting(host);
            path.replace("{trace_id}", &trace_id).replace("{span_id}", &span_id)
        }
        "/api/sessions/{key}" => {
            path.replace("{key}", &text(&host.admin("/api/sessions")["sessions"][0]["key"])?)
        }
        "/api/statements/{fingerprint}" => {
            path.replace("{fingerprint}", &text(&host.admin("/api/statements")["statements"][0]["id"])?)
        }
        "/api/config/revisions/{number}" => path.replace("{number}", "1"),
        "/api/config/diff" => format!("{path}?from=1"),
        "/api/config/preview" => format!("{path}?key=server.drain&value=9s"),
        "/api/ask" => format!("{path}?q=what+is+wrong"),
        "/api/metrics/query" => format!("{path}?name=iap_http_requests"),
        "/api/reports/{kind}" => path.replace("{kind}", "executive"),
        path if NOT_HERE.contains(&path) => return None,
        path => path.to_owned(),
    })
}

#[test]
fn answers_are_what_the_description_says() {
    let host = busy_host();
    let description = Description::of(&host);
    let mut seen = BTreeSet::new();
    for (path, operation) in description.reads() {
        let Some(target) = address(&host, path) else { continue };
        let response = get(host.admin, &target);
        let kind = response.header("content-type").unwrap_or_default().to_owned();
        assert!(matches!(response.status, 200 | 404), "{target}: {}", response.text());
        if kind.contains("json") {
            let schema = description.schema(operation, response.status);
            let schema = schema.unwrap_or_else(|| panic!("{path}: {} is not described", response.status));
            let wrong = description.judge(schema, &response.json());
            assert!(wrong.is_empty(), "{target}: {wrong:#?}\n{:#}", response.json());
        } else {
            let bare = kind.split(';').next().unwrap();
            assert!(operation["responses"]["200"]["content"][bare].is_object(), "{path}: {kind}");
        }
        if response.status == 200 {
            seen.insert(path);
        }
    }
    let unseen: BTreeSet<&str> =
        description.reads().map(|(path, _)| path).filter(|path| !seen.contains(path)).collect();
    assert_eq!(unseen, NOT_HERE.into(), "each that this host can answer was answered");
}

#[test]
fn what_is_described_is_taken_and_nothing_else_is() {
    let host = busy_host();
    let description = Description::of(&host);
    let unknown = ["unknown field", "no such parameter", "a parameter is unknown"];
    for (path, operation) in description.reads() {
        let Some(target) = address(&host, path) else { continue };
        let mark = if target.contains('?') { '&' } else { '?' };
        for parameter in operation["parameters"].as_array().unwrap() {
            if parameter["in"] != "query" {
                continue;
            }
            // Whatever the value is worth: the name is known.
            let asked = format!("{}{mark}{}=", target, parameter["name"].as_str().unwrap());
            let answer = get(host.admin, &asked);
            let is_unknown = unknown.iter().any(|word| answer.text().contains(word) && answer.status == 400);
            assert!(!is_unknown, "{asked}: {}", answer.text());
        }
        if operation["parameters"].as_array().unwrap().iter().any(|parameter| parameter["in"] == "query") {
            let answer = get(host.admin, &format!("{target}{mark}nobody_has_described_this=1"));
            assert_eq!(answer.status, 400, "{target}: {}", answer.text());
            let wrong = description.judge(&json!({ "$ref": "#/components/schemas/Problem" }), &answer.json());
            assert!(wrong.is_empty(), "{wrong:?}");
        }
    }
}

#[test]
fn changes_are_answered_as_described_and_bodies_are_taken() {
    let host = busy_host();
    let description = Description::of(&host);
    let key = host.admin("/api/sessions")["sessions"][0]["key"].as_str().unwrap().to_owned();
    let text = std::fs::read_to_string(host.path().join("iap.yaml")).unwrap();
    for (path, target, body, status) in [
        ("/api/changes", "/api/changes", json!({ "what": "shop 1.2" }), 200),
        ("/api/followed", "/api/followed", json!({ "user": "alice", "for_s": "30m" }), 200),
        (
            "/api/alerts/silences",
            "/api/alerts/silences",
            json!({ "for": "1h", "by": "kim", "reason": "quiet" }),
            201,
        ),
        (
            "/api/actions",
            "/api/actions",
            json!({ "action": { "kind": "end_sessions", "filter": { "user": "alice" } }, "why": "try" }),
            201,
        ),
        ("/api/sessions/revoke", "/api/sessions/revoke", json!({ "filter": { "user": "alice" } }), 200),
        ("/api/sessions/revoke", "/api/sessions/revoke", json!({ "keys": [key], "dry_run": false }), 200),
        ("/api/sessions/revoke", "/api/sessions/revoke", json!({}), 400),
        ("/api/config/validate", "/api/config/validate", json!({ "text": text }), 200),
        ("/api/config/validate", "/api/config/validate", json!({ "text": "routes: 1" }), 200),
        ("/api/config", "/api/config", json!({ "text": text, "dry_run": true }), 200),
        ("/api/config/reload", "/api/config/reload", json!({}), 200),
        ("/api/ask", "/api/ask", json!({ "q": "show the slowest requests", "lang": "en" }), 200),
        ("/api/actions/{id}/reject", "/api/actions/1/reject", json!({ "why": "no" }), 200),
        ("/api/incidents/{id}/ack", "/api/incidents/7/ack", json!({ "who": "kim" }), 404),
    ] {
        let operation = &description.0["paths"][path]["post"];
        let json = [("content-type", "application/json")];
        let answer = send(host.admin, "POST", target, &json, body.to_string().as_bytes()).unwrap();
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
        let schema = description.schema(operation, status).unwrap_or_else(|| panic!("{path}: {status}"));
        let wrong = description.judge(schema, &answer.json());
        assert!(wrong.is_empty(), "{target}: {wrong:#?}\n{:#}", answer.json());
        if let Some(schema) = operation["requestBody"]["content"]["application/json"].get("schema")
            && status < 300
        {
            let wrong = description.judge(schema, &body);
            assert!(wrong.is_empty(), "{target}: what was sent is not as described: {wrong:#?}");
        }
    }
}

#[test]
fn the_description_says_who_may() {
    let host = accounts::host();
    let vera = Person::signed_in(&host, "vera");
    let ada = Person::signed_in(&host, "ada");
    let description = Description(ada.get("/api/openapi.json").json());
    assert_eq!(get(host.admin, "/api/openapi.json").status, 401);
    assert_eq!(vera.get("/api/openapi.json").json(), description.0, "the same for everybody");
    let file = std::fs::read_to_string(common::workspace().join("docs/openapi.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&file).unwrap(), description.0);
    for (path, operation) in description.reads().filter(|(path, _)| !path.contains('{')) {
        let open = operation["x-iap-right"].is_null();
        assert_eq!(get(host.admin, path).status == 401, !open, "{path}: somebody unknown");
        let viewer = open || operation["x-iap-right"] == "view";
        assert_eq!(vera.get(path).status == 403, !viewer, "{path}: a viewer");
    }
    for (path, name) in [("/api/access", ""), ("/api/access/sign-ins", ""), ("/api/audit", "?limit=5")] {
        let answer = ada.get(&format!("{path}{name}"));
        let schema = description.schema(&description.0["paths"][path]["get"], 200).unwrap();
        let wrong = description.judge(schema, &answer.json());
        assert!(wrong.is_empty(), "{path}: {wrong:#?}\n{:#}", answer.json());
    }
}
