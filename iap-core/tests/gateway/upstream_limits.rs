//! Bounds on requests at a time, the queue, and what is sent again.

use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use crate::common::h2::{Frames, connect, request};
use crate::common::recording::{Recording, soon};
use crate::common::{Client, Next, Origin, gateway_to, respond, single, status, until};
use iap_core::upstream::{InFlightLimits, Retry, UpstreamSettings};
use iap_core::{RunningServer, Target, Upstream};

/// An origin that answers when it is told to, in any order.
fn held() -> (Origin, Sender<()>) {
    let (go, wait) = channel::<()>();
    let wait = parking_lot::Mutex::new(wait);
    let origin = Origin::start(move |_, _, stream| {
        wait.lock().recv().unwrap();
        respond(stream, "done");
        Next::KeepAlive
    });
    (origin, go)
}

fn limited(origins: &[&Origin], limits: InFlightLimits) -> (Arc<Upstream>, RunningServer) {
    let upstream = limited_upstream(origins, limits);
    let gateway = gateway_to(&upstream);
    (upstream, gateway)
}

fn limited_upstream(origins: &[&Origin], limits: InFlightLimits) -> Arc<Upstream> {
    let servers = origins.iter().map(|origin| origin.address.to_string());
    let settings = UpstreamSettings { limits: Some(limits), ..UpstreamSettings::default() };
    Arc::new(Upstream::new("group", servers, settings).unwrap())
}

fn begin(gateway: &RunningServer) -> Client {
    let mut client = Client::connect(gateway.addresses()[0]);
    client.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n");
    client
}

#[test]
fn a_request_without_room_waits_and_one_too_many_is_told_so() {
    for limits in [
        InFlightLimits { per_server: Some(1), ..Default::default() },
        InFlightLimits { total: Some(1), ..Default::default() },
        InFlightLimits { connections_per_server: Some(1), ..Default::default() },
    ] {
        let (origin, go) = held();
        let limits = InFlightLimits { queue: 2, queue_timeout: Duration::from_secs(3600), ..limits };
        let (upstream, gateway) = limited(&[&origin], limits);
        let mut first = begin(&gateway);
        until("the first is there", || origin.requests.lock().len() == 1);
        let mut second = begin(&gateway);
        until("the second waits", || upstream.status().queued == 1);
        let mut third = begin(&gateway);
        until("the third waits", || upstream.status().queued == 2);
        let refused = begin(&gateway).response();
        assert_eq!(status(&refused), "503");
        assert!(refused.contains("retry-after: 1") && refused.contains("too many requests"), "{refused}");
        for client in [&mut first, &mut second, &mut third] {
            go.send(()).unwrap();
            assert!(client.response().ends_with("done"), "in their order");
        }
        assert_eq!(origin.requests.lock().len(), 3);
        assert_eq!(origin.connections.load(std::sync::atomic::Ordering::SeqCst), 1);
        until("all have left", || upstream.status().servers[0].in_flight == 0);
        assert_eq!(upstream.status().queued, 0);
    }
}

#[test]
fn waiting_is_a_stage_of_its_own() {
    let (origin, go) = held();
    let limits = InFlightLimits { per_server: Some(1), ..Default::default() };
    let limits = InFlightLimits { queue: 1, queue_timeout: Duration::from_secs(3600), ..limits };
    let upstream = limited_upstream(&[&origin], limits);
    let recording = Recording::default();
    let gateway = recording.watch(single(Target::Upstream(upstream.clone())));
    let mut first = begin(&gateway);
    until("the first is there", || origin.requests.lock().len() == 1);
    let mut second = begin(&gateway);
    until("the second waits", || upstream.status().queued == 1);
    for client in [&mut first, &mut second] {
        go.send(()).unwrap();
        assert!(client.response().ends_with("done"));
    }
    until("both are over", || {
        recording.0.lock().iter().filter(|told| told.starts_with("finish")).count() == 2
    });
    let told = recording.0.lock();
    assert_eq!(told.iter().filter(|told| *told == "upstream.queue").count(), 1, "{told:?}");
}

#[tokio::test]
async fn a_client_that_leaves_the_queue_makes_room_in_it() {
    let (origin, go) = held();
    let queue_timeout = Duration::from_secs(3600);
    let limits = InFlightLimits { per_server: Some(1), queue: 1, queue_timeout, ..Default::default() };
    let (upstream, gateway) = limited(&[&origin], limits);
    let client = connect(gateway.addresses()[0]).await;
    let ask = || {
        let mut client = client.clone();
        tokio::spawn(async move { client.send_request(request("GET", "/", Frames::of(""))).await.unwrap() })
    };
    let first = ask();
    while origin.requests.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    let second = ask();
    while upstream.status().queued == 0 {
        tokio::task::yield_now().await;
    }
    second.abort();
    assert!(second.await.is_err());
    while upstream.status().queued == 1 {
        tokio::task::yield_now().await;
    }
    let third = ask();
    while upstream.status().queued == 0 {
        tokio::task::yield_now().await;
    }
    for call in [first, third] {
        go.send(()).unwrap();
        assert_eq!(soon(call).await.unwrap().status(), 200);
    }
    assert_eq!(origin.requests.lock().len(), 2, "whoever left was not sent");
}

#[test]
fn waiting_has_an_end() {
    let (origin, go) = held();
    let queue_timeout = Duration::from_millis(50);
    let limits = InFlightLimits { per_server: Some(1), queue_timeout, ..Default::default() };
    let (_upstream, gateway) = limited(&[&origin], limits);
    let mut first = begin(&gateway);
    until("the first is there", || origin.requests.lock().len() == 1);
    assert_eq!(status(&begin(&gateway).response()), "503");
    go.send(()).unwrap();
    assert!(first.response().ends_with("done"));
    assert_eq!(origin.requests.lock().len(), 1);
}

#[test]
fn those_that_waited_are_spread_over_the_servers() {
    let ((a, go_a), (b, go_b)) = (held(), held());
    let limits =
        InFlightLimits { total: Some(1), queue_timeout: Duration::from_secs(60), ..Default::default() };
    let (upstream, gateway) = limited(&[&a, &b], limits);
    let mut clients = vec![begin(&gateway)];
    until("the first is there", || a.requests.lock().len() + b.requests.lock().len() == 1);
    clients.extend((0..7).map(|_| begin(&gateway)));
    until("all others wait", || upstream.status().queued == 7);
    for _ in 0..8 {
        go_a.send(()).unwrap();
        go_b.send(()).unwrap();
    }
    for mut client in clients {
        assert!(client.response().ends_with("done"));
    }
    let (a, b) = (a.requests.lock().len(), b.requests.lock().len());
    assert!(a >= 2 && b >= 2 && a + b == 8, "{a} and {b}");
}

#[test]
fn a_full_server_leads_to_the_next_one() {
    let ((a, go_a), (b, go_b)) = (held(), held());
    let (_upstream, gateway) =
        limited(&[&a, &b], InFlightLimits { per_server: Some(2), ..Default::default() });
    let clients: Vec<Client> = (0..4).map(|_| begin(&gateway)).collect();
    until("two each", || a.requests.lock().len() == 2 && b.requests.lock().len() == 2);
    for go in [&go_a, &go_a, &go_b, &go_b] {
        go.send(()).unwrap();
    }
    for mut client in clients {
        assert!(client.response().ends_with("done"));
    }
}

/// An origin that answers with that status, or breaks off without one.
fn failing(code: Option<u16>) -> Origin {
    Origin::start(move |_, _, stream| {
        let Some(code) = code else { return Next::Close };
        let text = format!("HTTP/1.1 {code} No\r\ncontent-length: 2\r\n\r\nno");
        stream.write_all(text.as_bytes()).unwrap();
        Next::KeepAlive
    })
}

fn retrying(bad: &Origin, good: Option<&Origin>, retry: Retry) -> (Arc<Upstream>, RunningServer) {
    let servers = [Some(bad), good].into_iter().flatten().map(|origin| origin.address.to_string());
    let settings = UpstreamSettings { retry: Some(retry), ..UpstreamSettings::default() };
    let upstream = Arc::new(Upstream::new("group", servers, settings).unwrap());
    let gateway = gateway_to(&upstream);
    (upstream, gateway)
}

#[test]
fn only_what_is_safe_to_repeat_is_sent_again() {
    let get = "GET / HTTP/1.1\r\nhost: t\r\n\r\n";
    let delete = "DELETE / HTTP/1.1\r\nhost: t\r\n\r\n";
    let post = "POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 0\r\n\r\n";
    let put = "PUT / HTTP/1.1\r\nhost: t\r\ncontent-length: 1\r\n\r\nx";
    let unlimited = Retry { budget_floor: 1000, ..Retry::default() };
    for (code, request, expected) in [
        (Some(503), get, "200"),
        (Some(502), delete, "200"),
        (None, get, "200"),
        (None, delete, "200"),
        (Some(500), get, "500"),
        (Some(503), post, "503"),
        (Some(503), put, "503"),
        (None, post, "502"),
        (None, put, "502"),
    ] {
        let (bad, good) = (failing(code), Origin::fixed("good"));
        let (_upstream, gateway) = retrying(&bad, Some(&good), unlimited.clone());
        let mut seen = Vec::new();
        for _ in 0..2 {
            seen.push(status(&Client::connect(gateway.addresses()[0]).request(request)).to_owned());
        }
        assert!(seen.iter().any(|code| code == "200"), "one of them goes to the good server first");
        assert!(seen.iter().all(|code| code == "200" || code == expected), "{code:?} {request}: {seen:?}");
        let tried = if expected == "200" { 2 } else { 1 };
        assert_eq!(good.requests.lock().len(), tried, "{code:?} {request}");
    }
}

#[test]
fn attempts_and_the_budget_bound_what_is_sent_again() {
    let bad = failing(Some(503));
    let (_upstream, gateway) =
        retrying(&bad, None, Retry { attempts: 3, budget_floor: 1000, ..Retry::default() });
    assert_eq!(status(&Client::connect(gateway.addresses()[0]).get("/")), "503");
    assert_eq!(bad.requests.lock().len(), 4, "the only server is tried again");

    let bad = failing(Some(503));
    let retry = Retry { attempts: 3, budget_percent: 20, budget_floor: 0, ..Retry::default() };
    let (_upstream, gateway) = retrying(&bad, None, retry);
    let mut client = Client::connect(gateway.addresses()[0]);
    for _ in 0..50 {
        let response = client.get("/");
        assert!(
            status(&response) == "503" && response.ends_with("no"),
            "the server's own answer: {response}"
        );
    }
    assert_eq!(bad.requests.lock().len(), 60, "an outage gets a fifth more, and not four times as much");
}

#[test]
fn how_long_a_server_takes_to_answer_is_counted_without_those_that_did_not() {
    const LATE: Duration = Duration::from_millis(30);
    let origin = Origin::start(|_, request, stream| {
        std::thread::sleep(LATE);
        if request.starts_with("POST /none") {
            return Next::Close;
        }
        respond(stream, "done");
        Next::KeepAlive
    });
    let (upstream, gateway) = limited(&[&origin], InFlightLimits::default());
    for path in ["/", "/none", "/"] {
        let mut client = Client::connect(gateway.addresses()[0]);
        client.send(&format!("POST {path} HTTP/1.1\r\nhost: t\r\ncontent-length: 0\r\n\r\n"));
        client.response();
    }
    let server = upstream.status().servers.remove(0);
    assert_eq!((server.requests, server.answered), (3, 2));
    assert!(server.waited >= 2 * LATE, "{:?}", server.waited);
}
