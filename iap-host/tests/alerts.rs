//! Alerts of the real host: judged while it runs, told by webhook and e-mail, once.

mod common;

use std::net::SocketAddr;
use std::process::Stdio;

use common::{FREE_PORTS, Host, Process, eventually, free_port, host_command, http, python, redis_sessions};
use iap_session::testing::RedisServer;
use serde_json::{Value, json};

/// A webhook and a mail server.
struct Told {
    _process: Process,
    port: u16,
    smtp: u16,
}

impl Told {
    fn start() -> Self {
        let (port, smtp) = (free_port(), free_port());
        let mut command = python("told.py");
        command.env("PORT", port.to_string()).env("SMTP", smtp.to_string()).stdout(Stdio::null());
        let told = Self { _process: Process(command.spawn().unwrap()), port, smtp };
        eventually("the receivers", || http::try_get(told.address(), "/seen"));
        told
    }

    fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    fn seen(&self, what: &str) -> Vec<Value> {
        http::get(self.address(), "/seen").json()[what].as_array().unwrap().clone()
    }

    /// A host whose every failure is told, and a route that fails.
    fn config(&self, more: &str) -> String {
        format!(
            "{FREE_PORTS}{more}routes:
  - {{name: fails, path: /fails, respond: {{status: 500}}}}
  - {{name: fine, path: /fine, respond: {{status: 200}}}}
alerts:
  every: 1s
  console: https://ops.example/
  channels:
    ops: {{webhook: {{url: {{file: hook-url}}, secret: {{env: IAP_SESSION_SECRET}}}}}}
    mail: {{mail: {{host: 127.0.0.1, port: {}, security: none, from: iap@example.com, to: [ops@example.com]}}}}
  rules:
    - {{name: failures, description: see the runbook, measure: error_percent, above: 50, over: 10s, min_requests: 3,
       severity: critical, notify: [ops, mail]}}
",
            self.smtp
        )
    }

    fn host(&self, more: &str) -> Host {
        let url = format!("http://127.0.0.1:{}/hook-secret\n", self.port);
        Host::start_prepared(&self.config(more), |directory| {
            std::fs::write(directory.join("hook-url"), url).unwrap()
        })
    }
}

fn fail(host: &Host) {
    for _ in 0..5 {
        assert_eq!(http::get(host.http, "/fails").status, 500);
    }
}

fn hook(seen: &Value) -> (&str, &str) {
    let event = &seen["body"]["details"]["event"];
    (event["edge"].as_str().unwrap(), event["id"].as_str().unwrap())
}

#[test]
fn an_alert_is_told_once_survives_a_restart_and_is_told_when_it_is_over() {
    let told = Told::start();
    let host = told.host("");
    assert_eq!(http::get(host.http, "/fine").status, 200);
    fail(&host);
    let first = eventually("the webhook is told", || told.seen("hooks").into_iter().next());
    let (edge, id) = hook(&first);
    assert_eq!(
        (edge, first["path"].as_str(), &first["signed"]),
        ("firing", Some("/hook-secret"), &json!(true))
    );
    let body = &first["body"];
    assert_eq!((&body["severity"], &body["title"]), (&json!("critical"), &json!("firing: failures")));
    let trace = body["details"]["event"]["trace_id"].as_str().unwrap();
    assert_eq!(host.admin(&format!("/api/transactions/{trace}"))["summary"]["route"], "fails");
    let link = format!("https://ops.example/transactions/{trace}");
    let text = body["text"].as_str().unwrap();
    assert!(
        text.contains("route=fails") && text.contains("see the runbook") && text.ends_with(&link),
        "{text}"
    );
    let mail = eventually("the mail comes", || told.seen("mails").into_iter().next());
    assert_eq!(
        (&mail["subject"], &mail["to"]),
        (&json!("[critical] firing: failures"), &json!(["ops@example.com"]))
    );
    assert!(mail["text"].as_str().unwrap().contains("see the runbook"));

    let state = host.admin("/api/alerts");
    assert_eq!(state["rules"][0]["watched"][0]["alert"], json!(id));
    assert_eq!(state["channels"]["ops"]["sent"], 1);
    assert!(!state.to_string().contains("hook-secret"), "{state}");
    assert_eq!(host.admin("/api/alerts/events")["events"][0]["id"], json!(id));

    // The next process goes on with it, and tells only its end.
    host.signal("-KILL");
    let mut command = host_command(host.path());
    command.args(["run", "-c"]).arg(host.path().join("iap.yaml")).stderr(Stdio::null());
    let _next = Process(command.spawn().unwrap());
    let ended = eventually("its end is told", || told.seen("hooks").into_iter().nth(1));
    assert_eq!(hook(&ended), ("resolved", id));
}

#[test]
fn gateways_with_one_redis_tell_an_alert_once() {
    let (told, redis) = (Told::start(), RedisServer::start());
    let hosts = [told.host(&redis_sessions(&redis)), told.host(&redis_sessions(&redis))];
    hosts.iter().for_each(fail);
    let events = hosts.each_ref().map(|host| {
        eventually("each of them finds it", || {
            let events = host.admin("/api/alerts/events")["events"].clone();
            (!events.as_array()?.is_empty()).then(|| events[0].clone())
        })
    });
    let untold: Vec<_> =
        events.iter().filter(|event| event["untold"] == "another gateway has told it").collect();
    assert_eq!(untold.len(), 1, "{events:?}");
    // Both have said what they had to say when each has found the end as well.
    for host in &hosts {
        eventually("its end", || {
            (host.admin("/api/alerts/events")["events"].as_array()?.len() > 1).then_some(())
        });
    }
    let edges = eventually("both edges are told", || {
        let seen = told.seen("hooks");
        (seen.len() >= 2).then(|| seen.iter().map(|seen| hook(seen).0.to_owned()).collect::<Vec<_>>())
    });
    assert_eq!(edges, ["firing", "resolved"]);
}

#[test]
fn silences_tests_and_changed_rules_take_effect_at_once() {
    let told = Told::start();
    let host = told.host("");
    let post = |path: &str, body: &Value| {
        let headers = [("content-type", "application/json")];
        http::send(host.admin, "POST", path, &headers, body.to_string().as_bytes()).unwrap()
    };
    let quiet = json!({"rule": "failures", "for": "10m", "by": "bora", "reason": "deployment"});
    for wrong in [
        json!({"rule": "nothing", "for": "1m", "by": "b", "reason": "r"}),
        json!({"for": "0s", "by": "b", "reason": "r"}),
        json!({"for": "1m", "by": "", "reason": "r"}),
        json!({"for": "1m", "by": "b", "reason": "r", "unknown": 1}),
    ] {
        assert_eq!(post("/api/alerts/silences", &wrong).status, 400, "{wrong}");
    }
    let silence = post("/api/alerts/silences", &quiet);
    assert_eq!(silence.status, 201, "{}", silence.text());
    fail(&host);
    let event =
        eventually("the alert is found", || host.admin("/api/alerts/events")["events"].get(0).cloned());
    assert_eq!(event["untold"], "silenced by bora: deployment");
    assert_eq!(post("/api/alerts/channels/ops/test", &Value::Null).json(), json!({"sent": true}));
    assert_eq!(post("/api/alerts/channels/nobody/test", &Value::Null).status, 404);
    let hooks = told.seen("hooks");
    assert_eq!(hooks.len(), 1, "only the test: {hooks:?}");
    let path = format!("/api/alerts/silences/{}", silence.json()["id"].as_str().unwrap());
    assert_eq!(http::send(host.admin, "DELETE", &path, &[], &[]).unwrap().status, 204);
    assert_eq!(http::send(host.admin, "DELETE", &path, &[], &[]).unwrap().status, 404);

    // New rules go on with what the old ones have found, and begin to judge what is new.
    let more =
        "    - {name: nobody asks, route: fine, measure: rate, absent: true, over: 10s, notify: [ops]}\n";
    host.write("iap.yaml", &format!("{}{more}", told.config("")));
    let reloaded = post("/api/config/reload", &Value::Null);
    assert_eq!(reloaded.status, 200, "{}", reloaded.text());
    let rules = host.admin("/api/alerts")["rules"].as_array().unwrap().len();
    assert_eq!(rules, 2);
    eventually("the new rule is told", || {
        told.seen("hooks").iter().any(|seen| seen["body"]["title"] == "firing: nobody asks").then_some(())
    });
    let wrong = told.config("").replace("notify: [ops, mail]", "notify: [nobody]");
    host.write("iap.yaml", &wrong);
    let refused = post("/api/config/reload", &Value::Null);
    assert!(refused.status == 422 || refused.status == 400, "{}: {}", refused.status, refused.text());
    assert!(refused.text().contains("there is no channel `nobody`"), "{}", refused.text());
}
