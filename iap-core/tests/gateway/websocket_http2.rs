//! WebSocket over HTTP/2 (RFC 8441) from clients, and what is refused.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use http::{Method, Request, Response};
use iap_core::server::Timeouts;
use iap_core::upstream::UpstreamSettings;
use iap_core::{Body, Route, RouteTable, RunningServer, Server, Target, Upstream};

use crate::common::frames::{DATA, END_HEADERS, GOAWAY, H2, HEADERS, RST_STREAM, SETTINGS, block};
use crate::common::recording::soon;
use crate::common::{ANY, Next, Origin, gateway, gateway_to, proxy_to, respond, single, until};

/// What an origin of HTTP/1.1 answers the key of this request with.
fn accept(request: &str) -> String {
    let mut lines = request.lines();
    let key = lines.find_map(|line| line.strip_prefix("sec-websocket-key: ")).expect("a key");
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    base64::Engine::encode(&base64::prelude::BASE64_STANDARD, digest)
}

/// Switches, then sends back what it gets.
fn echo() -> Origin {
    Origin::start(|_, request, stream| {
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: chat\r\nContent-Length: 5\r\n\r\nhello",
            accept(request)
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut bytes = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut bytes) {
            stream.write_all(&bytes[..read]).unwrap();
        }
        Next::Close
    })
}

pub(crate) type Sender = h2::client::SendRequest<Bytes>;

pub(crate) async fn connect(gateway: &RunningServer) -> Sender {
    let stream = tokio::net::TcpStream::connect(gateway.addresses()[0]).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut sender = sender.ready().await.unwrap();
    while !sender.is_extended_connect_protocol_enabled() {
        tokio::task::yield_now().await;
        sender = sender.ready().await.unwrap();
    }
    sender
}

pub(crate) fn ask(protocol: &'static str, path: &str) -> Request<()> {
    let mut request = Request::builder().method(Method::CONNECT).uri(format!("http://shop.test{path}"));
    for (name, value) in [
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "chat, superchat"),
        ("sec-websocket-extensions", "permessage-deflate"),
        ("sec-websocket-key", "bm90IG91cnMgdG8gc2VuZA=="),
        ("origin", "http://shop.test"),
    ] {
        request = request.header(name, value);
    }
    request.extension(Protocol::from_static(protocol)).body(()).unwrap()
}

pub(crate) async fn open(
    sender: &mut Sender,
    request: Request<()>,
) -> (Response<RecvStream>, SendStream<Bytes>) {
    let (response, stream) = sender.send_request(request, false).unwrap();
    (soon(response).await.unwrap(), stream)
}

pub(crate) async fn code(sender: &mut Sender, request: Request<()>) -> u16 {
    open(sender, request).await.0.status().as_u16()
}

/// As many bytes as `expected` has.
pub(crate) async fn expect(body: &mut RecvStream, expected: &[u8]) {
    let mut seen = Vec::new();
    while seen.len() < expected.len() {
        let data = soon(body.data()).await.expect("more bytes").unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        seen.extend(data);
    }
    assert_eq!(seen, expected);
}

/// The stream ends in order, without another byte.
pub(crate) async fn expect_end(body: &mut RecvStream) {
    while let Some(data) = soon(body.data()).await {
        assert_eq!(data.unwrap(), "");
    }
}

#[tokio::test]
async fn a_stream_becomes_an_upgrade_and_carries_bytes_both_ways() {
    let origin = echo();
    let gateway = gateway(&origin);
    let mut sender = connect(&gateway).await;
    let (response, mut stream) = open(&mut sender, ask("websocket", "/chat?room=1")).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    for absent in ["sec-websocket-accept", "upgrade", "connection", "content-length"] {
        assert!(!response.headers().contains_key(absent), "{absent}");
    }
    let mut body = response.into_body();
    expect(&mut body, b"hello").await;
    let large: Vec<u8> = (0..1_000_000_u32).map(|n| n as u8).collect();
    stream.send_data(large.clone().into(), false).unwrap();
    expect(&mut body, &large).await;

    let seen = origin.requests.lock()[0].clone();
    assert!(seen.starts_with("GET /chat?room=1 HTTP/1.1\r\n"), "{seen}");
    for line in [
        "host: shop.test",
        "upgrade: websocket",
        "connection: upgrade",
        "sec-websocket-version: 13",
        "sec-websocket-protocol: chat, superchat",
        "sec-websocket-extensions: permessage-deflate",
        "origin: http://shop.test",
        "x-forwarded-for: 127.0.0.1",
    ] {
        assert!(seen.lines().any(|have| have == line), "{line} in {seen}");
    }
    assert!(!seen.contains("bm90IG91cnMgdG8gc2VuZA=="), "the key is ours: {seen}");

    // The end goes to the origin, whose end comes back.
    stream.send_data(Bytes::new(), true).unwrap();
    expect_end(&mut body).await;
}

#[tokio::test]
async fn many_tunnels_share_a_connection_with_requests_and_each_has_a_key_of_its_own() {
    let origin = echo();
    let gateway = gateway(&origin);
    let mut sender = connect(&gateway).await;
    let mut tunnels = Vec::new();
    for _ in 0..20 {
        let (response, stream) = open(&mut sender, ask("websocket", "/")).await;
        tunnels.push((response.into_body(), stream));
    }
    for (at, (body, stream)) in tunnels.iter_mut().enumerate() {
        let text = format!("to {at}");
        stream.send_data(text.clone().into(), false).unwrap();
        expect(body, format!("hello{text}").as_bytes()).await;
    }
    let mut keys: Vec<String> = origin.requests.lock().iter().map(|request| accept(request)).collect();
    keys.sort();
    keys.dedup();
    assert_eq!((keys.len(), gateway.open_connections()), (20, 1));
}

#[tokio::test]
async fn what_is_no_websocket_is_refused_and_so_is_what_any_request_is_refused_for() {
    let origin = echo();
    let gateway = gateway(&origin);
    let mut sender = connect(&gateway).await;
    for protocol in ["connect-udp", "h2c", "websocket2", "webtransport"] {
        assert_eq!(code(&mut sender, ask(protocol, "/")).await, 501, "{protocol}");
    }
    assert_eq!(code(&mut sender, ask("websocket", "/%2e%2e%2fetc")).await, 400);
    let mut strange = ask("websocket", "/");
    *strange.uri_mut() = "http://shop..test/".parse().unwrap();
    assert_eq!(code(&mut sender, strange).await, 400);
    let plain = Request::builder().method(Method::CONNECT).uri("shop.test:443").body(()).unwrap();
    assert_eq!(code(&mut sender, plain).await, 405);
    assert!(origin.requests.lock().is_empty());
    assert_eq!(code(&mut sender, ask("WebSocket", "/")).await, 200, "a token of any case");
}

#[tokio::test]
async fn routes_take_a_tunnel_for_the_get_that_it_is() {
    let origin = echo();
    let upstream =
        Upstream::new("origin", [origin.address.to_string()], UpstreamSettings::default()).unwrap();
    let only = |method| iap_core::route::Conditions::new().methods([method]);
    let routes = RouteTable::new([
        Route::new("chat", "/chat", Target::Upstream(Arc::new(upstream))).when(only(Method::GET)),
        Route::new("post", "/post", Target::respond(http::StatusCode::OK, "ok")).when(only(Method::POST)),
        Route::new("page", "/page", Target::respond(http::StatusCode::OK, "ok")),
        Route::new("away", "/away", Target::respond(http::StatusCode::FORBIDDEN, "away")),
    ]);
    let server = Server::builder().listen(ANY.parse().unwrap()).routes(routes.unwrap()).start().unwrap();
    let mut sender = connect(&server).await;
    assert_eq!(code(&mut sender, ask("websocket", "/chat")).await, 200);
    assert_eq!(code(&mut sender, ask("websocket", "/post")).await, 405);
    assert_eq!(code(&mut sender, ask("websocket", "/none")).await, 404);
    // A tunnel to a page would be none.
    assert_eq!(code(&mut sender, ask("websocket", "/page")).await, 502);
    let (response, _stream) = open(&mut sender, ask("websocket", "/away")).await;
    assert_eq!(response.status(), 403);
    expect(&mut response.into_body(), b"away").await;
}

#[tokio::test]
async fn an_answer_that_does_not_switch_opens_nothing() {
    const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n";
    for (answer, expected) in [
        (format!("{SWITCH}\r\n"), 502),
        (format!("{SWITCH}sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"), 502),
        ("HTTP/1.1 101 Switching Protocols\r\nupgrade: tcp\r\nconnection: upgrade\r\n\r\n".into(), 502),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno".into(), 502),
        ("HTTP/1.1 204 No Content\r\n\r\n".into(), 502),
        ("HTTP/1.1 426 Upgrade Required\r\nupgrade: websocket\r\ncontent-length: 2\r\n\r\nno".into(), 426),
        ("HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n".into(), 302),
    ] {
        let answer: String = answer;
        let text = answer.clone();
        let origin = Origin::start(move |_, _, stream| {
            stream.write_all(text.as_bytes()).unwrap();
            Next::KeepAlive
        });
        let gateway = gateway(&origin);
        let mut sender = connect(&gateway).await;
        assert_eq!(code(&mut sender, ask("websocket", "/")).await, expected, "{answer}");
    }
}

#[tokio::test]
async fn an_embedded_service_switches_whichever_version_asks() {
    let service = tower::service_fn(|mut request: Request<Body>| async move {
        let upgraded = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let (mut read, mut write) =
                tokio::io::split(hyper_util::rt::TokioIo::new(upgraded.await.unwrap()));
            let _ = tokio::io::copy(&mut read, &mut write).await;
        });
        let response = Response::builder().status(101).header("upgrade", "websocket");
        response.header("connection", "upgrade").body(Body::empty())
    });
    let server = Server::builder().listen(ANY.parse().unwrap());
    let server = server.routes(single(Target::service("echo", service))).start().unwrap();
    let mut sender = connect(&server).await;
    let (response, mut stream) = open(&mut sender, ask("websocket", "/")).await;
    assert_eq!(response.status(), 200);
    stream.send_data("any bytes".into(), false).unwrap();
    expect(&mut response.into_body(), b"any bytes").await;
}

/// `:protocol` and the rest of an extended CONNECT.
fn raw_ask() -> Vec<u8> {
    block(&[
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "t"),
        ("sec-websocket-version", "13"),
    ])
}

fn patient(origin: &Origin, timeouts: Timeouts) -> RunningServer {
    let routes = proxy_to([origin.address.to_string()]);
    Server::builder().listen(ANY.parse().unwrap()).routes(routes).timeouts(timeouts).start().unwrap()
}

#[test]
fn the_settings_announce_it_and_a_connection_with_a_tunnel_is_not_idle() {
    let origin = echo();
    let ms = Duration::from_millis;
    let gateway = patient(&origin, Timeouts { head: ms(50), tunnel: ms(200), ..Timeouts::default() });
    let mut client = H2::connect(&gateway);
    let settings = client.read_until(|frame| frame.kind == SETTINGS).unwrap();
    assert!(settings.payload.chunks(6).any(|setting| setting == [0, 8, 0, 0, 0, 1]), "{settings:?}");
    client.send(HEADERS, END_HEADERS, 1, &raw_ask());
    let data = client.read_until(|frame| frame.kind == DATA && frame.stream == 1).unwrap();
    assert_eq!(data.payload, b"hello");
    // The tunnel stands still for too long and ends; only then is the connection without requests.
    let next = client.read_until(|frame| [RST_STREAM, DATA, GOAWAY].contains(&frame.kind)).unwrap();
    assert_eq!(next.stream, 1, "{next:?}");
    client.read_until(|frame| frame.kind == GOAWAY).unwrap();
}

#[tokio::test]
async fn a_tunnel_ends_with_its_stream_its_connection_and_the_drain() {
    let origin = echo();
    let settings = UpstreamSettings::default();
    let upstream = Arc::new(Upstream::new("origin", [origin.address.to_string()], settings).unwrap());
    let gateway = gateway_to(&upstream);
    let tunnels = || upstream.status().servers[0].in_flight;
    let open_one = || {
        let mut client = H2::connect(&gateway);
        client.send(HEADERS, END_HEADERS, 1, &raw_ask());
        client.read_until(|frame| frame.kind == DATA).unwrap();
        assert_eq!(tunnels(), 1);
        client
    };
    let mut client = open_one();
    client.send(RST_STREAM, 0, 1, &[0, 0, 0, 8]);
    until("a reset ends the tunnel", || tunnels() == 0);
    drop(client);
    drop(open_one());
    until("so does the end of the connection", || tunnels() == 0);
    let mut client = open_one();
    assert_eq!(gateway.shutdown(Duration::from_millis(50)).await, 1, "it was closed hard");
    while client.read().is_some() {}
    until("and the drain", || tunnels() == 0);
}

#[test]
fn a_get_over_http2_asks_for_no_upgrade() {
    let origin = Origin::start(|_, request, stream| {
        assert!(!request.contains("upgrade"), "{request}");
        respond(stream, "plain");
        Next::KeepAlive
    });
    let gateway = gateway(&origin);
    let mut client = H2::connect(&gateway);
    // Fields of a connection make a request malformed (RFC 9113 section 8.2.2).
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "t"),
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
    ];
    client.send(HEADERS, END_HEADERS | 1, 1, &block(&fields));
    let reset = client.read_until(|frame| frame.stream == 1).unwrap();
    assert_eq!(reset.kind, RST_STREAM);
    // Nor may another method name a protocol.
    let fields = [
        (":method", "GET"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "t"),
    ];
    client.send(HEADERS, END_HEADERS | 1, 3, &block(&fields));
    let reset = client.read_until(|frame| frame.stream == 3).unwrap();
    assert_eq!(reset.kind, RST_STREAM);
    client.send(
        HEADERS,
        END_HEADERS | 1,
        5,
        &block(&fields[..1].iter().chain(&fields[2..]).copied().collect::<Vec<_>>()),
    );
    assert_eq!(client.read_until(|frame| frame.kind == DATA && frame.stream == 5).unwrap().payload, b"plain");
}
