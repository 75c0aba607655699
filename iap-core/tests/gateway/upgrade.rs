//! Connections that switch protocols: through the proxy, refused, and in an embedded service.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::common::{ANY, Client, Next, Origin, gateway, proxy_to, respond, status};
use iap_core::server::Timeouts;
use iap_core::{Body, Server, Target};

const ASK: &str = "GET /chat HTTP/1.1\r\nhost: t\r\nconnection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
                      sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

/// An origin that switches with these extra fields, then sends back what it gets until `q`.
fn echo(extra: &'static str) -> Origin {
    Origin::start(move |_, request, stream| {
        if !request.to_ascii_lowercase().contains("upgrade: websocket") {
            respond(stream, "plain");
            return Next::KeepAlive;
        }
        stream.write_all(format!("{SWITCH}{extra}\r\nhello").as_bytes()).unwrap();
        let mut byte = [0];
        while stream.read(&mut byte).is_ok_and(|read| read == 1) && byte != *b"q" {
            stream.write_all(&byte).unwrap();
        }
        Next::Close
    })
}

fn read_exactly(stream: &mut TcpStream, expected: &[u8]) {
    let mut seen = vec![0; expected.len()];
    stream.read_exact(&mut seen).unwrap();
    assert_eq!(String::from_utf8_lossy(&seen), String::from_utf8_lossy(expected));
}

/// Asks for the switch; the head of the answer.
fn switch(client: &mut Client) -> String {
    client.send(ASK);
    crate::common::read_head_only(&mut client.0).unwrap()
}

#[test]
fn a_tunnel_carries_any_bytes_both_ways_until_one_side_ends() {
    for extra in ["", "transfer-encoding: chunked\r\n", "content-length: 5\r\n"] {
        let origin = echo(extra);
        let gateway = gateway(&origin);
        let mut client = Client::connect(gateway.addresses()[0]);
        let head = switch(&mut client);
        assert_eq!(status(&head), "101", "{head}");
        for line in [
            "upgrade: websocket",
            "connection: upgrade",
            "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        ] {
            assert!(head.lines().any(|have| have == line), "{line} in {head}");
        }
        assert!(!head.contains("transfer-encoding") && !head.contains("content-length"), "{head}");
        read_exactly(&mut client.0, b"hello");
        // Neither a request nor lines: from here on the bytes are theirs.
        client.send("\n\nGET \0 x\n");
        read_exactly(&mut client.0, b"\n\nGET \0 x\n");
        assert_eq!(gateway.open_connections(), 1);
        client.send("q");
        assert!(client.is_closed());
        let seen = origin.requests.lock()[0].clone();
        for line in [
            "upgrade: websocket",
            "connection: upgrade",
            "sec-websocket-version: 13",
            "x-forwarded-for: 127.0.0.1",
        ] {
            assert!(seen.lines().any(|have| have == line), "{line} in {seen}");
        }
    }
}

#[test]
fn a_refused_upgrade_leaves_an_ordinary_connection() {
    let origin = Origin::start(|number, _, stream| {
        respond(stream, if number == 1 { "no" } else { "second" });
        Next::KeepAlive
    });
    let gateway = gateway(&origin);
    let mut client = Client::connect(gateway.addresses()[0]);
    client.send(&format!("{ASK}GET /second HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n"));
    let mut all = String::new();
    client.0.read_to_string(&mut all).unwrap();
    assert!(
        all.contains("\r\n\r\nno") && all.ends_with("second"),
        "the pipelined request is a request: {all}"
    );
    assert!(origin.requests.lock()[1].starts_with("GET /second"));
}

#[test]
fn only_websocket_is_passed_on_and_only_when_it_was_asked_for_properly() {
    let origin = echo("");
    let gateway = gateway(&origin);
    for fields in [
        "upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABkAAQAAP__",
        "upgrade: websocket",
        "connection: upgrade",
        "upgrade: websocket, h2c\r\nconnection: upgrade",
        "upgrade: h2c\r\nupgrade: websocket\r\nconnection: upgrade",
    ] {
        let mut client = Client::connect(gateway.addresses()[0]);
        let response = client.request(&format!("GET / HTTP/1.1\r\nhost: t\r\n{fields}\r\n\r\n"));
        assert!(response.ends_with("plain"), "{fields}: {response}");
        let seen = origin.requests.lock().last().unwrap().to_ascii_lowercase();
        assert!(!seen.contains("upgrade") && !seen.contains("http2-settings"), "{seen}");
    }
    let mut client = Client::connect(gateway.addresses()[0]);
    let old =
        client.request("GET / HTTP/1.0\r\nhost: t\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n");
    assert!(old.ends_with("plain"), "HTTP/1.0 has no upgrades: {old}");
}

#[test]
fn a_switch_that_nobody_asked_for_is_a_bad_gateway() {
    for (ask, switch) in [
        ("GET / HTTP/1.1\r\nhost: t\r\n\r\n", SWITCH),
        (ASK, "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: tcp\r\n"),
        (ASK, "HTTP/1.1 101 Switching Protocols\r\n"),
    ] {
        let origin = Origin::start(move |_, _, stream| {
            stream.write_all(format!("{switch}\r\n").as_bytes()).unwrap();
            Next::Close
        });
        let gateway = gateway(&origin);
        assert_eq!(status(&Client::connect(gateway.addresses()[0]).request(ask)), "502", "{switch}");
    }
}

#[tokio::test]
async fn a_tunnel_that_stands_still_is_closed_and_one_in_use_ends_with_the_drain() {
    let origin = echo("");
    let timeouts = Timeouts { tunnel: Duration::from_millis(50), ..Timeouts::default() };
    let server =
        Server::builder().listen(ANY.parse().unwrap()).routes(proxy_to([origin.address.to_string()]));
    let gateway = server.timeouts(timeouts).start().unwrap();
    let mut client = Client::connect(gateway.addresses()[0]);
    switch(&mut client);
    read_exactly(&mut client.0, b"hello");
    assert!(client.is_closed());

    let gateway = self::gateway(&origin);
    let mut client = Client::connect(gateway.addresses()[0]);
    switch(&mut client);
    read_exactly(&mut client.0, b"hello");
    assert_eq!(gateway.shutdown(Duration::from_millis(50)).await, 1, "it was closed hard");
    assert!(client.is_closed());
}

#[test]
fn an_embedded_service_can_switch() {
    let service = tower::service_fn(|mut request: http::Request<Body>| async move {
        let upgraded = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = hyper_util::rt::TokioIo::new(upgraded.await.unwrap());
            let (mut read, mut write) = tokio::io::split(&mut stream);
            let _ = tokio::io::copy(&mut read, &mut write).await;
        });
        let response = http::Response::builder().status(101).header("upgrade", "websocket");
        response.header("connection", "upgrade").body(Body::empty())
    });
    let server = Server::builder().listen(ANY.parse().unwrap());
    let server = server.routes(crate::common::single(Target::service("echo", service))).start().unwrap();
    let mut client = Client::connect(server.addresses()[0]);
    assert_eq!(status(&switch(&mut client)), "101");
    client.send("\nany\nbytes");
    read_exactly(&mut client.0, b"\nany\nbytes");
    assert_eq!(server.open_connections(), 1, "it counts as open while it is");
}
