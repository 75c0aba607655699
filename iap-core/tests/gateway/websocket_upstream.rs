//! WebSocket over HTTP/2 (RFC 8441) to servers that speak nothing else.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use h2::RecvStream;
use h2::ext::Protocol;
use http::{Method, Request, Response};
use iap_core::Upstream;
use iap_core::upstream::{InFlightLimits, UpstreamSettings};

use crate::common::recording::soon;
use crate::common::{ANY, Client, gateway_to, read_head_only, status, until};
use crate::websocket_http2::{ask, code, connect, expect, expect_end, open};

/// An origin that speaks HTTP/2 only, takes tunnels or does not, and sends back what comes by one.
async fn modern(takes_tunnels: bool) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind(ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut builder = h2::server::Builder::new();
            if takes_tunnels {
                builder.enable_connect_protocol();
            }
            tokio::spawn(async move {
                let mut connection = builder.handshake::<_, Bytes>(stream).await.unwrap();
                while let Some(Ok((request, respond))) = connection.accept().await {
                    tokio::spawn(answer(request, respond));
                }
            });
        }
    });
    (address, connections)
}

async fn answer(request: Request<RecvStream>, mut respond: h2::server::SendResponse<Bytes>) {
    let fields = request.headers();
    let is_tunnel = request.method() == Method::CONNECT;
    assert_eq!(
        request.extensions().get::<Protocol>().map(Protocol::as_str),
        is_tunnel.then_some("websocket")
    );
    assert!(!fields.contains_key("upgrade") && !fields.contains_key("sec-websocket-key"), "{fields:?}");
    let refused = request.uri().path() == "/refused";
    let mut response = Response::builder().status(if refused { 403 } else { 200 });
    if is_tunnel {
        assert_eq!(fields["sec-websocket-version"], "13");
        assert_eq!(fields["x-forwarded-for"], "127.0.0.1");
        response = response.header("sec-websocket-protocol", "chat");
    }
    let ends = refused || !is_tunnel;
    let mut stream = respond.send_response(response.body(()).unwrap(), ends).unwrap();
    let mut body = request.into_body();
    while let (false, Some(Ok(data))) = (ends, body.data().await) {
        body.flow_control().release_capacity(data.len()).unwrap();
        stream.send_data(data, false).unwrap();
    }
    if !ends {
        stream.send_data(Bytes::new(), true).unwrap();
    }
}

fn h2c(address: SocketAddr) -> Arc<Upstream> {
    let limits = InFlightLimits { connections_per_server: Some(1), ..InFlightLimits::default() };
    let settings = UpstreamSettings { limits: Some(limits), ..UpstreamSettings::default() };
    Arc::new(Upstream::new("origin", [format!("h2c://{address}")], settings).unwrap())
}

const UPGRADE: &str = "host: t\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[tokio::test]
async fn a_server_of_http2_gets_an_extended_connect_from_clients_of_either_version() {
    let (address, connections) = modern(true).await;
    let upstream = h2c(address);
    let gateway = gateway_to(&upstream);
    let mut sender = connect(&gateway).await;
    let (response, mut stream) = open(&mut sender, ask("websocket", "/chat")).await;
    assert_eq!(
        (response.status().as_u16(), response.headers().contains_key("sec-websocket-accept")),
        (200, false)
    );
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat", "{:?}", upstream.status());
    let mut body = response.into_body();
    stream.send_data("by stream".into(), false).unwrap();
    expect(&mut body, b"by stream").await;
    assert_eq!(code(&mut sender, ask("websocket", "/refused")).await, 403);

    let gateway_address = gateway.addresses()[0];
    let old = tokio::task::spawn_blocking(move || {
        let mut client = Client::connect(gateway_address);
        client.send(&format!("GET /chat HTTP/1.1\r\n{UPGRADE}"));
        let head = read_head_only(&mut client.0).unwrap();
        assert_eq!(status(&head), "101", "{head}");
        for line in ["upgrade: websocket", "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="] {
            assert!(head.lines().any(|have| have == line), "{line} in {head}");
        }
        client.send("by connection");
        let mut seen = [0; 13];
        client.0.read_exact(&mut seen).unwrap();
        assert_eq!(&seen, b"by connection");
        let mut refused = Client::connect(gateway_address);
        assert_eq!(status(&refused.request(&format!("GET /refused HTTP/1.1\r\n{UPGRADE}"))), "403");
        client
    });
    let old = old.await.unwrap();
    assert_eq!(upstream.status().servers[0].in_flight, 2);
    assert_eq!(connections.load(Ordering::SeqCst), 1, "streams of one connection");
    stream.send_data(Bytes::new(), true).unwrap();
    expect_end(&mut body).await;
    drop(old);
    tokio::task::spawn_blocking(move || {
        until("both have ended", || upstream.status().servers[0].in_flight == 0)
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_server_of_http2_that_takes_no_tunnels_is_502_and_stays_in_use() {
    let (address, connections) = modern(false).await;
    let upstream = h2c(address);
    let gateway = gateway_to(&upstream);
    let mut sender = connect(&gateway).await;
    for _ in 0..3 {
        let (response, _stream) = open(&mut sender, ask("websocket", "/chat")).await;
        assert_eq!(response.status(), 502);
        let problem = soon(response.into_body().data()).await.unwrap().unwrap();
        assert!(problem.windows(11).any(|part| part == b"bad_gateway"), "{problem:?}");
    }
    let gateway_address = gateway.addresses()[0];
    let codes = tokio::task::spawn_blocking(move || {
        let mut client = Client::connect(gateway_address);
        let refused = client.request(&format!("GET /chat HTTP/1.1\r\n{UPGRADE}"));
        [status(&refused).to_owned(), status(&client.get("/")).to_owned()]
    });
    assert_eq!(codes.await.unwrap(), ["502", "200"]);
    let server = upstream.status().servers.remove(0);
    assert_eq!((server.in_flight, server.last_error), (0, None));
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}
