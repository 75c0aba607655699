//! Our own metrics, spans, log lines and events in another host, which dies in between: the books balance.

mod common;

use std::collections::HashSet;
use std::path::Path;

use common::http::{get, send};
use common::{Host, eventually, free_port};
use sqlx::Row;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

/// Writes a line, another one each time, for each request.
const APP: &str = r#"
let number = 0;
require("http").createServer((request, response) => {
  process.stdout.write(`request ${++number}\n`);
  response.end("app");
}).listen(process.env.PORT, "127.0.0.1");
process.on("SIGTERM", () => process.exit(0));
"#;

/// A host that receives, always at the same port and into the same history.
fn receiver(port: u16, history: &Path) -> Host {
    let history = history.display();
    // What it sees of itself would be counted with what is sent.
    let own = "runtime: {enabled: false}, detection: {enabled: false}";
    let apm = format!("apm: {{otlp: '127.0.0.1:{port}', history: '{history}', keep: all, {own}}}\n");
    let listen = "server: {listen: 127.0.0.1:0}\nadmin: {listen: 127.0.0.1:0}\nlog: {format: json}\n";
    Host::start_with(&format!("{listen}{apm}sessions: {{enabled: false}}\n"))
}

/// A host that exports all it can, each second, to a port. It starts an application that writes a line for each request.
fn sender(protocol: &str, port: u16, body: &str) -> String {
    let export = format!(
        "export: {{endpoint: 'http://127.0.0.1:{port}', protocol: {protocol}, interval: 1s, timeout: 5s, \
         traces: true, logs: true}}"
    );
    format!(
        "server: {{listen: 127.0.0.1:0}}\nadmin: {{listen: 127.0.0.1:0}}\nlog: {{format: json}}\n\
         apm: {{otlp: 127.0.0.1:0, history: history, keep: all, {export}}}\nsessions: {{enabled: false}}\n\
         routes:\n  - {{name: hello, path: /, respond: {{status: 200, body: {body}}}}}\n  \
         - {{name: app, path: /app, process: {{command: node app.js, ready: {{path: /}}, start_timeout: 60s}}}}\n"
    )
}

fn ledger(host: &Host, signal: &str) -> [u64; 4] {
    let status = host.admin("/api/status");
    ["made", "sent", "rejected", "dropped"].map(|name| status["export"][signal][name].as_u64().unwrap())
}

const POINTS: &str = "SELECT series, time_us, start_us FROM metric_points";
/// Log lines and events are told apart by their time and a hash of all that they say.
const LINES: &str = "SELECT time_us, hash, 0 FROM logs UNION ALL SELECT time_us, hash, 1 FROM events";

/// What a query finds in all files of a history.
async fn rows(history: &Path, query: &'static str) -> HashSet<[i64; 3]> {
    let mut found = HashSet::new();
    for entry in std::fs::read_dir(history).unwrap() {
        let path = entry.unwrap().path();
        if !path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with("apm-") && name.ends_with(".db"))
        {
            continue;
        }
        let options = SqliteConnectOptions::new().filename(&path).read_only(true);
        let file = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
        let rows = sqlx::query(query).fetch_all(&file).await;
        found.extend(rows.unwrap().iter().map(|row| [row.get(0), row.get(1), row.get(2)]));
        file.close().await;
    }
    found
}

/// The traces that a host lists of the gateway's route.
fn traces(host: &Host) -> HashSet<String> {
    let page = host.admin("/api/transactions?limit=1000&route=hello");
    let items = page["items"].as_array().unwrap().clone();
    items.iter().map(|row| row["trace_id"].as_str().unwrap().to_owned()).collect()
}

/// Of the lines and events that the sender has itself those are in the history of the receiver that were sent, and no others.
fn lines_balance(sender: &Host, history: &Path, runtime: &tokio::runtime::Runtime) {
    let (stored, [made, sent, rejected, dropped]) = eventually("a moment without lines", || {
        let earlier = ledger(sender, "logs");
        let there = runtime.block_on(rows(history, LINES));
        let here = runtime.block_on(rows(&sender.path().join("history"), LINES));
        let now = ledger(sender, "logs");
        let events = here.iter().filter(|row| row[2] == 1 && there.contains(*row)).count();
        let settled = earlier == now && now[0] == now[1] + now[2] + now[3] && events >= 3;
        settled.then(|| (there.intersection(&here).count() as u64, now))
    });
    assert!(made > 60, "{made}");
    assert_eq!((stored, rejected, dropped), (sent, 0, 0));
}

fn check(protocol: &str) {
    let history = tempfile::tempdir().unwrap();
    let port = free_port();
    let first = receiver(port, history.path());
    let app = |directory: &Path| std::fs::write(directory.join("app.js"), APP).unwrap();
    let config = |body: &str| sender(protocol, port, body);
    let sender = Host::start_prepared(&config("hello"), app);
    eventually("the application is ready", || (get(sender.http, "/app").status == 200).then_some(()));
    // Spans of requests, lines of the application, and an event of the time line.
    let ask = |body: &str| {
        for path in ["/", "/app"] {
            (0..20).for_each(|_| assert_eq!(get(sender.http, path).status, 200));
        }
        sender.write("iap.yaml", &config(body));
        assert_eq!(send(sender.admin, "POST", "/api/config/reload", &[], &[]).unwrap().status, 200);
    };
    ask("first");
    eventually("the first ones arrive", || {
        let [points, spans, lines] = ["metrics", "traces", "logs"].map(|signal| ledger(&sender, signal)[1]);
        (points > 0 && spans >= 40 && lines > 20).then_some(())
    });

    // Killed, not stopped: nobody is told.
    first.signal("-KILL");
    drop(first);
    ask("second");
    eventually("more is made than arrives", || {
        let [made, sent, ..] = ledger(&sender, "metrics");
        (made > sent).then_some(())
    });
    // Requests do not notice.
    ask("third");

    let second = receiver(port, history.path());
    let before = ledger(&sender, "metrics")[1];
    eventually("it goes on", || (ledger(&sender, "metrics")[1] > before).then_some(()));
    eventually("all requests are known there", || (traces(&second).len() == 60).then_some(()));
    // Between two of the sender's seconds everything that was made is there, and nothing else.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (stored, [_, sent, rejected, dropped]) = eventually("a quiet moment", || {
        let earlier = ledger(&sender, "metrics");
        let stored = runtime.block_on(rows(history.path(), POINTS)).len() as u64;
        let now = ledger(&sender, "metrics");
        (earlier == now && now[0] == now[1] + now[2] + now[3]).then_some((stored, now))
    });
    assert_eq!((stored, rejected, dropped), (sent, 0, 0), "{protocol}");
    eventually("the spans are sent", || {
        let [made, sent, rejected, dropped] = ledger(&sender, "traces");
        (made >= 120 && made == sent && (rejected, dropped) == (0, 0)).then_some(())
    });
    lines_balance(&sender, history.path(), &runtime);
    let text = get(sender.admin, "/metrics").text();
    assert!(text.contains(r#"iap_apm_export_records_total{signal="metrics",result="sent"}"#), "{text}");

    // What Prometheus reads is what arrives.
    let query = "name=iap_http_requests_total&fn=last&service=gateway&by=route&last_s=3600&step_s=3600";
    eventually("the count of all requests", || {
        let answer = second.admin(&format!("/api/metrics/query?{query}"));
        let groups = answer["groups"].as_array()?;
        (answer["kind"] == "counter" && groups.iter().any(|group| group["values"][0] == 60.0)).then_some(())
    });
}

#[test]
fn a_collector_by_http_may_die_and_come_back() {
    check("http/protobuf");
}

#[test]
fn a_collector_by_grpc_may_die_and_come_back() {
    check("grpc");
}

#[test]
fn what_is_exported_to_oneself_does_not_come_around() {
    let port = free_port();
    let host = Host::start_with(&format!(
        "server: {{listen: 127.0.0.1:0}}\nadmin: {{listen: 127.0.0.1:0}}\nlog: {{format: json}}\n\
         apm: {{otlp: '127.0.0.1:{port}', export: {{endpoint: 'http://127.0.0.1:{port}', interval: 1s, \
         traces: true}}}}\nsessions: {{enabled: false}}\n\
         routes: [{{name: hello, path: /, respond: {{status: 200, body: hello}}}}]\n"
    ));
    assert_eq!(get(host.http, "/").status, 200);
    let known = || {
        let list = host.admin("/api/metrics/names?last_s=600");
        let metrics = list["metrics"].as_array().unwrap().clone();
        (metrics.len(), metrics.iter().map(|metric| metric["series"].as_u64().unwrap()).sum::<u64>())
    };
    // As soon as two rounds in a row add nothing, nothing is added by any of the next.
    let mut before = (0, 0);
    eventually("all of its metrics are there", || {
        let (sent, now) = (ledger(&host, "metrics")[1], known());
        eventually("one more round", || (ledger(&host, "metrics")[1] > sent).then_some(()));
        (now.0 > 0 && std::mem::replace(&mut before, now) == now).then_some(())
    });
    let [made, sent, ..] = ledger(&host, "metrics");
    eventually("some more rounds", || (ledger(&host, "metrics")[1] > sent + 3 * before.1).then_some(()));
    assert_eq!(known(), before, "no more than the process has");
    assert!(made > 0 && ledger(&host, "traces")[0] < 10, "the export leaves no spans of its own");
}
