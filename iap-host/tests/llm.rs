//! A running host with language models and runbooks: by its admin API, in the terminal, and for AI assistants.

mod common;
#[path = "../../iap-ops/tests/llm/server.rs"]
#[allow(dead_code)] // Shared with the assistant's own test.
mod server;

use std::process::Command;

use common::browser::{CHROMIUM, prepare_driver};
use common::http::{get, send};
use common::{Host, eventually};
use iap_ops::llm::ProviderKind;
use serde_json::{Value, json};
use server::{Act, Server, call, say};

const KEY: &str = "sk-a-key-that-nobody-sees";
const RUNBOOK: &str = "# Runbook of the shop\n\n## When broken fails\nAsk the team of `broken` first.\n\
    <img src=x onerror=alert(1)> [click](javascript:alert(1))\n";

/// A host whose route `broken` fails, with one model, and a runbook.
fn host(server: &Server, more: &str) -> Host {
    let config = format!(
        "\
server: {{listen: 127.0.0.1:0, drain: 1s}}
admin: {{listen: 127.0.0.1:0}}
apm: {{otlp: 127.0.0.1:0}}
sessions: {{api: 127.0.0.1:0}}
log: {{format: json}}
ops:
  llm:
    providers:
      - {{name: local, kind: openai_compatible, url: 'http://{}/v1', model: m, key: {{file: key}}, context_tokens: 64000}}
    use: {{understand: [local], word: [local], report: [local]}}
    {more}
  runbooks: {{directory: runbooks, every: 1s}}
  mcp: {{enabled: true, token: {{file: token}}}}
routes:
  - {{name: broken, path: /broken, respond: {{status: 500, body: 'no'}}}}
  - {{name: home, path: /, respond: {{status: 200, body: 'yes'}}}}
",
        server.address
    );
    let host = Host::start_prepared(&config, |directory| {
        std::fs::write(directory.join("key"), KEY).unwrap();
        std::fs::write(directory.join("token"), "a-token-of-twenty-four-b").unwrap();
        std::fs::create_dir(directory.join("runbooks")).unwrap();
        std::fs::write(directory.join("runbooks/shop.md"), RUNBOOK).unwrap();
    });
    for _ in 0..8 {
        get(host.http, "/broken");
    }
    host.lists(8);
    host
}

fn metric(host: &Host, line: &str) -> bool {
    let text = get(host.admin, "/metrics").text();
    text.lines().any(|known| known == line)
}

/// The data of a stream's events.
fn events(text: &str) -> Vec<Value> {
    let mut events = iap_ops::llm::Events::default();
    events.feed(text.as_bytes()).iter().map(|data| serde_json::from_str(data).expect("JSON")).collect()
}

const ASK: &str = "/api/ask?q=what%20is%20wrong%20right%20now%3F";

#[test]
fn an_answer_streams_its_steps_its_text_and_itself() {
    let words = "Ask the team of `broken` first, as the runbook says.";
    let server =
        Server::start(ProviderKind::OpenaiCompatible, vec![call("list_fields", json!({})), say(words)]);
    let host = host(&server, "");
    let stream = send(host.admin, "GET", ASK, &[("accept", "text/event-stream")], b"").unwrap();
    assert!(stream.header("content-type").unwrap().starts_with("text/event-stream"));
    let told = events(&stream.text());
    let steps: Vec<&str> = told.iter().filter_map(|event| event["step"].as_str()).collect();
    assert_eq!(steps, ["understood", "looked_at", "looked_at", "asking", "looked_at", "asking"], "{told:#?}");
    let answer = &told.last().unwrap()["answer"];
    let lines: Vec<&str> = told.iter().filter_map(|event| event["text"].as_str()).collect();
    assert_eq!(lines.join("\n"), answer["text"].as_str().unwrap());
    assert_eq!((&answer["wording"], &answer["model"]), (&json!("model"), &json!("local")), "{answer:#}");
    assert_eq!(lines[2], words);
    assert_eq!(*lines.last().unwrap(), "See runbook: shop.md — When broken fails");
    assert_eq!(
        answer["runbooks"],
        json!([{ "origin": "runbook", "file": "shop.md", "heading": "When broken fails",
                 "excerpt": "Ask the team of `broken` first. <img src=x onerror=alert(1)> [click](javascript:alert(1))" }])
    );
    // The same as JSON, by a question in the body.
    let body = json!({ "q": "지금 문제의 원인을 알려줘" }).to_string();
    let headers = [("content-type", "application/json")];
    let posted = send(host.admin, "POST", "/api/ask", &headers, body.as_bytes()).unwrap().json();
    assert_eq!(posted["outcome"], "problems");
    assert!(
        posted["text"].as_str().unwrap().ends_with("참고 문서: shop.md — When broken fails"),
        "{posted:#}"
    );
    for (name, value) in [("requests", "outcome=\"answered\""), ("requests", "provider=\"local\"")] {
        let text = get(host.admin, "/metrics").text();
        let found = text
            .lines()
            .any(|line| line.starts_with(&format!("iap_ops_llm_{name}_total{{")) && line.contains(value));
        assert!(found, "{name} {value}: {text}");
    }
    let status = host.admin("/api/status");
    assert_eq!(status["runbooks"]["files"], 1);
    assert_eq!(status["llm"]["providers"][0]["name"], "local");
    assert!(!get(host.admin, "/api/status").text().contains(KEY));
    // AI assistants are told of the runbook too; what it says is data.
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
                       "params": { "name": "explain_incident", "arguments": {} } });
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("authorization", "Bearer a-token-of-twenty-four-b"),
        ("mcp-protocol-version", "2025-11-25"),
    ];
    let told = send(host.admin, "POST", "/mcp", &headers, call.to_string().as_bytes()).unwrap().json();
    let runbooks = &told["result"]["structuredContent"]["data"]["runbooks"];
    assert_eq!(runbooks[0]["untrusted"]["file"], "shop.md", "{told:#}");
}

#[test]
fn lies_are_counted_and_the_terminal_tells_the_steps() {
    let server =
        Server::start(ProviderKind::OpenaiCompatible, vec![say("`broken` fails in 31.4 % of cases.")]);
    let host = host(&server, "budget: {hour: {requests: 2}}");
    let url = format!("http://{}", host.admin);
    let ask = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_iap-host"))
            .arg("ask")
            .args(arguments)
            .args(["--url", &url])
            .output()
            .unwrap()
    };
    let output = ask(&["what is wrong right now?", "--progress"]);
    let (said, steps) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("[failing] broken: 8 of 8") && !said.contains("31.4"), "{said}");
    assert!(said.trim_end().ends_with("See runbook: shop.md — When broken fails"), "{said}");
    for part in
        ["· understood: what_is_wrong", "· looked at telemetry", "· looked at runbooks", "· asking local (m)"]
    {
        assert!(steps.contains(part), "{part}: {steps}");
    }
    assert!(metric(&host, "iap_ops_llm_grounding_mismatches_total{kind=\"number\"} 1"));
    assert!(metric(&host, "iap_ops_llm_wordings_total{by=\"template\"} 1"));
    let json: Value = serde_json::from_slice(&ask(&["what is wrong right now?", "--json"]).stdout).unwrap();
    assert_eq!((&json["wording"], &json["wording_reason"]), (&json!("template"), &json!("number_not_found")));
    // The budget is used up, also after another configuration.
    let text = std::fs::read_to_string(host.path().join("iap.yaml")).unwrap();
    host.write("iap.yaml", &text.replace("every: 1s", "every: 2s"));
    assert_eq!(send(host.admin, "POST", "/api/config/reload", &[], b"").unwrap().status, 200);
    assert_eq!(host.admin(ASK)["wording_reason"], "budget");
    assert_eq!(server.got().len(), 2);
    // What cannot work is refused by its name, and what runs goes on.
    for (from, to, part) in [
        ("directory: runbooks", "directory: nowhere", "ops.runbooks.directory: nowhere"),
        (
            "key: {file: key}",
            "key: {env: NOT_SET}",
            "ops.llm: local: key: the environment variable `NOT_SET`",
        ),
        ("word: [local]", "word: [far]", "there is no provider `far`"),
    ] {
        host.write("iap.yaml", &text.replace(from, to));
        let refused = send(host.admin, "POST", "/api/config/reload", &[], b"").unwrap();
        assert!(refused.status != 200 && refused.text().contains(part), "{to}: {}", refused.text());
        assert_eq!(host.admin(ASK)["wording_reason"], "budget");
    }
    // Without any of it answers are as before.
    let plain =
        text.split("ops:\n").next().unwrap().to_owned() + "routes:" + text.split("\nroutes:").nth(1).unwrap();
    host.write("iap.yaml", &plain);
    assert_eq!(send(host.admin, "POST", "/api/config/reload", &[], b"").unwrap().status, 200);
    let answer = host.admin(ASK);
    assert_eq!((&answer["wording_reason"], &answer["runbooks"]), (&Value::Null, &json!([])));
}

#[test]
fn the_console_shows_steps_whose_words_and_where_to_look() {
    let words = say("Ask the team of `broken` first.");
    let server = Server::start(ProviderKind::OpenaiCompatible, vec![words.clone(), words, Act::Stall]);
    let scripts = prepare_driver();
    let host = host(&server, "");
    let mut node = Command::new("node");
    node.arg("ask.mjs").arg(format!("http://{}/", host.admin)).arg(CHROMIUM).current_dir(&scripts);
    assert!(node.status().unwrap().success(), "the page of questions does not behave: see above");
}

#[test]
fn a_runbook_that_changes_is_read_anew_and_who_leaves_ends_the_question() {
    let server = Server::start(ProviderKind::OpenaiCompatible, vec![Act::Stall]);
    let host = host(&server, "");
    // Somebody asks, and leaves as soon as the model is asked.
    let mut stream = std::net::TcpStream::connect(host.admin).unwrap();
    use std::io::Write as _;
    write!(stream, "GET {ASK} HTTP/1.1\r\nhost: {}\r\naccept: text/event-stream\r\n\r\n", host.admin)
        .unwrap();
    eventually("the model is asked", || (server.got().len() == 1).then_some(()));
    drop(stream);
    eventually("it is asked no more", || (server.left() == 1).then_some(()));
    host.write("runbooks/shop.md", &RUNBOOK.replace("When broken fails", "Broken again"));
    let config = std::fs::read_to_string(host.path().join("iap.yaml")).unwrap();
    host.write("iap.yaml", &config.replace("word: [local], ", ""));
    assert_eq!(send(host.admin, "POST", "/api/config/reload", &[], b"").unwrap().status, 200);
    eventually("the runbook is read anew", || {
        (host.admin(ASK)["runbooks"][0]["heading"] == "Broken again").then_some(())
    });
}
