//! What an origin may send, and what the client gets of it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;

use crate::common::{Client, Next, Origin, gateway, respond, status};

/// An origin that answers every request with the same bytes.
fn saying(bytes: &'static str, next: impl Fn() -> Next + Send + Sync + 'static) -> Origin {
    Origin::start(move |_, _, stream| {
        stream.write_all(bytes.as_bytes()).unwrap();
        next()
    })
}

fn count(response: &str, name: &str) -> usize {
    let head = response.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
    head.lines().filter(|line| line.starts_with(&format!("{name}:"))).count()
}

fn read_to_end(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_response_with_two_framings_reaches_the_client_with_one() {
    for fields in [
        "content-length: 3\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 3\r\n",
    ] {
        let origin = Origin::start(move |_, _, stream| {
            write!(stream, "HTTP/1.1 200 OK\r\n{fields}\r\n5\r\nhello\r\n0\r\n\r\n").unwrap();
            Next::KeepAlive
        });
        let gateway = gateway(&origin);
        let mut client = Client::connect(gateway.addresses()[0]);
        let response = client.get("/");
        assert_eq!(count(&response, "content-length"), 0, "{response}");
        assert!(response.contains("5\r\nhello\r\n"), "{response}");
        assert_eq!(status(&client.get("/")), "200");
    }
}

#[test]
fn two_equal_lengths_become_one_and_different_ones_are_502() {
    let equal =
        saying("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok", || Next::KeepAlive);
    let running = gateway(&equal);
    let response = Client::connect(running.addresses()[0]).get("/");
    assert!(status(&response) == "200" && response.ends_with("ok"), "{response}");
    assert_eq!(count(&response, "content-length"), 1, "{response}");

    for lengths in ["2\r\ncontent-length: 3", "2, 3", "+2"] {
        let origin = Origin::start(move |_, _, stream| {
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {lengths}\r\n\r\nok!").unwrap();
            Next::Close
        });
        for request in ["GET", "HEAD"] {
            let running = gateway(&origin);
            let mut client = Client::connect(running.addresses()[0]);
            let response = client.request(&format!("{request} / HTTP/1.1\r\nhost: t\r\n\r\n"));
            assert_eq!(status(&response), "502", "{request} {lengths}: {response}");
        }
    }
}

#[test]
fn responses_without_a_body_have_no_framing_of_one() {
    let origin = Origin::start(|_, request, stream| {
        let head = if request.starts_with("GET /304") {
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\netag: \"a\"\r\n\r\n"
        } else if request.starts_with("HEAD") {
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"
        } else {
            "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n"
        };
        stream.write_all(head.as_bytes()).unwrap();
        Next::KeepAlive
    });
    let gateway = gateway(&origin);
    let mut client = Client::connect(gateway.addresses()[0]);
    let head = client.request("HEAD / HTTP/1.1\r\nhost: t\r\n\r\n");
    assert!(head.contains("content-length: 5"), "{head}");
    client.send(
        "GET /304 HTTP/1.1\r\nhost: t\r\n\r\nGET /204 HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n",
    );
    let both = read_to_end(&mut client.0);
    let (not_modified, no_content) = both.split_once("\r\n\r\n").unwrap();
    assert_eq!(status(not_modified), "304");
    assert_eq!(status(no_content), "204", "{both}");
    assert_eq!(
        count(no_content, "content-length") + count(no_content, "transfer-encoding"),
        0,
        "{no_content}"
    );
    assert!(no_content.ends_with("\r\n\r\n"), "{no_content}");
    assert_eq!(origin.connections.load(Ordering::SeqCst), 1, "the origin's connection is as good as new");
}

#[test]
fn bytes_after_a_response_are_never_the_answer_to_somebody_else() {
    let origin = saying(
        "HTTP/1.1 204 No Content\r\ncontent-length: 40\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        || Next::KeepAlive,
    );
    let gateway = gateway(&origin);
    let mut client = Client::connect(gateway.addresses()[0]);
    for _ in 0..20 {
        let response = client.request("GET / HTTP/1.1\r\nhost: t\r\n\r\n");
        assert!(!response.contains("evil"), "{response}");
    }
}

#[test]
fn an_upgrade_nobody_asked_for_is_502_and_the_connection_goes_on() {
    let origin = Origin::start(|number, _, stream| {
        if number == 1 {
            let head = "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n";
            stream.write_all(head.as_bytes()).unwrap();
            return Next::KeepAlive;
        }
        respond(stream, "ok");
        Next::KeepAlive
    });
    let gateway = gateway(&origin);
    let mut client = Client::connect(gateway.addresses()[0]);
    let upgrade = "GET / HTTP/1.1\r\nhost: t\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
    assert_eq!(status(&client.request(upgrade)), "502");
    assert!(!origin.requests.lock()[0].contains("upgrade"), "the request for it does not go on");
    assert!(client.get("/").ends_with("ok"));
}

#[test]
fn interim_responses_do_not_confuse_the_final_one() {
    let origin = saying(
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n\
         HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        || Next::KeepAlive,
    );
    let gateway = gateway(&origin);
    let mut client = Client::connect(gateway.addresses()[0]);
    for _ in 0..2 {
        client.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n");
        let heads: Vec<_> = (0..3).map(|_| crate::common::read_head_only(&mut client.0).unwrap()).collect();
        assert!(heads[0].starts_with("HTTP/1.1 103") && heads[0].contains("link: </a>"), "{heads:?}");
        assert!(heads[1].starts_with("HTTP/1.1 103") && heads[2].starts_with("HTTP/1.1 200"), "{heads:?}");
        client.0.read_exact(&mut [0; 2]).unwrap();
    }
    assert_eq!(origin.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn trailers_go_both_ways() {
    let origin = saying(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum, content-length\r\n\r\n\
         2\r\nok\r\n0\r\nx-sum: 7\r\ncontent-length: 99\r\n\r\n",
        || Next::Close,
    );
    let gateway = gateway(&origin);
    let mut client = Client::connect(gateway.addresses()[0]);
    client.send(
        "POST / HTTP/1.1\r\nhost: t\r\nte: trailers\r\nconnection: te, close\r\ntransfer-encoding: chunked\r\n\
         trailer: x-in\r\n\r\n1\r\na\r\n0\r\nx-in: 1\r\n\r\n",
    );
    let response = read_to_end(&mut client.0);
    assert!(response.ends_with("0\r\nx-sum: 7\r\n\r\n"), "{response}");
    let request = origin.requests.lock()[0].clone();
    assert!(request.contains("te: trailers\r\n"), "{request}");
    assert!(request.contains("trailer: x-in\r\n"), "{request}");
}

#[test]
fn hop_by_hop_fields_of_a_response_stay_behind() {
    let origin = saying(
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: keep-alive, x-hop\r\nkeep-alive: timeout=5\r\n\
         x-hop: 1\r\nproxy-connection: x\r\nupgrade: h2c\r\n\r\nok",
        || Next::KeepAlive,
    );
    let gateway = gateway(&origin);
    let response = Client::connect(gateway.addresses()[0]).get("/");
    for name in ["connection", "keep-alive", "x-hop", "proxy-connection", "upgrade"] {
        assert_eq!(count(&response, name), 0, "{name} in {response}");
    }
}

#[test]
fn an_old_client_gets_a_body_without_chunks_and_a_close() {
    let origin =
        saying("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", || {
            Next::KeepAlive
        });
    let gateway = gateway(&origin);
    let mut client = Client::connect(gateway.addresses()[0]);
    client.send("GET / HTTP/1.0\r\nhost: t\r\n\r\n");
    let response = read_to_end(&mut client.0);
    assert!(response.ends_with("\r\n\r\nhello"), "{response}");
    assert_eq!(count(&response, "transfer-encoding"), 0, "{response}");
}

#[test]
fn an_old_origin_does_not_make_the_client_old() {
    let origin = saying("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", || Next::Close);
    let closing = saying("HTTP/1.0 200 OK\r\n\r\nall of it", || Next::Close);
    for (origin, body) in [(origin, "ok"), (closing, "9\r\nall of it\r\n0\r\n\r\n")] {
        let gateway = gateway(&origin);
        let mut client = Client::connect(gateway.addresses()[0]);
        for _ in 0..2 {
            let response = client.get("/");
            assert!(response.starts_with("HTTP/1.1 200"), "{response}");
            assert!(response.ends_with(body), "{response}");
        }
    }
}

#[test]
fn a_client_that_says_close_gets_a_close() {
    let origin = Origin::fixed("ok");
    let gateway = gateway(&origin);
    let mut client = Client::connect(gateway.addresses()[0]);
    client.send("GET / HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
    let response = read_to_end(&mut client.0);
    assert!(response.ends_with("ok") && response.contains("connection: close"), "{response}");
    assert!(!origin.requests.lock()[0].contains("connection:"));
}

#[test]
fn trailers_leave_a_connection_as_good_as_new_and_two_framings_do_not() {
    let chunks = "2\r\nok\r\n0\r\n";
    let cases = [
        (format!("transfer-encoding: chunked\r\n\r\n{chunks}\r\n"), 1),
        (format!("transfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n{chunks}x-sum: 7\r\n\r\n"), 1),
        (format!("content-length: 99\r\ntransfer-encoding: chunked\r\n\r\n{chunks}\r\n"), 3),
        (format!("transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n{chunks}\r\n"), 3),
    ];
    for (rest, connections) in cases {
        let answer = format!("HTTP/1.1 200 OK\r\n{rest}");
        let origin = Origin::start(move |_, _, stream| {
            stream.write_all(answer.as_bytes()).unwrap();
            Next::KeepAlive
        });
        let gateway = gateway(&origin);
        for _ in 0..3 {
            let mut client = Client::connect(gateway.addresses()[0]);
            client.send("GET / HTTP/1.1\r\nhost: t\r\nte: trailers\r\nconnection: te, close\r\n\r\n");
            let response = read_to_end(&mut client.0);
            assert!(response.contains("2\r\nok\r\n0\r\n"), "{response}");
        }
        assert_eq!(origin.connections.load(Ordering::SeqCst), connections, "{rest}");
    }
}
