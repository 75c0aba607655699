//! A configuration that changes while the host runs, and a new process that takes over.

mod common;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use common::http::{get, send, try_get};
use common::{FREE_PORTS, Host, eventually, free_port};

fn respond(body: &str) -> String {
    format!("{FREE_PORTS}routes: [{{name: only, path: /, respond: {{status: 200, body: {body}}}}}]\n")
}

/// Asks without pause, over a new connection each, until told to stop. Each request has to be answered.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Load {
    fn start(address: SocketAddr) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let client = |_| {
            let (stop, answered) = (stop.clone(), answered.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let response = get(address, "/");
                    assert_eq!(response.status, 200, "{}", response.text());
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let threads = (0..2).map(client).collect();
        Self { stop, answered, threads }
    }

    /// Waits until it has been answered some more.
    fn go_on(&self) {
        let before = self.answered.load(Ordering::Relaxed);
        eventually("an answer", || (self.answered.load(Ordering::Relaxed) > before + 50).then_some(()));
    }

    fn finish(self) {
        self.go_on();
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a request was not answered");
        }
    }
}

#[test]
fn a_valid_configuration_replaces_the_one_that_runs_and_a_bad_one_changes_nothing() {
    let host = Host::start_with(&respond("first"));
    let load = Load::start(host.http);
    assert_eq!(get(host.http, "/").text(), "first");

    // Routes alone: nothing but the table changes.
    host.write("iap.yaml", &respond("second"));
    host.signal("-HUP");
    eventually("the new route", || (get(host.http, "/").text() == "second").then_some(()));
    load.go_on();

    // Limits of the server: a new one takes over the port.
    let smaller = respond("third").replace("drain: 5s", "drain: 5s, max_body: 4B");
    host.write("iap.yaml", &smaller);
    let reload = || send(host.admin, "POST", "/api/config/reload", &[], b"").unwrap();
    let response = reload();
    assert_eq!(
        (response.status, response.json()["changed"].clone()),
        (200, serde_json::json!(["server", "routes"]))
    );
    let large = || send(host.http, "POST", "/", &[], b"12345").unwrap().status;
    assert_eq!((get(host.http, "/").text().as_str(), large()), ("third", 413));
    assert_eq!(reload().json()["changed"], serde_json::json!([]), "nothing new");
    load.go_on();

    for (text, problem) in [
        (respond("bad").replace("path: /", "paht: /"), "iap.yaml:5:"),
        (
            respond("bad").replace("respond: {status: 200, body: bad}", "files: nowhere"),
            "nowhere is not a directory",
        ),
        (respond("bad").replace("otlp: 127.0.0.1:0", "otlp: 127.0.0.1:1"), "apm: this cannot change"),
        (
            respond("bad").replace("admin: {listen: 127.0.0.1:0}", "admin: {listen: 127.0.0.1:1}"),
            "admin.listen: ",
        ),
        (
            respond("bad").replace("listen: 127.0.0.1:0, drain", &format!("listen: {}, drain", host.admin)),
            "server.listen: ",
        ),
    ] {
        host.write("iap.yaml", &text);
        let response = reload();
        assert_eq!(response.status, 422, "{}", response.text());
        assert!(response.text().contains(problem), "{problem}: {}", response.text());
        assert_eq!((get(host.http, "/").text().as_str(), large()), ("third", 413), "{problem}");
        let status = host.admin("/api/status");
        assert_eq!(status["config"]["generation"], 3);
        assert!(status["config"]["last_error"].as_str().unwrap().contains(problem), "{status}");
    }
    load.finish();
}

#[test]
fn certificates_are_listed_and_a_renewed_one_takes_over() {
    let write = |host: &Path, name: &str, days: i64| {
        let mut params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        params.not_after = std::time::SystemTime::now().into();
        params.not_after += Duration::from_secs(days.unsigned_abs() * 86_400);
        let key = rcgen::KeyPair::generate().unwrap();
        std::fs::write(host.join("tls.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(host.join("tls.key"), key.serialize_pem()).unwrap();
    };
    let tls = "tls: {listen: 127.0.0.1:0, certificate: tls.pem, key: tls.key}";
    let off = "sessions: {enabled: false}\n";
    let config = respond("first").replace("drain: 5s", &format!("drain: 5s, {tls}")) + off;
    let config =
        config.replace("otlp: 127.0.0.1:0", "otlp: 127.0.0.1:0, runtime: {interval: 400ms, store: 400ms}");
    let host = Host::start_prepared(&config, |directory| write(directory, "old.example", 20));
    let listed = || host.admin("/api/certificates");
    let old = listed();
    let one = &old["certificates"][0];
    assert_eq!((&old["tls"], one["names"][0].as_str()), (&true.into(), Some("old.example")));
    assert_eq!((one["default"].as_bool(), one["file"].as_str()), (Some(true), Some("tls.pem")));
    let days = one["left_s"].as_i64().unwrap() as f64 / 86_400.0;
    assert!((19.9..=20.0).contains(&days), "{one}");
    let told = |least: f64| {
        let text = get(host.admin, "/metrics").text();
        let line = text.lines().find(|line| line.starts_with("tls_certificate_left_seconds{"))?.to_owned();
        assert!(line.contains("file=\"tls.pem\""), "{line}");
        let left: f64 = line.rsplit(' ').next()?.parse().ok()?;
        (left > least * 86_400.0).then_some(())
    };
    eventually("a metric says how long it is good for", || told(19.0));
    write(host.path(), "new.example", 90);
    eventually("the renewed one is in use", || {
        (listed()["certificates"][0]["names"][0] == "new.example").then_some(())
    });
    eventually("the metric follows", || told(89.0));
    eventually("and is in the history", || {
        let query = "name=tls.certificate.left&fn=min&by=file&last_s=60&step_s=1";
        let answer = host.admin(&format!("/api/metrics/query?{query}"));
        let group =
            answer["groups"].as_array()?.iter().find(|group| group["labels"]["file"] == "tls.pem")?.clone();
        group["values"].as_array()?.iter().any(serde_json::Value::is_number).then_some(())
    });
    assert_eq!(Host::start(off).admin("/api/certificates")["tls"], false);
}

#[test]
fn a_new_listener_is_taken_up() {
    let host = Host::start_with(&respond("first"));
    let port = free_port();
    let both =
        respond("first").replace("listen: 127.0.0.1:0, drain", &format!("listen: 127.0.0.1:{port}, drain"));
    host.write("iap.yaml", &both);
    host.signal("-HUP");
    let moved = SocketAddr::from(([127, 0, 0, 1], port));
    eventually("the new port", || try_get(moved, "/").filter(|response| response.text() == "first"));
    eventually("the end of the old one", || try_get(host.http, "/").is_none().then_some(()));
    assert_eq!(host.admin("/api/status")["facts"]["addresses"]["http"], moved.to_string());
}

#[test]
fn a_new_process_takes_over_without_a_lost_request() {
    let [http, admin, otlp] = [free_port(), free_port(), free_port()];
    let config = |body: &str| {
        respond(body)
            .replace("server: {listen: 127.0.0.1:0", &format!("server: {{listen: 127.0.0.1:{http}"))
            .replace("admin: {listen: 127.0.0.1:0", &format!("admin: {{listen: 127.0.0.1:{admin}"))
            .replace("otlp: 127.0.0.1:0", &format!("otlp: 127.0.0.1:{otlp}"))
            + "sessions: {enabled: false}\n"
    };
    let mut host = Host::start_with(&config("old"));
    let load = Load::start(host.http);
    let pid = || host.admin("/api/status")["facts"]["pid"].as_u64().unwrap();
    let first = pid();
    assert_eq!(first, u64::from(host.process.0.id()));

    // A process that cannot start takes nothing over.
    host.write("iap.yaml", "no: configuration\n");
    host.signal("-USR2");
    load.go_on();
    assert_eq!(pid(), first);

    host.write("iap.yaml", &config("new"));
    host.signal("-USR2");
    let second = eventually("another process", || Some(pid()).filter(|pid| *pid != first));
    eventually("the end of the first", || host.process.0.try_wait().unwrap());
    assert_eq!(get(host.http, "/").text(), "new");
    load.finish();
    assert!(Command::new("kill").arg(second.to_string()).status().unwrap().success());
    eventually("the end of the second", || try_get(host.http, "/").is_none().then_some(()));
}
