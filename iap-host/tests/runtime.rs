//! What the runtime and a real JVM are doing, and which of it a request has met.

mod common;

use std::time::{Duration, Instant};

use common::http::Browser;
use common::{Host, eventually, http, redis_sessions};
use iap_session::testing::RedisServer;
use serde_json::{Value, json};

/// A server that collects garbage in the middle of a request when it is asked to.
const JAVA: &str = r#"
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.util.ArrayList;

public class Garbage {
    static final ArrayList<Object> kept = new ArrayList<>();

    public static void main(String[] arguments) throws Exception {
        for (int i = 0; i < 200_000; i++) kept.add(new Object[] { i, "text " + i });
        int port = Integer.parseInt(System.getenv("PORT"));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.createContext("/", exchange -> {
            try {
                if (exchange.getRequestURI().getPath().equals("/java/gc")) {
                    Thread.sleep(300);
                    System.gc();
                    Thread.sleep(300);
                }
            } catch (InterruptedException e) {
                throw new RuntimeException(e);
            }
            exchange.sendResponseHeaders(200, -1);
            exchange.close();
        });
        server.start();
    }
}
"#;

const FAST: &str = "\
server: {listen: 127.0.0.1:0, drain: 5s, workers: 2}
admin: {listen: 127.0.0.1:0}
log: {format: json}
sessions: {enabled: false, node: node-1}
apm: {otlp: 127.0.0.1:0, runtime: {interval: 400ms, store: 400ms, stall: 150ms}}
";

fn start_java() -> Host {
    let config = format!(
        "{FAST}
routes:
  - name: shop
    path: /java
    process:
      command: java -XX:+UseSerialGC -Xmx96m Garbage.java
      ready: {{path: /java}}
      start_timeout: 60s
"
    );
    let host = Host::start_prepared(&config, |directory| {
        std::fs::write(directory.join("Garbage.java"), JAVA).unwrap()
    });
    eventually("the application serves", || (http::get(host.http, "/java").status == 200).then_some(()));
    host
}

fn reading(sample: &Value, name: &str, label: (&str, &str)) -> Option<f64> {
    let all = sample["readings"].as_array()?;
    all.iter().find(|one| one["name"] == name && one["labels"][label.0] == label.1)?["value"].as_f64()
}

fn events(host: &Host, kind: &str) -> Vec<Value> {
    host.admin(&format!("/api/timeline?last_s=3600&kind={kind}"))["events"].as_array().unwrap().clone()
}

#[test]
fn a_jvm_is_seen_without_an_agent_and_its_pauses_are_found_in_the_requests_they_held_up() {
    let host = start_java();
    let sample = eventually("the JVM is seen", || {
        let sample = host.admin("/api/runtime");
        let process = host.admin("/api/processes")["processes"][0]["instances"][0]["pid"].clone();
        let seen =
            sample["jvms"].as_array()?.iter().any(|jvm| jvm["name"] == "shop" && jvm["pid"] == process);
        // One that has just begun has not counted yet: it brings each of its numbers up to date when it comes to it.
        let counts = [("jvm.class.loaded", 100.0), ("jvm.memory.used", 0.0), ("jvm.thread.count", 3.0)];
        let counts = counts.iter().all(|(name, least)| {
            reading(&sample, name, ("process", "shop")).is_some_and(|value| value > *least)
        });
        (seen && counts).then_some(sample)
    });
    assert_eq!(sample["node"], "node-1");
    let of_shop = ("process", "shop");
    assert!(reading(&sample, "process.memory.usage", of_shop).unwrap() > 1e7);
    assert!(reading(&sample, "process.thread.count", of_shop).unwrap() > 3.0);
    let pools: Vec<_> = sample["readings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["name"] == "jvm.memory.used" && one["labels"]["process"] == "shop")
        .map(|one| one["labels"]["jvm.memory.pool.name"].as_str().unwrap())
        .collect();
    assert!(pools.contains(&"eden") && pools.contains(&"old") && pools.contains(&"metaspace"), "{pools:?}");

    // A pause in the middle of a request is told, and found in it.
    assert_eq!(http::get(host.http, "/java/gc").status, 200);
    let row = eventually("the request is kept", || {
        let page = host.admin("/api/transactions?route=shop");
        page["items"].as_array()?.iter().find(|row| row["path"] == "/java/gc").cloned()
    });
    let path = format!("/api/transactions/{}", row["trace_id"].as_str().unwrap());
    // Other JVMs of this machine may have paused, too: the one that has served it is told first.
    let met = eventually("the pause is found in the request", || {
        let trace = host.admin(&path);
        trace["events"].as_array()?.first().filter(|event| event["served"] == true).cloned()
    });
    assert_eq!(met["kind"], "gc_pause", "{met}");
    assert!(met["text"].as_str().unwrap().starts_with("shop 1: "), "{met}");
    assert!(met["text"].as_str().unwrap().contains("System.gc()"), "{met}");
    let overlap = met["overlap_us"].as_u64().unwrap();
    assert!(overlap > 0 && overlap <= met["duration_us"].as_u64().unwrap(), "{met}");
    assert_eq!((&met["node"], events(&host, "gc_pause").is_empty()), (&"node-1".into(), false));

    // That was a collection of the old generation, so what lives in it is known.
    let live = eventually("what is left is told", || {
        reading(&host.admin("/api/runtime"), "jvm.memory.used_after_last_gc", of_shop)
    });
    assert!(live > 0.0 && live < 96e6, "{live}");

    // The same numbers for Prometheus, and in the history.
    let text = http::get(host.admin, "/metrics").text();
    for part in [
        "jvm_memory_used_bytes{instance=\"1\"",
        "jvm_gc_collections_total{",
        "process_cpu_time_seconds_total{",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    eventually("the history has them", || {
        let answer = host
            .admin("/api/metrics/query?name=jvm.gc.collections&fn=last&by=jvm.gc.name&last_s=60&step_s=1");
        let groups = answer["groups"].as_array()?;
        let last =
            |group: &Value| group["values"].as_array().unwrap().iter().filter_map(Value::as_f64).next_back();
        groups.iter().filter_map(last).any(|count| count >= 1.0).then_some(())
    });
}

#[test]
fn a_jvm_is_asked_for_its_threads_and_objects() {
    let host = start_java();
    let pid = eventually("the JVM is seen", || {
        let sample = host.admin("/api/runtime");
        sample["jvms"].as_array()?.iter().find(|jvm| jvm["name"] == "shop")?["pid"].as_u64()
    });
    let ask = |pid: u64, what: &str| {
        http::send(host.admin, "POST", &format!("/api/jvms/{pid}/{what}"), &[], &[]).unwrap()
    };
    let threads = ask(pid, "threads").json();
    let text = threads["text"].as_str().unwrap();
    assert!(text.contains("Full thread dump") && text.contains("HTTP-Dispatcher"), "{text}");
    assert_eq!((&threads["pid"], &threads["truncated"]), (&pid.into(), &false.into()));
    let objects = ask(pid, "histogram").json();
    assert!(objects["text"].as_str().unwrap().contains("java.lang.Integer"), "{objects}");
    // Others are not: not even asked whether they are JVMs.
    for other in [u64::from(host.process.0.id()), 1, 4_000_000_000] {
        assert_eq!(ask(other, "threads").status, 404, "{other}");
    }
    assert_eq!(http::get(host.admin, &format!("/api/jvms/{pid}/threads")).status, 405, "it costs something");

    // One that is killed is told to have been started again.
    let killed = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status();
    assert!(killed.unwrap().success());
    let restarted = eventually("the restart is told", || events(&host, "process_restarted").pop());
    assert_eq!(restarted["text"], "shop 1: signal 9");
}

#[test]
fn the_process_its_event_loops_and_listeners_are_sampled() {
    let host =
        Host::start_with(&format!("{FAST}routes:\n  - {{name: page, path: /, respond: {{status: 200}}}}\n"));
    let listener = ("address", &*host.http.to_string());
    let sample = eventually("a sample with the listeners", || {
        let sample = host.admin("/api/runtime");
        reading(&sample, "listener.accept_queue.length", listener).is_some().then_some(sample)
    });
    for runtime in ["worker-0", "worker-1", "app"] {
        let of = ("runtime", runtime);
        assert!(reading(&sample, "tokio.workers", of).unwrap() >= 1.0, "{runtime}");
        assert!(reading(&sample, "tokio.tasks.alive", of).unwrap() >= 1.0, "{runtime}");
        assert!(reading(&sample, "tokio.scheduling_delay.max", of).is_some(), "{runtime}");
    }
    assert!(reading(&sample, "process.unix.file_descriptor.count", ("process", "gateway")).unwrap() > 10.0);
    assert!(
        http::get(host.admin, "/metrics")
            .text()
            .contains("tokio_scheduling_delay_max_seconds{runtime=\"worker-0\"}")
    );
    eventually("the start is told", || events(&host, "started").pop());

    // A worker that does not run for a while is a stall: here all of them are stopped from outside.
    host.signal("-STOP");
    let stopped = Instant::now();
    while stopped.elapsed() < Duration::from_millis(600) {
        std::thread::yield_now();
    }
    host.signal("-CONT");
    let stall = eventually("a stall of a worker is told", || {
        events(&host, "stall")
            .into_iter()
            .find(|event| event["text"] == "worker-0" && event["duration_us"].as_u64() > Some(300_000))
    });
    let time_us = stall["time_us"].as_u64().unwrap();
    let now_us = host.admin("/api/live")["live"]["now_us"].as_u64().unwrap();
    assert!(time_us < now_us && time_us > now_us - 60_000_000);
}

#[test]
fn deployments_bursts_of_errors_and_lost_sessions_are_on_the_time_line() {
    let shop = "routes:\n  - {name: shop, path: /, service: demo-shop}\n";
    let sessions = "sessions: {node: node-1, store: memory, max_count: 5}";
    let host = Host::start_with(&(FAST.replace("sessions: {enabled: false, node: node-1}", sessions) + shop));
    let told = br#"{"what": "shop 7.2"}"#;
    let typed = [("content-type", "application/json")];
    assert_eq!(http::send(host.admin, "POST", "/api/changes", &typed, told).unwrap().status, 200);
    let deployed = eventually("the deployment is told", || events(&host, "deployed").pop());
    assert_eq!((&deployed["text"], &deployed["node"]), (&"shop 7.2".into(), &"node-1".into()));

    for user in 0..12 {
        Browser::default().post(host.http, "/login", &format!("user=u{user}"));
    }
    let evicted = eventually("lost sessions are told", || events(&host, "sessions_evicted").pop());
    assert!(evicted["text"].as_str().unwrap().ends_with("sessions of the memory store"), "{evicted}");

    // Of an application: many errors, and an ordinary line.
    let now_ns = host.admin("/api/live")["live"]["now_us"].as_u64().unwrap() * 1_000;
    let line = |n: u64| json!({ "timeUnixNano": (now_ns + n).to_string(), "severityNumber": 17, "body": { "stringValue": format!("no price {n}") } });
    let lines: Vec<_> = (0..60).map(|n| line(n * 1_000)).collect();
    let service = json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": "prices" } }] });
    let body = json!({ "resourceLogs": [{ "resource": service, "scopeLogs": [{ "logRecords": lines }] }] });
    let sent = http::send(host.otlp.unwrap(), "POST", "/v1/logs", &typed, body.to_string().as_bytes());
    assert_eq!(sent.unwrap().status, 200);
    let burst = eventually("the burst is told", || events(&host, "log_burst").pop());
    assert!(burst["text"].as_str().unwrap().ends_with("warnings and errors, 60 of prices"), "{burst}");
    assert!(burst["duration_us"].as_u64() >= Some(1_000_000), "{burst}");
}

#[test]
fn what_a_redis_drops_for_want_of_memory_is_on_the_time_line() {
    let redis = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let sessions = redis_sessions(&redis);
    let shop = "routes:\n  - {name: shop, path: /, service: demo-shop}\n";
    let host =
        Host::start_with(&(FAST.replace("sessions: {enabled: false, node: node-1}\n", &sessions) + shop));
    for user in 0..12 {
        Browser::default().post(host.http, "/login", &format!("user=u{user}"));
    }
    let reading = |name: &str| {
        let sample = host.admin("/api/runtime");
        let all = sample["readings"].as_array()?.clone();
        all.iter().find(|one| one["name"] == name)?["value"].as_f64()
    };
    eventually("the store is asked", || reading("session.store.dropped").filter(|dropped| *dropped == 0.0));
    assert!(reading("session.store.in_flight").is_some());
    redis.ask(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    let _ = Browser::default().post(host.http, "/login", "user=another");
    let evicted = eventually("lost keys are told", || events(&host, "sessions_evicted").pop());
    assert!(
        evicted["text"].as_str().unwrap().ends_with("keys of Redis: its maxmemory is reached"),
        "{evicted}"
    );
    eventually("and counted", || reading("session.store.dropped").filter(|dropped| *dropped >= 12.0));
    assert!(http::get(host.admin, "/metrics").text().contains("session_store_dropped_total"));
    // A store that is away has no numbers.
    drop(redis);
    eventually("the numbers are gone", || reading("session.store.dropped").is_none().then_some(()));
}

#[test]
fn reloads_and_ejections_are_on_the_time_line() {
    let dead = common::free_port();
    let routes = |status: u16| {
        format!(
            "{FAST}routes:\n  - {{name: page, path: /, respond: {{status: {status}}}}}\n  - name: app\n    path: /app\n\
             \x20   upstream: {{servers: ['http://127.0.0.1:{dead}'], ejection: {{failures: 1, max_percent: 100}}}}\n"
        )
    };
    let host = Host::start_with(&routes(200));
    assert_eq!(http::get(host.http, "/app").status, 502);
    let ejected = eventually("the ejection is told", || events(&host, "server_ejected").pop());
    assert_eq!(ejected["text"], format!("127.0.0.1:{dead} of app"));
    host.write("iap.yaml", &routes(204));
    assert_eq!(http::send(host.admin, "POST", "/api/config/reload", &[], &[]).unwrap().status, 200);
    let reloaded = eventually("the reload is told", || events(&host, "config_reloaded").pop());
    assert_eq!(reloaded["text"], "routes (revision 2, local)");
    host.write("iap.yaml", "nonsense: true\n");
    assert_eq!(http::send(host.admin, "POST", "/api/config/reload", &[], &[]).unwrap().status, 422);
    let refused = eventually("the refusal is told", || events(&host, "config_refused").pop());
    assert!(refused["text"].as_str().unwrap().contains("nonsense"), "{refused}");
    assert_eq!(http::get(host.admin, "/api/timeline?kind=odd").status, 400);
}

#[test]
fn what_is_off_does_nothing() {
    let config =
        FAST.replace("runtime: {interval: 400ms, store: 400ms, stall: 150ms}", "runtime: {enabled: false}");
    let host = Host::start_with(&config);
    assert_eq!(http::get(host.admin, "/api/runtime").status, 404);
    assert_eq!(http::send(host.admin, "POST", "/api/jvms/1/threads", &[], &[]).unwrap().status, 403);
    assert!(!http::get(host.admin, "/metrics").text().contains("tokio_"));
    assert!(events(&host, "started").is_empty());
}
