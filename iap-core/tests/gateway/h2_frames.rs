//! HTTP/2 by raw frames (RFC 9113): floods that a library's client would never send, and the drain.

use std::io::Write;
use std::time::Duration;

use crate::common::frames::*;
use crate::common::{ANY, Client, single};
use http::StatusCode;
use iap_core::{RunningServer, Server, Target};

/// `GET / http t`, by static table entries and one literal.
fn get() -> Vec<u8> {
    let mut block = vec![0x82, 0x84, 0x86, 0x41, 1];
    block.push(b't');
    block
}

fn server() -> RunningServer {
    let routes = single(Target::respond(StatusCode::OK, "ok"));
    Server::builder().listen(ANY.parse().unwrap()).workers(1).routes(routes).start().unwrap()
}

/// The error code of a GOAWAY, if the connection ends with one.
fn goaway(client: &mut H2) -> Option<u32> {
    let frame = client.read_until(|frame| frame.kind == GOAWAY)?;
    Some(u32::from_be_bytes(frame.payload[4..8].try_into().unwrap()))
}

#[test]
fn a_request_by_raw_frames_is_answered() {
    let server = server();
    let mut client = H2::connect(&server);
    client.send(HEADERS, END_HEADERS | END_STREAM, 1, &get());
    let data = client.read_until(|frame| frame.kind == DATA && frame.stream == 1).unwrap();
    assert_eq!(data.payload, b"ok");
}

#[test]
fn a_flood_of_resets_ends_the_connection_and_nobody_elses() {
    let server = server();
    let mut other = Client::connect(server.addresses()[0]);
    assert!(other.get("/").ends_with("ok"));
    let mut client = H2::connect(&server);
    let mut ended = false;
    'flood: for batch in 0..100u32 {
        let mut frames = Vec::new();
        for n in 0..100 {
            let stream = 2 * (batch * 100 + n) + 1;
            frames.extend(H2::frame(HEADERS, END_HEADERS, stream, &get()));
            frames.extend(H2::frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
        }
        if client.0.write_all(&frames).is_err() {
            ended = true;
            break 'flood;
        }
    }
    // Either it was cut off while it wrote, or it reads the end.
    assert!(ended || goaway(&mut client).is_some() || client.read().is_none());
    assert!(other.get("/").ends_with("ok"));
    assert!(Client::connect(server.addresses()[0]).get("/").ends_with("ok"));
}

#[test]
fn a_flood_of_continuations_ends_the_connection() {
    let server = server();
    let mut client = H2::connect(&server);
    client.send(HEADERS, END_STREAM, 1, &get());
    // Literal fields without indexing, 16 KiB a frame; 16 MiB in all if nobody stops it.
    let mut field = vec![0x00, 1, b'x', 0x7f, 0x81, 0x7e];
    field.extend(std::iter::repeat_n(b'y', 16_384 - field.len()));
    let sent = (0..1024).take_while(|_| client.send(CONTINUATION, 0, 1, &field)).count();
    assert!(sent < 1024, "nobody stopped it");
    assert!(Client::connect(server.addresses()[0]).get("/").ends_with("ok"));
}

#[test]
fn frames_that_break_the_protocol_end_the_connection() {
    let server = server();
    for (kind, flags, stream, payload) in [
        (DATA, 0, 1, &b"x"[..]),                                          // on an idle stream
        (HEADERS, END_HEADERS, 2, &[0x82]),                               // an even stream
        (HEADERS, END_HEADERS, 0, &[0x82]),                               // no stream
        (CONTINUATION, END_HEADERS, 1, &[]),                              // after nothing
        (SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 2]), // a push setting that is neither 0 nor 1
        (SETTINGS, 0, 0, &[1]),                // not a multiple of six
        (PING, 0, 0, &[1]),                    // not eight bytes
        (HEADERS, END_HEADERS, 1, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), // no HPACK
    ] {
        let mut client = H2::connect(&server);
        client.send(kind, flags, stream, payload);
        let code = goaway(&mut client);
        assert!(code.is_some_and(|code| code != 0), "{kind} {flags} {stream} {payload:?}: {code:?}");
    }
    assert!(Client::connect(server.addresses()[0]).get("/").ends_with("ok"));
}

#[tokio::test]
async fn a_drain_says_goodbye_twice_so_that_no_request_is_lost() {
    let server = server();
    let mut client = H2::connect(&server);
    client.send(HEADERS, END_HEADERS | END_STREAM, 1, &get());
    client.read_until(|frame| frame.kind == DATA && frame.stream == 1).unwrap();
    let shutdown = tokio::spawn(server.shutdown(Duration::from_secs(20)));
    let last = tokio::task::spawn_blocking(move || {
        let first = client.read_until(|frame| frame.kind == GOAWAY).unwrap();
        assert_eq!(first.payload, [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0], "any stream that is on its way");
        // A request that crossed with it is served.
        client.send(HEADERS, END_HEADERS | END_STREAM, 3, &get());
        let ping = client.read_until(|frame| frame.kind == PING && frame.flags & ACK == 0).unwrap();
        client.send(PING, ACK, 0, &ping.payload);
        let mut seen = Vec::new();
        while let Some(frame) = client.read() {
            seen.push(frame);
        }
        assert!(seen.iter().any(|frame| frame.kind == DATA && frame.stream == 3), "{seen:?}");
        seen.into_iter().rfind(|frame| frame.kind == GOAWAY)
    });
    let last = last.await.unwrap().unwrap();
    assert_eq!(last.payload, [0, 0, 0, 3, 0, 0, 0, 0]);
    assert_eq!(shutdown.await.unwrap(), 0);
}
