//! The metrics of a host in a Prometheus that is behind a password.

mod common;

use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::http::{get, send};
use common::{Host, Process, eventually, free_port};

const PASSWORD: &str = "a word that nobody sees";
/// The hash of it, as bcrypt makes it.
const HASH: &str = "$2b$04$XGFq3y5tDl3BR1dO5QMzyeltEFb2e52PBuMQ3we.R5ZaMRfC7KGr2";

#[test]
fn prometheus_knows_the_requests_of_a_host_until_it_stops() {
    if Command::new("prometheus").arg("--version").output().is_err() {
        eprintln!("SKIPPED: prometheus is not installed: run `make test-tools`");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("prometheus.yml"), "global: {}\n").unwrap();
    std::fs::write(path("web.yml"), format!("basic_auth_users: {{iap: '{HASH}'}}\n")).unwrap();
    std::fs::write(path("password"), PASSWORD).unwrap();
    let port = free_port();
    let _prometheus = Process(
        Command::new("prometheus")
            .current_dir(directory.path())
            .args(["--web.enable-remote-write-receiver", "--web.config.file=web.yml"])
            .args(["--storage.tsdb.path=data", "--config.file=prometheus.yml"])
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let password = path("password");
    let host = Host::start_with(&format!(
        "server: {{listen: 127.0.0.1:0}}\nadmin: {{listen: 127.0.0.1:0}}\nlog: {{format: json}}\n\
         sessions: {{enabled: true, node: gateway-7, api: 127.0.0.1:0}}\n\
         apm: {{otlp: 127.0.0.1:0, export: {{remote_write: {{url: 'http://127.0.0.1:{port}/api/v1/write', interval: 1s,\
         basic_auth: {{user: iap, password: {{file: '{}'}}}}, labels: {{zone: a}}}}}}}}\n\
         routes: [{{name: hello, path: /, respond: {{status: 200, body: hello}}}}]\n",
        password.display()
    ));
    (0..3).for_each(|_| assert_eq!(get(host.http, "/").status, 200));
    let ledger = || host.admin("/api/status")["export"]["remote_write"].clone();
    eventually("samples are sent", || (ledger()["sent"].as_u64()? > 0).then_some(()));
    assert_eq!(ledger()["rejected"], 0);
    let address = ([127, 0, 0, 1], port).into();
    assert_eq!(get(address, "/api/v1/query?query=up").status, 401, "without a password");
    let status = host.admin("/api/status").to_string();
    assert!(!status.contains(PASSWORD), "{status}");

    // By the name of the gateway, a label of the settings, and the route.
    let series = "iap_http_requests_total%7Bnode=%22gateway-7%22,zone=%22a%22,route=%22hello%22%7D";
    let credentials = format!("Basic {}", STANDARD.encode(format!("iap:{PASSWORD}")));
    let ask = || {
        let path = format!("/api/v1/query?query={series}");
        let answer = send(address, "GET", &path, &[("authorization", &credentials)], b"").unwrap();
        answer.json()["data"]["result"].as_array().unwrap().clone()
    };
    eventually("the requests are counted", || {
        let found = ask();
        (found.first()?["value"][1] == "3").then_some(())
    });
    host.signal("-TERM");
    eventually("the series has ended", || ask().is_empty().then_some(()));
}
