//! Guarded actions that change how much: the weight of a server, a limit of the configuration.

mod common;

use std::sync::atomic::Ordering;

use common::actions::{App, done, ends, host, post};
use common::http::{get, send};
use common::{Host, eventually};
use serde_json::{Value, json};

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

    knows_what_is_usual(&host);
    let id = done(&host, &limit("upstreams.shop.limits.queue", 20, 50));
    app.fails.store(true, Ordering::Relaxed);
    let action = ends(&host, id);
    assert_eq!(action["state"], "reverted", "{action}");
    assert_eq!(file(), before.replace("in_flight: 100", "in_flight: 50"), "that limit alone is as before");
}
