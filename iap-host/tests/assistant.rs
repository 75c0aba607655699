//! The assistant of a running host: by its admin API, and in the terminal.

mod common;

use std::process::{Command, Output};

use common::Host;
use common::http::{Browser, get, send};
use serde_json::Value;

const CONFIG: &str = "
sessions: {api: 127.0.0.1:0, audience: {by: [session]}}
routes:
  - {name: shop, path: /, service: demo-shop}
  - {name: broken, path: /broken, respond: {status: 500, body: 'no'}}
";

/// A host that has answered some requests, all of them in the history.
fn busy_host() -> Host {
    let host = Host::start(CONFIG);
    let mut browser = Browser::default();
    browser.post(host.http, "/login", "user=alice");
    for _ in 0..6 {
        assert_eq!(get(host.http, "/broken").status, 500);
        browser.get(host.http, "/products");
    }
    host.lists(13);
    host
}

fn run(host: &Host, arguments: &[&str]) -> Output {
    let url = format!("http://{}", host.admin);
    Command::new(env!("CARGO_BIN_EXE_iap-host")).args(arguments).args(["--url", &url]).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn encode(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect()
}

#[test]
fn the_terminal_gets_answers_and_a_status_by_outcome() {
    let host = busy_host();
    for (arguments, status, part) in [
        (&["ask", "지금 문제의 원인을 알려줘"][..], 1, "[실패] broken"),
        (&["ask", "what", "is", "wrong", "right", "now?"], 1, "[failing] broken: 6 of 6"),
        (&["ask", "slowest routes"], 0, "The slowest route is"),
        (&["ask", "slowest routes", "--lang", "ko"], 0, "가장 느린 경로"),
        (&["ask", "세션 서버 상태"], 0, "현재 세션은 1개입니다."),
        (&["ask", "tell me a joke"], 2, "I cannot answer that; I can answer these"),
        (&["ask", "what was wrong at 3pm"], 2, "did not understand the time"),
        (&["ask", "what did user alice do"], 0, "alice: "),
        (&["ask", "what has changed lately"], 0, "started"),
        (&["ask", "how many concurrent users"], 0, "Users by session: "),
    ] {
        let output = run(&host, arguments);
        assert!(text(&output).contains(part), "{arguments:?}: {}", text(&output));
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", text(&output));
    }
    let json: Value =
        serde_json::from_slice(&run(&host, &["ask", "errors by kind", "--json"]).stdout).unwrap();
    assert_eq!(json["question"]["intent"], "errors_by_kind");
    assert_eq!(json["facts"]["tables"][0]["rows"][0][2], 6.0);
    // Nobody is there.
    let url = format!("http://127.0.0.1:{}", common::free_port());
    let output =
        Command::new(env!("CARGO_BIN_EXE_iap-host")).args(["ask", "status", "--url", &url]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("is the host running?"), "{said}");
}

#[test]
fn a_conversation_goes_on() {
    let host = busy_host();
    let ask = |question: &str, more: &str| host.admin(&format!("/api/ask?q={}{more}", encode(question)));
    ask("performance report of the last 2 hours", "&conversation=c1");
    let next = ask("and for /broken?", "&conversation=c1");
    assert_eq!(next["question"]["intent"], "performance_report");
    assert_eq!(next["facts"]["tables"][0]["rows"].as_array().unwrap().len(), 1, "{next:#}");
    let output = run(&host, &["ask", "yesterday?", "--conversation", "c1"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    for wrong in ["&conversation=", &format!("&conversation={}", "x".repeat(65)), "&lang=fr"] {
        assert_eq!(get(host.admin, &format!("/api/ask?q=status{wrong}")).status, 400, "{wrong}");
    }
}

#[test]
fn changes_of_the_configuration_are_told() {
    let host = busy_host();
    host.write("iap.yaml", &format!("{}{}", common::FREE_PORTS, CONFIG.replace("body: 'no'", "body: 'yes'")));
    assert_eq!(send(host.admin, "POST", "/api/config/reload", &[], b"").unwrap().status, 200);
    host.write("iap.yaml", "paht: 1\n");
    assert_eq!(send(host.admin, "POST", "/api/config/reload", &[], b"").unwrap().status, 422);
    let answer = host.admin("/api/ask?q=what%20has%20changed%20lately");
    let rows = answer["facts"]["tables"][0]["rows"].as_array().unwrap();
    let kinds: Vec<&str> = rows.iter().map(|row| row[1].as_str().unwrap()).collect();
    assert_eq!(kinds, ["refused", "reloaded", "started"], "{answer:#}");
    assert_eq!(rows[1][2], "routes (revision 2)");
}

#[test]
fn reports_are_written_in_both_forms_and_languages() {
    let host = busy_host();
    for kind in ["executive", "incident", "capacity", "inspection"] {
        for (lang, title) in [("ko", "보고서"), ("en", "report")] {
            let file = host.path().join(format!("{kind}-{lang}.html"));
            let output =
                run(&host, &["report", "--kind", kind, "--lang", lang, "-o", file.to_str().unwrap()]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let page = std::fs::read_to_string(&file).unwrap();
            assert!(page.starts_with("<!doctype html>") && page.contains(title), "{kind}");
            let link = format!("href=\"http://{}/api/", host.admin);
            assert!(page.contains(&link) && !page.contains("<script"), "{kind}: queries are linked");
            // The query of a number gives that number.
            let path = page.split(&link).nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
            assert_eq!(get(host.admin, &format!("/api/{path}")).status, 200, "{kind}: {path}");
        }
    }
    let markdown = text(&run(&host, &["report", "--kind", "incident", "--format", "md", "--lang", "en"]));
    assert!(
        markdown.starts_with("# Incident report\n") && markdown.contains("6 of 13 requests failed"),
        "{markdown}"
    );
    let page = get(host.admin, "/api/reports/executive?from=2026-01-01&to=2026-01-02");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    for (path, status) in [
        ("nothing", 404),
        ("executive?from=yesterday", 400),
        ("executive?to=2026-01-01", 400),
        ("executive?from=2020-01-01&to=2026-01-01", 400),
        ("executive?format=pdf", 400),
        ("executive?base=javascript:alert(1)", 400),
    ] {
        assert_eq!(get(host.admin, &format!("/api/reports/{path}")).status, status, "{path}");
    }
    let output = run(&host, &["report", "--from", "never"]);
    assert_eq!(output.status.code(), Some(2));
}
