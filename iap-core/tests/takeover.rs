//! One server takes over from another on the same sockets, under load.

mod common;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use common::{ANY, Client, single};
use http::StatusCode;
use iap_core::server::Sockets;
use iap_core::{RunningServer, Server, Target};

fn start(sockets: Sockets, workers: usize, body: &'static str) -> RunningServer {
    let address = sockets.addresses().first().copied().unwrap_or_else(|| ANY.parse().unwrap());
    let builder = Server::builder().listen(address).sockets(sockets).workers(workers);
    builder.routes(single(Target::respond(StatusCode::OK, body))).start().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_connection_is_lost_when_a_server_takes_over() {
    let mut server = start(Sockets::default(), 2, "0");
    let address = server.addresses()[0];
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (stop, answered) = (stop.clone(), answered.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let mut client = Client::connect(address);
                    let response = client.request("GET / HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
                    assert!(response.starts_with("HTTP/1.1 200"), "{response:?}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    // More workers, fewer, one: each socket stays in somebody's hands.
    for (round, workers) in [3, 1, 2, 1].into_iter().enumerate() {
        let before = answered.load(Ordering::Relaxed);
        let next = start(server.sockets().unwrap(), workers, ["1", "2", "3", "4"][round]);
        assert_eq!(next.addresses(), [address]);
        let old = std::mem::replace(&mut server, next);
        assert_eq!(old.shutdown(Duration::from_secs(20)).await, 0);
        while answered.load(Ordering::Relaxed) < before + 100 {
            assert!(!clients.iter().all(std::thread::JoinHandle::is_finished), "all clients have failed");
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().unwrap();
    }
    assert!(Client::connect(address).get("/").ends_with('4'));
    server.shutdown(Duration::from_secs(20)).await;
    assert!(std::net::TcpStream::connect(address).is_err(), "the last one has closed the sockets");
}

#[test]
fn a_socket_that_was_passed_in_serves_all_workers() {
    let socket = TcpListener::bind(ANY).unwrap();
    let address = socket.local_addr().unwrap();
    let other = TcpListener::bind(ANY).unwrap();
    let unused = other.local_addr().unwrap();
    // It waits in the socket before there is a server.
    let mut early = Client::connect(address);
    early.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n");
    let server = Server::builder().listen(address).sockets(Sockets::new(vec![socket, other])).workers(3);
    let server = server.routes(single(Target::respond(StatusCode::OK, "ok"))).start().unwrap();
    assert!(early.response().ends_with("ok"));
    for _ in 0..20 {
        assert!(Client::connect(address).get("/").ends_with("ok"));
    }
    assert!(std::net::TcpStream::connect(unused).is_err(), "what nobody asked for is closed");
    drop(server);
}
