//! Accounts of the admin side: signing in, roles and what each may, what is kept of it.

mod common;

use common::accounts::{PASSWORD, Person, TOKEN, host, host_with, user};
use common::http::{Browser, Response, send};
use common::{Host, eventually, host_command};
use serde_json::{Value, json};

fn with_token(host: &Host, method: &str, path: &str, token: &str) -> Response {
    send(host.admin, method, path, &[("authorization", &format!("Bearer {token}"))], b"").unwrap()
}

#[test]
fn nobody_sees_anything_before_signing_in_but_the_page_to_do_so() {
    let host = host();
    let status = |path: &str| send(host.admin, "GET", path, &[], b"").unwrap().status;
    for path in ["/", "/transactions", "/livez", "/readyz", "/api/access"] {
        assert_eq!(status(path), 200, "{path}");
    }
    for path in [
        "/api/status",
        "/metrics",
        "/api/live",
        "/api/transactions",
        "/api/sessions",
        "/api/ask?q=hello",
        "/api/audit",
        "/api/access/sign-ins",
    ] {
        assert_eq!(status(path), 401, "{path}");
    }
    let who = send(host.admin, "GET", "/api/access", &[], b"").unwrap().json();
    assert_eq!(who, json!({ "enabled": true, "caller": null, "passwords": true, "oidc": null }));
    let reload = send(host.admin, "POST", "/api/config/reload", &[], b"").unwrap();
    assert_eq!(reload.status, 401);
    assert_eq!(reload.header("www-authenticate"), Some("Bearer"), "no browser asks for a password by itself");
}

#[test]
fn each_role_may_what_the_matrix_says() {
    let host = host();
    // Something that belongs to each right; what is answered to those who may is not 401 or 403.
    let asks = [
        ("GET", "/api/status"),
        ("GET", "/api/transactions"),
        ("GET", "/api/sessions"),
        ("POST", "/api/changes"),
        ("POST", "/api/config/reload"),
    ];
    for (name, rights) in [("vera", 1), ("dev", 2), ("olga", 4), ("ada", 5)] {
        let person = Person::signed_in(&host, name);
        let body = json!({ "what": "a deployment" }).to_string();
        let let_in = asks.map(|(method, path)| {
            let body = if method == "POST" { body.as_str() } else { "" };
            !matches!(person.send(method, path, body).status, 401 | 403)
        });
        let expected: Vec<bool> = (0..5).map(|index| index < rights).collect();
        assert_eq!(let_in.to_vec(), expected, "{name}");
        let told = person.get("/api/access").json()["caller"]["rights"].as_array().unwrap().len();
        assert_eq!(told, rights, "{name}");
    }
    assert_eq!(with_token(&host, "GET", "/api/sessions", TOKEN).status, 200);
    assert_eq!(with_token(&host, "GET", "/api/audit", TOKEN).status, 403);
    assert_eq!(with_token(&host, "GET", "/api/status", "another-token-of-nobody").status, 401);
}

#[test]
fn a_new_role_counts_at_the_next_request_and_who_is_removed_is_out() {
    let host = host();
    let olga = Person::signed_in(&host, "olga");
    assert_eq!(olga.get("/api/sessions").status, 200);
    let change = |arguments: &[&str]| {
        let output = user(host_command(host.path()), arguments, "");
        assert!(output.status.success(), "{output:?}");
    };
    change(&["role", "olga", "viewer", "--file", "users"]);
    eventually("the demotion", || (olga.get("/api/sessions").status == 403).then_some(()));
    assert_eq!(olga.get("/api/status").status, 200, "still signed in");
    change(&["remove", "olga", "--file", "users"]);
    eventually("the removal", || (olga.get("/api/status").status == 401).then_some(()));
    let list = user(host_command(host.path()), &["list", "--file", "users"], "");
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(list.contains("vera") && !list.contains("olga"), "{list}");
}

#[test]
fn those_who_may_not_know_people_see_requests_without_them() {
    let host = host();
    let client = [("cookie", "x=1"), ("user-agent", "curl")];
    assert_eq!(send(host.http, "GET", "/?from=010-1234-5678", &client, b"").unwrap().status, 200);
    let (olga, dev) = (Person::signed_in(&host, "olga"), Person::signed_in(&host, "dev"));
    let trace = eventually("the transaction", || {
        olga.get("/api/transactions").json()["items"][0]["trace_id"].as_str().map(str::to_owned)
    });
    let path = format!("/api/transactions/{trace}");
    let client = |person: &Person| {
        let trace = person.get(&path).json();
        let span = &trace["tree"]["roots"][0]["span"];
        assert_eq!(span["attributes"]["http.route"], "shop", "{trace}");
        (trace["summary"]["client"].clone(), span["attributes"]["client.address"].clone())
    };
    assert_eq!(client(&olga), (json!("127.0.0.1"), json!("127.0.0.1")));
    assert_eq!(client(&dev), (Value::Null, Value::Null));
    assert_eq!(
        dev.get("/api/transactions?user=kim").status,
        403,
        "whether somebody was there is not told either"
    );
    assert_eq!(dev.get("/api/ask?q=most+active+users").status, 403);
    assert_eq!(olga.get("/api/ask?q=most+active+users").status, 200);
}

#[test]
fn programs_use_their_token_in_the_terminal_and_as_assistants() {
    let host = host_with("ops: {mcp: {enabled: true}}\n");
    let url = format!("http://{}", host.admin);
    let ask = |token: Option<&str>| {
        let mut command = host_command(host.path());
        command.args(["ask", "hello", "--json", "--url", &url]).env_remove("IAP_TOKEN");
        if let Some(token) = token {
            command.env("IAP_TOKEN", token);
        }
        let output = command.output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (answer, _) = ask(Some(TOKEN));
    assert!(answer.contains("\"outcome\""), "{answer}");
    let (answer, error) = ask(None);
    assert!(answer.is_empty() && error.contains("401") && error.contains("IAP_TOKEN"), "{error}");

    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }).to_string();
    let mcp = |fields: &[(&str, &str)]| {
        let mut all = vec![
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "2025-11-25"),
        ];
        all.extend_from_slice(fields);
        send(host.admin, "POST", "/mcp", &all, ping.as_bytes()).unwrap().status
    };
    assert_eq!(mcp(&[("authorization", &format!("Bearer {TOKEN}"))]), 200);
    assert_eq!(mcp(&[]), 401);
    let ada = Person::signed_in(&host, "ada");
    let (name, value) = ada.browser.cookies.iter().next().unwrap();
    assert_eq!(mcp(&[("cookie", &format!("{name}={value}"))]), 401, "a cookie is for pages");
}

#[test]
fn a_conversation_is_its_persons_own() {
    let host = host();
    let (ada, olga) = (Person::signed_in(&host, "ada"), Person::signed_in(&host, "olga"));
    let ask = |person: &Person, question: &str| {
        person.get(&format!("/api/ask?q={question}&conversation=mine")).json()["question"]["intent"].clone()
    };
    assert_eq!(ask(&ada, "slowest+routes"), "slowest_routes");
    assert_eq!(ask(&olga, "and+yesterday%3F"), "unknown", "she has asked nothing yet");
    assert_eq!(ask(&ada, "and+yesterday%3F"), "slowest_routes");
}

#[test]
fn pages_of_other_sites_cannot_use_the_cookie() {
    let host = host();
    let ada = Person::signed_in(&host, "ada");
    let (name, value) = ada.browser.cookies.iter().next().unwrap();
    let cookie = format!("{name}={value}");
    let with = |fields: &[(&str, &str)]| {
        let mut all = vec![("cookie", cookie.as_str())];
        all.extend_from_slice(fields);
        send(host.admin, "POST", "/api/config/reload", &all, b"").unwrap().status
    };
    assert_eq!(with(&[]), 403, "a request that changes something says where it comes from");
    assert_eq!(with(&[("origin", "https://evil.example")]), 403);
    assert_eq!(with(&[("sec-fetch-site", "cross-site")]), 403);
    assert_eq!(with(&[("sec-fetch-site", "same-origin")]), 200);
}

#[test]
fn wrong_passwords_wait_and_sign_ins_are_seen_and_ended() {
    let host = host();
    let stranger = Person { host: host.admin, browser: Browser::default() };
    let wrong = json!({ "name": "vera", "password": "not this one either" });
    for _ in 0..6 {
        assert_eq!(stranger.post("/api/access/sign-in", &wrong).status, 401);
    }
    let late = stranger.post("/api/access/sign-in", &json!({ "name": "vera", "password": PASSWORD }));
    assert_eq!((late.status, late.header("retry-after").is_some()), (429, true));
    let nobody = json!({ "name": "nobody", "password": PASSWORD });
    let text = stranger.post("/api/access/sign-in", &nobody).json()["detail"].clone();
    assert_eq!(text, "the name or the password is wrong");

    let (ada, dev) = (Person::signed_in(&host, "ada"), Person::signed_in(&host, "dev"));
    assert_eq!(ada.get("/api/access/sign-ins").json()["sign_ins"].as_array().unwrap().len(), 2);
    let own = dev.get("/api/access/sign-ins").json();
    assert_eq!(own["sign_ins"].as_array().unwrap().len(), 1, "others are nobody's business");
    let other = ada.get("/api/access").json()["caller"]["sign_in"].as_str().unwrap().to_owned();
    assert_eq!(dev.send("DELETE", &format!("/api/access/sign-ins/{other}"), "").status, 404);
    let id = own["own"].as_str().unwrap();
    assert_eq!(ada.send("DELETE", &format!("/api/access/sign-ins/{id}"), "").status, 204);
    assert_eq!(dev.get("/api/status").status, 401);
    assert_eq!(ada.post("/api/access/sign-out", &Value::Null).status, 204);
    assert_eq!(ada.get("/api/status").status, 401);
}

#[test]
fn who_has_done_what_is_kept_without_secrets() {
    let host = host();
    let (ada, vera) = (Person::signed_in(&host, "ada"), Person::signed_in(&host, "vera"));
    assert_eq!(ada.post("/api/changes", &json!({ "what": "release 7" })).status, 200);
    assert_eq!(vera.post("/api/changes", &json!({ "what": "mischief" })).status, 403);
    let wrong = json!({ "name": PASSWORD, "password": "typed into the wrong field" });
    assert_eq!(vera.post("/api/access/sign-in", &wrong).status, 401);
    let answer = ada.get("/api/audit").json();
    let seen = |who: &str, what: &str, status: u16| {
        answer["records"]
            .as_array()
            .unwrap()
            .iter()
            .find(|record| record["who"] == who && record["what"] == what && record["status"] == status)
    };
    let change = seen("ada", "POST /api/changes", 200).unwrap_or_else(|| panic!("{answer}"));
    assert_eq!(
        (&change["with"]["what"], &change["role"], &change["from"]),
        (&json!("release 7"), &json!("admin"), &json!("127.0.0.1"))
    );
    assert!(seen("vera", "POST /api/changes", 403).is_some(), "what was refused as well: {answer}");
    assert!(seen("ada", "POST /api/access/sign-in", 200).is_some(), "{answer}");
    assert!(seen("unknown", "POST /api/access/sign-in", 401).is_some(), "{answer}");
    for file in std::fs::read_dir(host.path().join("data/access")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let cookie = ada.browser.cookies.values().next().unwrap();
        assert!(!text.contains(PASSWORD) && !text.contains(cookie) && !text.contains(TOKEN), "{text}");
    }
    let first = ada.get("/api/audit?limit=1").json();
    let before = first["next_before_ms"].as_u64().unwrap();
    assert!(
        ada.get(&format!("/api/audit?before_ms={before}")).json()["records"].as_array().unwrap().len() >= 3
    );
}

#[test]
fn who_is_signed_in_stays_so_in_the_next_process_and_another_token_counts_after_a_reload() {
    let host = host_with("    anonymous: viewer\n");
    let ada = Person::signed_in(&host, "ada");
    let unknown = || send(host.admin, "GET", "/api/status", &[], b"").unwrap().status;
    assert_eq!(unknown(), 200, "as the settings say");
    host.write("token", "another-token-of-a-program");
    assert_eq!(with_token(&host, "GET", "/api/sessions", TOKEN).status, 200);
    assert_eq!(ada.post("/api/config/reload", &Value::Null).json()["changed"], json!(["admin"]));
    assert_eq!(with_token(&host, "GET", "/api/sessions", TOKEN).status, 401);
    assert_eq!(with_token(&host, "GET", "/api/sessions", "another-token-of-a-program").status, 200);
    assert_eq!(ada.get("/api/audit").status, 200, "signed in as before");
}
