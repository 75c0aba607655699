//! Sessions for operators: found by what is known of them, ended, followed. As `docs/admin-api.md` promises it.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use common::Host;
use common::http::{Browser, Response, get, send};
use iap_session::testing::RedisServer;
use serde_json::{Value, json};

const CONFIG: &str = "
server: {listen: 127.0.0.1:0, trusted_proxies: [private]}
admin: {listen: 127.0.0.1:0}
apm: {otlp: 127.0.0.1:0}
log: {format: json}
sessions: {api: 127.0.0.1:0, node: gateway-1, record_address: true}
routes:
  - {name: shop, path: /, service: demo-shop}
";

/// Signs in from an address and puts things into the cart.
fn sign_in(host: &Host, user: &str, address: &str, things: usize) -> Browser {
    let mut browser = Browser::default();
    let from = [("x-forwarded-for", address), ("content-type", "application/x-www-form-urlencoded")];
    let response = send(host.http, "POST", "/login", &from, format!("user={user}").as_bytes()).unwrap();
    assert_eq!(response.status, 303);
    browser.keep(&response);
    for _ in 0..things {
        assert_eq!(browser.post(host.http, "/cart", "product=1").status, 303);
    }
    browser
}

fn users(host: &Host, query: &str) -> Vec<String> {
    let page = host.admin(&format!("/api/sessions?{query}"));
    let rows = page["sessions"].as_array().unwrap_or_else(|| panic!("{page}"));
    rows.iter().map(|row| row["user"].as_str().unwrap_or("-").to_owned()).collect()
}

fn post(host: &Host, path: &str, body: &Value) -> Response {
    let headers = [("content-type", "application/json")];
    send(host.admin, "POST", path, &headers, body.to_string().as_bytes()).unwrap()
}

#[test]
fn sessions_are_found_by_where_they_come_from_and_what_they_are() {
    let host = Host::start_with(CONFIG);
    sign_in(&host, "alice", "192.0.2.7", 1);
    sign_in(&host, "bora", "192.0.2.8", 9);
    sign_in(&host, "alma", "2001:db8::1", 3);
    for (query, wanted) in [
        ("sort=created", vec!["alice", "bora", "alma"]),
        ("sort=-bytes", vec!["bora", "alma", "alice"]),
        ("user=bora", vec!["bora"]),
        ("user_prefix=al&sort=created", vec!["alice", "alma"]),
        ("address=192.0.2.7", vec!["alice"]),
        ("address=192.0.2.0/24&sort=-created", vec!["bora", "alice"]),
        (
            "node=gateway-1&route=shop&login=true&sort=created&min_bytes=1&max_age=1h",
            vec!["alice", "bora", "alma"],
        ),
        ("node=gateway-2", vec![]),
        ("login=false", vec![]),
        ("min_idle=1h", vec![]),
    ] {
        assert_eq!(users(&host, query), wanted, "{query}");
    }
    assert_eq!(users(&host, "min_age=&user=&address=").len(), 3, "what is empty is no condition");
    let page = host.admin("/api/sessions?address=2001:db8::/32");
    let row = &page["sessions"][0];
    assert_eq!((&row["address"], &row["login_address"]), (&json!("2001:db8::1"), &json!("2001:db8::1")));
    assert_eq!((&row["node"], &row["route"]), (&json!("gateway-1"), &json!("shop")));
    assert_eq!((&page["looked_at"], &page["complete"]), (&json!(3), &json!(true)));
    let first = host.admin("/api/sessions?sort=bytes&limit=2");
    let next = first["next"].as_str().unwrap();
    assert_eq!(users(&host, &format!("sort=bytes&limit=2&cursor={next}")), ["bora"]);
}

#[test]
fn a_wrong_parameter_is_named() {
    let host = Host::start_with(CONFIG);
    for (query, words) in [
        ("min_age=soon", "min_age: write seconds"),
        ("min_idle=-1", "min_idle: "),
        ("min_bytes=5parsecs", "min_bytes: write bytes"),
        ("address=localhost", "address: not an address"),
        ("login=perhaps", "login: "),
        ("sort=name", "sort: one of `created`"),
        ("limit=many", "limit: "),
        ("usr=x", "`usr`: there is no such parameter"),
    ] {
        let response = get(host.admin, &format!("/api/sessions?{query}"));
        assert_eq!(response.status, 400, "{query}");
        assert!(response.json()["detail"].as_str().unwrap().starts_with(words), "{}", response.text());
    }
    assert_eq!(get(host.admin, "/api/sessions?sort=bytes&cursor=x").status, 400);
    for (body, words) in [
        (json!({}), "give one of `keys`"),
        (json!({"all": true, "keys": []}), "give one of `keys`"),
        (json!({"filter": {}}), "filter: it has no condition"),
        (json!({"filter": {"min_age": "soon"}}), "min_age: "),
        (json!({"filter": {"usr": "x"}}), "`usr`"),
        (json!({"keys": ["x"]}), "keys: "),
        (json!({"all": true, "reason": "two\nlines"}), "reason: "),
        (json!({"al": true}), "body: "),
        (json!({"all": "yes"}), "body: all: "),
    ] {
        let response = post(&host, "/api/sessions/revoke", &body);
        assert_eq!(response.status, 400, "{body}");
        assert!(response.json()["detail"].as_str().unwrap().starts_with(words), "{}", response.text());
    }
    let named = get(host.admin, "/api/transactions?limit=many");
    assert!(named.text().contains("limit: "), "{}", named.text());
}

#[test]
fn those_that_a_filter_means_are_counted_first_and_then_ended() {
    let host = Host::start_with(CONFIG);
    let mut alice = sign_in(&host, "alice", "192.0.2.7", 0);
    let mut bora = sign_in(&host, "bora", "198.51.100.1", 0);
    let mut body = json!({"filter": {"address": "192.0.2.0/24", "login": true}, "reason": "stolen laptop"});
    let counted = post(&host, "/api/sessions/revoke", &body).json();
    let wanted =
        json!({"looked_at": 2, "matched": 1, "ended": 0, "failed": 0, "next": null, "dry_run": true});
    assert_eq!(counted, wanted);
    assert!(alice.get(host.http, "/").text().contains("<b>alice</b>"));
    body["dry_run"] = json!(false);
    let done = post(&host, "/api/sessions/revoke", &body).json();
    assert_eq!((&done["matched"], &done["ended"]), (&json!(1), &json!(1)), "{done}");
    assert!(!alice.get(host.http, "/").text().contains("<b>alice</b>"));
    assert!(bora.get(host.http, "/").text().contains("<b>bora</b>"));

    let key = host.admin("/api/sessions?user=bora")["sessions"][0]["key"].clone();
    let counted = post(&host, "/api/sessions/revoke", &json!({"keys": [key]})).json();
    assert_eq!((&counted["matched"], &counted["ended"]), (&json!(1), &json!(0)));
    let done = post(&host, "/api/sessions/revoke", &json!({"keys": [key], "dry_run": false})).json();
    assert_eq!(done["ended"], 1);
    assert!(!bora.get(host.http, "/").text().contains("<b>bora</b>"));
    let all = post(&host, "/api/sessions/revoke", &json!({"all": true, "dry_run": false})).json();
    assert_eq!(all["matched"], all["ended"], "{all}");
}

/// One who listens to server-sent events.
struct Listener {
    lines: std::io::Lines<BufReader<TcpStream>>,
}

impl Listener {
    /// From after an event on, or from now on.
    fn start(host: &Host, last: Option<&str>) -> Self {
        Self::try_start(host, last).unwrap_or_else(|status| panic!("{status}"))
    }

    fn try_start(host: &Host, last: Option<&str>) -> Result<Self, String> {
        let mut stream = TcpStream::connect(host.admin).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let last = last.map_or(String::new(), |id| format!("last-event-id: {id}\r\n"));
        let head = format!(
            "GET /api/sessions/events HTTP/1.1\r\nhost: {}\r\naccept: text/event-stream\r\n{last}\r\n",
            host.admin
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut lines = BufReader::new(stream).lines();
        let status = lines.next().unwrap().unwrap();
        if !status.contains("200") {
            return Err(status);
        }
        assert!(lines.by_ref().any(|line| line.unwrap() == "content-type: text/event-stream"));
        Ok(Self { lines })
    }

    fn next(&mut self) -> Value {
        let data = self
            .lines
            .by_ref()
            .map(Result::unwrap)
            .find_map(|line| line.strip_prefix("data: ").map(str::to_owned));
        serde_json::from_str(&data.unwrap()).unwrap()
    }
}

fn kinds(host: &Host) -> Vec<String> {
    let page = host.admin("/api/sessions/events?limit=1000");
    let events = page["events"].as_array().unwrap_or_else(|| panic!("{page}"));
    events.iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_happens_is_told_as_it_happens_and_afterwards() {
    let host = Host::start_with(CONFIG);
    let mut listener = Listener::start(&host, None);
    sign_in(&host, "alice", "192.0.2.7", 1);
    assert_eq!(
        (listener.next()["kind"].clone(), listener.next()["kind"].clone()),
        (json!("created"), json!("login"))
    );
    let key = host.admin("/api/sessions")["sessions"][0]["key"].as_str().unwrap().to_owned();
    let path = format!("/api/sessions/{key}?reason=stolen%20laptop");
    assert_eq!(send(host.admin, "DELETE", &path, &[], &[]).unwrap().status, 204);
    let ended = listener.next();
    for (name, wanted) in [
        ("kind", "revoked"),
        ("by", "operator"),
        ("reason", "stolen laptop"),
        ("user", "alice"),
        ("key", key.as_str()),
        ("node", "gateway-1"),
    ] {
        assert_eq!(ended[name], wanted, "{ended}");
    }
    assert_eq!(kinds(&host), ["created", "login", "revoked"]);
    let all = host.admin("/api/sessions/events");
    let first = all["events"][0]["id"].as_str().unwrap();
    let rest = host.admin(&format!("/api/sessions/events?since={first}&limit=1"));
    assert_eq!((&rest["events"][0]["kind"], &rest["next"]), (&json!("login"), &all["events"][1]["id"]));
    assert_eq!(
        Listener::start(&host, Some(first)).next()["kind"],
        "login",
        "who comes back has missed nothing"
    );
    assert!(!all.to_string().contains("product"), "no attributes");
    for wrong in ["since=x", "limit=many", "sinse=1-0"] {
        assert_eq!(get(host.admin, &format!("/api/sessions/events?{wrong}")).status, 400, "{wrong}");
    }
    let (mut listeners, mut refused) = (Vec::new(), None);
    while listeners.len() < 40 && refused.is_none() {
        match Listener::try_start(&host, None) {
            Ok(listener) => listeners.push(listener),
            Err(status) => refused = Some(status),
        }
    }
    assert!(refused.is_some_and(|status| status.contains("503")), "places are bounded");
    drop(listeners);
    common::eventually("places come back", || Listener::try_start(&host, None).ok());
}

#[test]
fn an_end_by_time_is_told_by_a_gateway_that_is_left() {
    let redis = RedisServer::start();
    let sessions = common::redis_sessions(&redis).replace("{api:", "{idle: 2s, absolute: 1h, api:");
    let config = format!("{sessions}routes:\n  - {{name: shop, path: /, service: demo-shop}}\n");
    let (mut first, second) = (Host::start(&config), Host::start(&config));
    Browser::default().post(first.http, "/login", "user=alice");
    common::eventually("the other gateway knows", || (kinds(&second) == ["created", "login"]).then_some(()));
    first.process.0.kill().unwrap();
    common::eventually("it is told", || (kinds(&second) == ["created", "login", "expired"]).then_some(()));
    let told = host_event(&second, 2);
    assert_eq!(
        (told["user"].as_str(), told["key"].clone()),
        (Some("alice"), host_event(&second, 1)["key"].clone())
    );
    let metrics = get(second.admin, "/metrics").text();
    assert!(metrics.lines().any(|line| line == "iap_session_expired_total 1"), "{metrics}");
    let fine = "iap_session_store_duration_seconds_bucket{op=\"scan\",le=\"0.0001\"}";
    second.admin("/api/sessions");
    common::eventually("the store's operations are in the metrics", || {
        get(second.admin, "/metrics").text().contains(fine).then_some(())
    });
}

fn host_event(host: &Host, number: usize) -> Value {
    host.admin("/api/sessions/events")["events"][number].clone()
}

#[test]
fn where_events_are_off_nothing_is_told() {
    let redis = RedisServer::start();
    let sessions = common::redis_sessions(&redis).replace("{api:", "{events: {enabled: false}, api:");
    let host = Host::start(&format!("{sessions}routes:\n  - {{name: shop, path: /, service: demo-shop}}\n"));
    Browser::default().post(host.http, "/login", "user=alice");
    assert_eq!(get(host.admin, "/api/sessions/events").status, 404);
    let keys = redis.ask(&["KEYS", "iap:{events}*"]).unwrap();
    assert_eq!(keys.trim(), "", "nothing is kept");
}

#[test]
fn applications_that_have_the_secret_learn_which_sessions_have_ended() {
    let token = "a secret that applications share";
    let config =
        CONFIG.replace("api: 127.0.0.1:0,", "api: 127.0.0.1:0, revocations: {token: {file: token}},");
    let host =
        Host::start_prepared(&config, |directory| std::fs::write(directory.join("token"), token).unwrap());
    let status = host.admin("/api/status");
    let api: std::net::SocketAddr =
        status["facts"]["addresses"]["session_api"].as_str().unwrap().parse().unwrap();
    let bearer = format!("Bearer {token}");
    let ask = move |query: &str| {
        send(api, "GET", &format!("/revocations{query}"), &[("authorization", &bearer)], &[]).unwrap()
    };
    assert_eq!(get(api, "/revocations").status, 401);
    let now = ask("").json()["next"].as_str().unwrap().to_owned();
    let waiting = std::thread::spawn(move || ask(&format!("?since={now}&wait=30")).json());
    sign_in(&host, "alice", "192.0.2.7", 0);
    let key = host.admin("/api/sessions")["sessions"][0]["key"].as_str().unwrap().to_owned();
    assert_eq!(send(host.admin, "DELETE", &format!("/api/sessions/{key}"), &[], &[]).unwrap().status, 204);
    let told = waiting.join().unwrap();
    let first = &told["revocations"][0];
    assert_eq!((&first["handle"], &first["reason"]), (&json!(key[..16]), &json!("operator")), "{told}");
}
