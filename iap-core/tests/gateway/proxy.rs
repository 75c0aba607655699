//! The reverse proxy against a recording origin.

use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::common::{ANY, Client, Next, Origin, dead_address, proxy_to, respond, status};
use iap_core::server::RunningServer;
use iap_core::upstream::UpstreamSettings;
use iap_core::{Route, RouteTable, Server, Target, Upstream};

fn gateway(routes: RouteTable) -> RunningServer {
    Server::builder().listen(ANY.parse().unwrap()).workers(1).routes(routes).start().unwrap()
}

fn client(gateway: &RunningServer) -> Client {
    Client::connect(gateway.addresses()[0])
}

#[test]
fn a_request_reaches_the_origin_with_our_headers_and_the_connection_is_reused() {
    let origin = Origin::fixed("hello");
    let gateway = gateway(proxy_to([origin.address.to_string()]));
    let mut client = client(&gateway);
    let first = client.request(
        "POST /a%20b?q=1 HTTP/1.1\r\nhost: shop.test\r\ncontent-length: 3\r\nx-forwarded-for: 9.9.9.9\r\n\
         connection: keep-alive, x-forwarded-for\r\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\nabc",
    );
    assert!(first.starts_with("HTTP/1.1 200 OK") && first.ends_with("hello"), "{first}");
    assert_eq!(status(&client.get("/second")), "200");

    let requests = origin.requests.lock();
    let head = &requests[0];
    assert!(head.starts_with("POST /a%20b?q=1 HTTP/1.1\r\n") && head.ends_with("abc"), "{head}");
    for line in [
        "host: shop.test",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http",
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ] {
        assert!(head.lines().any(|have| have == line), "{line} in {head}");
    }
    assert!(!head.contains("9.9.9.9") && !head.contains("connection:"), "{head}");
    assert_eq!(origin.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn an_invalid_traceparent_is_dropped_with_its_tracestate() {
    let origin = Origin::fixed("");
    let gateway = gateway(proxy_to([origin.address.to_string()]));
    client(&gateway).request("GET / HTTP/1.1\r\nhost: t\r\ntraceparent: 00-zz\r\ntracestate: a=b\r\n\r\n");
    let requests = origin.requests.lock();
    assert!(!requests[0].contains("traceparent") && !requests[0].contains("tracestate"), "{}", requests[0]);
}

#[test]
fn tracestate_and_baggage_pass_whatever_is_in_them_and_never_void_the_traceparent() {
    let trace = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let many = (0..40).map(|n| format!("v{n}=1")).collect::<Vec<_>>().join(",");
    let items = (0..64).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
    for state in [many.as_str(), "=,;", "a=b"] {
        let origin = Origin::fixed("");
        let gateway = gateway(proxy_to([origin.address.to_string()]));
        let fields = format!("{trace}\r\ntracestate: {state}\r\nbaggage: {items}");
        client(&gateway).request(&format!("GET / HTTP/1.1\r\nhost: t\r\n{fields}\r\n\r\n"));
        let requests = origin.requests.lock();
        for line in [trace, &format!("tracestate: {state}"), &format!("baggage: {items}")] {
            assert!(requests[0].lines().any(|have| have == line), "{line} in {}", requests[0]);
        }
    }
}

#[test]
fn an_idle_connection_that_the_origin_closed_costs_a_get_nothing() {
    let origin = Origin::start(|_, _, stream| {
        respond(stream, "ok");
        Next::Close
    });
    let gateway = gateway(proxy_to([origin.address.to_string()]));
    let mut client = client(&gateway);
    for _ in 0..20 {
        assert_eq!(status(&client.get("/")), "200");
    }
    assert_eq!(origin.requests.lock().len(), 20);
}

#[test]
fn a_get_is_repeated_once_and_a_post_never_after_the_origin_has_read_it() {
    // The origin answers the first request of a connection and drops the second one unread by
    // its application: what an idle time-out looks like when it races with a request.
    let origin = Origin::start(|number, _, stream| {
        if number == 2 || number == 4 {
            return Next::Close;
        }
        respond(stream, "ok");
        Next::KeepAlive
    });
    let gateway = gateway(proxy_to([origin.address.to_string()]));
    let mut client = client(&gateway);
    assert_eq!(status(&client.get("/1")), "200");
    assert_eq!(status(&client.get("/2")), "200", "repeated over a new connection");
    assert_eq!(origin.requests.lock().len(), 3);
    let post = "POST /3 HTTP/1.1\r\nhost: t\r\ncontent-length: 1\r\n\r\nx";
    assert_eq!(status(&client.request(post)), "502");
    assert_eq!(origin.requests.lock().len(), 4, "the POST was not sent again");
}

#[test]
fn dead_and_broken_upstreams_are_502_with_a_problem_body() {
    let dead = dead_address().to_string();
    let down = gateway(proxy_to([&dead]));
    let response = client(&down).get("/");
    assert_eq!(status(&response), "502");
    assert!(response.contains("application/problem+json"), "{response}");
    assert!(response.contains("the upstream is not reachable"), "{response}");
    assert!(!response.contains(&dead), "an internal address leaked: {response}");

    let origin = Origin::start(|_, _, stream| {
        stream.write_all(b" HTTP/9 what\r\n\r\n").unwrap();
        Next::Close
    });
    let garbled = gateway(proxy_to([origin.address.to_string()]));
    assert_eq!(status(&client(&garbled).get("/")), "502");

    let alive = Origin::fixed("alive");
    let mixed = gateway(proxy_to([dead, alive.address.to_string()]));
    let mut client = client(&mixed);
    for _ in 0..4 {
        assert_eq!(status(&client.get("/")), "200");
    }
}

#[test]
fn an_upstream_that_does_not_answer_is_504() {
    let origin = Origin::start(|_, _, stream| {
        // Holds the request until the gateway gives up and closes.
        let _ = std::io::Read::read(stream, &mut [0; 1]);
        Next::Close
    });
    let settings =
        UpstreamSettings { response_timeout: Duration::from_millis(100), ..UpstreamSettings::default() };
    let upstream = Upstream::new("slow", [origin.address.to_string()], settings).unwrap();
    let gateway = gateway(crate::common::single(Target::Upstream(upstream.into())));
    assert_eq!(status(&client(&gateway).get("/")), "504");
}

#[test]
fn bodies_stream_in_both_directions() {
    let origin = Origin::start(|_, _, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n").unwrap();
        // The rest follows only when the client has seen the beginning.
        let mut go = [0; 1];
        std::io::Read::read_exact(stream, &mut go).ok();
        Next::Close
    });
    let gateway = gateway(proxy_to([origin.address.to_string()]));
    let mut client = client(&gateway);
    client.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n");
    let mut seen = Vec::new();
    while !seen.ends_with(b"ab\r\n") {
        let mut byte = [0; 1];
        std::io::Read::read_exact(&mut client.0, &mut byte).expect("the first chunk arrives unasked");
        seen.push(byte[0]);
    }

    let echo = Origin::fixed("got it");
    let gateway = self::gateway(proxy_to([echo.address.to_string()]));
    let mut client = self::client(&gateway);
    let response = client.request(
        "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    );
    assert_eq!(status(&response), "200");
    let requests = echo.requests.lock();
    assert!(
        requests[0].contains("transfer-encoding: chunked") && requests[0].contains("abc"),
        "{}",
        requests[0]
    );
}

#[test]
fn a_body_over_the_limit_is_413_announced_or_not() {
    let origin = Origin::fixed("ok");
    let gateway = Server::builder()
        .listen(ANY.parse().unwrap())
        .limits(iap_core::pipeline::Limits { request_body: 4, ..Default::default() })
        .routes(proxy_to([origin.address.to_string()]))
        .start()
        .unwrap();
    let announced = client(&gateway).request("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 5\r\n\r\n");
    assert_eq!(status(&announced), "413");
    assert!(origin.requests.lock().is_empty());
    let chunked = client(&gateway)
        .request("POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n");
    assert_eq!(status(&chunked), "413");
    assert!(origin.requests.lock().is_empty(), "the origin never sees the whole request");
}

#[test]
fn refused_requests_never_reach_the_origin() {
    let origin = Origin::fixed("secret");
    let routes = RouteTable::new([
        Route::new("admin", "/admin", Target::respond(http::StatusCode::FORBIDDEN, "no")),
        Route::new(
            "rest",
            "/",
            Target::Upstream(
                Upstream::new("o", [origin.address.to_string()], UpstreamSettings::default()).unwrap().into(),
            ),
        ),
    ])
    .unwrap();
    let gateway = gateway(routes);
    let cases = [
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", "400"),
        ("TRACE / HTTP/1.1\r\nhost: a\r\n\r\n", "405"),
        ("CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n", "405"),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcde", "400"),
        ("GET /admin/x HTTP/1.1\r\nhost: a\r\n\r\n", "403"),
        ("GET //admin/x HTTP/1.1\r\nhost: a\r\n\r\n", "403"),
        ("GET /%61dmin HTTP/1.1\r\nhost: a\r\n\r\n", "403"),
        ("GET /x/../admin HTTP/1.1\r\nhost: a\r\n\r\n", "403"),
        ("GET /admin%2Fx HTTP/1.1\r\nhost: a\r\n\r\n", "400"),
    ];
    for (request, expected) in cases {
        assert_eq!(status(&client(&gateway).request(request)), expected, "{request}");
    }
    assert!(origin.requests.lock().is_empty(), "{:?}", origin.requests.lock());
}

fn upstream_of(servers: &[String], fail_pause: Duration) -> std::sync::Arc<Upstream> {
    let settings = UpstreamSettings { fail_pause, ..UpstreamSettings::default() };
    std::sync::Arc::new(Upstream::new("group", servers, settings).unwrap())
}

#[test]
fn requests_go_round_robin_over_idle_connections_too() {
    let origins = [Origin::fixed("a"), Origin::fixed("b"), Origin::fixed("c")];
    let servers: Vec<String> = origins.iter().map(|origin| origin.address.to_string()).collect();
    let upstream = upstream_of(&servers, Duration::from_secs(2));
    let gateway = gateway(crate::common::single(Target::Upstream(upstream.clone())));
    let mut client = client(&gateway);
    for _ in 0..12 {
        assert_eq!(status(&client.get("/")), "200");
    }
    for origin in &origins {
        assert_eq!(origin.requests.lock().len(), 4, "each server has its share");
        assert_eq!(origin.connections.load(Ordering::SeqCst), 1);
    }
    assert_eq!((upstream.stats().opened, upstream.stats().reused), (3, 9));
}

#[test]
fn a_dead_server_is_passed_over_and_taken_back() {
    let (alive, dead) = (Origin::fixed("alive"), dead_address());
    let servers = [dead.to_string(), alive.address.to_string()];
    let upstream = upstream_of(&servers, Duration::from_secs(3600));
    let gateway = self::gateway(crate::common::single(Target::Upstream(upstream.clone())));
    let mut client = self::client(&gateway);
    for _ in 0..10 {
        assert_eq!(status(&client.get("/")), "200");
    }
    assert_eq!(upstream.stats().failed, 1, "only the first request tried it");

    let upstream = upstream_of(&servers, Duration::from_millis(1));
    let gateway = self::gateway(crate::common::single(Target::Upstream(upstream.clone())));
    let mut client = self::client(&gateway);
    assert_eq!(status(&client.get("/")), "200");
    let revived = std::net::TcpListener::bind(dead).unwrap();
    let answers = std::thread::spawn(move || {
        let mut stream = revived.accept().unwrap().0;
        crate::common::read_message(&mut stream).unwrap();
        respond(&mut stream, "revived");
    });
    while !client.get("/").ends_with("revived") {
        assert!(upstream.stats().reused < 10_000, "it was never tried again");
    }
    answers.join().unwrap();
}

#[test]
fn a_group_of_dead_servers_is_tried_whole_and_is_502() {
    let servers = [dead_address().to_string(), dead_address().to_string()];
    let upstream = upstream_of(&servers, Duration::from_secs(3600));
    let gateway = gateway(crate::common::single(Target::Upstream(upstream.clone())));
    for tried in [2, 4] {
        assert_eq!(status(&client(&gateway).get("/")), "502");
        assert_eq!(upstream.stats().failed, tried, "with none up, those that are passed over are tried");
    }
}
