//! Servers that come, go and move while requests are on their way.

use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use crate::common::{Client, Next, Origin, gateway_to, respond, status, until};
use iap_core::Upstream;
use iap_core::upstream::{ServerSettings, ServerState, UpstreamError, UpstreamSettings};
use parking_lot::Mutex;

fn upstream(start_wait: Option<Duration>) -> Arc<Upstream> {
    let settings = UpstreamSettings { start_wait, ..UpstreamSettings::default() };
    Arc::new(Upstream::with_servers("u", [ServerSettings::placed_later("1", "u#1")], settings).unwrap())
}

fn body(response: &str) -> &str {
    response.split("\r\n\r\n").nth(1).unwrap_or_default()
}

/// An origin that answers when it is told to, and says that it was asked.
fn slow(text: &'static str) -> (Origin, Receiver<()>, Sender<()>) {
    let ((asked, was_asked), (go, may_go)) = (channel(), channel());
    let (asked, may_go) = (Mutex::new(asked), Mutex::new(may_go));
    let origin = Origin::start(move |_, _, stream| {
        asked.lock().send(()).unwrap();
        may_go.lock().recv().unwrap();
        respond(stream, text);
        Next::KeepAlive
    });
    (origin, was_asked, go)
}

#[test]
fn a_server_without_a_place_gets_nothing_until_it_has_one() {
    let upstream = upstream(None);
    let gateway = gateway_to(&upstream);
    let mut client = Client::connect(gateway.addresses()[0]);
    let refused = client.get("/");
    assert_eq!(status(&refused), "503");
    assert!(refused.contains("retry-after: 1"), "{refused}");
    assert_eq!(upstream.status().servers[0].state, ServerState::Absent);

    let origin = Origin::fixed("here");
    upstream.place("1", Some(&origin.address.to_string())).unwrap();
    assert_eq!(body(&client.get("/")), "here");
    assert_eq!(upstream.status().servers[0].state, ServerState::Up);

    // It leaves: its idle connection is closed, and nothing goes there any more.
    let departed = upstream.place("1", None).unwrap();
    until("the idle connection is closed", || departed.connections() == 0);
    assert_eq!(status(&client.get("/")), "503");
    assert_eq!(origin.requests.lock().len(), 1);
}

#[test]
fn a_request_at_the_former_place_is_finished_there() {
    let upstream = upstream(None);
    let (old, asked, go) = slow("old");
    upstream.place("1", Some(&old.address.to_string())).unwrap();
    let gateway = gateway_to(&upstream);
    let address = gateway.addresses()[0];
    let pending = std::thread::spawn(move || Client::connect(address).get("/"));
    asked.recv().unwrap();

    let new = Origin::fixed("new");
    let departed = upstream.place("1", Some(&new.address.to_string())).unwrap();
    assert_eq!(departed.connections(), 1);
    assert_eq!(body(&Client::connect(address).get("/")), "new");
    go.send(()).unwrap();
    assert_eq!(body(&pending.join().unwrap()), "old");
    // Its connection is not kept for others.
    until("the connection is closed", || departed.connections() == 0);
    assert_eq!(body(&Client::connect(address).get("/")), "new");
    assert_eq!(old.connections.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[test]
fn a_request_waits_for_a_server_to_come() {
    let upstream = upstream(Some(Duration::from_secs(60)));
    let gateway = gateway_to(&upstream);
    let address = gateway.addresses()[0];
    let origin = Origin::fixed("here");
    // There is none; or there is one, but it has crashed and nobody has noticed yet.
    let dead = crate::common::dead_address().to_string();
    for before in [None, Some(dead.as_str())] {
        upstream.place("1", before).unwrap();
        let mut client = Client::connect(address);
        client.0.write_all(b"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 3\r\n\r\nabc").unwrap();
        upstream.place("1", Some(&origin.address.to_string())).unwrap();
        let answer = client.response();
        assert_eq!(body(&answer), "here", "{answer}");
    }
    let requests = origin.requests.lock();
    assert!(requests.iter().all(|request| request.ends_with("abc")), "{requests:?}");
}

#[test]
fn the_wait_has_an_end() {
    let upstream = upstream(Some(Duration::from_millis(20)));
    let gateway = gateway_to(&upstream);
    let dead = crate::common::dead_address().to_string();
    for before in [None, Some(dead.as_str())] {
        upstream.place("1", before).unwrap();
        assert_eq!(status(&Client::connect(gateway.addresses()[0]).get("/")), "503", "{before:?}");
    }
}

#[test]
fn only_what_is_a_place_is_one() {
    let upstream = upstream(None);
    let place = |server, address| upstream.place(server, Some(address)).unwrap_err();
    assert_eq!(place("2", "127.0.0.1:1"), UpstreamError::Unknown("2".to_owned()));
    assert_eq!(place("1", "a.example:1"), UpstreamError::BadAddress("a.example:1".to_owned()));
    assert!(matches!(place("1", "ftp://x"), UpstreamError::BadAddress(_)));
}
