//! What each client does the same. The applications in `tests/apps/clients` have the same paths.

use iap_session::testing::RedisServer;
use serde_json::{Value, json};

use crate::common::http::{Browser, Response, send, try_get};
use crate::common::{FREE_PORTS, Host, Process, eventually, free_port, redis_sessions};

/// A browser at one application behind one gateway.
pub(crate) struct Visitor<'a> {
    host: &'a Host,
    name: &'a str,
    pub(crate) browser: Browser,
}

impl<'a> Visitor<'a> {
    pub(crate) fn new(host: &'a Host, name: &'a str) -> Self {
        Self { host, name, browser: Browser::default() }
    }

    /// The same browser goes to another application, behind another gateway.
    pub(crate) fn goes_to(self, host: &'a Host, name: &'a str) -> Self {
        Self { host, name, ..self }
    }

    pub(crate) fn post(&mut self, action: &str) -> Response {
        self.browser.post(self.host.http, &format!("/{}/{action}", self.name), "")
    }

    pub(crate) fn state(&mut self) -> Value {
        let response = self.browser.get(self.host.http, &format!("/{}/state", self.name));
        assert_eq!(response.status, 200, "{}", response.text());
        response.json()
    }

    fn done(&mut self, action: &str) -> Value {
        let response = self.post(action);
        assert_eq!(response.status, 200, "{action}: {}", response.text());
        response.json()
    }
}

/// Everything below, by the application of this name.
pub(crate) fn holds(host: &Host, name: &str) {
    attributes_are_kept(host, name);
    requests_at_the_same_time_all_count(host, name);
    what_is_stored_at_once_happens_once(host, name);
    users_come_and_go(host, name);
    what_fails_is_not_a_success(host, name);
    errors_are_logged_without_values(host);
    a_request_without_a_token_is_answered_with_503(host, name);
}

fn percent_encoded(value: &Value) -> String {
    value.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn attributes_are_kept(host: &Host, name: &str) {
    let mut visitor = Visitor::new(host, name);
    assert_eq!(visitor.state(), json!({"user": null, "new": true, "attributes": {}}));
    assert!(visitor.browser.cookies.is_empty(), "looking stores nothing");
    let attributes = json!({"cart": [3, 4], "mixed": {"b": [true, null, 1.5, {"deep": "é"}], "a": -7},
        "text": "\" 😀\n", "__proto__": 1, "a/b.c": false});
    for (attribute, value) in attributes.as_object().unwrap() {
        let value = if attribute == "cart" { &json!([3]) } else { value };
        visitor.done(&format!("set?name={attribute}&value={}", percent_encoded(value)));
    }
    visitor.done("append?name=cart&value=4");
    assert_eq!(visitor.state()["attributes"], attributes);
    assert_eq!(visitor.state()["new"], false);
    visitor.done("remove?name=cart");
    assert_eq!(visitor.state()["attributes"].get("cart"), None);
}

/// Each of several attributes is changed by a request of its own, over and over, on kept connections to the API.
fn requests_at_the_same_time_all_count(host: &Host, name: &str) {
    const TURNS: u32 = 20;
    let mut visitor = Visitor::new(host, name);
    visitor.done("set?name=first&value=0");
    std::thread::scope(|scope| {
        for attribute in ["a", "b", "c", "d"] {
            let mut visitor = Visitor { browser: visitor.browser.clone(), ..visitor };
            scope.spawn(move || {
                for turn in 1..=TURNS {
                    let after = visitor.done(&format!("set?name={attribute}&value={turn}"));
                    assert_eq!(after["attributes"][attribute], turn);
                }
            });
        }
    });
    let all = json!({"first": 0, "a": TURNS, "b": TURNS, "c": TURNS, "d": TURNS});
    assert_eq!(visitor.state()["attributes"], all);
}

/// Increments, and changes that expect a value: at the same time, in a session that exists, and in one that does not.
fn what_is_stored_at_once_happens_once(host: &Host, name: &str) {
    const TURNS: i64 = 10;
    let mut visitor = Visitor::new(host, name);
    assert_eq!(visitor.done("increment?name=new&by=5"), 5, "it begins with the response");
    visitor.done("set?name=text&value=%22no%20number%22");
    let (mut sums, mut won) = (Vec::new(), 0);
    std::thread::scope(|scope| {
        let turns = ["a", "b", "c", "d"].map(|who| {
            let mut visitor = Visitor { browser: visitor.browser.clone(), ..visitor };
            scope.spawn(move || {
                let mut sums = Vec::new();
                for _ in 0..TURNS {
                    sums.push(visitor.done("increment?name=a%2Fb%20c&by=-2").as_i64().unwrap());
                }
                let seat = format!("exchange?name=seat&expected=null&value=%22{who}%22");
                (sums, visitor.done(&seat) == true)
            })
        });
        for turn in turns {
            let (own, has_won) = turn.join().unwrap();
            sums.extend(own);
            won += i32::from(has_won);
        }
    });
    sums.sort_unstable();
    assert_eq!(sums, (1..=4 * TURNS).rev().map(|n| n * -2).collect::<Vec<_>>(), "each sum once");
    assert_eq!(won, 1, "one seat, one winner");
    assert_eq!(visitor.state()["attributes"]["a/b c"], -8 * TURNS);
    let owner = visitor.state()["attributes"]["seat"].clone();
    assert_eq!(visitor.done("exchange?name=seat&expected=%22nobody%22&value=1"), false);
    let value = percent_encoded(&json!({"b": [1], "a": true}));
    let exchange = format!("exchange?name=seat&expected={}&value={value}", percent_encoded(&owner));
    assert_eq!(visitor.done(&exchange), true);
    let reordered = percent_encoded(&json!({"a": true, "b": [1]}));
    assert_eq!(visitor.done(&format!("exchange?name=seat&expected={reordered}&value=null")), true);
    assert_eq!(visitor.state()["attributes"].get("seat"), None);
    assert_eq!(visitor.post("increment?name=text&by=1").status, 500, "that is no number");
}

fn users_come_and_go(host: &Host, name: &str) {
    let mut visitor = Visitor::new(host, name);
    visitor.done("set?name=kept&value=1");
    let cookie = |visitor: &Visitor<'_>| visitor.browser.cookies.values().next().cloned();
    let before = cookie(&visitor);
    assert_eq!(visitor.done("login?user=%C3%A9mile")["user"], "émile");
    let logged_in = cookie(&visitor);
    assert_ne!(before, logged_in);
    assert_eq!(visitor.state(), json!({"user": "émile", "new": false, "attributes": {"kept": 1}}));
    visitor.done("rotate");
    assert_ne!(logged_in, cookie(&visitor));
    assert_eq!(visitor.state()["user"], "émile");
    assert_eq!(visitor.done("logout")["user"], Value::Null);
    assert_eq!(visitor.state(), json!({"user": null, "new": false, "attributes": {"kept": 1}}));
    assert_eq!(visitor.done("destroy")["attributes"], json!({"begun": true}));
    assert_eq!(visitor.state(), json!({"user": null, "new": false, "attributes": {"begun": true}}));
}

fn what_fails_is_not_a_success(host: &Host, name: &str) {
    let mut visitor = Visitor::new(host, name);
    for action in ["bad-inside", "large"] {
        let response = visitor.post(action);
        assert_eq!(response.status, 500, "{action}: {}", response.text());
        assert!(!response.text().contains("not to be seen"));
    }
    assert_eq!(visitor.state()["attributes"], json!({}));
    let late = visitor.post("late").text();
    assert!(late.starts_with("first ") && late.len() > "first ".len(), "{late}");
    assert_eq!(visitor.state()["attributes"], json!({"early": true}));
}

/// What the application logs of the errors before.
fn errors_are_logged_without_values(host: &Host) {
    let lines = eventually("both errors in the log", || {
        let lines = host.admin("/api/logs?limit=1000")["lines"].to_string();
        let wanted = ["the session API has refused: ", "session attribute "];
        wanted.iter().all(|text| lines.contains(text)).then_some(lines)
    });
    assert!(!lines.contains("xxxxxxxx") && !lines.contains("Bearer"), "{lines}");
}

/// The application outlives a gateway: the next one has its session API at the same address, and the connections that
/// a client has kept are dead. `start` starts the application on a port.
pub(crate) fn outlives_a_gateway(name: &str, start: impl FnOnce(u16) -> Process) {
    let (redis, port, api) = (RedisServer::start(), free_port(), free_port());
    let _application = start(port);
    let ready = format!("/{name}/ready");
    eventually("the application", || {
        try_get(([127, 0, 0, 1], port).into(), &ready).filter(|response| response.status == 200)
    });
    let sessions = redis_sessions(&redis).replace("api: 127.0.0.1:0", &format!("api: 127.0.0.1:{api}"));
    let config = format!(
        "{FREE_PORTS}{sessions}routes:
  - {{name: {name}, path: /{name}, upstream: {{servers: ['http://127.0.0.1:{port}']}}}}
"
    );
    let first = Host::start_with(&config);
    let mut visitor = Visitor::new(&first, name);
    visitor.done(&format!("set?name=cart&value={}", percent_encoded(&json!([3]))));
    let browser = visitor.browser.clone();
    drop(first);
    let second = Host::start_with(&config);
    let mut visitor = Visitor { browser, ..Visitor::new(&second, name) };
    assert_eq!(visitor.done("append?name=cart&value=4")["attributes"]["cart"], json!([3, 4]));
    assert_eq!(visitor.state()["attributes"]["cart"], json!([3, 4]));
}

/// As when the gateway has too many requests in flight; here the application is asked without the gateway, by
/// someone who names a session API of his own.
fn a_request_without_a_token_is_answered_with_503(host: &Host, name: &str) {
    let port = eventually("the instance's address", || {
        let process = host.admin("/api/processes")["processes"][0]["instances"][0].clone();
        process["address"].as_str().and_then(|address| address.rsplit(':').next()?.parse::<u16>().ok())
    });
    let address = ([127, 0, 0, 1], port).into();
    let token = "A".repeat(22);
    let path = format!("/{name}/state");
    for url in [None, Some("http://192.0.2.1"), Some("http://localhost.example"), Some("ftp://127.0.0.1")] {
        let mut headers = vec![("iap-session-token", token.as_str())];
        headers.extend(url.map(|url| ("iap-session-url", url)));
        let response = send(address, "GET", &path, &headers, &[]).unwrap();
        assert_eq!(response.status, 503, "{url:?}: {}", response.text());
    }
}
