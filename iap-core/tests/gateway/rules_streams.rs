//! Rules and bodies that come bit by bit: nothing is held back; and places that a client chooses.

use std::io::{Read, Write};
use std::sync::Arc;

use crate::common::{ANY, Client, Next, Origin, status};
use http::StatusCode;
use iap_core::rules::{Compression, Redirect, Rules, Template};
use iap_core::upstream::UpstreamSettings;
use iap_core::{Route, RouteTable, RunningServer, Server, Target, Upstream};

fn one(path: &str, target: Target, set: impl FnOnce(&mut Rules)) -> RunningServer {
    let mut rules = Rules::default();
    set(&mut rules);
    let table = RouteTable::new([Route::new("one", path, target).with_rules(rules)]).unwrap();
    Server::builder().listen(ANY.parse().unwrap()).workers(1).routes(table).start().unwrap()
}

/// Takes the chunks of a body apart, as they come.
struct Chunks(std::io::BufReader<std::net::TcpStream>);

impl Chunks {
    fn line(&mut self) -> String {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut self.0, &mut line).expect("a line in time");
        line.trim_end().to_owned()
    }

    /// The next chunk; empty at the end.
    fn next(&mut self) -> Vec<u8> {
        let size = usize::from_str_radix(&self.line(), 16).expect("a chunk's size");
        let mut chunk = vec![0; size];
        self.0.read_exact(&mut chunk).expect("a chunk in time");
        self.line();
        chunk
    }
}

#[test]
fn a_compressed_body_arrives_as_it_is_written() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::start(move |_, _, stream| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ntransfer-encoding: chunked\r\n\r\n";
        write!(stream, "{head}5\r\nfirst\r\n").unwrap();
        // The rest comes when the client has read the beginning.
        wait.lock().unwrap().recv().unwrap();
        write!(stream, "6\r\nsecond\r\n0\r\n\r\n").unwrap();
        Next::KeepAlive
    });
    let upstream =
        Upstream::new("origin", [origin.address.to_string()], UpstreamSettings::default()).unwrap();
    let server = one("/", Target::Upstream(Arc::new(upstream)), |rules| {
        rules.compression = Some(Compression::default());
    });
    let mut client = Client::connect(server.addresses()[0]);
    client.send("GET / HTTP/1.1\r\nhost: t\r\naccept-encoding: gzip\r\n\r\n");
    let mut chunks = Chunks(std::io::BufReader::new(client.0));
    let head: Vec<String> =
        std::iter::repeat_with(|| chunks.line()).take_while(|line| !line.is_empty()).collect();
    assert!(head.iter().any(|line| line == "content-encoding: gzip"), "{head:?}");
    let mut reader = flate2::write::GzDecoder::new(Vec::new());
    while reader.get_ref() != b"first" {
        let chunk = chunks.next();
        assert!(!chunk.is_empty(), "the body ended early");
        reader.write_all(&chunk).unwrap();
        reader.flush().unwrap();
    }
    go.send(()).unwrap();
    loop {
        let chunk = chunks.next();
        if chunk.is_empty() {
            break;
        }
        reader.write_all(&chunk).unwrap();
    }
    assert_eq!(reader.finish().unwrap(), b"firstsecond");
}

#[test]
fn a_redirect_leads_where_it_says_and_not_to_a_host_that_stands_in_the_path() {
    for (path, to, asked, place) in [
        ("/old", "/{rest}", "/old/evil.example/x", "/evil.example/x"),
        ("/old", "/{rest}", "/old/evil.example", "/evil.example"),
        ("/old", "{rest}", "/old", "/"),
        ("/old/{a}", "/{rest}", "/old/x/evil.example", "/evil.example"),
        ("/old/{a}", "//cdn.example/{a}{rest}", "/old/x/y", "//cdn.example/x/y"),
        ("/old", "/new{rest}", "/old", "/new"),
        ("/", "https://{host}{path}{query}", "/a?b=c", "https://shop.test/a?b=c"),
        ("/", "http://{authority}{path}", "/a", "http://Shop.test:8080/a"),
    ] {
        let redirect = Redirect::new(StatusCode::FOUND, Template::new(to).unwrap());
        let server = one(path, Target::respond(StatusCode::OK, ""), |rules| rules.redirect = redirect);
        let request = format!("GET {asked} HTTP/1.1\r\nhost: Shop.test:8080\r\n\r\n");
        let response = Client::connect(server.addresses()[0]).request(&request);
        let location = response.lines().find_map(|line| line.strip_prefix("location: "));
        assert_eq!((status(&response), location), ("302", Some(place)), "{path} {to} {asked}");
    }
}
