//! A whole estate under load: two gateways with one Redis, applications in four languages behind both, and one collector
//! node that has it all.

mod common;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use common::http::Browser;
use common::npm::npm_project;
use common::{Flask, Host, Process, Tomcat, eventually, free_port, http};
use iap_apm::{Apm, ExportSettings, Exporter, Keeping};
use iap_session::testing::RedisServer;
use serde_json::Value;
use sqlx::{Row, SqlitePool};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Requests of each client, and clients.
const REQUESTS: usize = 60;
const CLIENTS: usize = 4;
const SERVICES: [&str; 4] = ["flask", "node", "java", "embedded"];

/// A span that has to be there: its service, and what one of its attributes says.
type Wanted = (&'static str, &'static str, &'static str);

/// Receives, sees nothing of the machine itself.
const COLLECTOR: &str = "\
server: {listen: 127.0.0.1:0, drain: 5s}
admin: {listen: 127.0.0.1:0}
log: {format: json}
sessions: {enabled: false}
apm: {otlp: 127.0.0.1:0, keep: all, runtime: {enabled: false}, detection: {enabled: false}}
";

fn gateway(node: &str, redis: &RedisServer, collector: SocketAddr, ports: [u16; 4]) -> Host {
    let route = |(name, port): (&str, u16)| {
        let path = if name == "java" { "app" } else { name };
        format!("  - {{name: {name}, path: /{path}, upstream: {{servers: ['http://127.0.0.1:{port}']}}}}\n")
    };
    let routes: String = SERVICES.into_iter().zip(ports).map(route).collect();
    Host::start_with(&format!(
        "\
server: {{listen: 127.0.0.1:0, drain: 5s}}
admin: {{listen: 127.0.0.1:0}}
log: {{format: json}}
sessions:
  api: 127.0.0.1:0
  node: {node}
  store: redis
  redis: {{url: '{}'}}
  secret: {{env: IAP_SESSION_SECRET}}
apm:
  otlp: 127.0.0.1:0
  keep: all
  runtime: {{interval: 400ms}}
  export: {{endpoint: 'http://{collector}', interval: 1s, metrics: false, traces: true, logs: true}}
routes:
{routes}",
        redis.url()
    ))
}

async fn found(State(db): State<SqlitePool>) -> String {
    let row = sqlx::query("SELECT name FROM user WHERE id = ?").bind(1).fetch_one(&db).await.unwrap();
    tracing::warn!("somebody was looked for");
    row.get(0)
}

/// A service of this very process, with the APM inside.
struct Embedded {
    port: u16,
    apm: Apm,
    exporter: Exporter,
    runtime: tokio::runtime::Runtime,
}

impl Embedded {
    fn start(collector: SocketAddr) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let _inside = runtime.enter();
        let keeping = Keeping::all();
        let apm = Apm::builder().service_name("embedded").keeping(keeping).build().unwrap();
        tracing_subscriber::registry().with(apm.tracing_layer().filtered()).init();
        let mut settings = ExportSettings::new(format!("http://{collector}"));
        (settings.metrics, settings.traces, settings.logs) = (false, true, true);
        let exporter = apm.export(settings, runtime.handle()).unwrap();
        let layer = apm.tower_layer();
        let port = runtime.block_on(async {
            let db = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
            let db = db.connect("sqlite::memory:").await.unwrap();
            sqlx::query("CREATE TABLE user (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
                .execute(&db)
                .await
                .unwrap();
            sqlx::query("INSERT INTO user (name) VALUES ('alice')").execute(&db).await.unwrap();
            let app = Router::new().route("/embedded", get(found)).with_state(db).layer(layer);
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            tokio::spawn(async move { axum::serve(listener, app).await });
            port
        });
        Self { port, apm, exporter, runtime }
    }

    /// Sends what it has, and says what became of it.
    fn end(self) {
        self.runtime.block_on(async {
            self.apm.shutdown().await.unwrap();
            self.exporter.stop(Duration::from_secs(20)).await;
        });
        for ledger in [self.exporter.traces(), self.exporter.logs()] {
            assert!(ledger.made > 0 && ledger.sent == ledger.made, "{ledger:?}");
        }
    }
}

/// All spans of a tree.
fn spans(node: &Value, out: &mut Vec<Value>) {
    out.push(node["span"].clone());
    node["children"].as_array().unwrap().iter().for_each(|child| spans(child, out));
}

/// How many different spans of gateways a host has.
fn spans_of_gateways(collector: &Host) -> u64 {
    let rows = collector.admin("/api/transactions?limit=1000");
    let rows = rows["items"].as_array().unwrap().clone();
    let traces: HashSet<_> = rows.iter().map(|row| row["trace_id"].as_str().unwrap()).collect();
    let mut found = HashSet::new();
    for id in traces {
        let trace = collector.admin(&format!("/api/transactions/{id}"));
        let mut all = Vec::new();
        trace["tree"]["roots"].as_array().unwrap().iter().for_each(|root| spans(root, &mut all));
        let own = all.iter().filter(|span| span["service"] == "gateway");
        found.extend(own.map(|span| (id.to_owned(), span["span_id"].as_str().unwrap().to_owned())));
    }
    found.len() as u64
}

/// Lines at any span of a tree.
fn lines(node: &Value) -> Vec<String> {
    let own = node["logs"].as_array().into_iter().flatten();
    let own = own.map(|line| line["message"].as_str().unwrap().to_owned());
    own.chain(node["children"].as_array().unwrap().iter().flat_map(lines)).collect()
}

/// One client, who signs in and goes from gateway to gateway; how many requests it has sent to each service.
fn client(number: usize, gateways: [SocketAddr; 2]) -> HashMap<&'static str, u64> {
    let mut browser = Browser::default();
    let signed_in = browser.post(gateways[number % 2], &format!("/flask/login?user=user{number}"), "");
    assert_eq!(signed_in.status, 200);
    let mut sent = HashMap::from([("flask", 1)]);
    for n in 0..REQUESTS {
        let (service, path) = match n % 5 {
            0 => ("flask", "/flask/items"),
            1 => ("node", "/node"),
            // Few, since each collects garbage.
            2 if n < 10 => ("java", "/app/gc.jsp"),
            2 | 3 => ("embedded", "/embedded"),
            _ => ("flask", "/flask/whoami"),
        };
        let response = browser.get(gateways[(n / 5 + number) % 2], path);
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        *sent.entry(service).or_default() += 1;
    }
    sent
}

/// All clients at once; how many requests there were to each service.
fn load(gateways: [SocketAddr; 2]) -> HashMap<&'static str, u64> {
    let clients: Vec<_> =
        (0..CLIENTS).map(|number| std::thread::spawn(move || client(number, gateways))).collect();
    let mut sent: HashMap<&str, u64> = HashMap::new();
    for client in clients {
        for (service, number) in client.join().unwrap() {
            *sent.entry(service).or_default() += number;
        }
    }
    sent
}

/// The transactions of a path.
fn trees(collector: &Host, path: &str) -> Vec<Value> {
    let rows = collector.admin("/api/transactions?limit=1000");
    let rows = rows["items"].as_array().unwrap().iter().filter(|row| row["path"] == path);
    let ids: Vec<_> = rows.map(|row| row["trace_id"].as_str().unwrap().to_owned()).collect();
    ids.iter().map(|id| collector.admin(&format!("/api/transactions/{id}"))).collect()
}

/// Whether a transaction is one tree with all spans that are wanted.
fn is_whole(trace: &Value, wanted: &[Wanted]) -> bool {
    let roots = trace["tree"]["roots"].as_array().unwrap();
    let mut all = Vec::new();
    roots.iter().for_each(|root| spans(root, &mut all));
    let has = |(service, name, text): &Wanted| {
        all.iter().any(|span| {
            let said =
                name.is_empty() || span["attributes"][*name].as_str().is_some_and(|said| said.contains(text));
            span["service"] == *service && said
        })
    };
    roots.len() == 1 && wanted.iter().all(has)
}

fn trees_are_whole(collector: &Host) {
    let redis_call = ("gateway", "db.system.name", "redis");
    let wanted: [(&str, Vec<Wanted>); 4] = [
        (
            "/flask/items",
            vec![redis_call, ("flask-app", "db.statement", "SELECT name FROM item WHERE price < ?")],
        ),
        ("/node", vec![redis_call, ("node-proto", "", "")]),
        ("/app/gc.jsp", vec![redis_call]),
        ("/embedded", vec![redis_call, ("embedded", "db.query.text", "SELECT name FROM user WHERE id = ?")]),
    ];
    for (path, wanted) in wanted {
        eventually("all trees are whole", || {
            let trees = trees(collector, path);
            (!trees.is_empty() && trees.iter().all(|trace| is_whole(trace, &wanted))).then_some(())
        });
    }
}

/// Log lines stand at their spans, pauses of JVMs beside the requests of their time.
fn lines_and_pauses_are_there(collector: &Host) {
    let logged = |trace: &Value| {
        let roots = trace["tree"]["roots"].as_array().unwrap();
        roots.iter().flat_map(lines).any(|line| line == "somebody was looked for")
    };
    assert!(trees(collector, "/embedded").iter().all(logged));
    let paused = |trace: &Value| {
        let events = trace["events"].as_array().unwrap();
        let of = |event: &&Value| event["kind"] == "gc_pause" && event["overlap_us"].as_u64() > Some(0);
        events
            .iter()
            .filter(of)
            .map(|event| event["node"].as_str().unwrap().to_owned())
            .collect::<HashSet<_>>()
    };
    eventually("both nodes have told of pauses", || {
        let nodes: HashSet<String> = trees(collector, "/app/gc.jsp").iter().flat_map(paused).collect();
        (nodes == HashSet::from(["node-1".to_owned(), "node-2".into()])).then_some(())
    });
}

/// Each transaction tells which node has served it, and so which of the pauses were there.
fn pauses_elsewhere_are_told_apart(collector: &Host, tomcat: u16) {
    // No process of the gateway's: it has its name from the address that it listens at. Other JVMs may run here, too.
    let its = format!("java 127.0.0.1:{tomcat}: ");
    let mut served = 0;
    for trace in trees(collector, "/app/gc.jsp") {
        let node = trace["tree"]["roots"][0]["span"]["attributes"]["iap.node"].as_str().unwrap();
        assert!(["node-1", "node-2"].contains(&node), "{node}");
        let events = trace["events"].as_array().unwrap();
        let of = |event: &Value| event["elsewhere"].as_bool().unwrap();
        assert!(events.iter().all(|event| of(event) == (event["node"] != node)), "{node}: {events:?}");
        let key = |event: &Value| (of(event), event["served"] == false);
        assert!(events.is_sorted_by_key(key), "its own come first");
        let is_its = |event: &Value| event["text"].as_str().unwrap().starts_with(&its) && !of(event);
        assert!(events.iter().all(|event| event["served"] == is_its(event)), "{its}: {events:?}");
        served += events.iter().filter(|event| is_its(event)).count();
    }
    assert!(served > 0);
}

/// What each gateway has sent has come, to the record.
fn books_balance(collector: &Host, gateways: &[Host]) {
    // The spans that one has sent, once that is all.
    let sent = |gateway: &Host| {
        let export = gateway.admin("/api/status")["export"].clone();
        for signal in ["traces", "logs"] {
            assert!(export[signal]["rejected"] == 0 && export[signal]["dropped"] == 0, "{export}");
        }
        let all =
            |signal: &str| export[signal]["sent"].as_u64().filter(|sent| export[signal]["made"] == *sent);
        let (spans, lines) = (all("traces")?, all("logs")?);
        (spans > REQUESTS as u64 && lines > 0).then_some(spans)
    };
    eventually("all spans are there", || {
        let sent: u64 = gateways.iter().map(sent).sum::<Option<u64>>()?;
        (spans_of_gateways(collector) == sent).then_some(())
    });
}

#[test]
fn one_node_has_whole_trees_of_all_that_two_gateways_serve() {
    let collector = Host::start_with(COLLECTOR);
    let otlp = collector.otlp.unwrap();
    let redis = RedisServer::start();
    let embedded = Embedded::start(otlp);
    let (flask, tomcat) = (Flask::start(free_port(), otlp), Tomcat::start());
    let node_port = free_port();
    let mut node = Command::new("node");
    node.arg(npm_project("iap-host/tests/apps/otlp_node", "otlp-node-test").join("app.cjs"));
    node.env("PORT", node_port.to_string()).env("PROTOCOL", "proto").env("OTLP", otlp.to_string());
    let _node = Process(node.spawn().unwrap());
    let ports = [flask.port, node_port, tomcat.port, embedded.port];
    let gateways = ["node-1", "node-2"].map(|name| gateway(name, &redis, otlp, ports));
    eventually("the application of Node answers", || {
        http::try_get(SocketAddr::from(([127, 0, 0, 1], node_port)), "/x/stock").map(drop)
    });
    // A JVM is seen some seconds after its start, and only what it does then is told.
    for gateway in &gateways {
        eventually("the JVM is seen", || {
            let address = format!("127.0.0.1:{}", tomcat.port);
            let jvms = gateway.admin("/api/runtime")["jvms"].clone();
            let is_its = |jvm: &Value| jvm["name"] == "java" && jvm["instance"] == *address;
            jvms.as_array()?.iter().any(is_its).then_some(())
        });
    }

    let sent = load([gateways[0].http, gateways[1].http]);
    embedded.end();

    // Each request is one transaction there, whoever has served it.
    for service in SERVICES {
        eventually("all have come", || {
            let rows = collector.admin(&format!("/api/transactions?route={service}&limit=1000"));
            (rows["items"].as_array()?.len() as u64 == sent[service]).then_some(())
        });
    }
    trees_are_whole(&collector);
    lines_and_pauses_are_there(&collector);
    pauses_elsewhere_are_told_apart(&collector, tomcat.port);
    books_balance(&collector, &gateways);
}
