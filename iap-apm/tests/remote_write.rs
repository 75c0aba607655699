//! Remote write to a real Prometheus, and to servers that answer as they are told; in a process of its own, since a process
//! has one recorder.

mod common;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::answering::{answering, status};
use iap_apm::{Apm, RemoteWriteSettings, RemoteWriter};
use prost::Message;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;

const LONG: Duration = Duration::from_secs(60);

/// A Prometheus that takes remote writes, at a port that it has been told.
struct Prometheus {
    child: Child,
    port: u16,
    _directory: tempfile::TempDir,
}

impl Prometheus {
    /// `None` where it is not installed.
    fn start() -> Option<Self> {
        if Command::new("prometheus").arg("--version").output().is_err() {
            eprintln!("SKIPPED: prometheus is not installed: run `make test-tools`");
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("prometheus.yml"), "global: {}\n").expect("written");
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("one").port();
        let child = Command::new("prometheus")
            .current_dir(directory.path())
            .args(["--web.enable-remote-write-receiver", "--storage.tsdb.path=data"])
            .args(["--config.file=prometheus.yml", &format!("--web.listen-address=127.0.0.1:{port}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        Some(Self { child, port, _directory: directory })
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/api/v1/write", self.port)
    }

    /// The result of an instant query, as soon as there is one.
    async fn query(&self, query: &str) -> Vec<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.expect("it is up");
        let request = format!("GET /api/v1/query?query={query} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("an answer");
        let body = text.split_once("\r\n\r\n").expect("a body").1;
        let answer: Value = serde_json::from_str(body).expect("JSON");
        answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks again until it is so, or fails.
async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !check().await {
        assert!(started.elapsed() < LONG, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn apm() -> Apm {
    iap_apm::metrics::install().expect("installed");
    Apm::builder().service_name("gateway").build().expect("an APM")
}

fn write(apm: &Apm, url: String, interval: Duration) -> RemoteWriter {
    let mut settings = RemoteWriteSettings::new(url);
    settings.interval = interval;
    settings.labels.insert("node".into(), "n-1".into());
    settings.headers.insert("authorization", "Bearer secret".parse().expect("a value"));
    assert!(!format!("{settings:?}").contains("secret"));
    apm.remote_write(settings, &Handle::current()).expect("a remote write")
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_has_what_the_process_shows_until_it_ends() {
    let Some(prometheus) = Prometheus::start() else { return };
    let apm = apm();
    // It waits for the server, which may not be up yet.
    let writer = write(&apm, prometheus.url(), Duration::from_secs(1));
    eventually("samples are sent", async || writer.samples().sent > 0).await;
    let query = "iap_apm_dropped_total%7Bnode%3D%22n-1%22,what%3D%22span%22%7D";
    let found = prometheus.query(query).await;
    let [series] = found.as_slice() else { panic!("one series: {found:?}") };
    assert_eq!((&series["metric"]["node"], &series["value"][1]), (&"n-1".into(), &"0".into()));
    writer.stop(LONG).await;
    let books = writer.samples();
    assert!(books.sent == books.made && (books.rejected, books.dropped) == (0, 0), "{books:?}");
    // Not after the five minutes for which Prometheus takes the last value: it was told that it has ended.
    eventually("the series has ended", async || prometheus.query(query).await.is_empty()).await;
    let history = format!("count_over_time({query}%5B1h%5D)");
    assert_eq!(prometheus.query(&history).await.len(), 1, "what was sent before stays");
}

/// As the specification has it, field by field, so that a mistake of ours is none here.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    series: Vec<Series>,
}

#[derive(Clone, PartialEq, Message)]
struct Series {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    time_ms: i64,
}

fn read(body: &Bytes) -> Request {
    let bytes = snap::raw::Decoder::new().decompress_vec(body).expect("snappy, as a block");
    Request::decode(bytes.as_slice()).expect("a request")
}

fn is_stale(series: &Series) -> bool {
    series.samples.iter().all(|sample| sample.value.to_bits() == 0x7ff0_0000_0000_0002)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_sent_again_is_the_same_until_it_is_kept_and_ends_are_marked() {
    let apm = apm();
    let (server, answer, mut asked) = answering();
    let address = server.addresses()[0];
    let writer = write(&apm, format!("http://{address}/api/v1/write?tenant=a"), Duration::from_secs(1));
    for (code, retry_after) in [(500, None), (429, Some("1")), (503, None), (204, None)] {
        answer.send(status(code, retry_after)).await.expect("taken");
    }
    let mut bodies = Vec::new();
    for _ in 0..4 {
        let (path, headers, body) = asked.recv().await.expect("a request");
        assert_eq!(path, "/api/v1/write");
        for (name, value) in [
            ("content-encoding", "snappy"),
            ("content-type", "application/x-protobuf"),
            ("x-prometheus-remote-write-version", "0.1.0"),
            ("authorization", "Bearer secret"),
        ] {
            assert_eq!(headers[name], value);
        }
        bodies.push(body);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "the same four times");
    let first = read(&bodies[0]);
    let of_node =
        |series: &Series| series.labels.iter().any(|label| label.name == "node" && label.value == "n-1");
    assert!(
        !first.series.is_empty() && first.series.iter().all(of_node) && !first.series.iter().any(is_stale)
    );

    // All that comes from now on is kept; at the end every series is marked, later than its last sample.
    let keep = tokio::spawn(async move { while answer.send(status(200, None)).await.is_ok() {} });
    let stop = tokio::spawn(async move {
        writer.stop(LONG).await;
        writer.samples()
    });
    let mut last = bodies[0].clone();
    let mut newest = 0;
    while let Ok(Some((_, _, body))) = tokio::time::timeout(LONG, asked.recv()).await {
        let request = read(&body);
        let times = request.series.iter().flat_map(|series| &series.samples).map(|sample| sample.time_ms);
        assert!(times.clone().all(|time| time >= newest), "in the order of time");
        newest = times.max().unwrap_or(newest);
        last = body;
        if read(&last).series.iter().all(is_stale) {
            break;
        }
    }
    let end = read(&last);
    assert!(end.series.len() >= first.series.len() && end.series.iter().all(is_stale));
    let books = stop.await.expect("no panic");
    assert!(books.made == books.sent && (books.rejected, books.dropped) == (0, 0), "{books:?}");
    keep.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_counted_and_never_sent_again_and_what_is_left_is_dropped() {
    let apm = apm();
    for code in [400, 401, 404, 413, 307] {
        let (server, answer, mut asked) = answering();
        let writer = write(&apm, format!("http://{}", server.addresses()[0]), Duration::from_secs(3_600));
        // The samples, and the marks of their end.
        for _ in 0..2 {
            answer.send(status(code, Some("0"))).await.expect("taken");
        }
        writer.stop(LONG).await;
        let books = writer.samples();
        assert_eq!((books.sent, books.rejected, books.dropped), (0, books.made, 0), "{code}");
        assert!(books.made > 0 && asked.recv().await.is_some() && asked.recv().await.is_some());
        assert!(asked.try_recv().is_err(), "{code}");
    }
    // One that takes the request and never answers: the end does not wait for longer than it may.
    let (server, _answer, _asked) = answering();
    let writer = write(&apm, format!("http://{}", server.addresses()[0]), Duration::from_secs(3_600));
    writer.stop(Duration::from_millis(200)).await;
    let books = writer.samples();
    assert_eq!((books.sent, books.rejected, books.dropped), (0, 0, books.made));
    assert!(books.made > 0);
}
