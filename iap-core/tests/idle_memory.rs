//! What idle connections hold on the heap: counted in bytes, so it holds on a busy machine as well.
//!
//! A binary of its own, since its allocator counts for the whole process.

#![allow(unsafe_code)] // An allocator that counts cannot be written without.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use iap_core::{Route, RouteTable, Server, Target};

/// Bytes that are allocated now.
static LIVE: AtomicIsize = AtomicIsize::new(0);

struct Counting;

// SAFETY: all of it is the system's allocator; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size().cast_signed(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size().cast_signed(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CONNECTIONS: isize = 200;

/// Waits until a connection holds at most so many bytes, or too long; says how many there are.
fn settles_below(limit: isize, before: isize) -> isize {
    let by = Instant::now() + Duration::from_secs(20);
    loop {
        let each = (LIVE.load(Ordering::Relaxed) - before) / CONNECTIONS;
        if each <= limit || Instant::now() > by {
            return each;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn ask(mut client: &TcpStream) {
    client.write_all(b"GET / HTTP/1.1\r\nhost: t\r\n\r\n").unwrap();
    let mut response = Vec::new();
    while !response.ends_with(b"ok") {
        let mut part = [0; 1024];
        let length = client.read(&mut part).unwrap();
        assert!(length > 0, "the response breaks off: {}", String::from_utf8_lossy(&response));
        response.extend_from_slice(&part[..length]);
    }
}

#[test]
fn an_untouched_connection_holds_2_kib_and_a_parked_one_4_kib() {
    let routes = RouteTable::new([Route::new("ok", "/", Target::respond(StatusCode::OK, "ok"))]).unwrap();
    let server = Server::builder().listen("127.0.0.1:0".parse().unwrap()).workers(1).routes(routes);
    let server = server.start().unwrap();
    let address = server.addresses()[0];
    // What is made once, for all connections.
    ask(&TcpStream::connect(address).unwrap());
    while server.open_connections() > 0 {
        std::thread::yield_now();
    }

    let before = LIVE.load(Ordering::Relaxed);
    let clients: Vec<_> = (0..CONNECTIONS).map(|_| TcpStream::connect(address).unwrap()).collect();
    let by = Instant::now() + Duration::from_secs(20);
    while server.open_connections() < CONNECTIONS.cast_unsigned() {
        assert!(Instant::now() < by, "the connections were not accepted");
        std::thread::sleep(Duration::from_millis(10));
    }
    let untouched = settles_below(2048, before);
    assert!(untouched <= 2048, "an untouched connection holds {untouched} bytes");

    clients.iter().for_each(ask);
    let parked = settles_below(4096, before);
    assert!(parked <= 4096, "a parked connection holds {parked} bytes");
}
