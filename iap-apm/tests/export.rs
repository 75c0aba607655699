//! The export, against servers that answer as they are told; in a process of its own, since a process has
//! one recorder.

mod common;

use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use common::answering::{answering, status};
use http::Response;
use iap_apm::{Apm, ExportSettings, Exporter};
use iap_core::Body;
use iap_core::hooks::Hooks;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use prost::Message;
use tokio::runtime::Handle;

fn export(apm: &Apm, address: SocketAddr, path: &str) -> Exporter {
    let mut settings = ExportSettings::new(format!("http://{address}{path}"));
    settings.interval = Duration::from_secs(3_600);
    settings.headers.insert("authorization", "Bearer secret".parse().expect("a value"));
    assert!(!format!("{settings:?}").contains("secret"));
    apm.export(settings, &Handle::current()).expect("an export")
}

fn points(body: &Bytes) -> u64 {
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut text).expect("gzip");
    let request = ExportMetricsServiceRequest::decode(text.as_slice()).expect("a request");
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
    let requests = metrics.iter().filter(|metric| metric.name == "iap_apm_dropped_total");
    assert_eq!(requests.count(), 1, "what /metrics shows");
    metrics.len() as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_never_sent_again_and_each_point_is_counted_once() {
    iap_apm::metrics::install().expect("installed");
    let apm = Apm::builder().service_name("gateway").build().expect("an APM");

    // Kept, but for three.
    let (server, answer, mut asked) = answering();
    let exporter = export(&apm, server.addresses()[0], "/otlp/");
    let partial = ExportMetricsPartialSuccess { rejected_data_points: 3, error_message: String::new() };
    let message = ExportMetricsServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    answer.send(Response::new(Body::from(Bytes::from(message)))).await.expect("taken");
    exporter.stop(Duration::from_secs(60)).await;
    let (path, headers, body) = asked.recv().await.expect("a request");
    assert_eq!((path.as_str(), &headers["content-encoding"]), ("/otlp/v1/metrics", &"gzip".parse().unwrap()));
    assert_eq!(
        (&headers["authorization"], &headers["content-type"]),
        (&"Bearer secret".parse().unwrap(), &"application/x-protobuf".parse().unwrap())
    );
    assert!(points(&body) > 0);
    let kept = exporter.metrics();
    assert!(
        kept.made > 3 && kept.sent == kept.made - 3 && (kept.rejected, kept.dropped) == (3, 0),
        "{kept:?}"
    );

    // Refused as a whole: once asked, never again.
    for code in [400, 401, 404, 500, 501, 307] {
        let (server, answer, mut asked) = answering();
        let exporter = export(&apm, server.addresses()[0], "");
        answer.send(status(code, Some("0"))).await.expect("taken");
        exporter.stop(Duration::from_secs(60)).await;
        let refused = exporter.metrics();
        assert_eq!((refused.sent, refused.rejected, refused.dropped), (0, refused.made, 0), "{code}");
        assert!(asked.recv().await.is_some() && asked.try_recv().is_err(), "{code}");
    }

    // Nobody is there: what cannot be sent in the end is dropped, and counted.
    let nobody =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let exporter = export(&apm, nobody, "");
    exporter.stop(Duration::from_secs(60)).await;
    let lost = exporter.metrics();
    assert!(lost.made > 0 && lost.dropped == lost.made && lost.sent == 0, "{lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_sent_again_is_the_same_until_it_is_kept() {
    iap_apm::metrics::install().expect("installed");
    let apm = Apm::builder().service_name("gateway").build().expect("an APM");
    let (server, answer, mut asked) = answering();
    let mut settings = ExportSettings::new(format!("http://{}", server.addresses()[0]));
    settings.interval = Duration::from_secs(1);
    let exporter = apm.export(settings, &Handle::current()).expect("an export");
    for (code, retry_after) in [(503, Some("1")), (429, None), (502, None), (200, None)] {
        answer.send(status(code, retry_after)).await.expect("taken");
    }
    let mut bodies = Vec::new();
    for _ in 0..4 {
        bodies.push(asked.recv().await.expect("a request").2);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "the same four times");
    answer.send(status(200, None)).await.expect("taken");
    let (_, _, next) = asked.recv().await.expect("the next one");
    assert_ne!(next, bodies[0]);
    let sent = exporter.metrics();
    assert!(sent.sent > 0 && sent.sent < sent.made && sent.dropped == 0, "{sent:?}");
}

#[tokio::test]
async fn endpoints_that_cannot_be_are_refused() {
    let apm = Apm::builder().build().expect("an APM");
    for endpoint in [
        "collector:4318",
        "ftp://collector",
        "http://",
        "http://me:word@collector",
        "http://c/?token=1",
        "https://collector",
    ] {
        let error =
            apm.export(ExportSettings::new(endpoint), &Handle::current()).map(|_| ()).expect_err(endpoint);
        let cause = std::error::Error::source(&error).expect("a cause").to_string();
        assert!(!cause.contains("word") && !cause.is_empty(), "{cause}");
    }
}

/// Ending waits for tasks of the runtime that it is called on, and that has only one thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn everything_ends_on_one_worker_while_a_collector_is_silent() {
    iap_apm::metrics::install().expect("installed");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
    let apm = Apm::builder().build().expect("an APM");
    let mut settings = ExportSettings::new(format!("http://{}", silent.local_addr().expect("an address")));
    (settings.traces, settings.logs) = (true, true);
    let exporter = apm.export(settings, &Handle::current()).expect("an export");
    let hooks = apm.hooks();
    let transaction = common::begin(&hooks, "/", None);
    hooks.finish(transaction, common::finish(200, None));
    let end = async {
        apm.flush().await.expect("flushed");
        exporter.stop(Duration::from_millis(300)).await;
        apm.shutdown().await.expect("ended");
    };
    tokio::time::timeout(Duration::from_secs(60), end).await.expect("it ends");
    let metrics = exporter.metrics();
    assert!(metrics.made > 0 && metrics.sent == 0 && metrics.dropped == metrics.made, "{metrics:?}");
}
