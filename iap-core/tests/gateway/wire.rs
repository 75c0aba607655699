//! Bytes that two servers could read in two ways, and heads that are none: refused before the origin.

use crate::common::{Client, Origin, gateway, status};

#[test]
fn a_head_that_is_none_is_a_problem_document_and_the_end() {
    let origin = Origin::fixed("ok");
    let gateway = gateway(&origin);
    let long = format!("GET / HTTP/1.1\r\nhost: t\r\nx: {}\r\n\r\n", "y".repeat(1 << 17));
    let many = format!("GET / HTTP/1.1\r\nhost: t\r\n{}\r\n", "x: y\r\n".repeat(200));
    let length = format!("POST / HTTP/1.1\r\nhost: t\r\ncontent-length:{}5\r\n\r\nhello", " ".repeat(600));
    let path = format!("GET /{} HTTP/1.1\r\nhost: t\r\n\r\n", "y".repeat(65_600));
    let cases = [
        ("GET / HTTP/1.1\nhost: t\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: t\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: t\r\n\n", "400"),
        ("GET / HTTP/1.1\n\n", "400"),
        ("\nGET / HTTP/1.1\r\nhost: t\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: t\r\nx: a\rb\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost : t\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: t\r\nx: a\r\n b\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: t\r\nx: a\0b\r\n\r\n", "400"),
        ("GET / HTTP/9.9\r\nhost: t\r\n\r\n", "400"),
        ("GET /a b HTTP/1.1\r\nhost: t\r\n\r\n", "400"),
        ("{\"json\": true}\r\n\r\n", "400"),
        (&length, "400"),
        (&long, "431"),
        (&many, "431"),
        (&path, "414"),
    ];
    for (text, expected) in cases {
        // In one piece, and in pieces that end anywhere.
        for size in [text.len(), 7, 1].into_iter().filter(|size| text.len() / size < 500) {
            let mut client = Client::connect(gateway.addresses()[0]);
            for piece in text.as_bytes().chunks(size) {
                if std::io::Write::write_all(&mut client.0, piece).is_err() {
                    break;
                }
            }
            let response = client.response();
            assert_eq!(status(&response), expected, "{:.80?} in pieces of {size}: {response}", text);
            assert!(response.contains("content-type: application/problem+json"), "{:.80?}: {response}", text);
            assert!(client.is_closed(), "{:.80?}", text);
        }
    }
    assert!(origin.requests.lock().is_empty(), "{:?}", origin.requests.lock());
}

#[test]
fn what_came_before_a_bad_head_is_answered_first() {
    let origin = Origin::fixed("ok");
    let gateway = gateway(&origin);
    let mut client = Client::connect(gateway.addresses()[0]);
    client.send("GET /1 HTTP/1.1\r\nhost: t\r\n\r\nGET /2 HTTP/1.1\r\nhost: t\r\n\r\nGET /3 HTTP/1.1\nhost: t\r\n\r\n");
    let mut all = String::new();
    std::io::Read::read_to_string(&mut client.0, &mut all).unwrap();
    let statuses: Vec<_> = all.match_indices("HTTP/1.1 ").map(|(at, _)| &all[at + 9..at + 12]).collect();
    assert_eq!(statuses, ["200", "200", "400"], "{all}");
    assert_eq!(origin.requests.lock().len(), 2);
}

#[test]
fn a_body_that_is_not_framed_as_http_is_refused_and_its_upstream_connection_goes() {
    let head = "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n";
    let extension = "x".repeat(1 << 20);
    let bodies = [
        "3\nabc\r\n0\r\n\r\n".to_owned(),
        "3\r\nabc\n0\r\n\r\n".to_owned(),
        "3\r\nabc\r\n0\r\nx: y\n\r\n".to_owned(),
        "3;\u{7f}\r\nabc\r\n0\r\n\r\n".to_owned(),
        "3 3\r\nabc\r\n0\r\n\r\n".to_owned(),
        "0x3\r\nabc\r\n0\r\n\r\n".to_owned(),
        "-3\r\nabc\r\n0\r\n\r\n".to_owned(),
        "10000000000000000\r\nabc\r\n0\r\n\r\n".to_owned(),
        format!("3;{extension}\r\nabc\r\n0\r\n\r\n"),
    ];
    for body in bodies {
        let origin = Origin::fixed("ok");
        let gateway = gateway(&origin);
        let mut client = Client::connect(gateway.addresses()[0]);
        let _ = std::io::Write::write_all(&mut client.0, format!("{head}{body}").as_bytes());
        let response = client.response();
        assert_eq!(status(&response), "400", "{:.60?}: {response}", body);
        assert!(client.is_closed(), "{:.60?}", body);
        assert!(origin.requests.lock().is_empty(), "no request was whole: {:.60?}", body);
        // The next request goes over another connection.
        assert!(Client::connect(gateway.addresses()[0]).get("/").ends_with("ok"));
    }
}

#[test]
fn small_extensions_and_trailers_are_fine() {
    let origin = Origin::fixed("ok");
    let gateway = gateway(&origin);
    let mut client = Client::connect(gateway.addresses()[0]);
    let request = "POST / HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n3;a=\"b c\"\r\nabc\r\n0\r\nx: y\r\n\r\n";
    for _ in 0..3 {
        assert!(client.request(request).ends_with("ok"));
    }
}
