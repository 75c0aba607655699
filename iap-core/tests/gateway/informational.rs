//! What comes before an answer: 100 and 103.

use std::io::{Read, Write};

use crate::common::{Client, Next, Origin, gateway, respond, status};

fn head(client: &mut Client) -> String {
    crate::common::read_head_only(&mut client.0).unwrap()
}

#[test]
fn early_hints_reach_the_client_before_the_answer_is_there() {
    let (seen, proceed) = std::sync::mpsc::channel();
    let proceed = parking_lot::Mutex::new(proceed);
    let origin = Origin::start(move |number, _, stream| {
        if number > 1 {
            respond(stream, "plain");
            return Next::KeepAlive;
        }
        let hint = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\nconnection: x\r\ncontent-length: 9\r\n\r\n";
        stream.write_all(hint.as_bytes()).unwrap();
        // The answer follows only when the client has seen the first hint.
        proceed.lock().recv().unwrap();
        stream.write_all(b"HTTP/1.1 103 Early Hints\r\nlink: </b.css>\r\n\r\n").unwrap();
        respond(stream, "answer");
        Next::KeepAlive
    });
    let gateway = gateway(&origin);
    let mut client = Client::connect(gateway.addresses()[0]);
    client.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n");
    assert_eq!(head(&mut client), "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n");
    seen.send(()).unwrap();
    assert_eq!(head(&mut client), "HTTP/1.1 103 Early Hints\r\nlink: </b.css>\r\n\r\n");
    assert!(client.response().ends_with("answer"));
    assert!(client.get("/").ends_with("plain"), "the connection goes on");
}

#[test]
fn a_client_of_http_1_0_gets_no_hints() {
    let origin = Origin::start(|_, _, stream| {
        stream.write_all(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n").unwrap();
        respond(stream, "answer");
        Next::Close
    });
    let gateway = gateway(&origin);
    let response = Client::connect(gateway.addresses()[0]).request("GET / HTTP/1.0\r\nhost: t\r\n\r\n");
    assert_eq!(status(&response), "200", "{response}");
}

const EXPECT: &str = "POST / HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";

/// An origin that reads a head by itself: it decides before the body is there.
fn deciding(decision: &'static str, then: &'static str) -> Origin {
    Origin::raw(move |stream, log| {
        let head = crate::common::read_head_only(stream)?;
        log.lock().push(head);
        stream.write_all(decision.as_bytes()).ok()?;
        if !then.is_empty() {
            let mut body = [0; 4];
            stream.read_exact(&mut body).ok()?;
            log.lock().push(String::from_utf8_lossy(&body).into_owned());
            stream.write_all(then.as_bytes()).ok()?;
        }
        // Whatever else comes is noted, up to the end of the connection.
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        if !rest.is_empty() {
            log.lock().push(String::from_utf8_lossy(&rest).into_owned());
        }
        Some(())
    })
}

#[test]
fn the_origin_decides_whether_a_body_is_sent() {
    let refusing = deciding("HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno", "");
    let gateway = self::gateway(&refusing);
    let mut client = Client::connect(gateway.addresses()[0]);
    let response = client.request(EXPECT);
    assert_eq!(status(&response), "401", "and no 100 before it: {response}");
    assert!(client.is_closed(), "the body that was announced does not come");
    let seen = refusing.requests.lock().clone();
    assert!(seen.len() == 1 && seen[0].contains("expect: 100-continue"), "{seen:?}");
}

#[test]
fn a_100_of_the_origin_lets_the_body_through() {
    let origin = deciding("HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let gateway = gateway(&origin);
    let mut client = Client::connect(gateway.addresses()[0]);
    client.send(EXPECT);
    assert_eq!(head(&mut client), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("body");
    assert_eq!(status(&client.response()), "200");
    assert_eq!(origin.requests.lock()[1], "body");
}

#[test]
fn an_origin_that_does_not_know_the_question_gets_the_body_after_a_while() {
    let origin = deciding("", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let gateway = gateway(&origin);
    let mut client = Client::connect(gateway.addresses()[0]);
    client.send(EXPECT);
    assert_eq!(head(&mut client), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("body");
    assert_eq!(status(&client.response()), "200");
}

#[test]
fn other_expectations_are_not_passed_off_as_known() {
    let origin = Origin::fixed("ok");
    let gateway = gateway(&origin);
    let mut client = Client::connect(gateway.addresses()[0]);
    let response = client.request("GET / HTTP/1.1\r\nhost: t\r\nexpect: the-unexpected\r\n\r\n");
    assert_eq!(status(&response), "200");
    assert!(!origin.requests.lock()[0].contains("expect"));
}
