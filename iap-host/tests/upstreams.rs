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
