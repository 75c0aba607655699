//! Rules of routes as an operator writes them: limits by session and user, signed tokens.

mod common;

use std::process::Stdio;

use common::http::{Browser, Response, get, send};
use common::{FREE_PORTS, Host, host_command};

/// A public key, and a token by its owner that is good until the year 2100.
const KEY: &str = include_str!("../../iap-core/src/rules/auth/jwt/testdata/rsa.pem");
const OTHER_KEY: &str = include_str!("../../iap-core/src/rules/auth/jwt/testdata/p256.pem");
const TOKEN: &str = include_str!("../../iap-core/src/rules/auth/jwt/testdata/rsa.token");

fn login(host: &Host, user: &str) -> Browser {
    let mut browser = Browser::default();
    assert!(browser.post(host.http, "/login", &format!("user={user}")).status < 400);
    browser
}

#[test]
fn limits_by_session_and_by_user_count_whom_the_session_names() {
    let host = Host::start(
        "sessions: {api: 127.0.0.1:0}
routes:
  - {name: shop, path: /, service: demo-shop}
  - {name: cart, path: /cart, service: demo-shop, rate_limits: [{requests: 2, per: 1h, by: user}]}
  - {name: search, path: /search, service: demo-shop, rate_limits: [{requests: 2, per: 1h, by: session}]}
",
    );
    // All of them come from one address.
    let (mut home, mut work) = (login(&host, "alice"), login(&host, "alice"));
    let mut bob = login(&host, "bob");
    let cart = |browser: &mut Browser| browser.get(host.http, "/cart").status;
    assert_eq!([cart(&mut home), cart(&mut work), cart(&mut home), cart(&mut work)], [200, 200, 429, 429]);
    assert_eq!([cart(&mut bob), cart(&mut bob), cart(&mut bob)], [200, 200, 429]);
    let search = |browser: &mut Browser| browser.get(host.http, "/search?q=a").status;
    assert_eq!([search(&mut home), search(&mut home), search(&mut home)], [200, 200, 429]);
    assert_eq!([search(&mut work), search(&mut bob)], [200, 200], "each session has its own");
    let guest = || get(host.http, "/search?q=a");
    assert_eq!(guest().header("ratelimit-policy"), Some("\"session\";q=2;w=3600"));
    assert_eq!([guest().status, guest().status], [200, 429], "who has no session counts by the address");
}

#[test]
fn limits_outlive_a_reload_where_they_are_the_same() {
    let config = |server: &str, body: &str, limit: &str| {
        format!(
            "{}sessions: {{enabled: false}}
routes:
  - {{name: a, path: /, respond: {{status: 200, body: {body}}}, rate_limits: [{limit}]}}
",
            FREE_PORTS.replace("drain: 5s", &format!("drain: 5s{server}"))
        )
    };
    let (limit, wider) = ("{requests: 3, per: 1h}", "{requests: 4, per: 1h}");
    let host = Host::start_with(&config("", "one", limit));
    let left = || {
        let answer = get(host.http, "/");
        let left =
            answer.header("ratelimit").map(|left| left.split(';').nth(1).unwrap_or_default().to_owned());
        (answer.status, left.unwrap_or_default())
    };
    let reload = |config: &str| {
        host.write("iap.yaml", config);
        let answer = send(host.admin, "POST", "/api/config/reload", &[], &[]).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    assert_eq!(left(), (200, "r=2".to_owned()));
    reload(&config("", "two", limit));
    assert_eq!(left(), (200, "r=1".to_owned()), "the table was swapped");
    reload(&config(", max_body: 1MiB", "two", limit));
    assert_eq!(left(), (200, "r=0".to_owned()), "another server has taken over");
    assert_eq!(left().0, 429);
    reload(&config(", max_body: 1MiB", "two", wider));
    assert_eq!(left(), (200, "r=3".to_owned()), "another limit begins anew");
    reload(&config(", max_body: 1MiB", "two", wider).replace("name: a", "name: b"));
    assert_eq!(left(), (200, "r=3".to_owned()), "and so does that of another route");
}

#[test]
fn signed_tokens_let_their_users_in_until_the_key_is_another() {
    let config = format!(
        "{FREE_PORTS}sessions: {{enabled: false}}
routes:
  - {{name: api, path: /, respond: {{status: 200, body: in}}, auth: {{jwt: {{keys: key.pem}}}}}}
"
    );
    let host = Host::start_prepared(&config, |directory| {
        std::fs::write(directory.join("key.pem"), KEY).unwrap();
    });
    let ask = || -> Response {
        let token = format!("Bearer {}", TOKEN.trim());
        send(host.http, "GET", "/", &[("authorization", &token)], &[]).unwrap()
    };
    assert_eq!((ask().status, ask().text().as_str()), (200, "in"));
    let refused = get(host.http, "/");
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer realm=\"api\"")));
    // Keys change: a reload reads them anew, and one that cannot be read changes nothing.
    let reload = || send(host.admin, "POST", "/api/config/reload", &[], &[]).unwrap();
    host.write("key.pem", "no key");
    let response = reload();
    assert!(response.status >= 400 && response.text().contains("route `api`"), "{}", response.text());
    assert_eq!(ask().status, 200);
    host.write("key.pem", OTHER_KEY);
    assert!(reload().status < 300);
    let refused = ask();
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"api\", error=\"invalid_token\""));
}

#[test]
fn keys_that_cannot_be_used_are_named_with_their_route_and_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("bad.json"), "{\"keys\": \"hunter2\"}").unwrap();
    for (jwt, place) in [
        ("keys: none.json", "none.json"),
        ("keys: bad.json", "bad.json"),
        ("secret: {env: IAP_TEST_SHORT}", "at least 32 bytes"),
        ("secret: {env: IAP_TEST_MISSING}", "`IAP_TEST_MISSING` is not set"),
    ] {
        let config = format!(
            "{FREE_PORTS}sessions: {{enabled: false}}\nroutes:\n  - {{name: api, respond: {{status: 200}}, auth: {{jwt: {{{jwt}}}}}}}\n"
        );
        std::fs::write(directory.path().join("iap.yaml"), config).unwrap();
        let mut command = host_command(directory.path());
        command.args(["run", "-c", "iap.yaml"]).env("IAP_TEST_SHORT", "hunter2").stdin(Stdio::null());
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("route `api`: auth.jwt.") && text.contains(place), "{text}");
        assert!(!text.contains("hunter2"), "a secret leaked: {text}");
    }
}
