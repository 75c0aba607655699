//! Hosts that keep their telemetry in a ClickHouse, as one server for several of them.

mod common;

use common::http::get;
use common::{Host, eventually};
use iap_apm::testing::ClickHouseServer;

const PASSWORD: &str = "a word that nobody sees";

fn host(server: &ClickHouseServer, node: &str, directory: &std::path::Path) -> Host {
    let (url, place) = (server.url(), directory.display());
    Host::start_with(&format!(
        "server: {{listen: 127.0.0.1:0}}\nadmin: {{listen: 127.0.0.1:0}}\nlog: {{format: json}}\n\
         sessions: {{enabled: true, node: {node}, api: 127.0.0.1:0}}\n\
         apm:\n  otlp: 127.0.0.1:0\n  keep: all\n  history: '{place}/{node}'\n  \
         clickhouse: {{url: '{url}', database: shared, user: iap, password: {{file: '{place}/password'}}, pace: 10ms}}\n\
         routes:\n  - {{name: {node}, path: /, respond: {{status: 200, body: hello}}}}\n  \
         - {{name: broken, path: /broken, respond: {{status: 500, body: sorry}}}}\n"
    ))
}

#[test]
fn several_hosts_keep_and_read_one_history() {
    let Some(server) = ClickHouseServer::start_private("iap", PASSWORD, None) else { return };
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("password"), PASSWORD).unwrap();
    let hosts = ["one", "two"].map(|node| (node, host(&server, node, directory.path())));
    for (_, host) in &hosts {
        (0..5).for_each(|_| assert_eq!(get(host.http, "/").status, 200));
        assert_eq!(get(host.http, "/broken").status, 500);
    }
    for (_, host) in &hosts {
        // Whoever is asked knows of both.
        for (route, failed) in [("one", 0), ("two", 0), ("broken", 2)] {
            let number = if failed > 0 { failed } else { 5 };
            let rows = eventually("the requests of both hosts are listed", || {
                let page = host.admin(&format!("/api/transactions?route={route}"));
                let rows = page["items"].as_array()?.clone();
                (rows.len() == number).then_some(rows)
            });
            let trace = host.admin(&format!("/api/transactions/{}", rows[0]["trace_id"].as_str().unwrap()));
            assert!(trace["span_count"].as_u64().unwrap() > 0, "{trace}");
            assert_eq!(trace["summary"]["route"], *route);
        }
        let text = host.admin("/api/routes?last_s=3600").to_string();
        assert!(["one", "two", "broken"].iter().all(|route| text.contains(route)), "{text}");
        eventually("what the runtime reports is a metric", || {
            let list = host.admin("/api/metrics/names?last_s=3600").to_string();
            list.contains("process").then_some(())
        });
        let events = host.admin("/api/timeline?last_s=3600").to_string();
        assert!(events.contains("started"), "{events}");
        let answer = host.admin("/api/ask?q=errors").to_string();
        assert!(answer.contains("broken"), "{answer}");
        let facts = host.admin("/api/status").to_string();
        assert!(facts.contains(server.url()) && !facts.contains(PASSWORD), "{facts}");
    }
}
