use proptest::prelude::*;

use super::*;

/// Scans `bytes` in pieces of `size`.
fn scan(bytes: &[u8], size: usize) -> Result<State, (usize, Fault)> {
    let mut scanner = Scanner::new();
    let mut done = 0;
    for piece in bytes.chunks(size) {
        scanner.scan(piece).map_err(|(at, fault)| (done + at, fault))?;
        done += piece.len();
    }
    Ok(scanner.state)
}

#[test]
fn requests_of_all_framings_follow_each_other() {
    let stream = b"\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n\
        POST / HTTP/1.1\r\nContent-LENGTH:  4 \r\n\r\n\n\n\n\n\
        POST / HTTP/1.1\r\nTransfer-encoding: chunked\r\n\r\n3;a=\"b\"\r\n\n\n\n\r\nA\r\n0123456789\r\n0\r\nx: y\r\n\r\n\
        GET / HTTP/1.1\r\n\r\n";
    for size in [1, 2, 3, 7, stream.len()] {
        assert_eq!(scan(stream, size), Ok(State::RequestLine), "in pieces of {size}");
    }
}

#[test]
fn a_bare_line_feed_is_found_wherever_it_stands() {
    let head = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
    let cases = [
        ("GET / HTTP/1.1\nhost: a\r\n\r\n".to_owned(), 14, Fault::BareLf),
        ("\nGET / HTTP/1.1\r\n\r\n".to_owned(), 0, Fault::BareLf),
        ("GET / HTTP/1.1\r\nhost: a\n\r\n".to_owned(), 23, Fault::BareLf),
        ("GET / HTTP/1.1\r\nhost: a\r\n\n".to_owned(), 25, Fault::BareLf),
        (format!("{head}3\nabc\r\n0\r\n\r\n"), head.len() + 1, Fault::BareLfInBody),
        (format!("{head}3;x\nabc\r\n0\r\n\r\n"), head.len() + 3, Fault::BareLfInBody),
        (format!("{head}3\r\nabc\n0\r\n\r\n"), head.len() + 6, Fault::BareLfInBody),
        (format!("{head}0\r\nx: y\n\r\n"), head.len() + 7, Fault::BareLfInBody),
        (format!("{head}0\r\n\n"), head.len() + 3, Fault::BareLfInBody),
    ];
    for (text, place, fault) in cases {
        for size in [1, 5, text.len()] {
            assert_eq!(scan(text.as_bytes(), size), Err((place, fault)), "{text:?} in pieces of {size}");
        }
    }
}

#[test]
fn what_is_no_chunk_is_refused() {
    let head = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
    let long = format!("1;{}\r\n", "x".repeat(1 << 20));
    for chunk in
        ["\r\n", "x\r\n", "-1\r\n", "1 x\r\n", "1;\u{1}\r\n", "11111111111111111\r\n", "1\r\nab\r\n", &long]
    {
        let text = format!("{head}{chunk}");
        for size in [1, 4096] {
            assert!(matches!(scan(text.as_bytes(), size), Err((_, Fault::BadChunk))), "{:.60}", chunk);
        }
    }
}

#[test]
fn a_length_whose_number_could_be_lost_is_refused_in_one_piece_or_many() {
    for room in [MAX_KEPT, 4 * MAX_KEPT] {
        for text in [
            format!("GET / HTTP/1.1\r\ncontent-length:{}5\r\n\r\n", " ".repeat(room)),
            format!("GET / HTTP/1.1\r\nContent-Length:5{}\r\n\r\n", " ".repeat(room)),
            format!("GET / HTTP/1.1\r\ncontent-length:{}5\r\n\r\n", "0".repeat(room)),
        ] {
            for size in [1, 100, text.len()] {
                let verdict = scan(text.as_bytes(), size);
                assert!(matches!(verdict, Err((_, Fault::LongLength))), "{verdict:?} in pieces of {size}");
            }
        }
    }
    // Nobody else's field is of interest, and chunks are known by the name alone.
    let text = format!("GET / HTTP/1.1\r\nx:{0}5\r\ntransfer-encoding:{0}chunked\r\n\r\n", " ".repeat(2000));
    for size in [1, text.len()] {
        assert_eq!(scan(text.as_bytes(), size), Ok(State::ChunkSize));
    }
}

#[test]
fn a_chunk_line_may_be_so_long_and_no_longer_however_it_is_cut() {
    let head = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
    for (length, is_fine) in [(MAX_CHUNK_LINE, true), (MAX_CHUNK_LINE + 1, false)] {
        let text = format!("{head}1;{}\r\na\r\n0\r\n\r\n", "x".repeat(length - 2));
        for size in [1, 200, head.len() + length + 1, text.len()] {
            assert_eq!(scan(text.as_bytes(), size).is_ok(), is_fine, "{length} in pieces of {size}");
        }
    }
}

proptest! {
    /// How the bytes were cut makes no difference.
    #[test]
    fn pieces_do_not_matter(bytes in "(GET / HTTP/1.1|a: b|content-length: 5|transfer-encoding: chunked|5|0|;|\r\n|\n|\r|x){0,24}", size in 1usize..9) {
        let whole = scan(bytes.as_bytes(), usize::MAX);
        prop_assert_eq!(scan(bytes.as_bytes(), size), whole);
    }
}
