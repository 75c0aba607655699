//! A raw client and a recording origin: both speak bytes, so that nothing tidies them up.
#![allow(unreachable_pub)]

pub mod frames;
pub mod h2;
pub mod recording;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use iap_core::upstream::UpstreamSettings;
use iap_core::{Route, RouteTable, RunningServer, Server, Target, Upstream};
use parking_lot::Mutex;

pub const ANY: &str = "127.0.0.1:0";

/// What an origin does on one connection after it has read a request.
pub type Script = Arc<dyn Fn(usize, &str, &mut TcpStream) -> Next + Send + Sync>;

#[derive(PartialEq, Eq)]
pub enum Next {
    KeepAlive,
    Close,
}

/// A server that records each request as text and answers by script.
pub struct Origin {
    pub address: SocketAddr,
    pub requests: Arc<Mutex<Vec<String>>>,
    pub connections: Arc<AtomicUsize>,
}

/// What an origin does with a whole connection; it writes down what it likes.
type Conversation = dyn Fn(&mut TcpStream, &Mutex<Vec<String>>) -> Option<()> + Send + Sync;

impl Origin {
    pub fn start(script: impl Fn(usize, &str, &mut TcpStream) -> Next + Send + Sync + 'static) -> Self {
        let script: Script = Arc::new(script);
        Self::raw(move |stream, log| {
            converse(stream, log, &script);
            Some(())
        })
    }

    /// Leaves all of a connection to `conversation`.
    pub fn raw(
        conversation: impl Fn(&mut TcpStream, &Mutex<Vec<String>>) -> Option<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(ANY).unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let conversation: Arc<Conversation> = Arc::new(conversation);
        let (log, count) = (requests.clone(), connections.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                let (log, conversation) = (log.clone(), conversation.clone());
                std::thread::spawn(move || conversation(&mut stream.unwrap(), &log));
            }
        });
        Self { address, requests, connections }
    }

    /// Answers everything with `body`, on one connection.
    pub fn fixed(body: &'static str) -> Self {
        Self::start(move |_, request, stream| {
            if request.starts_with("HEAD") {
                write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).unwrap();
            } else {
                respond(stream, body);
            }
            Next::KeepAlive
        })
    }
}

fn converse(stream: &mut TcpStream, log: &Mutex<Vec<String>>, script: &Script) {
    while let Some(request) = read_message(stream) {
        let number = {
            let mut log = log.lock();
            log.push(request.clone());
            log.len()
        };
        if script(number, &request, stream) == Next::Close {
            return;
        }
    }
}

pub fn respond(stream: &mut impl Write, body: &str) {
    let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes()).unwrap();
}

/// Reads one message with `Content-Length`, chunked or no body.
pub fn read_message(stream: &mut impl Read) -> Option<String> {
    let (head, mut data) = read_head(stream)?;
    let head_end = head.len();
    let head = head.to_ascii_lowercase();
    let field = |name: &str| {
        head.lines().find_map(|line| line.strip_prefix(name).map(|value| value.trim().to_owned()))
    };
    if field("transfer-encoding:").is_some() {
        // The last chunk, and perhaps trailers.
        while !(data.ends_with(b"\r\n\r\n") && find(&data[head_end - 2..], b"\r\n0\r\n").is_some()) {
            read_some(stream, &mut data)?;
        }
    } else if let Some(length) = field("content-length:").and_then(|value| value.parse::<usize>().ok()) {
        while data.len() < head_end + length {
            read_some(stream, &mut data)?;
        }
    }
    Some(String::from_utf8_lossy(&data).into_owned())
}

/// Reads up to the end of a head; returns it and all bytes read.
fn read_head(stream: &mut impl Read) -> Option<(String, Vec<u8>)> {
    let mut data = Vec::new();
    loop {
        if let Some(at) = find(&data, b"\r\n\r\n") {
            return Some((String::from_utf8_lossy(&data[..at + 4]).into_owned(), data));
        }
        read_some(stream, &mut data)?;
    }
}

/// Reads a head and not a byte more.
pub fn read_head_only(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

fn read_some(stream: &mut impl Read, data: &mut Vec<u8>) -> Option<()> {
    let mut chunk = [0; 4096];
    match stream.read(&mut chunk) {
        Ok(read) if read > 0 => {
            data.extend_from_slice(&chunk[..read]);
            Some(())
        }
        _ => None,
    }
}

fn find(data: &[u8], what: &[u8]) -> Option<usize> {
    data.windows(what.len()).position(|window| window == what)
}

/// A keep-alive client that writes what it is told to.
pub struct Client(pub TcpStream);

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self(stream)
    }

    pub fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    pub fn request(&mut self, text: &str) -> String {
        self.send(text);
        if text.starts_with("HEAD") { read_head(&mut self.0).unwrap_or_default().0 } else { self.response() }
    }

    pub fn get(&mut self, path: &str) -> String {
        self.request(&format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n"))
    }

    pub fn response(&mut self) -> String {
        read_message(&mut self.0).unwrap_or_default()
    }

    /// Whether the server has closed the connection, once it has.
    pub fn is_closed(&mut self) -> bool {
        match self.0.read(&mut [0; 1]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}

/// A gateway with one worker in front of an origin.
pub fn gateway(origin: &Origin) -> RunningServer {
    let routes = proxy_to([origin.address.to_string()]);
    Server::builder().listen(ANY.parse().unwrap()).workers(1).routes(routes).start().unwrap()
}

/// A route table with one route to the given servers.
pub fn proxy_to<S: AsRef<str>>(servers: impl IntoIterator<Item = S>) -> RouteTable {
    let upstream = Upstream::new("origin", servers, UpstreamSettings::default()).unwrap();
    single(Target::Upstream(Arc::new(upstream)))
}

pub fn single(target: Target) -> RouteTable {
    RouteTable::new([Route::new("only", "/", target)]).unwrap()
}

/// An address that nobody listens on.
pub fn dead_address() -> SocketAddr {
    TcpListener::bind(ANY).unwrap().local_addr().unwrap()
}

pub fn status(response: &str) -> &str {
    response.split(' ').nth(1).unwrap_or_default()
}

/// A gateway with one worker and one route to that upstream.
pub fn gateway_to(upstream: &Arc<Upstream>) -> iap_core::RunningServer {
    let routes = single(Target::Upstream(upstream.clone()));
    iap_core::Server::builder().listen(ANY.parse().unwrap()).workers(1).routes(routes).start().unwrap()
}

/// Waits until something holds; fails where it never does.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "it never happened: {what}");
        std::thread::yield_now();
    }
}
