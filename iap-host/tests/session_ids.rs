//! How session ids travel, and who gets a session: as configured.

mod common;

use common::http::{Response, get, send};
use common::{FREE_PORTS, Host, eventually, redis_sessions_with};
use iap_session::testing::RedisServer;

fn config(sessions: &str) -> String {
    format!(
        "{FREE_PORTS}sessions: {{api: 127.0.0.1:0, {sessions}}}
routes:
  - {{name: api, path: /, when: {{headers: {{x-kind: api}}}}, service: demo-shop, session: {{carrier: header, idle: 1m}}}}
  - {{name: blog, path: /, when: {{headers: {{x-kind: blog}}}}, service: demo-shop, session: existing}}
  - {{name: shop, path: /, service: demo-shop}}
"
    )
}

/// Puts something into the cart, with these headers.
fn buy(host: &Host, headers: &[(&str, &str)]) -> Response {
    let form = ("content-type", "application/x-www-form-urlencoded");
    let headers: Vec<_> = headers.iter().copied().chain([form]).collect();
    let response = send(host.http, "POST", "/cart", &headers, b"product=1").unwrap();
    assert_eq!(response.status, 303, "{}", response.text());
    response
}

fn live(host: &Host) -> u64 {
    host.admin("/api/sessions")["sessions"].as_array().unwrap().len() as u64
}

fn cart(host: &Host, headers: &[(&str, &str)]) -> String {
    send(host.http, "GET", "/cart", headers, b"").unwrap().text()
}

#[test]
fn bots_and_routes_for_existing_sessions_create_none() {
    let host = Host::start_with(&config("idle: 30m"));
    for _ in 0..200 {
        let bot = buy(&host, &[("user-agent", "Mozilla/5.0 (compatible; Yeti/1.1; +https://naver.me/spd)")]);
        assert_eq!(bot.header("set-cookie"), None);
        assert_eq!(buy(&host, &[("x-kind", "blog")]).header("set-cookie"), None);
    }
    assert_eq!(live(&host), 0);
    let cookie = buy(&host, &[("user-agent", "Firefox/131.0")]);
    let cookie = cookie.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let empty = cart(&host, &[("x-kind", "blog")]);
    assert_ne!(cart(&host, &[("x-kind", "blog"), ("cookie", &cookie)]), empty, "it is there on the other");
    assert_eq!(live(&host), 1);
}

#[test]
fn an_api_client_has_its_session_in_a_header() {
    let host = Host::start_with(&config("header: x-session"));
    let first = buy(&host, &[("x-kind", "api")]);
    let token = first.header("x-session").expect("a token").to_owned();
    assert_eq!(first.header("set-cookie"), None);
    let empty = cart(&host, &[("x-kind", "api")]);
    assert_ne!(cart(&host, &[("x-kind", "api"), ("x-session", &token)]), empty);
    let session = &host.admin("/api/sessions")["sessions"][0];
    let lives = session["deadline_ms"].as_u64().unwrap() - session["accessed_ms"].as_u64().unwrap();
    assert_eq!(lives, 60_000, "as the route says");
}

#[test]
fn the_key_that_signs_ids_is_replaced_without_logging_anybody_out() {
    let sign =
        |key: &str, former: &str| config(&format!("sign: {{key: {{file: {key}}}, former: [{former}]}}"));
    let host = Host::start_prepared(&sign("new.key", ""), |path| {
        std::fs::write(path.join("new.key"), "the key of last year\n").unwrap();
    });
    let cookie_of = |response: &Response| {
        response.header("set-cookie").map(|line| line.split(';').next().unwrap().to_owned())
    };
    let first = cookie_of(&buy(&host, &[])).unwrap();
    let full = cart(&host, &[("cookie", &first)]);

    let reload = || send(host.admin, "POST", "/api/config/reload", &[], b"").unwrap().json();
    host.write("old.key", "the key of last year\n");
    host.write("new.key", "the key of this year\n");
    host.write("iap.yaml", &sign("new.key", "{file: old.key}"));
    assert_eq!(reload()["changed"], serde_json::json!(["sessions"]));
    let renewed = send(host.http, "GET", "/cart", &[("cookie", &first)], b"").unwrap();
    assert_eq!(renewed.text(), full);
    let second = cookie_of(&renewed).expect("written anew");
    assert_ne!(second, first);
    assert_eq!(cookie_of(&get(host.http, "/cart")), None);

    // What was stolen last year is worth nothing once its key has gone; a changed file is enough.
    host.write("old.key", "a key that nobody has had\n");
    assert_eq!(reload()["changed"], serde_json::json!(["sessions"]));
    assert_ne!(cart(&host, &[("cookie", &first)]), full);
    assert_eq!(cart(&host, &[("cookie", &second)]), full);
}

/// A gateway that is alone is restarted; nobody is logged out. What has ended meanwhile does not come back.
#[test]
fn sessions_in_memory_outlive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sessions.snapshot");
    let config = config(&format!("snapshot: {}, secret: {{env: IAP_SESSION_SECRET}}", file.display()));
    let mut first = Host::start_with(&config);
    let cookie = buy(&first, &[]).header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let headers = [("cookie", cookie.as_str())];
    first.signal("-TERM");
    assert!(first.process.0.wait().unwrap().success());
    let text = std::fs::read_to_string(&file).unwrap();
    let (_, id) = cookie.split_once('=').unwrap();
    assert!(text.contains("\"cart\":[1]") && !text.contains(id), "what it holds, and not its id");

    let mut second = Host::start_with(&config);
    assert_eq!(cart(&second, &headers), "[1]");
    assert!(!file.exists(), "it is read once");
    // A crash leaves nothing behind: what it knew may have ended since.
    second.process.0.kill().unwrap();
    second.process.0.wait().unwrap();
    let third = Host::start_with(&config);
    assert_eq!((cart(&third, &headers).as_str(), file.exists()), ("[]", false));
}

/// When sessions end is a matter of Redis' clock, whatever those of the gateways show.
#[test]
fn clocks_of_gateways_are_wrong_by_a_minute() {
    let redis = RedisServer::start();
    let sessions = redis_sessions_with(&format!("url: '{}'", redis.url())).replace("api:", "idle: 4s, api:");
    let config = format!("{FREE_PORTS}{sessions}routes: [{{name: shop, path: /, service: demo-shop}}]\n");
    let gateway = |clock: &str| {
        let library = "LD_PRELOAD=/usr/$LIB/faketime/libfaketimeMT.so.1";
        let monotonic = "FAKETIME_DONT_FAKE_MONOTONIC=1";
        Host::start_below(&["env", library, monotonic, &format!("FAKETIME={clock}")], &config)
    };
    let (fast, slow) = (gateway("+60s"), gateway("-60s"));
    let date = |host: &Host| {
        let response = get(host.http, "/");
        httpdate::parse_http_date(response.header("date").unwrap()).unwrap()
    };
    let differ = date(&fast).duration_since(date(&slow)).unwrap();
    assert!(differ.as_secs() > 100, "the clocks do differ");

    let cookie = buy(&fast, &[]).header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let headers = [("cookie", cookie.as_str())];
    assert_eq!(cart(&slow, &headers), "[1]", "it is not taken for an old one");
    assert_eq!(cart(&fast, &headers), "[1]");
    let key = redis.ask(&["KEYS", "iap:s:*"]).unwrap();
    let left: i64 = redis.ask(&["PTTL", key.trim()]).unwrap().parse().unwrap();
    assert!((0..=4000).contains(&left), "{left} ms");
    // Each look is an access, so only the server is asked until it has gone.
    eventually("the session ends", || redis.ask(&["KEYS", "iap:s:*"]).unwrap().is_empty().then_some(()));
    assert_eq!((cart(&fast, &headers), cart(&slow, &headers)), ("[]".to_owned(), "[]".to_owned()));
}
