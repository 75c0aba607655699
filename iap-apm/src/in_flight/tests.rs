use std::sync::Arc;

use iap_core::{Route, RouteTable, Server, Target};
use proptest::prelude::*;
use tokio::runtime::Handle;

use super::file::{InFlightFile, orphans, parse};
use super::*;
use crate::apm::Apm;
use crate::export::ExportSettings;
use crate::history::{EventQuery, History, SqliteHistory, SqliteOptions};
use crate::model::{EventKind, Window};
use crate::otlp::OtlpService;
use crate::testing::trace_id;

fn request(path: &str) -> ActiveTransaction {
    ActiveTransaction {
        trace_id: trace_id(7),
        span_id: iap_core::SpanId([7; 8]),
        start_us: 1_000_000,
        running_us: 2_000_000,
        method: "GET".into(),
        path: path.into(),
        route: "shop".into(),
        stage: Some("upstream".into()),
        stage_us: 1_900_000,
        upstream: Some("app".into()),
        server: Some("127.0.0.1:80".into()),
        user: None,
        session: Some("0123456789abcdef".into()),
        client: None,
        tasks: 0,
    }
}

/// What a process leaves that has written these, one after the other, and is gone.
fn left(directory: &Path, writings: &[Vec<ActiveTransaction>]) -> Vec<u8> {
    let mut file = InFlightFile::create(directory).unwrap();
    for (at, requests) in writings.iter().enumerate() {
        file.write(3_000_000 + at as u64, requests).unwrap();
    }
    drop(file);
    let entry = std::fs::read_dir(directory).unwrap().next().unwrap().unwrap();
    std::fs::read(entry.path()).unwrap()
}

#[test]
fn the_last_writing_is_found_by_the_next_process() {
    let directory = tempfile::tempdir().unwrap();
    left(directory.path(), &[vec![request("/a")], vec![request("/b"), request("/c")]]);
    let found = orphans(directory.path()).unwrap();
    let paths: Vec<_> = found[0].requests.iter().map(|found| found.request.path.as_str()).collect();
    assert_eq!((paths, found[0].requests[0].seen_us), (vec!["/b", "/c"], 3_000_001));
    assert_eq!(
        found[0].requests[0].describe(),
        "the process ended without notice while this request was in flight, in upstream for 1900 ms, at 127.0.0.1:80 of app"
    );
    assert!(orphans(directory.path()).unwrap().is_empty(), "one process takes it, not two");
    found.into_iter().for_each(Found::remove);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn the_file_of_a_living_process_is_left_alone_and_an_empty_one_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let mut living = InFlightFile::create(directory.path()).unwrap();
    living.write(1, &[request("/a")]).unwrap();
    assert!(orphans(directory.path()).unwrap().is_empty());
    living.write(2, &[]).unwrap();
    drop(living);
    assert!(orphans(directory.path()).unwrap().is_empty());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn what_does_not_fit_is_left_out_whole() {
    let directory = tempfile::tempdir().unwrap();
    let long = request(&format!("/{}", "\u{1}".repeat(1_000)));
    let bytes = left(directory.path(), &[vec![long; 500]]);
    let found = parse(&bytes).unwrap();
    assert!((20..100).contains(&found.len()), "{}", found.len());
}

#[test]
fn a_writing_that_was_broken_off_leaves_the_one_before() {
    let directory = tempfile::tempdir().unwrap();
    let mut bytes = left(directory.path(), &[vec![request("/a")], vec![request("/b")]]);
    // The second one is in the first area.
    bytes[20] ^= 1;
    assert_eq!(parse(&bytes).unwrap()[0].request.path, "/a");
    bytes.truncate(300 << 10);
    bytes[(256 << 10) + 3] ^= 1;
    assert!(parse(&bytes).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_has_left_is_exported_too_also_when_that_begins_later() {
    let directory = tempfile::tempdir().unwrap();
    left(directory.path(), &[vec![request("/a")]]);
    let apm = Apm::builder().node("node-1").in_flight(directory.path()).build().unwrap();
    // It is in the history when only the file of this process is left.
    while std::fs::read_dir(directory.path()).unwrap().count() > 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let received: Arc<dyn History> = Arc::new(SqliteHistory::temporary(SqliteOptions::default()).unwrap());
    let otlp = Target::service("otlp", OtlpService::new(received.clone()));
    let routes = RouteTable::new([Route::new("otlp", "/", otlp)]).unwrap();
    let server = Server::builder().listen("127.0.0.1:0".parse().unwrap()).workers(1).routes(routes);
    let server = server.application(Handle::current()).start().unwrap();
    let mut settings = ExportSettings::new(format!("http://{}", server.addresses()[0]));
    (settings.metrics, settings.traces, settings.logs) = (false, true, true);
    let exporter = apm.export(settings, &Handle::current()).unwrap();
    exporter.stop(Duration::from_secs(60)).await;
    let (spans, lines) = (exporter.traces(), exporter.logs());
    assert_eq!((spans.made, spans.sent, lines.made, lines.sent), (2, 2, 1, 1), "{exporter:?}");
    let events = received.events(&EventQuery::new(Window::all())).await.unwrap();
    let told = (events.len(), events[0].kind, events[0].node.as_str(), events[0].time_us);
    assert_eq!(told, (1, EventKind::Crashed, "node-1", 3_000_000));
    assert!(
        received.trace(trace_id(7)).await.unwrap().unwrap().spans.iter().any(|span| span.name == "upstream")
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn damage_anywhere_is_noticed(at in 0usize..400, flip in 1u8..) {
        let directory = tempfile::tempdir().unwrap();
        let mut bytes = left(directory.path(), &[vec![], vec![request("/b")]]);
        let at = at % bytes.len().min(400);
        bytes[at] ^= flip;
        let found = parse(&bytes).unwrap_or_default();
        // What is behind the text does not count.
        prop_assert!(found.is_empty() || found == parse(&left(tempfile::tempdir().unwrap().path(), &[vec![], vec![request("/b")]])).unwrap());
    }
}
