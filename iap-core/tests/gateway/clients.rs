//! Who a request comes from: the PROXY protocol, forwarded fields, request ids, connection limits.

use std::io::Write;
use std::sync::Arc;

use crate::common::recording::Recording;
use crate::common::{ANY, Client, Origin, proxy_to, status};
use http::HeaderName;
use iap_core::pipeline::RequestIds;
use iap_core::server::Listener;
use iap_core::upstream::UpstreamSettings;
use iap_core::{Body, Connection, Networks, RunningServer, Server, Target, Upstream};

fn loopback() -> Networks {
    Networks::parse(["127.0.0.0/8"]).unwrap()
}

/// Answers with who it takes the client for.
fn who() -> Target {
    Target::service(
        "who",
        tower::service_fn(|request: http::Request<Body>| async move {
            let connection = request.extensions().get::<Arc<Connection>>().unwrap();
            let text =
                format!("{} {} {}", connection.peer(), connection.scheme(), connection.socket_peer().ip());
            Ok::<_, std::convert::Infallible>(http::Response::new(Body::from(text)))
        }),
    )
}

fn behind_proxy_protocol(proxies: Networks) -> RunningServer {
    let listener = Listener::new(ANY.parse().unwrap()).proxy_protocol(proxies);
    Server::builder().listener(listener).workers(1).routes(crate::common::single(who())).start().unwrap()
}

const GET: &str = "GET / HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n";

/// Version 2, for TCP over IPv4, with one extension.
fn v2(command: u8, source: [u8; 4], port: u16) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([0x20 | command, 0x11, 0, 12 + 5]);
    header.extend(source);
    header.extend([10, 0, 0, 1]);
    header.extend(port.to_be_bytes());
    header.extend([0, 80]);
    header.extend([0xea, 0, 2, 1, 2]);
    header
}

#[test]
fn the_proxy_protocol_says_who_is_behind_the_proxy() {
    let server = behind_proxy_protocol(loopback());
    let cases = [
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 5000 80\r\n".to_vec(), "192.0.2.7:5000"),
        (b"PROXY TCP6 2001:db8::7 ::1 5000 80\r\n".to_vec(), "[2001:db8::7]:5000"),
        (v2(1, [192, 0, 2, 8], 5001), "192.0.2.8:5001"),
    ];
    for (header, expected) in cases {
        for size in [header.len(), 5] {
            let mut client = Client::connect(server.addresses()[0]);
            client.0.set_nodelay(true).unwrap();
            for piece in header.chunks(size) {
                client.0.write_all(piece).unwrap();
            }
            let response = client.request(GET);
            assert!(response.ends_with(&format!("{expected} http 127.0.0.1")), "{response}");
        }
    }
    // The proxy itself, as in a health check.
    for header in [b"PROXY UNKNOWN\r\n".to_vec(), v2(0, [192, 0, 2, 8], 5001)] {
        let mut client = Client::connect(server.addresses()[0]);
        client.0.write_all(&header).unwrap();
        let response = client.request(GET);
        assert!(response.contains("127.0.0.1:") && response.ends_with(" http 127.0.0.1"), "{response}");
    }
}

#[test]
fn without_the_proxy_protocol_or_from_a_stranger_there_is_no_answer() {
    let server = behind_proxy_protocol(loopback());
    let long = format!("PROXY TCP4 {}\r\n", "1".repeat(2000));
    for start in ["", "PROXY TCP4 192.0.2.7 10.0.0.1 5000\r\n", "PROXY TCP4 a b 1 2\r\n", &long, "PROXY"] {
        let mut client = Client::connect(server.addresses()[0]);
        let _ = client.0.write_all(format!("{start}{GET}").as_bytes());
        assert_eq!(client.response(), "", "{start:.50}");
    }
    let server = behind_proxy_protocol(Networks::parse(["192.0.2.0/24"]).unwrap());
    let mut client = Client::connect(server.addresses()[0]);
    client.send("PROXY TCP4 192.0.2.7 10.0.0.1 5000 80\r\n");
    let _ = client.0.write_all(GET.as_bytes());
    assert_eq!(client.response(), "");
}

#[test]
fn a_trusted_proxy_speaks_for_its_client_and_nobody_else_does() {
    let origin = Origin::fixed("ok");
    let ask = "GET / HTTP/1.1\r\nhost: t\r\nx-forwarded-for: 6.6.6.6, 192.0.2.7\r\nx-forwarded-proto: https\r\n\
               x-forwarded-host: shop.example\r\nx-forwarded-port: 443\r\nclient-cert: :AAAA:\r\n\r\n";
    let seen = |trusted: Networks| {
        let routes = proxy_to([origin.address.to_string()]);
        let server = Server::builder().listen(ANY.parse().unwrap()).trusted_proxies(trusted).routes(routes);
        let server = server.start().unwrap();
        assert_eq!(status(&Client::connect(server.addresses()[0]).request(ask)), "200");
        origin.requests.lock().last().unwrap().clone()
    };
    let request = seen(loopback());
    for line in [
        "x-forwarded-for: 192.0.2.7, 127.0.0.1",
        "x-forwarded-proto: https",
        "x-forwarded-host: shop.example",
        "x-forwarded-port: 443",
    ] {
        assert!(request.lines().any(|have| have == line), "{line} in {request}");
    }
    assert!(!request.contains("6.6.6.6") && !request.contains("client-cert"), "{request}");
    let request = seen(Networks::default());
    for line in ["x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http", "x-forwarded-host: t"] {
        assert!(request.lines().any(|have| have == line), "{line} in {request}");
    }
    assert!(!request.contains("192.0.2.7") && !request.contains("443"), "{request}");

    let server = Server::builder().listen(ANY.parse().unwrap()).trusted_proxies(loopback());
    let server = server.routes(crate::common::single(who())).start().unwrap();
    let response = Client::connect(server.addresses()[0]).request(ask);
    assert!(response.ends_with("192.0.2.7:0 https 127.0.0.1"), "{response}");
}

#[test]
fn a_request_has_one_id_for_client_upstream_and_trace() {
    let origin = Origin::fixed("ok");
    let start = |ids: RequestIds| {
        let routes = proxy_to([origin.address.to_string()]);
        Server::builder().listen(ANY.parse().unwrap()).request_ids(ids).routes(routes).start().unwrap()
    };
    let id_in = |text: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("x-request-id: "));
        line.expect("an id").to_owned()
    };
    let ask = |server: &RunningServer, id: &str| {
        let request = format!("GET / HTTP/1.1\r\nhost: t\r\nx-request-id: {id}\r\n\r\n");
        let response = Client::connect(server.addresses()[0]).request(&request);
        let upstream = origin.requests.lock().last().unwrap().clone();
        assert_eq!(id_in(&response), id_in(&upstream));
        id_in(&response)
    };
    let strict = start(RequestIds::default());
    let first = ask(&strict, "mine");
    assert!(first.len() == 32 && first != ask(&strict, "mine"), "{first}");
    let mut ids = RequestIds::default();
    ids.accept_from = loopback();
    let trusting = start(ids.clone());
    assert_eq!(ask(&trusting, "mine-1.2"), "mine-1.2");
    for odd in ["a b", "a\tb", "<script>", &"x".repeat(129)] {
        assert_ne!(ask(&trusting, odd), odd);
    }
    // A refused request has one, too, and the id of a trace is the id of its request.
    let refused = Client::connect(strict.addresses()[0]).request("TRACE / HTTP/1.1\r\nhost: t\r\n\r\n");
    assert_eq!((status(&refused), id_in(&refused).len()), ("405", 32));
    ids.header = HeaderName::from_static("x-correlation-id");
    let traced = Server::builder().hooks(Recording::default()).listen(ANY.parse().unwrap()).request_ids(ids);
    let traced = traced.routes(proxy_to([origin.address.to_string()])).start().unwrap();
    let parent = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = format!("GET / HTTP/1.1\r\nhost: t\r\n{parent}\r\n\r\n");
    let response = Client::connect(traced.addresses()[0]).request(&request);
    assert!(response.contains("x-correlation-id: 4bf92f3577b34da6a3ce929d0e0e4736"), "{response}");
}

#[test]
fn a_client_has_no_more_connections_than_allowed() {
    let routes = crate::common::single(Target::respond(http::StatusCode::OK, "ok"));
    let server = Server::builder().listen(ANY.parse().unwrap()).max_connections_per_client(2).routes(routes);
    let server = server.start().unwrap();
    let mut clients: Vec<_> = (0..2).map(|_| Client::connect(server.addresses()[0])).collect();
    assert!(clients.iter_mut().all(|client| client.get("/").ends_with("ok")));
    assert!(Client::connect(server.addresses()[0]).is_closed());
    assert!(clients[0].get("/").ends_with("ok"), "those that are open stay open");
    clients.truncate(1);
    // The place is free as soon as the server has seen the end.
    while !{
        let mut next = Client::connect(server.addresses()[0]);
        next.0.write_all(b"GET / HTTP/1.1\r\nhost: t\r\n\r\n").is_ok() && next.response().ends_with("ok")
    } {
        std::thread::yield_now();
    }
}

#[test]
fn the_standard_field_is_ours_where_it_is_asked_for() {
    let origin = Origin::fixed("ok");
    for wanted in [true, false] {
        let settings = UpstreamSettings { forwarded: wanted, ..UpstreamSettings::default() };
        let servers = [origin.address.to_string()];
        let gateway = crate::common::gateway_to(&Arc::new(Upstream::new("u", servers, settings).unwrap()));
        let mut client = Client::connect(gateway.addresses()[0]);
        client.request("GET / HTTP/1.1\r\nhost: shop.example\r\nforwarded: for=10.9.9.9\r\n\r\n");
        let seen = origin.requests.lock().pop().unwrap();
        let ours = "\r\nforwarded: for=127.0.0.1;proto=http;host=\"shop.example\"\r\n";
        assert_eq!(seen.contains(ours), wanted, "{seen}");
        assert!(!seen.contains("10.9.9.9"), "{seen}");
    }
}
