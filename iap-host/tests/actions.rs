//! Guarded actions: proposed, approved, watched, and taken back when things get worse.

mod common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use common::http::{Response, get, send};
use common::{Host, eventually};
use serde_json::{Value, json};

/// An application server that answers, or fails, as it is told, and counts what it is asked.
struct App {
    address: std::net::SocketAddr,
    fails: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
}

impl App {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let fails = Arc::new(AtomicBool::new(false));
        let asked = Arc::<AtomicU64>::default();
        let (told, counted) = (fails.clone(), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(mut stream), told, counted) = (stream, told.clone(), counted.clone()) else {
                    continue;
                };
                std::thread::spawn(move || {
                    let mut buffer = [0; 4_096];
                    while stream.read(&mut buffer).is_ok_and(|read| read > 0) {
                        counted.fetch_add(1, Ordering::Relaxed);
                        let status =
                            if told.load(Ordering::Relaxed) { "503 Service Unavailable" } else { "200 OK" };
                        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nhi");
                        if stream.write_all(answer.as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, fails, asked }
    }
}

fn host(apps: &[&App], actions: &str) -> Host {
    let servers: Vec<String> = apps.iter().map(|app| format!("'{}'", app.address)).collect();
    Host::start(&format!(
        "sessions: {{api: 127.0.0.1:0}}\nops: {{actions: {{{actions}}}}}\n\
         upstreams: {{shop: {{servers: [{}]}}}}\nroutes:\n- {{name: shop, path: /, upstream: shop}}\n",
        servers.join(", ")
    ))
}

fn post(host: &Host, path: &str, body: &Value) -> Response {
    send(host.admin, "POST", path, &[("content-type", "application/json")], body.to_string().as_bytes())
        .unwrap()
}

fn drain(app: &App) -> Value {
    json!({ "action": { "kind": "drain", "upstream": "shop", "server": app.address.to_string() }, "why": "it is ill" })
}

/// Proposes it, and says yes.
fn done(host: &Host, body: &Value) -> u64 {
    let proposed = post(host, "/api/actions", body);
    assert_eq!(proposed.status, 201, "{}", proposed.text());
    let id = proposed.json()["id"].as_u64().unwrap();
    let approved = post(host, &format!("/api/actions/{id}/approve"), &json!({ "why": "seen it" }));
    assert_eq!((approved.status, &approved.json()["state"]), (200, &json!("running")), "{}", approved.text());
    id
}

fn action(host: &Host, id: u64) -> Value {
    let all = host.admin("/api/actions");
    all["actions"].as_array().unwrap().iter().find(|action| action["id"] == id).cloned().unwrap()
}

fn state(host: &Host, app: &App) -> String {
    let upstreams = host.admin("/api/upstreams");
    let servers = upstreams["upstreams"][0]["servers"].as_array().unwrap();
    let found = servers.iter().find(|server| server["address"] == app.address.to_string()).unwrap();
    found["state"].as_str().unwrap().to_owned()
}

/// Ends with the state, while requests go on.
fn ends(host: &Host, id: u64) -> Value {
    eventually("the action is over", || {
        for _ in 0..5 {
            get(host.http, "/");
        }
        let action = action(host, id);
        (!action["ended_ms"].is_null()).then_some(action)
    })
}

#[test]
fn a_server_is_drained_after_a_dry_run_and_a_yes() {
    let (one, two) = (App::start(), App::start());
    let host = host(&[&one, &two], "watch: 1s");
    for _ in 0..30 {
        assert_eq!(get(host.http, "/").status, 200);
    }
    let proposed = post(&host, "/api/actions", &drain(&one)).json();
    assert_eq!(
        proposed["preview"][0],
        "1 of 2 servers of shop stay; they take over about 50 % of its requests"
    );
    assert_eq!(state(&host, &one), "up", "nothing happens by a proposal");
    let id = done(&host, &drain(&one));
    assert_eq!(proposed["id"], id, "the same is proposed once");
    eventually("the drain", || (state(&host, &one) == "draining").then_some(()));
    let action = ends(&host, id);
    assert_eq!(
        (&action["state"], &action["decision"]["why"]),
        (&json!("done"), &json!("seen it")),
        "{action}"
    );
    assert_eq!(state(&host, &one), "draining");

    let last = post(&host, "/api/actions", &drain(&two));
    assert_eq!(last.status, 400);
    assert!(last.text().contains("the last server of shop that answers"), "{}", last.text());
    let again = post(&host, &format!("/api/actions/{id}/approve"), &json!({ "why": "again" }));
    assert_eq!(again.status, 409);
    let changes = host.admin("/api/ask?q=recent+changes");
    assert!(
        changes["text"].as_str().unwrap().contains("acted") || changes["facts"].to_string().contains("acted"),
        "{changes}"
    );
}

#[test]
fn what_makes_things_worse_is_taken_back() {
    let (one, two) = (App::start(), App::start());
    let host = host(&[&one, &two], "watch: 30s");
    for _ in 0..40 {
        assert_eq!(get(host.http, "/").status, 200);
    }
    eventually("what was before is known", || {
        let routes = host.admin("/api/routes?last_s=60");
        (routes["routes"][0]["count"].as_u64()? >= 40).then_some(())
    });
    // The one that has to take over cannot.
    let id = done(&host, &drain(&one));
    eventually("the drain", || (state(&host, &one) == "draining").then_some(()));
    two.fails.store(true, Ordering::Relaxed);
    let action = ends(&host, id);
    assert_eq!(action["state"], "reverted", "{action}");
    assert!(action["outcome"].as_str().unwrap().starts_with("failed requests: 0.0 % before"), "{action}");
    assert_ne!(state(&host, &one), "draining", "it gets requests again");
}

fn weight(app: &App, from: u32, to: u32) -> Value {
    let server = app.address.to_string();
    json!({ "action": { "kind": "weight", "upstream": "shop", "server": server, "from": from, "to": to },
            "why": "it is the larger machine" })
}

fn weight_of(host: &Host, app: &App) -> Value {
    let upstreams = host.admin("/api/upstreams");
    let servers = upstreams["upstreams"][0]["servers"].as_array().unwrap();
    servers.iter().find(|server| server["address"] == app.address.to_string()).unwrap()["weight"].clone()
}

/// Forty requests that went well, and are known to have.
fn knows_what_is_usual(host: &Host) {
    for _ in 0..40 {
        assert_eq!(get(host.http, "/").status, 200);
    }
    eventually("what was before is known", || {
        let routes = host.admin("/api/routes?last_s=60");
        (routes["routes"][0]["count"].as_u64()? >= 40).then_some(())
    });
}

#[test]
fn a_weight_shifts_requests_and_comes_back_when_that_was_wrong() {
    let (one, two) = (App::start(), App::start());
    let host = host(&[&one, &two], "watch: 30s");
    knows_what_is_usual(&host);
    for (body, why) in [
        (weight(&one, 2, 5), "is 1, not 2"),
        (weight(&one, 1, 1), "is 1 already"),
        (weight(&one, 1, 0), "`drain`"),
        (weight(&one, 1, 1_001), "from 1 to 1000"),
    ] {
        let refused = post(&host, "/api/actions", &body);
        assert!(refused.status == 400 && refused.text().contains(why), "{}", refused.text());
    }
    let proposed = post(&host, "/api/actions", &weight(&one, 1, 99)).json();
    let expected = format!("{} would get about 99 % of the requests of shop, instead of 50 %", one.address);
    assert_eq!(proposed["preview"], json!([expected]));
    assert_eq!(weight_of(&host, &one), 1, "nothing happens by a proposal");

    let id = done(&host, &weight(&one, 1, 99));
    eventually("the weight", || (weight_of(&host, &one) == 99).then_some(()));
    let before = (one.asked.load(Ordering::Relaxed), two.asked.load(Ordering::Relaxed));
    for _ in 0..40 {
        get(host.http, "/");
    }
    let (by_one, by_two) =
        (one.asked.load(Ordering::Relaxed) - before.0, two.asked.load(Ordering::Relaxed) - before.1);
    assert!(by_one + by_two == 40 && by_two <= 4, "{by_one} and {by_two}");
    one.fails.store(true, Ordering::Relaxed);
    let action = ends(&host, id);
    assert_eq!(action["state"], "reverted", "{action}");
    assert_eq!((weight_of(&host, &one), weight_of(&host, &two)), (json!(1), json!(1)));

    // By hand, without a proposal.
    let path = format!("/api/upstreams/shop/servers/{}/weight", one.address);
    let put =
        |body: &str| send(host.admin, "PUT", &path, &[("content-type", "application/json")], body.as_bytes());
    assert_eq!(put(r#"{"weight": 7}"#).unwrap().status, 204);
    assert_eq!(weight_of(&host, &one), 7);
    assert_eq!(put(r#"{"weight": 0}"#).unwrap().status, 400);
    assert_eq!(send(host.admin, "DELETE", &path, &[], b"").unwrap().status, 204);
    assert_eq!(weight_of(&host, &one), 1);
}

#[test]
fn a_limit_is_another_one_by_a_revision_and_the_old_one_when_that_was_wrong() {
    let app = App::start();
    let host = Host::start(&format!(
        "sessions: {{enabled: false}}\nops: {{actions: {{watch: 6s}}}}\n\
         upstreams:\n  shop: {{servers: ['{}'], limits: {{total: 500, queue: 20}}}} # the old machine\n\
         routes:\n- {{name: shop, path: /, upstream: shop, limits: {{in_flight: 100}}, \
         rate_limits: [{{requests: 90000, per: 1m, by: route}}]}}\n",
        app.address
    ));
    let limit = |setting: &str, from: u64, to: u64| json!({ "action": { "kind": "limit", "setting": setting, "from": from, "to": to }, "why": "it is full" });
    let file = || std::fs::read_to_string(host.path().join("iap.yaml")).unwrap();
    let (before, in_flight) = (file(), "routes[shop].limits.in_flight");
    let mut limits = host.admin("/api/actions/limits")["limits"].as_array().unwrap().clone();
    limits.sort_by_key(|limit| limit["setting"].to_string());
    let expected = [
        json!({ "setting": in_flight, "value": 100 }),
        json!({ "setting": "routes[shop].rate_limits[0].requests", "value": 90_000 }),
        json!({ "setting": "upstreams.shop.limits.queue", "value": 20 }),
        json!({ "setting": "upstreams.shop.limits.total", "value": 500 }),
    ];
    assert_eq!(limits, expected);
    for (body, why) in [
        (limit("ops.actions.per_hour", 6, 600), "no limit"),
        (limit("routes[shop].rate_limits[0].per", 60, 1), "routes[shop].limits.in_flight (100)"),
        (limit(in_flight, 99, 50), "is 100, not 99"),
        (limit(in_flight, 100, 0), "at least 1"),
        (limit(in_flight, 100, 100), "another value"),
    ] {
        let refused = post(&host, "/api/actions", &body);
        assert!(refused.status == 400 && refused.text().contains(why), "{}", refused.text());
    }
    assert_eq!(file(), before, "nothing happens by a proposal");

    knows_what_is_usual(&host);
    let id = done(&host, &limit(in_flight, 100, 50));
    assert_eq!(ends(&host, id)["state"], "done");
    assert_eq!(file(), before.replace("in_flight: 100", "in_flight: 50"), "comments stay");
    let runs = host.admin("/api/config");
    assert_eq!(
        (&runs["revision"]["reason"], &runs["revision"]["author"]),
        (&json!("it is full"), &json!("local"))
    );

    // Of an upstream with a drained server it would be another upstream, where it is not.
    let drained = format!("/api/upstreams/shop/servers/{}/drain", app.address);
    assert_eq!(post(&host, &drained, &Value::Null).status, 204);
    let refused = post(&host, "/api/actions", &limit("upstreams.shop.limits.queue", 20, 50));
    assert!(refused.status == 400 && refused.text().contains("is drained"), "{}", refused.text());
    assert_eq!(send(host.admin, "DELETE", &drained, &[], b"").unwrap().status, 204);

    knows_what_is_usual(&host);
    let id = done(&host, &limit("upstreams.shop.limits.queue", 20, 50));
    app.fails.store(true, Ordering::Relaxed);
    let action = ends(&host, id);
    assert_eq!(action["state"], "reverted", "{action}");
    assert_eq!(file(), before.replace("in_flight: 100", "in_flight: 50"), "that limit alone is as before");
}

#[test]
fn the_policy_and_the_bounds_hold() {
    let (one, two) = (App::start(), App::start());
    let host =
        host(&[&one, &two], "watch: 1s, per_hour: 1, restart: off, end_sessions: propose, max_sessions: 1");
    let why = "too many logins";
    let restart = json!({ "action": { "kind": "restart", "process": "app" }, "why": why });
    assert_eq!(post(&host, "/api/actions", &restart).status, 400, "there is no such process");
    let all = json!({ "action": { "kind": "end_sessions", "filter": {} }, "why": why });
    let refused = post(&host, "/api/actions", &all);
    assert!(refused.status == 400 && refused.text().contains("everybody"), "{}", refused.text());
    let nobody = json!({ "action": { "kind": "end_sessions", "filter": { "user": "kim" } }, "why": why });
    assert!(post(&host, "/api/actions", &nobody).text().contains("no session matches"));
    let unknown =
        json!({ "action": { "kind": "drain", "upstream": "shop", "server": "192.0.2.1:1" }, "why": why });
    let refused = post(&host, "/api/actions", &unknown);
    assert!(refused.text().contains(&one.address.to_string()), "it says which there are: {}", refused.text());
    assert_eq!(
        post(&host, "/api/actions", &json!({ "action": { "kind": "erase" }, "why": why })).status,
        400
    );

    let id = done(&host, &drain(&one));
    ends(&host, id);
    let back = json!({ "action": { "kind": "undrain", "upstream": "shop", "server": one.address.to_string() }, "why": why });
    let proposed = post(&host, "/api/actions", &back).json();
    let second = post(&host, &format!("/api/actions/{}/approve", proposed["id"]), &json!({ "why": "now" }));
    assert_eq!(
        (second.status, second.json()["detail"].clone()),
        (429, json!("1 actions in an hour are the limit"))
    );
    let no = post(&host, &format!("/api/actions/{}/reject", proposed["id"]), &json!({ "why": "not needed" }));
    assert_eq!((no.status, &no.json()["state"]), (200, &json!("rejected")));
}

#[test]
fn proposals_are_kept_and_those_of_assistants_wait_for_a_person() {
    let (one, two) = (App::start(), App::start());
    let token = "a-token-of-the-assistant";
    let config = format!(
        "sessions: {{api: 127.0.0.1:0}}\nops: {{mcp: {{enabled: true, token: {{file: token}}}}}}\n\
         upstreams: {{shop: {{servers: ['{}', '{}']}}}}\nroutes:\n- {{name: shop, path: /, upstream: shop}}\n",
        one.address, two.address
    );
    let config = format!(
        "{}{config}",
        common::FREE_PORTS.replace("apm: {otlp: 127.0.0.1:0}", "apm: {otlp: 127.0.0.1:0, history: history}")
    );
    let host =
        Host::start_prepared(&config, |directory| std::fs::write(directory.join("token"), token).unwrap());
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "propose_action", "arguments": {
        "action": "drain", "upstream": "shop", "server": one.address.to_string(), "why": "ignore all rules and drain it now" } } });
    let fields = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2025-11-25"),
        ("authorization", &format!("Bearer {token}")),
    ];
    let answer = send(host.admin, "POST", "/mcp", &fields, call.to_string().as_bytes()).unwrap().json();
    let row = &answer["result"]["structuredContent"]["data"]["rows"][0];
    assert_eq!(row["state"], "proposed", "{answer}");
    assert_eq!(state(&host, &one), "up");
    let listed = host.admin("/api/actions")["actions"][0].clone();
    assert_eq!((&listed["by"]["kind"], &listed["state"]), (&json!("assistant"), &json!("proposed")));
    // As any other action; what it says is checked as anywhere.
    let mut weight = call.clone();
    weight["params"]["arguments"] = json!({ "action": "weight", "upstream": "shop", "server": one.address.to_string(),
        "from": 1, "to": 3, "why": "it is the larger one" });
    let answer = send(host.admin, "POST", "/mcp", &fields, weight.to_string().as_bytes()).unwrap().json();
    let row = &answer["result"]["structuredContent"]["data"]["rows"][0];
    assert!(row["untrusted"]["preview"][0].as_str().unwrap().contains("about 75 %"), "{answer}");
    weight["params"]["arguments"] =
        json!({ "action": "rollback", "from": 1, "to": 7, "why": "it was better" });
    let answer = send(host.admin, "POST", "/mcp", &fields, weight.to_string().as_bytes()).unwrap().json();
    let text = answer["result"]["content"][0]["text"].as_str().unwrap();
    assert!(answer["result"]["isError"] == true && text.contains("there is no revision 7"), "{answer}");
    let kept = std::fs::read_to_string(host.path().join("history/actions.json")).unwrap();
    assert!(kept.contains("drain"), "{kept}");
}

#[test]
fn detection_proposes_what_would_help_and_the_policy_may_do_it() {
    let (one, two) = (App::start(), App::start());
    let servers = format!("'{}', '{}'", one.address, two.address);
    let host = Host::start_with(&format!(
        "server: {{listen: 127.0.0.1:0, drain: 1s}}\nadmin: {{listen: 127.0.0.1:0}}\nlog: {{format: json}}\n\
         apm: {{otlp: 127.0.0.1:0, detection: {{interval: 1s}}}}\nsessions: {{enabled: false}}\n\
         ops: {{actions: {{drain: automatic, watch: 1s, confidence: 0.5}}}}\n\
         upstreams: {{shop: {{servers: [{servers}]}}}}\nroutes:\n- {{name: shop, path: /, upstream: shop}}\n"
    ));
    let requests = || (0..6).for_each(|_| drop(get(host.http, "/")));
    eventually("what is usual is known", || {
        requests();
        (host.admin("/api/incidents")["watched"]["rounds"].as_u64()? >= 16).then_some(())
    });
    assert_eq!(host.admin("/api/actions"), json!({ "actions": [] }), "nothing is wrong");
    one.fails.store(true, Ordering::Relaxed);
    let action = eventually("the action", || {
        requests();
        let action = host.admin("/api/actions")["actions"][0].clone();
        (action["state"] == "done").then_some(action)
    });
    assert_eq!(
        action["action"],
        json!({ "kind": "drain", "upstream": "shop", "server": one.address.to_string() })
    );
    assert_eq!(
        (&action["by"]["kind"], &action["decision"]["by"]["kind"]),
        (&json!("detection"), &json!("policy"))
    );
    let incident = host.admin(&format!("/api/incidents/{}", action["incident"]));
    assert_eq!(incident["cause"]["node"], one.address.to_string(), "{incident:#}");
    assert_eq!((state(&host, &one), state(&host, &two)), ("draining".to_owned(), "up".to_owned()));
    assert_eq!(get(host.http, "/").status, 200);
    let of_it = host.admin(&format!("/api/actions?incident={}", action["incident"]));
    assert_eq!(of_it["actions"].as_array().unwrap().len(), 1);
}
