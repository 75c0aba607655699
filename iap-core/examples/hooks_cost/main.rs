//! Proxies a number of requests in one process, for `benches/hooks-cost.sh`, which counts instructions.
//!
//!     hooks_cost off|on REQUESTS
//!
//! `off` is the server with hooks `()`, `on` one with an observer that does next to nothing. The origin and
//! the client are threads of their own.

mod observer;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use iap_core::upstream::UpstreamSettings;
use iap_core::{BoxError, Route, RouteTable, Server, Target, Upstream};

fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let arm = arguments.next().unwrap_or_default();
    let requests = arguments.next().unwrap_or_default().parse::<usize>()?;

    let origin = origin()?;
    let upstream = Upstream::new("origin", [origin.to_string()], UpstreamSettings::default())?;
    let routes = RouteTable::new([Route::new("origin", "/", Target::Upstream(Arc::new(upstream)))])?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let server = Server::builder().listen(SocketAddr::from(([127, 0, 0, 1], 0))).workers(1).routes(routes);
    let server = server.application(runtime.handle().clone());
    let server = match arm.as_str() {
        "off" => server.start()?,
        "on" => server.hooks(observer::Glance).start()?,
        _ => return Err("write `off` or `on`, and how many requests".into()),
    };

    let mut client = TcpStream::connect(server.addresses()[0])?;
    client.set_nodelay(true)?;
    for _ in 0..requests {
        client.write_all(
            b"GET /hello HTTP/1.1\r\nhost: bench.example\r\nuser-agent: bench\r\naccept: */*\r\n\r\n",
        )?;
        read_to(&mut client, b"hello, world!")?;
    }
    Ok(())
}

fn origin() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::Builder::new().name("origin".to_owned()).spawn(move || {
        for mut stream in listener.incoming().flatten() {
            while read_to(&mut stream, b"\r\n\r\n").is_ok() {
                let answer =
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 13\r\n\r\nhello, world!";
                if stream.write_all(answer).is_err() {
                    break;
                }
            }
        }
    })?;
    Ok(address)
}

/// Reads until the last bytes are `end`.
fn read_to(stream: &mut TcpStream, end: &[u8]) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    let mut filled = 0;
    while !buffer[..filled].ends_with(end) {
        let read = stream.read(&mut buffer[filled..])?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        filled += read;
    }
    Ok(())
}
