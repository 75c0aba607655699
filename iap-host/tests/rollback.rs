//! Detection finds a change of the configuration to blame, and proposes the way back.

mod common;

use common::http::{get, send};
use common::{Host, eventually};
use serde_json::{Value, json};

/// A host that looks each second, whose one route answers so.
fn config(status: u16) -> String {
    format!(
        "server: {{listen: 127.0.0.1:0, drain: 1s}}\nadmin: {{listen: 127.0.0.1:0, revisions: {{watch: 0s}}}}\n\
         log: {{format: json}}\nsessions: {{enabled: false}}\n\
         apm: {{otlp: 127.0.0.1:0, detection: {{interval: 1s}}}}\nops: {{actions: {{watch: 1s, confidence: 0.5}}}}\n\
         routes:\n- {{name: shop, path: /, respond: {{status: {status}, body: 'hi'}}}}\n"
    )
}

fn post(host: &Host, path: &str, fields: &[(&str, &str)], body: &Value) -> Value {
    let fields = [&[("content-type", "application/json")], fields].concat();
    send(host.admin, "POST", path, &fields, body.to_string().as_bytes()).unwrap().json()
}

#[test]
fn a_change_that_makes_requests_fail_is_blamed_and_its_way_back_proposed() {
    let host = Host::start_with(&config(200));
    let requests = || (0..6).for_each(|_| drop(get(host.http, "/")));
    eventually("what is usual is known", || {
        requests();
        (host.admin("/api/incidents")["watched"]["rounds"].as_u64()? >= 16).then_some(())
    });
    assert_eq!(host.admin("/api/actions"), json!({ "actions": [] }), "nothing is wrong");
    let wanted = json!({ "text": config(503), "reason": "a new answer" });
    let applied = post(&host, "/api/config", &[("if-match", "*")], &wanted);
    assert_eq!(applied["revision"]["state"], "stable", "it is not tried out here: {applied}");
    assert_eq!(get(host.http, "/").status, 503);

    let action = eventually("the proposal", || {
        requests();
        Some(host.admin("/api/actions")["actions"][0].clone()).filter(|action| !action.is_null())
    });
    assert_eq!(action["action"], json!({ "kind": "rollback", "from": 2, "to": 1 }), "{action:#}");
    assert_eq!((&action["by"]["kind"], &action["state"]), (&json!("detection"), &json!("proposed")));
    assert!(action["preview"].to_string().contains("status: 200"), "{action:#}");
    let incident = host.admin(&format!("/api/incidents/{}", action["incident"]));
    assert_eq!(incident["cause"]["kind"], "change", "{incident:#}");
    assert_eq!(get(host.http, "/").status, 503, "a person decides");

    let id = &action["id"];
    post(&host, &format!("/api/actions/{id}/approve"), &[], &json!({ "why": "seen it as well" }));
    eventually("the way back", || (get(host.http, "/").status == 200).then_some(()));
    let ended = eventually("the action is over", || {
        requests();
        let action = host.admin("/api/actions")["actions"][0].clone();
        (!action["ended_ms"].is_null()).then_some(action)
    });
    assert_eq!(ended["state"], "done", "{ended:#}");
    let revision = host.admin("/api/config")["revision"].clone();
    assert_eq!((&revision["origin"], &revision["restores"]), (&json!("rollback"), &json!(1)), "{revision}");
}
