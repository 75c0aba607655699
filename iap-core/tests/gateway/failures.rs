//! Code of others that panics or is given up, and what an observer and other requests see of it.

use std::convert::Infallible;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use crate::common::recording::{IterStream, Recording, soon};
use crate::common::{ANY, Client, single, status};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use iap_core::server::{RunningServer, Timeouts};
use iap_core::{Body, Server, Target, Transaction};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use tower::service_fn;
use tower::util::MapRequestLayer;

fn panic_where_asked(request: Request<Body>) -> Request<Body> {
    assert!(request.uri().path() != "/panic", "asked to");
    request
}

async fn connect_h2(server: &RunningServer) -> SendRequest<Empty<Bytes>> {
    let stream = tokio::net::TcpStream::connect(server.addresses()[0]).await.unwrap();
    let io = TokioIo::new(stream);
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn get(path: &str) -> Request<Empty<Bytes>> {
    Request::get(format!("http://test{path}")).body(Empty::new()).unwrap()
}

#[tokio::test]
async fn a_layer_that_panics_costs_its_own_request_only() {
    let (entered, go) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let signals = (entered.clone(), go.clone());
    let slow = service_fn(move |_request: Request<Body>| {
        let (entered, go) = signals.clone();
        async move {
            entered.notify_one();
            let _permit = go.acquire().await.unwrap();
            Ok::<_, Infallible>(Response::new(Body::from("fine")))
        }
    });
    let hooks = Recording::default();
    let server = Server::builder()
        .hooks(hooks.clone())
        .listen(ANY.parse().unwrap())
        .workers(1)
        .layer(MapRequestLayer::new(panic_where_asked))
        .routes(single(Target::service("slow", slow)))
        .start()
        .unwrap();
    let mut sender = connect_h2(&server).await;
    let other = tokio::spawn(sender.send_request(get("/")));
    soon(entered.notified()).await;
    let panicked = soon(sender.send_request(get("/panic"))).await.expect("a response");
    assert_eq!(panicked.status(), 500);
    go.add_permits(1);
    assert_eq!(soon(other).await.unwrap().expect("the other request lives").status(), 200);
    drop(panicked);
    let has_finished = || hooks.0.lock().iter().any(|line| line.starts_with("finish 500"));
    while !has_finished() {
        soon(hooks.1.notified()).await;
    }
}

#[tokio::test]
async fn an_http2_connection_without_requests_is_closed_and_one_in_use_is_not() {
    let (entered, go) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let signals = (entered.clone(), go.clone());
    let service = service_fn(move |request: Request<Body>| {
        let (entered, go) = signals.clone();
        async move {
            if request.uri().path() == "/slow" {
                entered.notify_one();
                let _permit = go.acquire().await.unwrap();
            }
            Ok::<_, Infallible>(Response::new(Body::from("fine")))
        }
    });
    let timeouts = Timeouts { head: Duration::from_millis(100), ..Timeouts::default() };
    let server = Server::builder()
        .listen(ANY.parse().unwrap())
        .timeouts(timeouts)
        .routes(single(Target::service("s", service)))
        .start()
        .unwrap();
    let mut busy = connect_h2(&server).await;
    let slow = tokio::spawn(busy.send_request(get("/slow")));
    soon(entered.notified()).await;
    let mut idle = connect_h2(&server).await;
    assert_eq!(soon(idle.send_request(get("/"))).await.unwrap().status(), 200);
    soon(async {
        while !idle.is_closed() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    go.add_permits(1);
    assert_eq!(soon(slow).await.unwrap().expect("the request was not cut").status(), 200);
}

#[test]
fn a_body_that_panics_is_broken_off_and_noted() {
    let hooks = Recording::default();
    let service = service_fn(|_request: Request<Body>| async {
        let frames = (0..2).map(|number| {
            assert!(number == 0, "asked to");
            Ok::<_, Infallible>(http_body::Frame::data(Bytes::from_static(b"first")))
        });
        Ok::<_, Infallible>(Response::new(http_body_util::StreamBody::new(IterStream(frames))))
    });
    let server = hooks.watch(single(Target::service("s", service)));
    let mut client = Client::connect(server.addresses()[0]);
    client.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n");
    let mut all = Vec::new();
    // How a broken response ends is up to the system: by an end or by a reset.
    let _ = client.0.read_to_end(&mut all);
    assert!(!all.ends_with(b"0\r\n\r\n"), "the client must not take it for complete");
    drop(server);
    let seen = hooks.0.lock().clone();
    assert!(seen.iter().any(|line| line.starts_with("finish 200") && line.ends_with("internal")), "{seen:?}");
    assert_eq!(seen.last().unwrap(), "closed");
}

#[tokio::test]
async fn a_request_that_is_given_up_before_its_answer_is_finished() {
    let entered = Arc::new(Notify::new());
    let signal = entered.clone();
    let never = service_fn(move |_request: Request<Body>| {
        signal.notify_one();
        std::future::pending::<Result<Response<Body>, Infallible>>()
    });
    let hooks = Recording::default();
    let server = hooks.watch(single(Target::service("never", never)));
    let mut sender = connect_h2(&server).await;
    let request = tokio::spawn(sender.send_request(get("/")));
    soon(entered.notified()).await;
    request.abort();
    let finished = |count: usize| {
        let seen = hooks.0.lock();
        seen.iter().filter(|line| *line == "finish 499 0 client_gone").count() == count
    };
    while !finished(1) {
        soon(hooks.1.notified()).await;
    }

    // The same when the server does not wait for it.
    let _second = tokio::spawn(sender.send_request(get("/")));
    soon(entered.notified()).await;
    assert_eq!(server.shutdown(Duration::ZERO).await, 1);
    assert!(finished(2), "{:?}", hooks.0.lock());
    assert_eq!(hooks.0.lock().iter().filter(|line| *line == "closed").count(), 1);
}

#[test]
fn layers_and_services_see_the_current_transaction_in_call_itself() {
    let seen: Arc<Mutex<Vec<(&str, bool)>>> = Arc::default();
    let (in_layer, in_service) = (seen.clone(), seen.clone());
    let service = service_fn(move |_request: Request<Body>| {
        in_service.lock().push(("service", Transaction::current().is_some()));
        std::future::ready(Ok::<_, Infallible>(Response::new(Body::empty())))
    });
    let server = Server::builder()
        .hooks(Recording::default())
        .listen(ANY.parse().unwrap())
        .layer(MapRequestLayer::new(move |request: Request<Body>| {
            let route = request.extensions().get::<iap_core::MatchedRoute>().expect("a route");
            assert!(matches!(route.target(), Target::Service(_)));
            in_layer.lock().push(("layer", Transaction::current().is_some()));
            request
        }))
        .routes(single(Target::service("s", service)))
        .start()
        .unwrap();
    assert_eq!(status(&Client::connect(server.addresses()[0]).get("/")), "200");
    assert_eq!(*seen.lock(), [("layer", true), ("service", true)]);
}
