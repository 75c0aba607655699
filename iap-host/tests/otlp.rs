//! The OTLP listener, from outside: OpenTelemetry's own gRPC exporters, and frames made by hand.

mod common;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::task::{Context, Poll};

use bytes::Bytes;
use common::http::{get, send};
use common::npm::npm_project;
use common::{Host, Process, eventually, free_port, python};
use http_body_util::BodyExt;
use hyper::body::Frame;
use hyper::client::conn::http2;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;

const CONFIG: &str = "sessions: {enabled: false}\n";
const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// Bytes of a message, at most.
const LIMIT: usize = 64 << 20;

#[test]
fn spans_and_log_lines_come_by_the_stock_grpc_exporters() {
    let host = Host::start(CONFIG);
    for compression in ["none", "gzip"] {
        let mut sender = python("otlp_grpc.py");
        sender.env("OTLP", host.otlp.unwrap().to_string()).env("COMPRESSION", compression);
        let ended = printed(&mut sender);
        for (signal, result) in
            [("traces", "SUCCESS"), ("many", "SUCCESS"), ("logs", "SUCCESS"), ("metrics", "SUCCESS")]
        {
            assert_eq!(ended[signal], result, "{compression}: {ended:#}");
        }
        let path = |name: &str| format!("/api/transactions/{}", ended[name].as_str().unwrap());
        // What was acknowledged is there.
        let trace = host.admin(&path("trace_id"));
        let root = &trace["tree"]["roots"][0];
        assert_eq!(
            (&root["span"]["name"], &root["span"]["service"]),
            (&"checkout".into(), &"grpc-app".into())
        );
        assert_eq!(root["children"][0]["span"]["name"], "charge", "{trace:#}");
        assert!(trace.to_string().contains("card declined"), "its log line is with it: {trace:#}");
        let last = host.admin(&path("last_of_many"));
        assert_eq!(last["tree"]["roots"][0]["span"]["name"], "item 1999", "{last:#}");
    }
}

/// A collector that the Python environment may have.
fn collector(receives: u16, sends: &[&str]) -> Option<Process> {
    let place = "import importlib.util as u; print(u.find_spec('rotel').submodule_search_locations[0])";
    let found = Command::new(python("").get_program()).args(["-c", place]).output().unwrap();
    if !found.status.success() {
        eprintln!("SKIPPED: the collector rotel is not installed: run `make test-tools`");
        return None;
    }
    let agent = Path::new(String::from_utf8_lossy(&found.stdout).trim()).join("rotel-agent");
    let mut agent = Command::new(agent);
    let directory = tempfile::tempdir().unwrap();
    agent.args(["start", "--exporter", "otlp", "--pid-file"]).arg(directory.path().join("pid"));
    agent.arg("--otlp-grpc-endpoint").arg(format!("127.0.0.1:{receives}"));
    agent.arg("--otlp-http-endpoint").arg(format!("127.0.0.1:{}", free_port())).args(sends);
    let process = Process(agent.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    eventually("the collector listens", || std::net::TcpStream::connect(("127.0.0.1", receives)).ok());
    Some(process)
}

#[test]
fn a_collector_in_between_hands_on_all_that_it_is_sent() {
    for (protocol, compression) in [("grpc", "gzip"), ("http", "gzip"), ("http", "none")] {
        let (host, port) = (Host::start(CONFIG), free_port());
        let to = format!("http://{}", host.otlp.unwrap());
        let sends = [
            "--otlp-exporter-endpoint",
            &to,
            "--otlp-exporter-protocol",
            protocol,
            "--otlp-exporter-compression",
            compression,
        ];
        let Some(_collector) = collector(port, &sends) else { return };
        let mut sender = python("otlp_grpc.py");
        sender.env("OTLP", format!("127.0.0.1:{port}")).env("COMPRESSION", "gzip");
        let ended = printed(&mut sender);
        assert_eq!(ended["traces"], "SUCCESS", "{ended:#}");
        let trace = |name: &str| {
            let id = ended[name].as_str().unwrap();
            let trace = get(host.admin, &format!("/api/transactions/{id}"));
            (trace.status == 200).then(|| trace.json())
        };
        eventually("the trace has come through, with its line", || {
            let whole = trace("trace_id")?;
            let child = &whole["tree"]["roots"][0]["children"][0]["span"]["name"];
            (*child == "charge" && whole.to_string().contains("card declined")).then_some(())
        });
        eventually("all of them", || {
            let last = trace("last_of_many")?;
            (last["tree"]["roots"][0]["span"]["name"] == "item 1999").then_some(())
        });
        let ledger = &host.admin("/api/status")["ledger"]["received_spans"];
        assert_eq!((&ledger["kept"], &ledger["dropped"]), (&ledger["made"], &0.into()), "{ledger}");
    }
}

#[test]
fn applications_of_node_join_the_tree_by_each_protocol() {
    let place = npm_project("iap-host/tests/apps/otlp_node", "otlp-node-test");
    let protocols = ["proto", "http", "grpc"].map(|protocol| (protocol, free_port()));
    let route = |(name, port): (&str, u16)| {
        format!("  - {{name: {name}, path: /{name}, upstream: {{servers: ['http://127.0.0.1:{port}']}}}}\n")
    };
    let host = Host::start(&format!("{CONFIG}routes:\n{}", protocols.map(route).concat()));
    for (protocol, port) in protocols {
        let mut node = Command::new("node");
        node.arg(place.join("app.cjs")).env("PORT", port.to_string()).env("PROTOCOL", protocol);
        let _node = Process(node.env("OTLP", host.otlp.unwrap().to_string()).spawn().unwrap());
        let path = format!("/{protocol}");
        eventually("the application answers", || (get(host.http, &path).text() == "7").then_some(()));
        let kept = || host.admin(&format!("/api/transactions?route={protocol}&status=200"))["items"].clone();
        let id = eventually("it is kept", || kept()[0]["trace_id"].as_str().map(str::to_owned));
        let names = || {
            let trace = host.admin(&format!("/api/transactions/{id}"));
            let (mut names, mut node) = (Vec::new(), trace["tree"]["roots"][0].clone());
            while node.is_object() {
                let span = &node["span"];
                names.push(format!(
                    "{} {}",
                    span["service"].as_str().unwrap(),
                    span["kind"].as_str().unwrap()
                ));
                let calls = |child: &&Value| {
                    child["span"]["kind"] != "internal" && child["span"]["name"] != "upstream.connect"
                };
                let upstream = node["children"].as_array().unwrap().iter().find(calls).cloned();
                node = upstream.unwrap_or_default();
            }
            names
        };
        let service = format!("node-{protocol}");
        let wanted = [
            "gateway server".to_owned(),
            "gateway client".into(),
            format!("{service} server"),
            format!("{service} client"),
            format!("{service} server"),
        ];
        eventually("the tree is whole", || (names() == wanted).then_some(()));
    }
}

/// What a program prints as JSON when it ends well.
fn printed(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
}

/// What is sent of a body, without its length.
struct Sent {
    first: Option<Bytes>,
    ends: bool,
}

impl hyper::body::Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.first.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None if self.ends => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

type Connection = http2::SendRequest<Sent>;

async fn connect(address: SocketAddr) -> Connection {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request(path: &str, content_type: &str, first: impl Into<Bytes>, ends: bool) -> Request<Sent> {
    let request = Request::post(format!("http://otlp.test{path}")).header("content-type", content_type);
    request.header("te", "trailers").body(Sent { first: Some(first.into()), ends }).unwrap()
}

fn call(path: &str, first: impl Into<Bytes>, ends: bool) -> Request<Sent> {
    request(path, "application/grpc", first, ends)
}

/// The status of a call, and its body.
async fn ended(connection: &mut Connection, call: Request<Sent>) -> (String, Bytes) {
    let (head, body) = connection.send_request(call).await.unwrap().into_parts();
    assert_eq!(head.status, StatusCode::OK);
    assert_eq!(head.headers["content-type"], "application/grpc");
    let body = body.collect().await.unwrap();
    let last = body.trailers().cloned().unwrap_or(head.headers);
    (last["grpc-status"].to_str().unwrap().to_owned(), body.to_bytes())
}

#[tokio::test]
async fn a_call_ends_with_its_status_and_its_connection_goes_on() {
    let host = Host::start(CONFIG);
    let mut connection = connect(host.otlp.unwrap()).await;
    let prefix = |length: usize| [&[0], u32::try_from(length).unwrap().to_be_bytes().as_slice()].concat();
    let mut announced = call(TRACES, "", false);
    announced.headers_mut().insert("content-length", (LIMIT + 6).into());
    let garbage = [prefix(7).as_slice(), b"garbage"].concat();
    let cases = [
        ("8", "a message above the limit, before it is sent", call(TRACES, prefix(LIMIT + 1), false)),
        ("8", "a body above the limit, before it is sent", announced),
        ("3", "garbage", call(TRACES, garbage, true)),
        ("13", "half a message", call(TRACES, prefix(1), true)),
        ("13", "an unknown flag", call(TRACES, &b"\x07\0\0\0\0"[..], false)),
        ("12", "no message", call(TRACES, "", true)),
        ("12", "no such method", call("/opentelemetry/Export", prefix(0), true)),
    ];
    for (code, what, call) in cases {
        let (status, body) = ended(&mut connection, call).await;
        assert_eq!((status.as_str(), body.len()), (code, 0), "{what}");
        let good = ended(&mut connection, call_of_nothing()).await;
        assert_eq!(good, ("0".to_owned(), Bytes::from_static(&[0; 5])), "after {what}");
    }
    let old = send(host.otlp.unwrap(), "POST", TRACES, &[("content-type", "application/grpc")], &[0; 5]);
    assert_eq!(old.unwrap().status, 505);
}

fn call_of_nothing() -> Request<Sent> {
    call(TRACES, &[0; 5][..], true)
}

#[tokio::test]
async fn what_is_too_large_is_told_in_the_senders_encoding() {
    let host = Host::start(CONFIG);
    let address = host.otlp.unwrap();
    for content_type in ["application/x-protobuf", "application/json"] {
        // As it comes, and as it is announced.
        let flood = request("/v1/traces", content_type, vec![b' '; LIMIT + 1], true);
        let mut announced = request("/v1/traces", content_type, "", false);
        announced.headers_mut().insert("content-length", (LIMIT + 1).into());
        for request in [flood, announced] {
            let response = connect(address).await.send_request(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
            assert_eq!(response.headers()["content-type"], content_type);
        }
    }
}
