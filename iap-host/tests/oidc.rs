//! Sign-in to the console by an OpenID provider: `oidc-provider` of npm, end to end.

mod common;

use common::accounts::{Person, host_with};
use common::http::{Browser, Response, get, send};
use common::oidc::{Provider, at_provider, leave, settings, way};
use common::{Host, eventually, free_port};
use serde_json::{Value, json};

/// A host with its provider.
fn world() -> (Host, Provider, u16) {
    let port = free_port();
    let host = host_with(&settings(port));
    let provider = Provider::start(port, &host, "key-1");
    (host, provider, port)
}

/// A whole sign-in: what the callback answers.
fn sign_in(host: &Host, browser: &mut Browser, account: &str) -> Response {
    let location = way(host, browser, "/transactions?limit=5");
    let callback = at_provider(browser, &location, account);
    browser.get(host.admin, &callback)
}

fn signed_in(host: &Host, account: &str) -> Person {
    let mut browser = Browser::default();
    let back = sign_in(host, &mut browser, account);
    assert_eq!((back.status, back.header("location")), (303, Some("/transactions?limit=5")), "{back:?}");
    Person { host: host.admin, browser }
}

/// Where somebody ends who is not let in, and that nobody is signed in by it.
fn failed(host: &Host, browser: &Browser, back: &Response) -> (String, u16) {
    let location = back.header("location").unwrap_or_else(|| panic!("{back:?}")).to_owned();
    let person = Person { host: host.admin, browser: browser.clone() };
    assert_eq!(person.get("/api/status").status, 401, "{location}");
    let page = get(host.admin, &location);
    assert!(page.header("content-type").unwrap().starts_with("text/html"), "{}", page.head);
    (location, page.status)
}

fn parameter<'a>(url: &'a str, name: &str) -> &'a str {
    let query = url.split_once('?').unwrap().1;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix(&format!("{name}=")))
        .unwrap_or_else(|| panic!("{url}"))
}

#[test]
fn people_have_the_role_of_their_groups_and_no_token_is_kept() {
    let (host, _provider, _) = world();
    let kim = signed_in(&host, "kim-0001");
    let caller = kim.get("/api/access").json()["caller"].clone();
    assert_eq!(
        (&caller["name"], &caller["role"], &caller["via"]),
        (&json!("kim"), &json!("admin"), &json!("oidc"))
    );
    assert_eq!(kim.browser.cookies.keys().filter(|name| name.starts_with("iap_oidc")).count(), 0);
    let lee = signed_in(&host, "lee-0002");
    assert_eq!(lee.get("/api/access").json()["caller"]["role"], "operator");
    assert_eq!(lee.get("/api/audit").status, 403);
    let own = lee.get("/api/access/sign-ins").json();
    assert_eq!(own["sign_ins"].as_array().unwrap().len(), 1, "others are nobody's business");

    let audit = kim.get("/api/audit").json();
    let record = |who: &str| audit["records"].as_array().unwrap().iter().find(|record| record["who"] == who);
    let came = record("kim").unwrap_or_else(|| panic!("{audit}"));
    assert_eq!((&came["with"]["subject"], &came["role"]), (&json!("kim-0001"), &json!("admin")));
    assert_eq!(came["what"], "GET /api/access/oidc/callback");
    for file in std::fs::read_dir(host.path().join("data/access")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(!text.contains("eyJ") && !text.contains(common::oidc::SECRET), "a token: {text}");
    }
}

#[test]
fn those_without_a_role_or_a_name_of_their_own_are_told_so() {
    let (host, _provider, _) = world();
    let ada = Person::signed_in(&host, "ada");
    for (account, page) in [
        ("park-0004", "no_role"),
        ("none-0006", "no_name"),
        ("olga-0005", "name_taken"), // There is a local olga.
        ("cancel", "denied"),
    ] {
        let mut browser = Browser::default();
        let back = sign_in(&host, &mut browser, account);
        assert_eq!(failed(&host, &browser, &back), (format!("/sign-in/{page}"), 403));
        let audit = ada.get("/api/audit").json();
        let last = &audit["records"][0];
        assert_eq!((&last["with"]["failure"], &last["status"]), (&json!(page), &json!(403)), "{audit}");
        assert_eq!(last["role"], Value::Null);
    }
    let audit = ada.get("/api/audit?limit=10").json().to_string();
    assert!(audit.contains(r#""who":"park""#), "whom the provider knows is named: {audit}");
    let shown = get(host.admin, "/api/access").json()["oidc"].clone();
    assert_eq!(shown, json!({ "label": null, "roles_claim": "groups", "name_claim": "preferred_username" }));
    // Two whom the provider calls the same are not taken for each other.
    let lee = signed_in(&host, "lee-0002");
    let mut browser = Browser::default();
    let back = sign_in(&host, &mut browser, "lee-0003");
    assert_eq!(failed(&host, &browser, &back), ("/sign-in/name_taken".to_owned(), 403));
    assert_eq!(lee.get("/api/status").status, 200);
    assert_eq!(get(host.admin, "/sign-in/nonsense").status, 404);
}

#[test]
fn an_answer_counts_once_and_in_the_browser_that_asked() {
    let (host, _provider, _) = world();
    let expired = |browser: &Browser, back: &Response| {
        assert_eq!(failed(&host, browser, back), ("/sign-in/expired".to_owned(), 400));
    };
    // Somebody else's answer, in the browser of a victim.
    let mut attacker = Browser::default();
    let location = way(&host, &mut attacker, "/");
    let callback = at_provider(&mut attacker, &location, "kim-0001");
    let mut victim = Browser::default();
    let back = victim.get(host.admin, &callback);
    expired(&victim, &back);
    way(&host, &mut victim, "/");
    let back = victim.get(host.admin, &callback);
    expired(&victim, &back);
    // A state that nobody has begun.
    let state = parameter(&callback, "state");
    let back = attacker.get(host.admin, &callback.replace(state, &"0".repeat(64)));
    expired(&attacker, &back);
    // It is still good where it was begun, and once.
    let kept = attacker.clone();
    assert_eq!(attacker.get(host.admin, &callback).header("location"), Some("/"));
    let mut again = kept;
    let back = again.get(host.admin, &callback);
    expired(&again, &back);

    // Its code, brought to a sign-in that was begun anew.
    let mut other = Browser::default();
    let fresh = way(&host, &mut other, "/");
    let (code, iss) = (parameter(&callback, "code"), parameter(&callback, "iss"));
    let state = parameter(&fresh, "state");
    let back =
        other.get(host.admin, &format!("/api/access/oidc/callback?code={code}&state={state}&iss={iss}"));
    assert_eq!(failed(&host, &other, &back), ("/sign-in/refused".to_owned(), 401));
}

#[test]
fn tokens_that_are_not_for_this_sign_in_or_not_by_the_provider_are_refused() {
    let (host, provider, _) = world();
    let refused = |how: &str, browser: &Browser, back: &Response| {
        assert_eq!(failed(&host, browser, back), ("/sign-in/refused".to_owned(), 401), "{how}");
    };
    for how in ["signature", "none", "secret", "missing"] {
        provider.break_tokens(how);
        let mut browser = Browser::default();
        let back = sign_in(&host, &mut browser, "kim-0001");
        refused(how, &browser, &back);
    }
    provider.break_tokens("nothing");
    signed_in(&host, "kim-0001");

    let mut browser = Browser::default();
    let location = way(&host, &mut browser, "/");
    let other = location.replace(parameter(&location, "nonce"), &"1".repeat(64));
    let callback = at_provider(&mut browser, &other, "kim-0001");
    let back = browser.get(host.admin, &callback);
    refused("another nonce", &browser, &back);

    let location = way(&host, &mut browser, "/");
    let callback = at_provider(&mut browser, &location, "kim-0001");
    let other = callback.replace(parameter(&callback, "iss"), "https%3A%2F%2Fevil.example");
    let back = browser.get(host.admin, &other);
    refused("another issuer", &browser, &back);

    // PKCE: the provider was told of another verifier.
    let location = way(&host, &mut browser, "/");
    let other = location
        .replace(parameter(&location, "code_challenge"), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    let callback = at_provider(&mut browser, &other, "kim-0001");
    let back = browser.get(host.admin, &callback);
    refused("another verifier", &browser, &back);
}

#[test]
fn who_fails_again_and_again_waits_as_with_passwords() {
    let (host, _provider, _) = world();
    let mut browser = Browser::default();
    let denied = |browser: &mut Browser| {
        let location = way(&host, browser, "/");
        let issuer = "http%3A%2F%2F127.0.0.1%3A";
        let port = location.split(['/', ':']).nth(4).unwrap();
        let state = parameter(&location, "state");
        let path = format!("/api/access/oidc/callback?error=access_denied&state={state}&iss={issuer}{port}");
        browser.get(host.admin, &path).header("location").unwrap().to_owned()
    };
    for _ in 0..50 {
        assert_eq!(denied(&mut browser), "/sign-in/denied");
    }
    // What nobody has begun is nobody's failure.
    for _ in 0..50 {
        assert_eq!(get(host.admin, "/api/access/oidc/callback?code=1&state=2").status, 303);
    }
    assert_eq!(denied(&mut browser), "/sign-in/denied", "the fifty-first begins the wait");
    // Each further one makes the wait longer.
    let page = eventually("the wait", || Some(denied(&mut browser)).filter(|page| page != "/sign-in/denied"));
    assert_eq!((page.as_str(), get(host.admin, &page).status), ("/sign-in/wait", 429));
}

#[test]
fn only_a_page_of_the_console_begins_it_and_it_leads_back_there() {
    let (host, _provider, _) = world();
    let begin = |fields: &[(&str, &str)]| {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(fields);
        send(host.admin, "POST", "/api/access/oidc", &all, b"{}").unwrap().status
    };
    assert_eq!(begin(&[]), 400, "every page says its origin");
    assert_eq!(begin(&[("origin", "https://evil.example")]), 403);
    let own = format!("http://{}", host.admin);
    assert_eq!(begin(&[("origin", &own), ("sec-fetch-site", "cross-site")]), 403);
    eventually("the provider", || (begin(&[("origin", &own)]) == 200).then_some(()));
    for elsewhere in ["https://evil.example/", "//evil.example", "/\\evil.example", "/api/access/sign-out"] {
        let mut browser = Browser::default();
        let location = way(&host, &mut browser, elsewhere);
        let callback = at_provider(&mut browser, &location, "lee-0002");
        assert_eq!(browser.get(host.admin, &callback).header("location"), Some("/"), "{elsewhere}");
    }
}

#[test]
fn a_provider_that_is_down_keeps_nobody_else_out_and_new_keys_are_found() {
    let port = free_port();
    let host = host_with(&settings(port));
    let mut browser = Browser::default();
    let response = leave(&host, &mut browser, "/");
    assert_eq!(response.status, 503, "{}", response.text());
    assert!(response.text().contains("the log says why") && !response.text().contains(&port.to_string()));
    Person::signed_in(&host, "ada");

    let provider = Provider::start(port, &host, "key-1");
    signed_in(&host, "kim-0001");
    drop(provider);
    // Between the way there and the way back.
    let provider = Provider::start(port, &host, "key-1");
    let location = way(&host, &mut browser, "/");
    let callback = at_provider(&mut browser, &location, "kim-0001");
    drop(provider);
    let back = browser.get(host.admin, &callback);
    assert_eq!(failed(&host, &browser, &back), ("/sign-in/unavailable".to_owned(), 503));

    let _provider = Provider::start(port, &host, "key-2");
    signed_in(&host, "kim-0001");
}

#[test]
fn a_provider_is_verified_by_the_authorities_that_are_set() {
    let directory = tempfile::tempdir().unwrap();
    let certified = || rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (own, other) = (certified(), certified());
    let place = |name: &str| directory.path().join(name).display().to_string();
    std::fs::write(place("own.pem"), own.cert.pem()).unwrap();
    std::fs::write(place("other.pem"), other.cert.pem()).unwrap();
    let port = free_port();
    let settings = settings(port).replace("http://", "https://");
    let host = host_with(&format!("{settings}      ca: '{}'\n", place("own.pem")));
    let (certificate, key) = (own.cert.pem(), own.signing_key.serialize_pem());
    let tls = [("TLS_CERTIFICATE", certificate.as_str()), ("TLS_KEY", key.as_str())];
    let _provider = Provider::start_with(port, &host, "key-1", &tls);
    let mut browser = Browser::default();
    let location = way(&host, &mut browser, "/");
    assert!(location.starts_with(&format!("https://127.0.0.1:{port}/auth?")), "{location}");
    let ada = Person::signed_in(&host, "ada");
    let text = std::fs::read_to_string(host.path().join("iap.yaml")).unwrap();
    host.write("iap.yaml", &text.replace("own.pem", "other.pem"));
    assert_eq!(ada.post("/api/config/reload", &Value::Null).status, 200);
    assert_eq!(leave(&host, &mut browser, "/").status, 503);
}

#[test]
fn who_signs_out_does_so_at_the_provider_too() {
    let (host, provider, _) = world();
    let mut kim = signed_in(&host, "kim-0001");
    // Without signing out the provider asks for nothing.
    let location = way(&host, &mut kim.browser, "/");
    let path = location.strip_prefix(&format!("http://{}", provider.address)).unwrap();
    let next = kim.browser.get(provider.address, path);
    assert!(next.header("location").unwrap().contains("/api/access/oidc/callback?code="), "{next:?}");

    let answer = kim.post("/api/access/sign-out", &Value::Null);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(kim.get("/api/status").status, 401);
    kim.browser.keep(&answer);
    let location = answer.json()["location"].as_str().unwrap().to_owned();
    let path = location.strip_prefix(&format!("http://{}", provider.address)).unwrap().to_owned();
    let asked = kim.browser.get(provider.address, &path).text();
    let value = |name: &str| {
        let (_, rest) = asked.split_once(&format!("name=\"{name}\"")).unwrap_or_else(|| panic!("{asked}"));
        rest.split('"').nth(1).unwrap().to_owned()
    };
    let form = format!("xsrf={}&logout=yes", value("xsrf"));
    let done = kim.browser.post(provider.address, "/session/end/confirm", &form);
    assert_eq!(done.header("location"), Some(format!("http://{}/", host.admin).as_str()), "{done:?}");

    let location = way(&host, &mut kim.browser, "/");
    let path = location.strip_prefix(&format!("http://{}", provider.address)).unwrap().to_owned();
    let next = kim.browser.get(provider.address, &path);
    assert!(next.header("location").unwrap().contains("/interaction/"), "asked who it is: {next:?}");
}

#[test]
fn another_role_by_the_settings_counts_at_the_next_request() {
    let (host, _provider, port) = world();
    let (ada, kim) = (Person::signed_in(&host, "ada"), signed_in(&host, "kim-0001"));
    assert_eq!(kim.get("/api/audit").status, 200);
    let reload = |from: &str, to: &str| {
        let text = std::fs::read_to_string(host.path().join("iap.yaml")).unwrap();
        assert!(text.contains(from), "{text}");
        host.write("iap.yaml", &text.replace(from, to));
        let answer = ada.post("/api/config/reload", &Value::Null);
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    reload("platform: admin", "platform: viewer");
    assert_eq!((kim.get("/api/audit").status, kim.get("/api/status").status), (403, 200));
    reload("platform: viewer, ", "");
    assert_eq!(kim.get("/api/status").status, 401);
    reload("roles: {", "roles: {platform: admin, ");
    assert_eq!(kim.get("/api/audit").status, 200);
    // Of another provider it is not known who that is.
    reload(&format!("issuer: http://127.0.0.1:{port}"), "issuer: http://127.0.0.1:1");
    assert_eq!(kim.get("/api/status").status, 401);
}
