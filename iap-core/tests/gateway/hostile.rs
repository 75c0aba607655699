//! Clients that try to be read in two ways, or to say what only we may say.

use std::io::Read;

use crate::common::{ANY, Client, Origin, proxy_to, status};
use http::{HeaderValue, Request};
use iap_core::{Body, Server};
use tower::util::MapRequestLayer;

#[test]
fn a_client_cannot_have_fields_removed_that_are_not_its_own() {
    let origin = Origin::fixed("ok");
    let gateway = Server::builder()
        .listen(ANY.parse().unwrap())
        .layer(MapRequestLayer::new(|mut request: Request<Body>| {
            request.headers_mut().insert("x-user", HeaderValue::from_static("alice"));
            request
        }))
        .routes(proxy_to([origin.address.to_string()]))
        .start()
        .unwrap();
    let mut client = Client::connect(gateway.addresses()[0]);
    let response = client.request(
        "POST / HTTP/1.1\r\nhost: shop.test\r\nx-hop: 1\r\ncontent-length: 2\r\n\
         connection: Host, X-User, x-hop, content-length, keep-alive\r\n\r\nab",
    );
    assert_eq!(status(&response), "200", "{response}");
    let request = origin.requests.lock()[0].clone();
    for line in ["host: shop.test", "x-user: alice", "content-length: 2"] {
        assert!(request.lines().any(|have| have == line), "{line} in {request}");
    }
    assert!(!request.contains("x-hop") && !request.contains("connection:"), "{request}");
}

#[test]
fn names_that_an_application_takes_for_ours_do_not_go_on() {
    let origin = Origin::fixed("ok");
    let gateway = Server::builder()
        .listen(ANY.parse().unwrap())
        .routes(proxy_to([origin.address.to_string()]))
        .start()
        .unwrap();
    let spoofed = [
        "x_forwarded_for: 6.6.6.6",
        "X-Forwarded_Proto: https",
        "x-real-ip: 6.6.6.6",
        "x-forwarded-port: 6",
        "x-forwarded-prefix: /6",
        "iap_session_user: root",
    ];
    let request = format!("GET / HTTP/1.1\r\nhost: t\r\nx-fine: 1\r\n{}\r\n\r\n", spoofed.join("\r\n"));
    assert_eq!(status(&Client::connect(gateway.addresses()[0]).request(&request)), "200");
    let seen = origin.requests.lock()[0].to_ascii_lowercase();
    assert!(seen.contains("x-fine: 1"));
    for line in spoofed {
        assert!(!seen.contains(&line.to_ascii_lowercase()), "{line} in {seen}");
    }
}

#[test]
fn two_framings_and_unknown_codings_never_leave_an_open_connection() {
    let origin = Origin::fixed("ok");
    let gateway = Server::builder()
        .listen(ANY.parse().unwrap())
        .workers(1)
        .routes(proxy_to([origin.address.to_string()]))
        .start()
        .unwrap();
    let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: t\r\n\r\n";
    for fields in [
        "content-length: 44\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 44\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: xchunked\r\n",
    ] {
        let mut client = Client::connect(gateway.addresses()[0]);
        client.send(&format!("POST / HTTP/1.1\r\nhost: t\r\n{fields}\r\n{smuggled}"));
        let mut all = String::new();
        // The rest of what was sent is not read, so the end may be a reset.
        let _ = client.0.read_to_string(&mut all);
        assert_eq!(all.matches("HTTP/1.1 ").count(), 1, "{fields}: {all}");
    }
    for request in origin.requests.lock().iter() {
        assert!(!request.contains("/smuggled") && !request.contains("gzip"), "{request}");
        assert!(!request.contains("content-length"), "{request}");
    }
}

#[test]
fn a_method_that_is_not_served_says_which_are() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(directory.path().join("sub")).unwrap();
    std::fs::write(directory.path().join("sub/index.html"), "sub").unwrap();
    let files = iap_core::Route::new("files", "/static", iap_core::Target::files(directory.path()));
    let gateway = Server::builder()
        .listen(ANY.parse().unwrap())
        .routes(iap_core::RouteTable::new([files]).unwrap())
        .start()
        .unwrap();
    let mut client = Client::connect(gateway.addresses()[0]);
    let refused = client.request("DELETE /static/ HTTP/1.1\r\nhost: t\r\n\r\n");
    assert!(status(&refused) == "405" && refused.contains("allow: GET, HEAD\r\n"), "{refused}");
    let directory = client.get("/static/sub");
    assert!(directory.contains("location: /static/sub/\r\n"), "{directory}");
}

#[test]
fn broken_chunks_are_400_and_a_close() {
    let origin = Origin::fixed("ok");
    let routes = proxy_to([origin.address.to_string()]);
    let gateway = Server::builder().listen(ANY.parse().unwrap()).workers(1).routes(routes).start().unwrap();
    let extension = format!("3;{}\r\nabc\r\n0\r\n\r\n", "x".repeat(1 << 20));
    for chunks in ["zz\r\nabc\r\n0\r\n\r\n", "3\nabc\r\n0\r\n\r\n", &extension] {
        let mut client = Client::connect(gateway.addresses()[0]);
        client.send(&format!("POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n{chunks}"));
        let mut all = String::new();
        // Reads to the end: the connection is closed, and not reset under the answer.
        client.0.read_to_string(&mut all).expect("a close");
        assert_eq!(status(&all), "400", "{all}");
    }
    assert!(origin.requests.lock().is_empty(), "no origin has seen a whole request");
}
