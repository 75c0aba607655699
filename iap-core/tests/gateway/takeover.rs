//! One server takes over from another on the same sockets, under load.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::h2::{ModernOrigin, answer};
use crate::common::{ANY, Client, Next, Origin, gateway_to, respond, single, until};
use http::StatusCode;
use iap_core::server::Sockets;
use iap_core::upstream::UpstreamSettings;
use iap_core::{RunningServer, Server, Target, Upstream};
use tokio::sync::Semaphore;

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

/// Two servers share an upstream; the former one stops while a request of the next one is on its way. `held`
/// counts the requests for `/held` at the origin, which are answered once there is a permit in `release`.
async fn takes_over_in_the_middle(upstream: Arc<Upstream>, held: &AtomicUsize, release: &Semaphore) {
    let former = gateway_to(&upstream);
    let mut client = Client::connect(former.addresses()[0]);
    assert!(client.get("/").contains("ok"));
    let next = gateway_to(&upstream);
    let mut waiting = Client::connect(next.addresses()[0]);
    waiting.send("POST /held HTTP/1.1\r\nhost: t\r\ncontent-length: 1\r\n\r\nx");
    until("the origin has it", || held.load(Ordering::SeqCst) == 1);
    drop(client);
    assert_eq!(former.shutdown(Duration::from_secs(20)).await, 0);
    release.add_permits(1);
    let response = waiting.response();
    assert!(response.contains("ok"), "{response}");
    // What the former one has left behind is in nobody's way.
    for _ in 0..4 {
        assert!(Client::connect(next.addresses()[0]).get("/").contains("ok"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_hangs_on_a_connection_of_the_server_that_stops() {
    let (held, release) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (count, wait, runtime) = (held.clone(), release.clone(), tokio::runtime::Handle::current());
    let origin = Origin::start(move |_, request, stream| {
        if request.starts_with("POST /held") {
            count.fetch_add(1, Ordering::SeqCst);
            runtime.block_on(wait.acquire()).unwrap().forget();
        }
        respond(stream, "ok");
        Next::KeepAlive
    });
    let settings = UpstreamSettings::default();
    let upstream = Upstream::new("o", [origin.address.to_string()], settings).unwrap();
    takes_over_in_the_middle(Arc::new(upstream), &held, &release).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_stream_hangs_on_a_connection_of_the_server_that_stops() {
    let (held, release) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (count, wait) = (held.clone(), release.clone());
    let origin = ModernOrigin::start(None, move |_, request| {
        let (count, wait) = (count.clone(), wait.clone());
        async move {
            if request.uri().path() == "/held" {
                count.fetch_add(1, Ordering::SeqCst);
                wait.acquire().await.unwrap().forget();
            }
            answer("ok")
        }
    });
    let settings = UpstreamSettings::default();
    let upstream = Upstream::new("o", [format!("h2c://{}", origin.address)], settings).unwrap();
    takes_over_in_the_middle(Arc::new(upstream), &held, &release).await;
}
