//! Requests that run are shown, and found again after a crash.

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use common::{Host, eventually, http};
use serde_json::Value;

/// A server that takes requests and never answers.
fn silent() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut taken = Vec::new();
        for stream in listener.incoming().map_while(Result::ok) {
            let mut head = [0; 1];
            let mut stream = stream;
            let _ = stream.read(&mut head);
            taken.push(stream);
        }
    });
    port
}

fn ask(host: &Host, path: &str) -> TcpStream {
    let mut client = TcpStream::connect(host.http).unwrap();
    write!(client, "GET {path} HTTP/1.1\r\nhost: shop\r\n\r\n").unwrap();
    client
}

fn config(port: u16, history: &std::path::Path) -> String {
    format!(
        "server: {{listen: 127.0.0.1:0}}\nadmin: {{listen: 127.0.0.1:0}}\nlog: {{format: json}}\n\
         sessions: {{enabled: false}}\napm: {{otlp: 127.0.0.1:0, history: {}}}\n\
         routes:\n  - {{name: reports, path: /reports, upstream: {{servers: ['http://127.0.0.1:{port}']}}}}\n\
         \x20 - {{name: page, path: /, respond: {{status: 200}}}}\n",
        history.display()
    )
}

#[test]
fn a_request_that_hangs_is_shown_and_found_after_a_crash() {
    let (history, upstream) = (tempfile::tempdir().unwrap(), silent());
    let config = config(upstream, history.path());
    let mut host = Host::start_with(&config);
    let _client = ask(&host, "/reports/7?token=secret");
    // One that has ended is not in flight.
    assert_eq!(http::get(host.http, "/page").status, 200);
    let active = eventually("the request waits for its upstream, and is written down", || {
        let active = host.admin("/api/requests/active");
        let request = active["requests"].get(0)?;
        let waits = request["stage"] == "upstream" && request["server"].is_string();
        let noted = active["noted_us"].as_u64()? > request["start_us"].as_u64()? + 250_000;
        (waits && noted).then_some(active)
    });
    let request = &active["requests"][0];
    assert_eq!((&request["route"], &request["path"]), (&"reports".into(), &"/reports/7".into()));
    assert_eq!(request["server"], format!("127.0.0.1:{upstream}"));
    assert_eq!((&active["running"], &active["routes"][0]["route"]), (&1.into(), &"reports".into()));
    assert_eq!(
        active["bands_us"].as_array().unwrap().len() + 1,
        active["routes"][0]["bands"].as_array().unwrap().len()
    );
    let trace_id = request["trace_id"].as_str().unwrap().to_owned();

    host.process.0.kill().unwrap();
    host.process.0.wait().unwrap();
    let mut host = Host::start_with(&config);
    let interrupted = host.admin("/api/requests/interrupted");
    let [found] = interrupted["requests"].as_array().unwrap().as_slice() else { panic!("{interrupted}") };
    assert_eq!(
        (&found["trace_id"], &found["route"], &found["stage"]),
        (&trace_id.clone().into(), &"reports".into(), &"upstream".into())
    );
    assert_eq!(found["start_us"], request["start_us"]);
    assert!(found["seen_us"].as_u64() > found["start_us"].as_u64());

    let row = eventually("the history has it", || {
        let page = host.admin("/api/transactions?errors=true&last_s=3600");
        page["items"].as_array()?.iter().find(|row| row["trace_id"] == *trace_id).cloned()
    });
    assert_eq!((&row["error"], &row["route"]), (&"in_flight_at_crash".into(), &"reports".into()));
    assert!(row["message"].as_str().unwrap().contains("in upstream for"), "{row}");
    let trace = host.admin(&format!("/api/transactions/{trace_id}"));
    let stage = &trace["tree"]["roots"][0]["children"][0]["span"];
    assert_eq!((&stage["name"], &stage["status"]), (&"upstream".into(), &"error".into()), "{trace:#}");
    eventually("the file of the process before is removed", || {
        let own = format!("in-flight-{}-", host.process.0.id());
        let others = |name: &String| name.starts_with("in-flight-") && !name.starts_with(&own);
        (!files(history.path()).iter().any(others)).then_some(())
    });

    // It is told once: an orderly end leaves nothing.
    host.signal("-TERM");
    host.process.0.wait().unwrap();
    let host = Host::start_with(&config);
    assert_eq!(host.admin("/api/requests/interrupted")["requests"], Value::Array(Vec::new()));
    let page = host.admin("/api/transactions?errors=true&last_s=3600");
    assert_eq!(page["items"].as_array().unwrap().len(), 1, "{page}");
}

fn files(directory: &std::path::Path) -> Vec<String> {
    std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// What runs in a task of ours, behind a layer, is asked where it waits; what is only forwarded has its stage.
#[test]
fn a_request_is_asked_where_it_waits() {
    let history = tempfile::tempdir().unwrap();
    let without = config(silent(), history.path());
    for (config, has_task) in
        [(without.replace("enabled: false", "store: memory"), true), (without.clone(), false)]
    {
        let host = Host::start_with(&config);
        let _client = ask(&host, "/reports/7");
        let request = eventually("the request waits for its upstream", || {
            let request = host.admin("/api/requests/active")["requests"].get(0)?.clone();
            (request["stage"] == "upstream" && request["server"].is_string()).then_some(request)
        });
        let (trace_id, span_id) =
            (request["trace_id"].as_str().unwrap(), request["span_id"].as_str().unwrap());
        let path = |span_id: &str| format!("/api/requests/active/{trace_id}/{span_id}/await");
        let answer = http::get(host.admin, &path(span_id));
        if has_task {
            eventually("its task is known", || {
                let active = host.admin("/api/requests/active");
                (active["requests"][0]["tasks"] == 1).then_some(())
            });
            let view = host.admin(&path(span_id));
            assert_eq!((&view["busy"], &view["ready"]), (&0.into(), &0.into()), "{view}");
            let frames = view["awaited"][0]["frames"].to_string();
            assert!(frames.contains("iap-core/src/upstream/"), "{view:#}");
        } else {
            assert_eq!((answer.status, &request["tasks"]), (409, &0.into()), "{}", answer.text());
        }
        assert_eq!(http::get(host.admin, &path("00000000000000ff")).status, 404);
        assert_eq!(http::get(host.admin, &path("none")).status, 400);
    }
}

#[test]
fn without_the_apm_nothing_is_shown() {
    let host = Host::start_with(
        "server: {listen: 127.0.0.1:0}\nadmin: {listen: 127.0.0.1:0}\nlog: {format: json}\napm: {enabled: false}\n\
         sessions: {enabled: false}\n",
    );
    for path in ["/api/requests/active", "/api/requests/interrupted"] {
        assert_eq!(http::get(host.admin, path).status, 404, "{path}");
    }
}
