//! HTTP/2 to upstreams: streams, limits, resets and GOAWAY.

use std::sync::Arc;
use std::time::Duration;

use crate::common::h2::{Frames, ModernOrigin, answer, connect, data, request, trailers};
use crate::common::recording::soon;
use crate::common::{Client, Origin, gateway_to, respond, status, until};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, Version};
use http_body::Frame;
use http_body_util::BodyExt;
use iap_core::Upstream;
use iap_core::upstream::{InFlightLimits, Protocol, UpstreamSettings};
use tokio::sync::Semaphore;

fn h2c(origin: &ModernOrigin, settings: UpstreamSettings) -> Arc<Upstream> {
    Arc::new(Upstream::new("o", [format!("h2c://{}", origin.address)], settings).unwrap())
}

#[tokio::test]
async fn grpc_streams_both_ways_and_ends_with_trailers() {
    let origin = ModernOrigin::start(None, |_, request| async move {
        let headers = request.headers();
        let mut response = Response::new(());
        for name in ["te", "x-forwarded-for", "x-forwarded-host"] {
            response.headers_mut().insert(name_of(name), headers[name].clone());
        }
        let seen = format!("{:?} {}", request.version(), request.uri());
        response.headers_mut().insert("x-seen", HeaderValue::from_str(&seen).unwrap());
        response
            .headers_mut()
            .insert("x-hops", HeaderValue::from(usize::from(headers.contains_key("connection"))));
        let (sender, frames) = Frames::new();
        let mut body = request.into_body();
        tokio::spawn(async move {
            while let Some(Ok(frame)) = body.frame().await {
                sender.send(frame).await.unwrap();
            }
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            sender.send(Frame::trailers(trailers)).await.unwrap();
        });
        response.map(|()| frames)
    });
    let gateway = gateway_to(&h2c(&origin, UpstreamSettings::default()));
    let mut client = connect(gateway.addresses()[0]).await;
    let (upload, body) = Frames::new();
    let mut call = request("POST", "/shop.Cart/Watch", body);
    call.headers_mut().insert("te", HeaderValue::from_static("trailers"));
    call.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    let response = soon(client.send_request(call)).await.unwrap();
    let headers = response.headers().clone();
    assert_eq!(headers["x-te"], "trailers");
    assert_eq!(headers["x-seen"], "HTTP/2.0 http://shop.test/shop.Cart/Watch");
    assert_eq!(headers["x-x-forwarded-for"], "127.0.0.1");
    assert_eq!(headers["x-x-forwarded-host"], "shop.test");
    assert_eq!(headers["x-hops"], "0");
    let mut body = response.into_body();
    for text in ["one", "two"] {
        upload.send(Frame::data(Bytes::from_static(text.as_bytes()))).await.unwrap();
        assert_eq!(data(&mut body).await, text, "each message comes back before the next one goes");
    }
    drop(upload);
    assert_eq!(trailers(&mut body).await["grpc-status"], "0");
}

fn name_of(name: &str) -> http::HeaderName {
    format!("x-{name}").parse().unwrap()
}

#[tokio::test]
async fn requests_share_connections_up_to_the_bound_of_streams() {
    let gate = Arc::new(Semaphore::new(0));
    let wait = gate.clone();
    let origin = ModernOrigin::start(None, move |_, _| {
        let wait = wait.clone();
        async move {
            let _permit = wait.acquire().await.unwrap();
            answer("ok")
        }
    });
    let settings = UpstreamSettings { max_streams: 3, ..UpstreamSettings::default() };
    let upstream = h2c(&origin, settings);
    let gateway = gateway_to(&upstream);
    let client = connect(gateway.addresses()[0]).await;
    let calls: Vec<_> = (0..7)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move { client.send_request(request("GET", "/", Frames::of(""))).await })
        })
        .collect();
    while origin.handled() < 7 {
        tokio::task::yield_now().await;
    }
    assert_eq!(origin.connected(), 3, "three, three and one");
    assert_eq!(upstream.status().servers[0].in_flight, 7);
    gate.add_permits(7);
    for call in calls {
        assert_eq!(soon(call).await.unwrap().unwrap().status(), 200);
    }
    // What is there already is enough for the next ones.
    let mut client = client;
    gate.add_permits(100);
    for _ in 0..9 {
        let response = soon(client.send_request(request("GET", "/", Frames::of("")))).await.unwrap();
        response.into_body().collect().await.unwrap();
    }
    assert_eq!(origin.connected(), 3);
    until("all have left", || upstream.status().servers[0].in_flight == 0);
}

#[tokio::test]
async fn a_server_that_takes_few_streams_gets_few_connections_and_loses_no_request() {
    for (streams, connections) in [(2, 1), (1, 1), (2, 16)] {
        let origin = ModernOrigin::with_streams(streams, None, |_, _| async {
            tokio::task::yield_now().await;
            answer("ok")
        });
        let limits =
            InFlightLimits { connections_per_server: Some(connections), ..InFlightLimits::default() };
        let settings = UpstreamSettings { limits: Some(limits), ..UpstreamSettings::default() };
        let gateway = gateway_to(&h2c(&origin, settings));
        let client = connect(gateway.addresses()[0]).await;
        for _ in 0..3 {
            let calls: Vec<_> = (0..90)
                .map(|_| {
                    let mut client = client.clone();
                    tokio::spawn(
                        async move { client.send_request(request("POST", "/", Frames::of(""))).await },
                    )
                })
                .collect();
            for call in calls {
                assert_eq!(soon(call).await.unwrap().unwrap().status(), 200);
            }
        }
        assert_eq!(origin.handled(), 270);
        assert!(origin.connected() <= connections, "{} for {streams} streams", origin.connected());
    }
}

#[tokio::test]
async fn many_resets_by_clients_leave_the_shared_connection_alone() {
    let origin = ModernOrigin::start(None, |_, request| async move {
        if request.uri().path() == "/last" {
            return answer("alive");
        }
        // Data that is on its way when the client gives up.
        let (sender, frames) = Frames::new();
        tokio::spawn(async move {
            for _ in 0..64 {
                let _ = sender.send(Frame::data(vec![0; 1024].into())).await;
            }
            sender.closed().await;
        });
        Response::new(frames)
    });
    let upstream = h2c(&origin, UpstreamSettings::default());
    let gateway = gateway_to(&upstream);
    for _ in 0..30 {
        // A client that resets too often is refused itself, so there are several.
        let mut client = connect(gateway.addresses()[0]).await;
        for _ in 0..50 {
            let response = soon(client.send_request(request("GET", "/", Frames::of("")))).await.unwrap();
            assert_eq!(response.status(), 200);
            drop(response);
        }
    }
    let mut client = connect(gateway.addresses()[0]).await;
    let response = soon(client.send_request(request("GET", "/last", Frames::of("")))).await.unwrap();
    assert_eq!(data(&mut response.into_body()).await, "alive");
    assert_eq!(origin.connected(), 1);
    assert_eq!(origin.handled(), 1501);
}

#[tokio::test]
async fn a_goaway_costs_no_request_and_none_is_handled_twice() {
    let origin = Arc::new(std::sync::OnceLock::<Arc<tokio::sync::Notify>>::new());
    let goes = origin.clone();
    let server = ModernOrigin::start(None, move |number, _| {
        let goes = goes.clone();
        async move {
            if number % 50 == 0 {
                goes.get().unwrap().notify_one();
            }
            tokio::task::yield_now().await;
            answer("ok")
        }
    });
    origin.set(server.go_away.clone()).unwrap();
    let upstream = h2c(&server, UpstreamSettings::default());
    let gateway = gateway_to(&upstream);
    let client = connect(gateway.addresses()[0]).await;
    for _ in 0..10 {
        let calls: Vec<_> = (0..40)
            .map(|_| {
                let mut client = client.clone();
                tokio::spawn(async move {
                    let response = client.send_request(request("POST", "/", Frames::of(""))).await.unwrap();
                    response.status().as_u16()
                })
            })
            .collect();
        for call in calls {
            let code = soon(call).await.unwrap();
            assert_eq!(code, 200, "{:?}", upstream.status().servers[0].last_error);
        }
    }
    assert_eq!(server.handled(), 400, "not even a POST is handled twice");
    assert!(server.connected() > 1, "connections have ended");
}

/// An origin that resets each first stream of a connection with `reason`, and answers the others.
async fn resetting(reason: h2::Reason) -> (std::net::SocketAddr, Arc<Semaphore>) {
    let listener = tokio::net::TcpListener::bind(crate::common::ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Semaphore::new(0));
    let count = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let count = count.clone();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                let mut is_first = true;
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    count.add_permits(1);
                    if std::mem::take(&mut is_first) {
                        respond.send_reset(reason);
                    } else {
                        respond.send_response(Response::new(()), true).unwrap();
                    }
                }
            });
        }
    });
    (address, seen)
}

#[tokio::test]
async fn only_a_refused_stream_is_sent_again() {
    for (reason, method, code, sent) in [
        (h2::Reason::REFUSED_STREAM, "POST", 200, 3),
        (h2::Reason::INTERNAL_ERROR, "POST", 502, 2),
        (h2::Reason::INTERNAL_ERROR, "GET", 502, 2),
    ] {
        let (address, seen) = resetting(reason).await;
        let settings = UpstreamSettings { protocol: Protocol::Http2, ..UpstreamSettings::default() };
        let upstream = Arc::new(Upstream::new("o", [address.to_string()], settings).unwrap());
        let gateway = gateway_to(&upstream);
        let code_of = async |method: &'static str| {
            let gateway = gateway.addresses()[0];
            let text = format!("{method} / HTTP/1.1\r\nhost: t\r\ncontent-length: 0\r\n\r\n");
            let answer = tokio::task::spawn_blocking(move || Client::connect(gateway).request(&text));
            status(&answer.await.unwrap()).parse::<u16>().unwrap()
        };
        let first = code_of(method).await;
        if first != code {
            panic!("{reason:?} {method}: {first}");
        }
        let _ = code_of("GET").await;
        assert_eq!(seen.available_permits(), sent, "{reason:?} {method}");
    }
}

#[test]
fn a_server_that_does_not_speak_http2_is_502() {
    let origin = Origin::start(|_, _, stream| {
        respond(stream, "what?");
        crate::common::Next::Close
    });
    let settings = UpstreamSettings {
        protocol: Protocol::Http2,
        connect_timeout: Duration::from_secs(5),
        ..UpstreamSettings::default()
    };
    let upstream = Arc::new(Upstream::new("o", [origin.address.to_string()], settings).unwrap());
    let gateway = gateway_to(&upstream);
    for _ in 0..2 {
        assert_eq!(status(&Client::connect(gateway.addresses()[0]).get("/")), "502");
    }
    assert!(origin.requests.lock().iter().all(|request| request.starts_with("PRI * HTTP/2.0")));
}

#[tokio::test]
async fn http1_clients_reach_http2_servers() {
    let origin = ModernOrigin::start(None, |_, request| async move {
        assert_eq!(request.version(), Version::HTTP_2);
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let (sender, frames) = Frames::new();
        sender.try_send(Frame::data(body)).unwrap();
        Response::new(frames)
    });
    let gateway = gateway_to(&h2c(&origin, UpstreamSettings::default()));
    let address = gateway.addresses()[0];
    let answers = tokio::task::spawn_blocking(move || {
        let mut client = Client::connect(address);
        let sized = client.request("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 3\r\n\r\nabc");
        let chunked = "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        let chunked = client.request(chunked);
        client.send("POST / HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n");
        let go_on = crate::common::read_head_only(&mut client.0).unwrap();
        assert!(go_on.starts_with("HTTP/1.1 100 "), "{go_on}");
        client.send("abc");
        let large = format!("{}abc", "x".repeat(3 << 20));
        let expected = client.response();
        client.send(&format!("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n{large}", large.len()));
        let echoed = client.response();
        assert!(echoed.len() > 3 << 20);
        [sized, chunked, expected, echoed]
    });
    for answer in answers.await.unwrap() {
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("abc"), "{:.100}", answer);
    }
}
