use std::future::poll_fn;

use bytes::BytesMut;
use http::{HeaderMap, Request, StatusCode};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::decoder::Decoder;
use super::*;

/// What a decoder makes of bytes that come in these pieces: data, trailers, what is left over.
fn decode(mut decoder: Decoder, pieces: &[&[u8]]) -> Result<(Vec<u8>, HeaderMap, bool, Vec<u8>), Fault> {
    let (mut input, mut data, mut trailers) = (BytesMut::new(), Vec::new(), HeaderMap::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        while let Some(frame) = decoder.next(&mut input)? {
            match frame.into_data() {
                Ok(bytes) => data.extend_from_slice(&bytes),
                Err(frame) => trailers.extend(frame.into_trailers().unwrap()),
            }
        }
    }
    Ok((data, trailers, decoder == Decoder::Done, input.to_vec()))
}

fn in_pieces<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

proptest! {
    #[test]
    fn chunks_come_out_as_they_went_in_wherever_they_are_cut(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
        extension in "(;[a-z]{1,5}(=[a-z]{1,5})?)?",
        with_trailer: bool,
        cuts in prop::collection::vec(any::<usize>(), 0..8),
    ) {
        let mut wire = Vec::new();
        for chunk in &chunks {
            wire.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
            wire.extend_from_slice(chunk);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(if with_trailer { b"0\r\nx-sum: 7\r\n\r\n" } else { b"0\r\n\r\n" });
        wire.extend_from_slice(b"HTTP/1.1 ");
        let (data, trailers, is_over, rest) = decode(Decoder::chunked(), &in_pieces(&wire, &cuts)).unwrap();
        prop_assert_eq!(data, chunks.concat());
        prop_assert_eq!(trailers.get("x-sum").is_some(), with_trailer);
        prop_assert!(is_over);
        prop_assert_eq!(rest, b"HTTP/1.1 ");
    }

    #[test]
    fn what_is_no_chunk_is_an_error_wherever_it_is_cut(
        case in 0usize..9,
        cuts in prop::collection::vec(any::<usize>(), 0..4),
    ) {
        let long = format!("1;{}\r\n", "x".repeat(2_000));
        let trailers = format!("0\r\n{}", "a: b\r\n".repeat(4_000));
        let wire: &[u8] = [
            "5\nhello\r\n", "5\r\nhello!\r\n", "\r\n", "-1\r\n", "0x5\r\nhello", "5 5\r\nhello",
            "11111111111111111\r\n", &long, &trailers,
        ][case].as_bytes();
        prop_assert!(decode(Decoder::chunked(), &in_pieces(wire, &cuts)).is_err());
    }

    #[test]
    fn a_head_is_the_same_wherever_it_is_cut(cuts in prop::collection::vec(any::<usize>(), 0..6)) {
        let wire = b"HTTP/1.1 200 Fine\r\ncontent-length: 5\r\nx: \xc3\xbc\r\n\r\nhello";
        let (mut input, mut searched, mut found) = (BytesMut::new(), 0, None);
        for piece in in_pieces(wire, &cuts) {
            input.extend_from_slice(piece);
            if found.is_none() {
                found = response::take(&mut input, &mut searched, false).unwrap();
            }
        }
        let head = found.unwrap();
        prop_assert_eq!(head.response.headers()["x"].as_bytes(), "ü".as_bytes());
        prop_assert_eq!(head.decoder, Decoder::Length(5));
        prop_assert_eq!(&input[..], b"hello");
    }
}

/// What a head says: how the body ends, and whether the connection can be used again.
fn read_head(text: &str, to_head: bool) -> Result<(Decoder, bool), Fault> {
    let head = response::take(&mut BytesMut::from(text), &mut 0, to_head)?.expect("a whole head");
    Ok((head.decoder, head.keeps))
}

#[test]
fn a_head_says_how_its_body_ends() {
    let (chunked, close) = (Decoder::chunked(), Decoder::UntilClose);
    for (fields, expected) in [
        ("content-length: 7\r\n", (Decoder::Length(7), true)),
        ("content-length: 0\r\n", (Decoder::Done, true)),
        ("content-length: 7\r\nconnection: x, Close\r\n", (Decoder::Length(7), false)),
        ("transfer-encoding: Chunked\r\n", (chunked, true)),
        ("transfer-encoding: chunked\r\ncontent-length: 7\r\n", (chunked, false)),
        ("", (close, false)),
    ] {
        let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        assert_eq!(read_head(&head, false).unwrap(), expected, "{fields}");
        assert_eq!(read_head(&head, true).unwrap().0, Decoder::Done, "to HEAD: {fields}");
        for status in ["204 No Content", "304 Not Modified", "103 Early Hints"] {
            let head = head.replace("200 OK", status);
            assert_eq!(read_head(&head, false).unwrap().0, Decoder::Done, "{status}: {fields}");
        }
    }
    let old = |fields: &str| read_head(&format!("HTTP/1.0 200 OK\r\n{fields}\r\n"), false).unwrap();
    assert_eq!(old("content-length: 7\r\n"), (Decoder::Length(7), false));
    assert_eq!(old("content-length: 7\r\nconnection: keep-alive\r\n"), (Decoder::Length(7), true));
    assert_eq!(read_head("HTTP/1.1 200 OK\ncontent-length: 7\n\n", false).unwrap().0, Decoder::Length(7));
}

#[test]
fn a_head_that_can_be_read_in_two_ways_is_none() {
    let many = "a: b\r\n".repeat(101);
    for fields in [
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: identity\r\n",
        "content-length: 7\r\ncontent-length: 8\r\n",
        "content-length: 7, 7\r\n",
        "content-length: +7\r\n",
        "content-length:\r\n",
        "content-length: 99999999999999999999\r\n",
        " folded: x\r\n",
        "space : x\r\n",
        "a: b\0c\r\n",
        &many,
    ] {
        assert!(read_head(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n"), false).is_err(), "{fields}");
    }
    assert!(read_head("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", false).is_err());
    assert!(read_head("HTTP/2.0 200 OK\r\n\r\n", false).is_err());
    assert!(read_head("\r\n\r\n", false).is_err());
    let endless = format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(70_000));
    assert!(response::take(&mut BytesMut::from(&*endless), &mut 0, false).is_err());
}

fn pair() -> (Connection, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Connection::new(Stream::Unix(ours)), theirs)
}

fn post(body: Body) -> Request<Body> {
    Request::post("/a?b").header("host", "t").header("content-length", "9").body(body).unwrap()
}

async fn answer(connection: &mut Connection) -> Result<Response<()>, Fault> {
    poll_fn(|cx| connection.poll_answer(cx, |_, _| {})).await
}

#[tokio::test]
async fn a_length_is_that_of_the_body_whatever_the_fields_say() {
    for (body, expected) in [
        (Body::empty(), "POST /a?b HTTP/1.1\r\nhost: t\r\ncontent-length: 0\r\n\r\n"),
        (Body::from("hello"), "POST /a?b HTTP/1.1\r\nhost: t\r\ncontent-length: 5\r\n\r\nhello"),
    ] {
        let (mut connection, mut server) = pair();
        connection.begin(&mut post(body), None);
        server.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        assert_eq!(answer(&mut connection).await.unwrap().status(), StatusCode::NO_CONTENT);
        assert!(connection.is_free());
        drop(connection);
        let mut sent = String::new();
        server.read_to_string(&mut sent).await.unwrap();
        assert_eq!(sent, expected);
    }
}

#[tokio::test]
async fn a_connection_is_not_free_before_its_answer_nor_with_bytes_that_nobody_asked_for() {
    let (mut connection, mut server) = pair();
    connection.begin(&mut Request::get("/").body(Body::empty()).unwrap(), None);
    assert!(tokio::time::timeout(std::time::Duration::ZERO, answer(&mut connection)).await.is_err());
    assert!(!connection.is_free(), "it waits for the answer");
    server.write_all(b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n").await.unwrap();
    answer(&mut connection).await.unwrap();
    assert!(!connection.is_free(), "there is more than the answer");
}

#[tokio::test]
async fn a_connection_that_ended_while_it_was_idle_takes_no_request() {
    let (mut connection, server) = pair();
    assert!(connection.is_quiet() && !connection.has_ended());
    drop(server);
    assert!(!connection.is_quiet());
    connection.begin(&mut post(Body::from("hello")), None);
    assert!(answer(&mut connection).await.is_err());

    let (mut connection, mut server) = pair();
    server.write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n").await.unwrap();
    assert!(!connection.is_quiet(), "what comes unasked is no answer");
    connection.stream_is_readable().await;
    assert!(connection.has_ended());
}

#[tokio::test]
async fn an_answer_counts_although_the_server_takes_no_more_of_the_request() {
    let (mut connection, mut server) = pair();
    let (large, mut head) = (Body::from("x".repeat(8 << 20)), [0; 20]);
    connection.begin(&mut post(large), None);
    let (status, ()) = tokio::join!(async { answer(&mut connection).await.unwrap().status() }, async {
        server.read_exact(&mut head).await.unwrap();
        server.write_all(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
    });
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    drop(server);
    let frame = poll_fn(|cx| connection.poll_body(cx)).await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "no");
    assert!(connection.is_answered() && !connection.is_free());
}
