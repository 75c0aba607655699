//! Upstreams as an operator writes them: shared by name, checked, counted.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::http::get;
use common::{FREE_PORTS, Host, eventually, free_port, host_command};

/// A server that answers everything, and counts what asks for `/health`.
fn server() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let checks = Arc::new(AtomicUsize::new(0));
    let count = checks.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let count = count.clone();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(&stream);
                loop {
                    let mut line = String::new();
                    let first = match reader.read_line(&mut line) {
                        Ok(read) if read > 0 => line.clone(),
                        _ => return,
                    };
                    while line != "\r\n" {
                        line.clear();
                        if reader.read_line(&mut line).unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    count.fetch_add(usize::from(first.starts_with("GET /health ")), Ordering::SeqCst);
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    if (&stream).write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, checks)
}

#[test]
fn routes_share_an_upstream_whose_servers_are_checked_and_counted() {
    let (server, checks) = server();
    let dead = free_port();
    let host = Host::start(&format!(
        "sessions: {{enabled: false}}
upstreams:
  shop:
    servers: [{{url: 'http://{server}', name: alive}}, {{url: 'http://127.0.0.1:{dead}', name: dead}}]
    health: {{path: /health, interval: 20ms, fall: 1}}
    sticky: {{cookie: node}}
routes:
  - {{name: a, path: /a, session: off, upstream: shop}}
  - {{name: b, path: /b, session: off, upstream: shop}}
"
    ));
    eventually("the checks run", || (checks.load(Ordering::SeqCst) > 2).then_some(()));
    for path in ["/a", "/b", "/a", "/b"] {
        let response = get(host.http, path);
        assert_eq!((response.status, response.text().as_str()), (200, "ok"));
        assert_eq!(response.header("set-cookie"), Some("node=alive; Path=/; HttpOnly; SameSite=Lax"));
    }
    let metrics = get(host.admin, "/metrics").text();
    let line = r#"iap_upstream_requests_total{upstream="shop",server="alive",outcome="answered"} 4"#;
    assert!(metrics.lines().any(|have| have == line), "{metrics}");
    let alive = host.admin("/api/upstreams")["upstreams"][0]["servers"][0].clone();
    assert!(alive["answered"] == 4 && alive["waited_us"].as_u64() > Some(0), "{alive}");
}

#[test]
fn a_missing_authority_file_is_named_at_start() {
    let directory = tempfile::tempdir().unwrap();
    let config = "sessions: {enabled: false}\nupstreams:\n  shop: {servers: ['https://127.0.0.1:1'], tls: {ca: missing.pem}}\n";
    std::fs::write(directory.path().join("iap.yaml"), format!("{FREE_PORTS}{config}")).unwrap();
    let output = |command: &str| {
        let mut host = host_command(directory.path());
        host.args([command, "-c", "iap.yaml"]).stdin(Stdio::null()).output().unwrap()
    };
    assert!(output("validate").status.success(), "validation reads no files");
    let run = output("run");
    let text = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(1));
    assert!(text.contains("upstreams: upstream `shop`: tls: missing.pem: "), "{text}");
}

#[test]
fn an_operator_takes_a_server_out_and_back_without_an_error() {
    let (first, second) = (server().0, server().0);
    let host = Host::start(&format!(
        "routes: [{{name: app, path: /, session: off, upstream: {{servers: ['http://{first}', 'http://{second}']}}}}]\n"
    ));
    let state = |address: SocketAddr| {
        let status = host.admin("/api/upstreams");
        let servers = status["upstreams"][0]["servers"].as_array().unwrap().clone();
        let found = servers.into_iter().find(|server| server["address"] == address.to_string());
        let found = found.unwrap();
        (
            found["state"].as_str().unwrap().to_owned(),
            found["opened"].as_u64().unwrap() + found["reused"].as_u64().unwrap(),
        )
    };
    let order = |method: &str, server: &str| {
        let path = format!("/api/upstreams/app/servers/{server}/drain");
        common::http::send(host.admin, method, &path, &[], b"").unwrap().status
    };
    for _ in 0..4 {
        assert_eq!(get(host.http, "/").status, 200);
    }
    assert_eq!(order("POST", &first.to_string()), 204);
    let (drained, before) = state(first);
    assert_eq!(drained, "draining");
    for _ in 0..10 {
        assert_eq!(get(host.http, "/").status, 200);
    }
    assert_eq!(state(first).1, before, "nothing more goes there");
    assert_eq!(order("DELETE", &first.to_string()), 204);
    for _ in 0..4 {
        assert_eq!(get(host.http, "/").status, 200);
    }
    let (back, after) = state(first);
    assert!(back == "up" && after > before, "{back} {after} {before}");
    assert_eq!((order("POST", "127.0.0.1:1"), order("POST", "x")), (404, 404));
}

#[test]
fn what_was_done_by_hand_outlives_a_reload() {
    let (first, second) = (server().0, server().0);
    let config = |weight: u32, more: &str| {
        format!(
            "{FREE_PORTS}sessions: {{enabled: false}}
upstreams:
  shop: {{servers: ['http://{first}', {{url: 'http://{second}', weight: {weight}}}], {more}}}
routes:
  - {{name: a, path: /a, upstream: shop}}
  - {{name: own, path: /own, upstream: {{servers: ['http://{first}', 'http://{second}'], {more}}}}}
"
        )
    };
    let host = Host::start_with(&config(2, "fail_pause: 1s"));
    let act = |method: &str, path: &str, body: &[u8]| {
        let fields = [("content-type", "application/json")];
        let path = format!("/api/upstreams/{path}");
        assert_eq!(
            common::http::send(host.admin, method, &path, &fields, body).unwrap().status,
            204,
            "{path}"
        );
    };
    act("POST", &format!("shop/servers/{first}/drain?keep_bound=true"), b"");
    act("PUT", &format!("shop/servers/{second}/weight"), br#"{"weight": 7}"#);
    act("POST", &format!("own/servers/{second}/drain"), b"");
    // Of each server: its upstream, state, whether it keeps bound clients, weight, weight by the settings.
    let seen = || {
        let told = host.admin("/api/upstreams");
        let of = |upstream: &serde_json::Value| {
            let name = upstream["name"].clone();
            let one = |server: &serde_json::Value| {
                let fields =
                    ["state", "keeps_bound", "weight", "configured_weight"].map(|field| &server[field]);
                format!("{name} {} {} {} {}", fields[0], fields[1], fields[2], fields[3])
            };
            upstream["servers"].as_array().unwrap().iter().map(one).collect::<Vec<_>>()
        };
        told["upstreams"].as_array().unwrap().iter().flat_map(of).collect::<Vec<_>>()
    };
    let before = [
        r#""own" "up" false 1 1"#,
        r#""own" "draining" false 1 1"#,
        r#""shop" "draining" true 1 1"#,
        r#""shop" "up" false 7 2"#,
    ];
    assert_eq!(seen(), before);
    let reload = |text: &str| {
        host.write("iap.yaml", text);
        let answer = common::http::send(host.admin, "POST", "/api/config/reload", &[], b"").unwrap();
        assert_eq!(answer.json()["changed"], serde_json::json!(["upstreams", "routes"]), "{}", answer.text());
    };
    reload(&config(2, "fail_pause: 2s"));
    assert_eq!(seen(), before, "other settings are no other servers");
    let answered =
        || host.admin("/api/upstreams")["upstreams"][1]["servers"][1]["requests"].as_u64().unwrap();
    assert_eq!(answered(), 0, "the upstream is another one");
    for _ in 0..6 {
        assert_eq!(get(host.http, "/a").status, 200);
    }
    assert_eq!(answered(), 6, "what is drained gets nothing");
    reload(&config(3, "fail_pause: 1s"));
    assert_eq!(seen()[3], r#""shop" "up" false 3 3"#, "the settings have the last word about a weight");
    assert_eq!(seen()[..3], before[..3]);
}
