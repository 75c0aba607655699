//! AI assistants ask a running host, by the official client of the Model Context Protocol.

mod common;

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{ChildStdin, ChildStdout, Stdio};

use common::http::{get, send};
use common::{Host, Process, eventually, python, workspace};
use serde_json::{Value, json};

const TOKEN: &str = "a-token-of-twenty-four-b";
/// The largest answer that the documentation promises.
const MAX_REPLY: usize = 16_000;

fn host() -> Host {
    Host::start_prepared(
        "\
server: {listen: 127.0.0.1:0, drain: 1s}
admin: {listen: 127.0.0.1:0}
apm: {otlp: 127.0.0.1:0}
sessions: {api: 127.0.0.1:0}
log: {format: json}
ops: {mcp: {enabled: true, token: {file: token}, origins: ['https://assistant.example']}}
routes:
  - {name: call, path: /call, respond: {status: 500, body: 'no'}}
  - {name: home, path: /, respond: {status: 200, body: 'hello'}}
",
        |directory| std::fs::write(directory.join("token"), TOKEN).unwrap(),
    )
}

/// The client, in a process of its own.
struct Client {
    _process: Process,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    hello: Value,
}

impl Client {
    fn start(host: &Host, way: &str) -> Self {
        let url = format!("http://{}", host.admin);
        let program = env!("CARGO_BIN_EXE_iap-host");
        let mut command = python(workspace().join("iap-host/tests/mcp_client.py").to_str().unwrap());
        match way {
            "http" => command.args(["http", &url, TOKEN]),
            _ => command.args(["stdio", program, &url, TOKEN]),
        };
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let hello = serde_json::from_str(&output.next().expect("the client says hello").unwrap()).unwrap();
        Self { _process: Process(child), input, output, hello }
    }

    fn ask(&mut self, call: Value) -> Value {
        writeln!(self.input, "{call}").unwrap();
        serde_json::from_str(&self.output.next().expect("an answer").unwrap()).unwrap()
    }

    /// The structured answer of a tool, which is the same as its text, and within its size.
    fn tool(&mut self, name: &str, arguments: Value) -> Value {
        let answer = self.ask(json!({ "do": "call", "name": name, "arguments": arguments }));
        assert_eq!(answer["isError"], false, "{name}: {answer}");
        let text = answer["content"][0]["text"].as_str().unwrap();
        let (data, same): (Value, Value) =
            (answer["structuredContent"].clone(), serde_json::from_str(text).unwrap());
        assert_eq!(data, same);
        assert!(text.len() <= MAX_REPLY, "{name}: {} bytes", text.len());
        for part in ["data", "unit", "window", "evidence", "truncated", "next_cursor"] {
            assert!(data.get(part).is_some(), "{name}: {part}");
        }
        data
    }

    fn refusal(&mut self, name: &str, arguments: Value) -> String {
        let answer = self.ask(json!({ "do": "call", "name": name, "arguments": arguments }));
        assert!(answer["isError"] == true || answer.get("error").is_some(), "{answer}");
        answer["content"][0]["text"].as_str().or(answer["error"].as_str()).unwrap_or_default().to_owned()
    }
}

fn asked_over(way: &str) {
    let host = host();
    for at in 0..120 {
        get(host.http, &format!("/call/010-1234-5678/{at}/%EC%9D%B4?mail=kim@example.com"));
    }
    let mut client = Client::start(&host, way);
    assert_eq!(client.hello["initialize"]["serverInfo"]["name"], "iap-host");
    let tools = client.ask(json!({ "do": "tools" }));
    let names: Vec<&str> =
        tools["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 12);
    let found = eventually("the transactions are kept", || {
        let found = client.tool("search_traces", json!({ "route": "call", "limit": "100" }));
        (found["data"]["rows"].as_array()?.len() > 10).then_some(found)
    });
    let row = &found["data"]["rows"][0];
    assert_eq!(row["status"], 500);
    assert!(row["untrusted"]["path"].as_str().unwrap().contains("[phone]"), "{row}");
    assert!(!found.to_string().contains("1234-5678") && !found.to_string().contains("kim@"), "{found}");
    assert_eq!(found["window"]["tz"], "Asia/Seoul");

    // Pages are disjoint and together all of it.
    let mut ids = std::collections::BTreeSet::new();
    let (mut cursor, mut rows) = (Value::Null, 0);
    for _ in 0..100 {
        let page = client.tool("search_traces", json!({ "route": "call", "limit": 50, "cursor": cursor }));
        for row in page["data"]["rows"].as_array().unwrap() {
            rows += 1;
            ids.insert(row["trace_id"].as_str().unwrap().to_owned());
        }
        cursor = page["next_cursor"].clone();
        assert_eq!(page["truncated"], !cursor.is_null());
        if cursor.is_null() {
            break;
        }
    }
    assert!(cursor.is_null());
    assert_eq!((rows, ids.len()), (120, 120));

    let id = row["trace_id"].clone();
    for view in ["critical_path", "tree"] {
        let trace = client.tool("get_trace", json!({ "trace_id": id, "view": view }));
        assert_eq!(trace["evidence"], json!([id]), "{trace}");
        assert!(!trace.to_string().contains("1234-5678"), "{trace}");
    }
    every_tool_answers(&mut client);
    refusals_say_what_is_right(&mut client);
    let prompts = client.ask(json!({ "do": "prompts" }));
    for prompt in prompts["prompts"].as_array().unwrap() {
        let got = client.ask(json!({ "do": "prompt", "name": prompt["name"] }));
        assert_eq!(got["messages"][0]["role"], "user", "{got}");
    }
}

fn every_tool_answers(client: &mut Client) {
    let sessions = client.tool("get_session_status", json!({}));
    assert_eq!(sessions["data"]["sessions"]["active"], 0, "{sessions}");
    client.tool("list_incidents", json!({ "state": "resolved", "last": "30d" }));
    let wrong = client.tool("explain_incident", json!({ "last": "15m" }));
    assert_eq!(wrong["data"]["outcome"], "problems", "{wrong}");
    let errors = client.tool("query_metrics", json!({ "metric": "errors", "route": "call", "last": "15m" }));
    let sum: u64 =
        errors["data"]["rows"].as_array().unwrap().iter().filter_map(|row| row["value"].as_u64()).sum();
    assert_eq!(sum, 120, "{errors}");
    client.tool("query_metrics", json!({ "metric": "no.such.metric" }));
    let routes = client.tool("aggregate_traces", json!({ "by": "route" }));
    assert!(routes.to_string().contains("\"count\":120"), "{routes}");
    for by in ["error", "sql", "bottleneck", "performance", "failures"] {
        client.tool("aggregate_traces", json!({ "by": by }));
    }
    for view in ["patterns", "lines"] {
        let logs = client.tool("search_logs", json!({ "view": view }));
        assert!(logs["data"]["read"].as_u64().unwrap() > 0, "{logs}");
    }
    for of in ["routes", "metrics"] {
        client.tool("list_fields", json!({ "of": of }));
    }
    client.tool("forecast_exceedance", json!({ "limit": 10.5, "days": 3 }));
    let report = client.tool("create_report", json!({ "kind": "incident", "lang": "ko", "last": "1h" }));
    assert!(report.to_string().contains("장애 보고서"), "{report}");
}

fn refusals_say_what_is_right(client: &mut Client) {
    let text = client.refusal("search_traces", json!({ "rute": "call" }));
    assert!(text.contains("rute") && text.contains("route, status"), "{text}");
    let text = client.refusal("search_traces", json!({ "status": "five hundred" }));
    assert!(text.contains("a whole number from 100 to 599"), "{text}");
    let text = client.refusal("search_traces", json!({ "last": "1h", "from": "2026-11-01" }));
    assert!(text.contains("`last` such as"), "{text}");
    assert!(client.refusal("get_trace", json!({})).contains("missing"));
    assert!(client.refusal("get_trace", json!({ "trace_id": "x" })).contains("32 hexadecimal"));
    assert!(client.refusal("explain_incident", json!({ "id": 77 })).contains("no incident 77"));
    assert!(client.refusal("search_traces", json!({ "cursor": "1.2" })).contains("next_cursor"));
    client.refusal("delete_everything", json!({}));
}

#[test]
fn an_assistant_asks_over_http() {
    asked_over("http");
}

#[test]
fn an_assistant_asks_over_standard_input_and_output() {
    asked_over("stdio");
}

/// The stateless revision: no `initialize`, all that is needed in each request.
#[test]
fn a_client_of_the_stateless_revision_is_answered() {
    let host = host();
    let bearer = format!("Bearer {TOKEN}");
    let ask = |method: &str, more: Value| {
        let mut params = json!({ "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        } });
        for (key, value) in more.as_object().unwrap() {
            params[key] = value.clone();
        }
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let name = more["name"].as_str().unwrap_or_default().to_owned();
        let mut headers = vec![
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("authorization", bearer.as_str()),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", method),
        ];
        if !name.is_empty() {
            headers.push(("mcp-name", &name));
        }
        let answer = send(host.admin, "POST", "/mcp", &headers, body.to_string().as_bytes()).unwrap();
        (answer.status, answer.json())
    };
    let (status, found) = ask("server/discover", json!({}));
    assert_eq!(status, 200, "{found}");
    let versions = found["result"]["supportedVersions"].to_string();
    assert!(versions.contains("2026-07-28") && versions.contains("2025-11-25"), "{found}");
    let (status, called) = ask("tools/call", json!({ "name": "get_session_status", "arguments": {} }));
    assert_eq!((status, &called["result"]["resultType"]), (200, &json!("complete")), "{called}");
}

#[test]
fn only_those_who_may_ask_are_answered() {
    let host = host();
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} }).to_string();
    let bearer = format!("Bearer {TOKEN}");
    let own = format!("http://{}", host.admin);
    let ask = |more: &[(&str, &str)]| {
        let mut headers =
            vec![("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
        headers.extend_from_slice(more);
        send(host.admin, "POST", "/mcp", &headers, body.as_bytes()).unwrap().status
    };
    assert_eq!(ask(&[]), 401);
    assert_eq!(ask(&[("authorization", "Bearer a-token-of-twenty-four-c")]), 401);
    assert_eq!(ask(&[("authorization", &bearer)]), 200);
    for (origin, status) in
        [("https://assistant.example", 200), (own.as_str(), 200), ("http://evil.example", 403), ("null", 403)]
    {
        assert_eq!(ask(&[("authorization", &bearer), ("origin", origin)]), status, "{origin}");
    }
}

#[test]
fn it_is_off_unless_it_is_switched_on() {
    let host = Host::start("sessions: {enabled: false}\n");
    assert_eq!(send(host.admin, "POST", "/mcp", &[], b"{}").unwrap().status, 404);
}
