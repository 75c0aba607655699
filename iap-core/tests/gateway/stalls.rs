//! Sides that stop in the middle or leave, and what becomes of the connection on the other side.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use crate::common::{ANY, Client, Next, Origin, proxy_to, respond, single, status};
use iap_core::pipeline::Limits;
use iap_core::server::{RunningServer, ServerBuilder, Timeouts};
use iap_core::upstream::UpstreamSettings;
use iap_core::{RouteTable, Server, Target, Upstream};

/// Longer than any of these takes, unless it never happens.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(100);

fn builder(routes: RouteTable) -> ServerBuilder<()> {
    Server::builder().listen(ANY.parse().unwrap()).workers(1).routes(routes)
}

fn client(gateway: &RunningServer) -> Client {
    Client::connect(gateway.addresses()[0])
}

/// An origin that does `work` and then says when the gateway has closed its connection.
fn watched(
    work: impl Fn(usize, &mut std::net::TcpStream) -> bool + Send + Sync + 'static,
) -> (Origin, mpsc::Receiver<()>) {
    let (closed, is_closed) = mpsc::channel();
    let closed = parking_lot::Mutex::new(closed);
    let origin = Origin::start(move |number, _, stream| {
        if work(number, stream) {
            return Next::KeepAlive;
        }
        let _ = stream.read_to_end(&mut Vec::new());
        closed.lock().send(()).unwrap();
        Next::Close
    });
    (origin, is_closed)
}

#[test]
fn an_upstream_that_stops_in_its_body_is_broken_off() {
    let (origin, is_closed) = watched(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").unwrap();
        false
    });
    let settings = UpstreamSettings { body_idle: SHORT, ..UpstreamSettings::default() };
    let upstream = Arc::new(Upstream::new("o", [origin.address.to_string()], settings).unwrap());
    let gateway = builder(single(Target::Upstream(upstream.clone()))).start().unwrap();
    let mut client = client(&gateway);
    client.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n");
    let mut all = Vec::new();
    // The response ends early, with an end or with a reset.
    let _ = client.0.read_to_end(&mut all);
    assert!(all.ends_with(b"half"), "{}", String::from_utf8_lossy(&all));
    is_closed.recv_timeout(LONG).expect("the upstream connection is closed");
    assert_eq!(upstream.stats().idle, 0);
}

#[test]
fn a_client_that_stops_in_its_body_gets_408() {
    let origin = Origin::fixed("ok");
    let limits = Limits { request_body_idle: SHORT, ..Limits::default() };
    let gateway = builder(proxy_to([origin.address.to_string()])).limits(limits).start().unwrap();
    let mut client = client(&gateway);
    let response = client.request("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 10\r\n\r\nhalf");
    assert_eq!(status(&response), "408", "{response}");
    assert!(client.is_closed());
    assert!(origin.requests.lock().is_empty());
}

#[test]
fn a_client_that_reads_nothing_is_closed() {
    let body = vec![b'x'; 64 << 20];
    let timeouts = Timeouts { write: SHORT, ..Timeouts::default() };
    let gateway =
        builder(single(Target::respond(http::StatusCode::OK, body))).timeouts(timeouts).start().unwrap();
    let mut client = client(&gateway);
    client.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n");
    let give_up = std::time::Instant::now() + LONG;
    let mut was_open = false;
    while gateway.open_connections() > 0 || !was_open {
        was_open |= gateway.open_connections() > 0;
        assert!(std::time::Instant::now() < give_up, "it is still open");
        std::thread::yield_now();
    }
    let mut all = Vec::new();
    let _ = client.0.read_to_end(&mut all);
    assert!(all.len() < 64 << 20);
}

#[test]
fn a_client_that_leaves_in_its_upload_takes_the_upstream_connection_with_it() {
    let origin = Origin::fixed("ok");
    let upstream = Upstream::new("o", [origin.address.to_string()], UpstreamSettings::default()).unwrap();
    let upstream = Arc::new(upstream);
    let gateway = builder(single(Target::Upstream(upstream.clone()))).start().unwrap();
    // A connection that is in the pool first, so that the upload goes over a used one.
    assert_eq!(status(&client(&gateway).get("/")), "200");
    let mut leaving = client(&gateway);
    leaving.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 100000\r\n\r\nhalf");
    drop(leaving);
    let mut client = client(&gateway);
    for _ in 0..10 {
        assert!(client.get("/after").ends_with("ok"));
    }
    for request in origin.requests.lock().iter() {
        assert!(!request.contains("half"), "a request was taken for the rest of an upload: {request}");
    }
}

#[test]
fn a_client_that_leaves_in_a_response_closes_the_upstream_connection() {
    let (origin, is_closed) = watched(|number, stream| {
        if number > 1 {
            respond(stream, "fresh");
            return true;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nbeginning").unwrap();
        // Writes until nobody takes it any more.
        while stream.write_all(&[b'x'; 1000]).is_ok() {}
        false
    });
    let upstream = Upstream::new("o", [origin.address.to_string()], UpstreamSettings::default()).unwrap();
    let upstream = Arc::new(upstream);
    let gateway = builder(single(Target::Upstream(upstream.clone()))).start().unwrap();
    let mut leaving = client(&gateway);
    leaving.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n");
    leaving.0.read_exact(&mut [0; 20]).unwrap();
    drop(leaving);
    is_closed.recv_timeout(LONG).expect("the upstream connection is closed");
    assert!(client(&gateway).get("/").ends_with("fresh"));
    assert_eq!(upstream.stats().reused, 0);
}

#[test]
fn an_answer_that_comes_too_late_is_nobodys() {
    let (late, may_answer) = mpsc::channel::<()>();
    let may_answer = parking_lot::Mutex::new(may_answer);
    let origin = Origin::start(move |number, _, stream| {
        if number == 1 {
            may_answer.lock().recv().unwrap();
            // Nobody may be there to take it.
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate");
            return Next::KeepAlive;
        }
        respond(stream, "fresh");
        Next::KeepAlive
    });
    let settings =
        UpstreamSettings { response_timeout: Duration::from_secs(1), ..UpstreamSettings::default() };
    let upstream = Upstream::new("o", [origin.address.to_string()], settings).unwrap();
    let gateway = builder(single(Target::Upstream(upstream.into()))).start().unwrap();
    let mut client = client(&gateway);
    assert_eq!(status(&client.get("/")), "504");
    late.send(()).unwrap();
    for _ in 0..10 {
        assert!(client.get("/").ends_with("fresh"));
    }
}

#[test]
fn the_last_response_before_a_drain_says_close() {
    let (go, may_answer) = mpsc::channel::<()>();
    let (entered, has_entered) = mpsc::channel::<()>();
    let (may_answer, entered) = (parking_lot::Mutex::new(may_answer), parking_lot::Mutex::new(entered));
    let origin = Origin::start(move |_, _, stream| {
        entered.lock().send(()).unwrap();
        may_answer.lock().recv().unwrap();
        respond(stream, "last");
        Next::KeepAlive
    });
    let gateway = builder(proxy_to([origin.address.to_string()])).start().unwrap();
    let address = gateway.addresses()[0];
    let mut client = client(&gateway);
    client.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n");
    has_entered.recv_timeout(LONG).unwrap();
    let drain = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(gateway.shutdown(LONG))
    });
    while std::net::TcpStream::connect(address).is_ok() {
        std::thread::yield_now();
    }
    go.send(()).unwrap();
    let response = client.response();
    assert!(response.ends_with("last") && response.contains("connection: close\r\n"), "{response}");
    assert!(client.is_closed());
    assert_eq!(drain.join().unwrap(), 0);
}

#[test]
fn a_client_can_read_why_its_upload_was_refused() {
    const SIZE: usize = 20 << 20;
    let limits = Limits { request_body: 1 << 20, ..Limits::default() };
    let origin = Origin::fixed("ok");
    let gateway = builder(proxy_to([origin.address.to_string()])).limits(limits).start().unwrap();
    for _ in 0..5 {
        let mut client = client(&gateway);
        client.send(&format!("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: {SIZE}\r\n\r\n"));
        // A simple client: it sends all of its body before it reads. A reset would end that.
        for _ in 0..SIZE >> 16 {
            client.0.write_all(&[b'x'; 1 << 16]).expect("what was refused is still taken");
        }
        let response = client.response();
        assert_eq!(status(&response), "413", "{response}");
        assert!(response.contains("connection: close"), "{response}");
    }
}

#[test]
fn a_client_can_read_why_its_head_was_refused() {
    let routes = single(Target::respond(http::StatusCode::OK, "ok"));
    let gateway = builder(routes).start().unwrap();
    for (start, expected) in [
        ("GET / HTTP/1.1\r\nhost: t\r\nx: ", "431"),
        ("GET / HTTP/1.1\nhost: t\r\nx: ", "400"),
        ("GET / HTTP/1.1\r\nhost : t\r\n\r\n", "400"),
    ] {
        let mut client = client(&gateway);
        client.send(start);
        for _ in 0..256 {
            client.0.write_all(&[b'x'; 1 << 16]).expect("what was refused is still taken");
        }
        assert_eq!(status(&client.response()), expected, "{start}");
    }
}

#[test]
fn a_client_that_has_nothing_more_to_say_still_gets_its_answer() {
    let (ended, end) = std::sync::mpsc::channel::<()>();
    let end = parking_lot::Mutex::new(end);
    // It answers only after the client has shut its half.
    let origin = Origin::start(move |_, _, stream| {
        let _ = end.lock().recv();
        respond(stream, "ok");
        Next::KeepAlive
    });
    let gateway = builder(proxy_to([origin.address.to_string()])).start().unwrap();
    for request in
        ["GET / HTTP/1.1\r\nhost: t\r\n\r\n", "POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 1\r\n\r\nx"]
    {
        let mut client = client(&gateway);
        client.send(request);
        client.0.shutdown(std::net::Shutdown::Write).unwrap();
        ended.send(()).unwrap();
        assert!(client.response().ends_with("ok"), "{request}");
        assert!(client.is_closed());
    }
}

/// A slow client: the time between its bytes is what is slow about it, and nothing waits for it.
#[test]
fn an_upload_may_take_longer_than_the_answer() {
    let origin = Origin::fixed("ok");
    let settings =
        UpstreamSettings { response_timeout: Duration::from_secs(1), ..UpstreamSettings::default() };
    let upstream = Upstream::new("o", [origin.address.to_string()], settings).unwrap();
    let gateway = builder(single(Target::Upstream(upstream.into()))).start().unwrap();
    let mut client = client(&gateway);
    client.send("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 30\r\n\r\n");
    for _ in 0..30 {
        std::thread::sleep(SHORT);
        client.send("x");
    }
    assert_eq!(status(&client.response()), "200");
}

#[test]
fn a_beginning_of_http2_is_not_waited_for_and_may_be_one_of_http1() {
    let timeouts = Timeouts { first_byte: LONG * 10, head: SHORT, ..Timeouts::default() };
    let routes = single(Target::respond(http::StatusCode::OK, "ok"));
    let server = builder(routes).timeouts(timeouts).start().unwrap();
    let mut split = client(&server);
    split.send("P");
    std::thread::yield_now();
    split.send("OST / HTTP/1.1\r\nhost: t\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(status(&split.response()), "200");
    let mut stopped = client(&server);
    stopped.send("PRI * HT");
    assert!(stopped.is_closed());
}

/// Longer than a connection is kept ready for its next request.
const REST: Duration = Duration::from_millis(1300);

#[test]
fn a_connection_that_has_rested_goes_on_as_before() {
    let origin = Origin::fixed("awake");
    let gateway = crate::common::gateway(&origin);
    let mut client = client(&gateway);
    assert!(client.get("/").ends_with("awake"));
    for piece in [30, 3] {
        std::thread::sleep(REST);
        // The first bytes after it come alone.
        let request = b"GET / HTTP/1.1\r\nhost: t\r\n\r\n";
        for part in request.chunks(piece) {
            client.0.write_all(part).unwrap();
        }
        assert!(client.response().ends_with("awake"));
    }
    std::thread::sleep(REST);
    client.send("\r\n");
    std::thread::sleep(REST);
    assert!(client.get("/").ends_with("awake"), "an empty line before a request is none");
    std::thread::sleep(REST);
    let large = "x".repeat(2_000);
    client.send(&format!("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 2000\r\n\r\n{large}"));
    assert!(client.response().ends_with("awake"));
    assert!(origin.requests.lock().last().unwrap().starts_with("POST"));
    std::thread::sleep(REST);
    client.send("GET / HTTP/1.1\r\nhost: t\n\r\n");
    assert_eq!(status(&client.response()), "400", "what comes after a rest is checked as well");
}

#[test]
fn a_response_that_is_read_late_is_not_cut_off_by_a_rest() {
    let body: &'static [u8] = Box::leak(vec![b'x'; 8 << 20].into_boxed_slice());
    let routes = single(Target::respond(http::StatusCode::OK, body));
    let gateway = builder(routes).start().unwrap();
    let mut client = client(&gateway);
    client.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n");
    std::thread::sleep(REST);
    client.send("GET / HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
    let mut all = Vec::new();
    client.0.read_to_end(&mut all).unwrap();
    assert!(all.len() > 2 * body.len(), "{} bytes", all.len());
}

#[test]
fn an_idle_connection_ends_at_its_time_whether_it_rests_or_not() {
    for head in [SHORT, REST] {
        let timeouts = Timeouts { head, ..Timeouts::default() };
        let routes = single(Target::respond(http::StatusCode::OK, "ok"));
        let gateway = builder(routes).timeouts(timeouts).start().unwrap();
        // Without another byte, in the middle of a head, and with an empty line before one.
        for next in ["", "GET / HT", "\r\n"] {
            let mut client = client(&gateway);
            assert_eq!(status(&client.get("/")), "200");
            client.send(next);
            client.0.set_read_timeout(Some(LONG)).unwrap();
            let mut rest = Vec::new();
            let end = client.0.read_to_end(&mut rest);
            let timed_out = end.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
            assert!(!timed_out && rest.is_empty(), "{head:?} {next:?}: {rest:?}");
        }
    }
}
