//! What goes wrong in daily life gets a clear error, and nothing is lost by it.

mod common;

use std::net::{SocketAddr, TcpListener};
use std::process::{Output, Stdio};

use common::http::{Browser, get, send};
use common::{FREE_PORTS, Host, free_port, host_command};
use iap_session::testing::RedisServer;

fn run(config: &str, command: &str) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("iap.yaml");
    std::fs::write(&file, config).unwrap();
    let before = listing(directory.path());
    let output =
        host_command(directory.path()).args([command, "-c", "iap.yaml"]).stdin(Stdio::null()).output();
    if command == "validate" {
        assert_eq!(listing(directory.path()), before, "validation touches nothing");
    }
    output.unwrap()
}

fn listing(directory: &std::path::Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

/// The command fails with one line that has all of `parts`.
fn assert_fails(output: &Output, parts: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let line = text.lines().last().unwrap_or_default();
    for part in parts {
        assert!(line.starts_with("iap-host: ") && line.contains(part), "no `{part}` in: {text}");
    }
}

#[test]
fn a_bad_configuration_is_refused_with_a_place() {
    let bad = "server:\n  listen: 127.0.0.1:0\nroutes:\n  - name: a\n    paht: /\n    files: .\n";
    for command in ["validate", "run"] {
        assert_fails(&run(bad, command), &["iap.yaml:5:5: ", "unknown field `paht`", "did you mean `path`?"]);
    }
    let good = run("routes:\n  - {name: a, upstream: {servers: ['http://127.0.0.1:1']}}\n", "validate");
    assert!(good.status.success(), "{good:?}");
}

#[test]
fn a_busy_port_is_named_with_its_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let free = || free_port();
    let settings = ["server.listen", "admin.listen", "apm.otlp", "sessions.api"];
    for setting in settings {
        let (section, key) = setting.split_once('.').unwrap();
        let mut config = String::new();
        for (name, line) in [("server", "listen"), ("admin", "listen"), ("apm", "otlp"), ("sessions", "api")]
        {
            let mine = name == section && line == key;
            let port = if mine { address } else { SocketAddr::from(([127, 0, 0, 1], free())) };
            config.push_str(&format!("{name}: {{{line}: '{port}'}}\n"));
        }
        assert_fails(&run(&config, "run"), &[setting, &address.to_string(), "in use by another process"]);
    }
}

#[test]
fn an_unreachable_redis_is_named_without_its_password() {
    let port = free_port();
    let config = format!(
        "{FREE_PORTS}sessions:\n  api: 127.0.0.1:0\n  store: redis\n  secret: {{env: IAP_SESSION_SECRET}}\n  \
         redis: {{url: 'redis://127.0.0.1:{port}', password: {{file: password}}}}\n"
    );
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("iap.yaml"), config).unwrap();
    std::fs::write(directory.path().join("password"), "hunter2\n").unwrap();
    let output = host_command(directory.path()).args(["run", "-c", "iap.yaml"]).output().unwrap();
    assert_fails(&output, &["sessions.redis", &format!("127.0.0.1:{port}")]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("hunter2"));
}

#[test]
fn a_missing_secret_or_directory_or_certificate_is_named() {
    let secret = "sessions: {secret: {env: NOT_SET_ANYWHERE}, api: 127.0.0.1:0}\n";
    assert_fails(
        &run(&format!("{FREE_PORTS}{secret}"), "run"),
        &["sessions.secret", "`NOT_SET_ANYWHERE` is not set"],
    );
    let files = "sessions: {enabled: false}\nroutes:\n  - {name: www, files: no-such-directory}\n";
    assert_fails(
        &run(&format!("{FREE_PORTS}{files}"), "run"),
        &["route `www`", "no-such-directory is not a directory"],
    );
    let tls = "server: {listen: 127.0.0.1:0, tls: {listen: 127.0.0.1:0, certificate: none.pem, key: none.pem}}\n\
               admin: {listen: 127.0.0.1:0}\napm: {otlp: 127.0.0.1:0}\nsessions: {enabled: false}\n";
    assert_fails(&run(tls, "run"), &["server.tls", "none.pem"]);
}

#[test]
fn a_running_host_answers_each_fault_clearly_and_goes_on() {
    let redis = RedisServer::start();
    let dead = free_port();
    let config = format!(
        "
{}routes:
  - {{name: shop, path: /, service: demo-shop}}
  - {{name: dead, path: /dead, upstream: {{servers: ['http://127.0.0.1:{dead}']}}}}
",
        common::redis_sessions(&redis)
    );
    let host = Host::start(&config);
    let mut browser = Browser::default();
    browser.post(host.http, "/login", "user=alice");

    // A dead upstream.
    let response = get(host.http, "/dead/x");
    assert_eq!((response.status, response.json()["kind"].as_str()), (502, Some("unavailable")));
    assert!(!response.text().contains(&dead.to_string()), "an internal address leaked: {}", response.text());
    let trace_id = response.json()["trace_id"].as_str().unwrap().to_owned();
    let trace = common::eventually("the failure is in the history", || {
        let found = get(host.admin, &format!("/api/transactions/{trace_id}"));
        (found.status == 200 && found.json()["summary"].is_object()).then(|| found.json())
    });
    assert!(
        trace["summary"]["message"].as_str().unwrap().contains(&dead.to_string()),
        "operators see the address"
    );

    // Garbage for the OTLP receiver.
    let otlp = host.otlp.unwrap();
    for kind in ["application/x-protobuf", "application/json"] {
        let response =
            send(otlp, "POST", "/v1/traces", &[("content-type", kind)], b"\xff\xffgarbage").unwrap();
        assert_eq!(response.status, 400, "{kind}: {}", response.text());
        assert_eq!(response.header("content-type"), Some(kind));
    }

    // Forged session cookies.
    let own = browser.cookies["iap-session"].clone();
    let mut other = own.clone().into_bytes();
    other[0] = if other[0] == b'A' { b'B' } else { b'A' };
    for forged in [String::from_utf8(other).unwrap(), "x".repeat(4000), "\"quoted".into(), String::new()] {
        let cookie = format!("iap-session={forged}");
        let response = send(host.http, "GET", "/", &[("cookie", &cookie)], &[]).unwrap();
        assert_eq!(response.status, 200);
        assert!(!response.text().contains("Signed in"), "{forged}");
        let set = response.header("set-cookie").unwrap_or_default();
        assert!(!set.contains(&forged) || forged.is_empty(), "a forged id was adopted");
    }
    assert_eq!(host.admin("/api/sessions")["stats"]["live"], 1, "none of them made a session");

    // The session store goes away, and comes back.
    drop(redis);
    let response = browser.post(host.http, "/cart", "product=1");
    assert_eq!(response.status, 503, "{}", response.text());
    assert!(response.header("retry-after").is_some());
    assert_eq!(browser.cookies.get("iap-session"), Some(&own), "the cookie is untouched");
    assert_eq!(get(host.admin, "/readyz").status, 503);
    assert_eq!(get(host.admin, "/livez").status, 200);
    assert_eq!(get(host.http, "/products").status, 200, "what needs no session goes on");
}

#[test]
fn the_admin_side_keeps_other_sites_out() {
    let host =
        Host::start("sessions: {api: 127.0.0.1:0}\nroutes:\n  - {name: shop, path: /, service: demo-shop}\n");
    let key = "0".repeat(64);
    let path = format!("/api/sessions/{key}");
    let request = |method, path: &str, headers: &[(&str, &str)]| {
        send(host.admin, method, path, headers, &[]).unwrap().status
    };
    assert_eq!(request("DELETE", &path, &[]), 404, "no such session, but allowed");
    let own = format!("http://{}", host.admin);
    assert_eq!(request("DELETE", &path, &[("origin", &own)]), 404);
    assert_eq!(request("DELETE", &path, &[("origin", "http://evil.example")]), 403);
    assert_eq!(request("DELETE", &path, &[("sec-fetch-site", "cross-site")]), 403);
    assert_eq!(request("GET", "/api/status", &[("sec-fetch-site", "cross-site")]), 403);
    let rebound = "GET /api/status HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    let mut stream = std::net::TcpStream::connect(host.admin).unwrap();
    std::io::Write::write_all(&mut stream, rebound.as_bytes()).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut stream, &mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 403"), "{text}");
}

#[test]
fn a_term_signal_drains_ends_with_success_and_leaves_nothing() {
    let config = "server: {listen: 127.0.0.1:0}\nadmin: {listen: 127.0.0.1:0}\nsessions: {api: 127.0.0.1:0}\n\
                  apm: {otlp: 127.0.0.1:0, history: null}\nlog: {format: json}\n\
                  routes:\n  - {name: shop, path: /, service: demo-shop}\n";
    let mut host = Host::start_with(config);
    assert_eq!(get(host.http, "/products").status, 200);
    let temporary = |host: &Host| -> Vec<String> {
        let names = host.files().into_iter();
        names.filter(|name| name.starts_with("iap-demo-") || name.starts_with("iap-history-")).collect()
    };
    assert_eq!(temporary(&host).len(), 2, "the shop's database and the history: {:?}", host.files());
    host.signal("-TERM");
    let status = common::eventually("the host ends", || host.process.0.try_wait().unwrap());
    assert!(status.success(), "{status}");
    assert!(temporary(&host).is_empty(), "{:?}", host.files());
}

#[test]
fn a_damaged_history_is_told_and_set_aside() {
    let directory = tempfile::tempdir().unwrap();
    let history = directory.path().join("history");
    std::fs::create_dir(&history).unwrap();
    std::fs::write(history.join("apm-00000001-00000.db"), "noise ".repeat(10_000)).unwrap();
    // Fails at the next step, after the history was opened, and so ends by itself.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = format!(
        "server: {{listen: '{}'}}\nadmin: {{listen: 127.0.0.1:0}}\nsessions: {{enabled: false}}\n\
         apm: {{otlp: 127.0.0.1:0, history: history}}\n",
        taken.local_addr().unwrap()
    );
    std::fs::write(directory.path().join("iap.yaml"), config).unwrap();
    let output = host_command(directory.path()).args(["run", "-c", "iap.yaml"]).output().unwrap();
    assert_fails(&output, &["server.listen", "in use"]);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("WARN") && log.contains("apm-00000001-00000.db"), "{log}");
    assert!(listing(&history).iter().any(|name| name.to_str().unwrap().ends_with(".damaged")));
}

#[test]
fn readiness_turns_before_the_drain_begins() {
    let config = "server: {listen: 127.0.0.1:0, drain_delay: 60s}\nadmin: {listen: 127.0.0.1:0}\n\
                  apm: {otlp: 127.0.0.1:0, history: null}\nlog: {format: json}\nsessions: {enabled: false}\n\
                  routes:\n  - {name: a, respond: {status: 200}}\n";
    let host = Host::start_with(config);
    assert_eq!(get(host.admin, "/readyz").status, 200);
    host.signal("-TERM");
    common::eventually("readiness turns", || (get(host.admin, "/readyz").status == 503).then_some(()));
    assert_eq!(get(host.http, "/").status, 200, "requests are still served");
}
