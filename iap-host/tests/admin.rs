//! The admin API, as `docs/admin-api.md` promises it.

mod common;

use common::Host;
use common::http::{Browser, get, send};
use serde_json::Value;

const CONFIG: &str = "
sessions: {api: 127.0.0.1:0}
routes:
  - {name: shop, path: /, service: demo-shop}
  - {name: broken, path: /broken, respond: {status: 500, body: 'no'}}
";

/// A host that has answered some requests, all of them in the history.
fn busy_host() -> Host {
    let host = Host::start(CONFIG);
    let mut browser = Browser::default();
    browser.post(host.http, "/login", "user=alice");
    browser.post(host.http, "/cart", "product=2");
    for _ in 0..6 {
        assert_eq!(get(host.http, "/broken").status, 500);
        browser.get(host.http, "/products");
    }
    host.lists(14);
    host
}

fn rows(host: &Host, query: &str) -> Vec<Value> {
    let page = host.admin(&format!("/api/transactions?{query}"));
    page["items"].as_array().unwrap_or_else(|| panic!("{page}")).clone()
}

#[test]
fn transactions_are_filtered_and_paged() {
    let host = busy_host();
    assert_eq!(rows(&host, "route=broken").len(), 6);
    assert_eq!(rows(&host, "errors=true").len(), 6);
    assert_eq!(rows(&host, "status=303").len(), 2);
    assert_eq!(rows(&host, "user=alice").len(), 2, "those that looked at their session");
    assert_eq!(rows(&host, "min_us=60000000").len(), 0);
    let slowest: Vec<u64> =
        rows(&host, "order=slowest").iter().map(|row| row["duration_us"].as_u64().unwrap()).collect();
    assert!(slowest.is_sorted_by(|a, b| a >= b), "{slowest:?}");

    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = host.admin(&format!("/api/transactions?limit=5{cursor}"));
        seen.extend(page["items"].as_array().unwrap().iter().map(|row| row["trace_id"].to_string()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 14, "each once over all pages");
}

#[test]
fn a_transaction_has_its_sql_and_its_session_in_one_tree() {
    let host = busy_host();
    let row = rows(&host, "status=303").into_iter().find(|row| row["path"] == "/cart").unwrap();
    let trace = host.admin(&format!("/api/transactions/{}", row["trace_id"].as_str().unwrap()));
    let root = &trace["tree"]["roots"][0];
    let children = root["children"].as_array().unwrap();
    let names: Vec<_> = children.iter().map(|child| child["span"]["name"].as_str().unwrap()).collect();
    for name in ["session.load", "handler", "session.commit", "response"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    let handler = children.iter().find(|child| child["span"]["name"] == "handler").unwrap();
    // Waiting for a connection of the pool may be a span of its own, before it.
    let below = handler["children"].as_array().unwrap();
    let sql = below.iter().find_map(|child| child["span"]["attributes"]["db.query.text"].as_str());
    assert_eq!(sql, Some("SELECT name FROM product WHERE id = ?"), "{handler:#}");
    let session = row["session"].as_str().expect("the session's key");
    assert_eq!(
        host.admin("/api/sessions")["sessions"][0]["key"].as_str().unwrap()[..session.len()],
        *session
    );
}

#[test]
fn aggregates_agree_with_the_list() {
    let host = busy_host();
    let routes = host.admin("/api/routes?last_s=60");
    let broken = routes["routes"].as_array().unwrap().iter().find(|row| row["route"] == "broken").unwrap();
    assert_eq!((&broken["count"], &broken["errors"]), (&6.into(), &6.into()));
    let series = host.admin("/api/series?last_s=120&step_s=10");
    let total: u64 =
        series["points"].as_array().unwrap().iter().map(|point| point["count"].as_u64().unwrap()).sum();
    assert_eq!(total, 14);
    let live = host.admin("/api/live");
    assert_eq!(live["recent"]["points"].as_array().unwrap().len(), 14);
    assert_eq!(live["sessions"]["live"], 1);
    let none = host.admin(&format!("/api/live?since={}", live["recent"]["next_seq"]));
    assert_eq!(none["recent"]["points"], serde_json::json!([]));
    let logs = host.admin("/api/logs?level=info");
    assert!(logs["lines"].as_array().unwrap().iter().any(|line| line["message"] == "signed in"), "{logs}");
    let lines = |query: &str| host.admin(&format!("/api/logs{query}"))["lines"].as_array().unwrap().len();
    assert_eq!(
        (lines("?text=SIGNED+in"), lines("?text=signed&service=nobody"), lines("?text=%25")),
        (1, 0, 0)
    );
    let said = host.admin("/api/logs/patterns?text=signed");
    assert_eq!((&said["read"], &said["complete"]), (&1.into(), &true.into()));
    let pattern = &said["patterns"][0];
    let wanted = ("signed in".into(), "info".into(), 1.into());
    assert_eq!(
        (&pattern["pattern"], &pattern["level"], &pattern["count"]),
        (&wanted.0, &wanted.1, &wanted.2)
    );
    assert_eq!(get(host.admin, "/api/logs?trace_id=x").status, 400);
    let metrics = get(host.admin, "/metrics").text();
    let line = r#"iap_http_requests_total{route="broken",method="GET",status_class="5xx"} 6"#;
    assert!(metrics.lines().any(|have| have == line), "{metrics}");
    let status = host.admin("/api/status");
    assert_eq!(status["facts"]["addresses"]["http"], host.http.to_string());
}

#[test]
fn a_session_is_listed_without_secrets_and_can_be_ended() {
    let host = Host::start(CONFIG);
    let mut browser = Browser::default();
    browser.post(host.http, "/login", "user=alice");
    browser.post(host.http, "/cart", "product=2");
    Browser::default().post(host.http, "/login", "user=bora");
    assert_eq!(host.admin("/api/sessions")["sessions"].as_array().unwrap().len(), 2);
    let list = host.admin("/api/sessions?user=alice");
    let session = &list["sessions"][0];
    assert_eq!((session["user"].as_str(), list["sessions"].as_array().unwrap().len()), (Some("alice"), 1));
    let path = format!("/api/sessions/{}", session["key"].as_str().unwrap());
    let detail = get(host.admin, &path);
    assert_eq!(detail.json()["entries"][0]["name"], "cart");
    assert!(detail.json()["entries"][0].get("value").is_none(), "values are not shown");
    assert!(
        !detail.text().contains(&browser.cookies["iap-session"])
            && !list.to_string().contains(&browser.cookies["iap-session"])
    );

    assert!(browser.get(host.http, "/").text().contains("<b>alice</b>"));
    assert_eq!(send(host.admin, "DELETE", &path, &[], &[]).unwrap().status, 204);
    assert!(!browser.get(host.http, "/").text().contains("<b>alice</b>"), "ended at once");
    assert_eq!(get(host.admin, &path).status, 404);
    assert_eq!(host.admin("/api/sessions")["stats"]["live"], 1);
}

#[test]
fn a_question_is_answered_in_both_languages_with_evidence() {
    let host = busy_host();
    let korean = "%EC%A7%80%EA%B8%88%20%EB%AC%B8%EC%A0%9C%EC%9D%98%20%EC%9B%90%EC%9D%B8%EC%9D%84%20%EC%95%8C%EB%A0%A4%EC%A4%98";
    for (question, word) in [("what%20is%20wrong%20right%20now%3F", "failing"), (korean, "실패")] {
        let answer = host.admin(&format!("/api/ask?q={question}"));
        let text = answer["text"].as_str().unwrap();
        assert!(text.contains(word) && text.contains("broken"), "{text}");
        let evidence = answer["evidence"][0].as_str().unwrap();
        assert_eq!(
            get(host.admin, &format!("/api/transactions/{evidence}")).json()["summary"]["route"],
            "broken"
        );
    }
}

#[test]
fn wrong_requests_are_told_so() {
    let host = Host::start(CONFIG);
    let trace = "0".repeat(31) + "1";
    for (path, status) in [
        ("/api/transactions?rout=x".to_owned(), 400),
        ("/api/transactions?limit=many".to_owned(), 400),
        ("/api/transactions?cursor=x".to_owned(), 400),
        ("/api/transactions?last_s=1&from_us=2".to_owned(), 400),
        ("/api/transactions?from_us=2&to_us=1".to_owned(), 400),
        ("/api/transactions/xyz".to_owned(), 400),
        (format!("/api/transactions/{trace}"), 404),
        ("/api/series?step_s=0".to_owned(), 400),
        ("/api/sessions/xyz".to_owned(), 400),
        ("/api/ask?q=".to_owned(), 400),
        ("/api/nothing".to_owned(), 404),
    ] {
        let response = get(host.admin, &path);
        assert_eq!(response.status, status, "{path}: {}", response.text());
        assert_eq!(response.header("content-type"), Some("application/problem+json"), "{path}");
        assert_eq!(response.json()["status"], status, "{path}");
    }
    let longest = host.admin(&format!("/api/series?last_s=90000&step_s={}", u64::MAX));
    assert!(
        longest["points"].as_array().unwrap().len() <= 2,
        "a step beyond the window is all of it: {longest}"
    );
    for path in ["/", "/transactions/abc"] {
        let page = get(host.admin, path);
        assert_eq!(
            (page.status, page.header("content-type")),
            (200, Some("text/html; charset=utf-8")),
            "{path}"
        );
        assert!(page.header("content-security-policy").is_some());
    }
}

#[test]
fn users_are_counted_once_however_often_they_come() {
    let host = Host::start(
        "
sessions: {api: 127.0.0.1:0, audience: {by: [address, 'cookie:JSESSIONID', session, user]}}
routes:
  - {name: shop, path: /, service: demo-shop}
  - {name: blog, path: /blog, respond: {status: 200, body: ok}}
",
    );
    for node in 1..=2 {
        for visitor in ["a", "b", "c"] {
            let cookie = format!("JSESSIONID={visitor}.n{node}");
            let response = send(host.http, "GET", "/blog", &[("cookie", &cookie)], b"").unwrap();
            assert_eq!(response.status, 200);
        }
    }
    let mut browser = Browser::default();
    browser.post(host.http, "/login", "user=alice");
    browser.get(host.http, "/products");
    let now = |application: &str| {
        let answer = host.admin(&format!("/api/audience?last_s=600{application}"));
        let kinds = answer["kinds"].as_array().unwrap().clone();
        kinds.into_iter().map(|kind| kind["now"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    common::eventually("all are counted", || (now("") == [1, 3, 1, 1]).then_some(()));
    assert_eq!(now("&application=blog"), [1, 3, 0, 0]);
    assert_eq!(now("&application=shop"), [1, 0, 1, 1]);
    let answer = host.admin("/api/audience?by=cookie:JSESSIONID&last_s=600&step_s=60");
    let points = answer["kinds"][0]["points"].as_array().unwrap();
    assert!(points.len() >= 10 && points.iter().any(|point| point["users"] == 3), "{answer}");
    for wrong in ["by=ip", "by=cookie:OTHER", "last_s=9999999&step_s=2"] {
        assert_eq!(get(host.admin, &format!("/api/audience?{wrong}")).status, 400, "{wrong}");
    }
}

#[test]
fn somebody_is_followed_for_a_while() {
    let host = Host::start(CONFIG);
    let ask = |method: &str, path: &str, body: &str| {
        let json = [("content-type", "application/json")];
        send(host.admin, method, path, &json, body.as_bytes()).unwrap()
    };
    let follow = |body: &str| ask("POST", "/api/followed", body);
    assert_eq!(host.admin("/api/followed")["followed"], serde_json::json!([]));
    let list = follow(r#"{"user": "alice", "for_s": "30m"}"#).json();
    assert_eq!(
        (&list["followed"][0]["user"], list["followed"][0]["until_us"].is_u64()),
        (&"alice".into(), true)
    );
    for wrong in [
        "{}",
        r#"{"user": "a", "route": "b"}"#,
        r#"{"client": "there"}"#,
        r#"{"user": "a", "for_s": 0}"#,
        r#"{"name": "a"}"#,
    ] {
        assert_eq!(follow(wrong).status, 400, "{wrong}");
    }
    for n in 1..32 {
        assert_eq!(follow(&format!(r#"{{"route": "r{n}"}}"#)).status, 200);
    }
    assert_eq!(follow(r#"{"client": "192.0.2.7"}"#).status, 409);
    assert_eq!(ask("DELETE", "/api/followed?user=alice", "").status, 204);
    assert_eq!(ask("DELETE", "/api/followed?user=alice", "").status, 404);
    assert_eq!(follow(r#"{"client": "192.0.2.7"}"#).status, 200);
}
