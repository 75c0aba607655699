use proptest::prelude::*;

use super::file::{InFlightFile, orphans, parse};
use super::*;
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
