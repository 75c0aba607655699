//! The server: embedded services, layers, files, TLS, HTTP/2, drain, observers.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::recording::{IterStream, Recording, soon};
use crate::common::{ANY, Client, single, status};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use iap_core::server::{RunningServer, StartError, TlsConfig};
use iap_core::{Body, Connection, MatchedRoute, Route, RouteTable, Server, Target};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tower::limit::ConcurrencyLimitLayer;
use tower::service_fn;

fn start(routes: RouteTable) -> RunningServer {
    Server::builder().listen(ANY.parse().unwrap()).workers(1).routes(routes).start().unwrap()
}

async fn shop(request: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
    assert!(request.uri().path() != "/panic", "asked to");
    let peer = request.extensions().get::<Arc<Connection>>().unwrap().peer();
    let route = request.extensions().get::<MatchedRoute>().unwrap().name().clone();
    let thread = std::thread::current().name().unwrap_or_default().to_owned();
    Ok(Response::new(format!("{} {route} {thread}", peer.ip()).into()))
}

#[test]
fn an_embedded_service_runs_on_the_application_runtime_and_may_panic() {
    let server = start(single(Target::service("shop", service_fn(shop))));
    let mut client = Client::connect(server.addresses()[0]);
    assert!(client.get("/").ends_with("127.0.0.1 only iap-app"));
    assert_eq!(status(&client.get("/panic")), "500");
    assert_eq!(status(&client.get("/")), "200", "the same connection goes on");
}

#[test]
fn layers_run_in_order_around_the_target_and_their_limits_hold() {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (running.clone(), most.clone());
    let handler = service_fn(move |_request: Request<Body>| {
        let (running, most) = counts.clone();
        async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            running.fetch_sub(1, Ordering::SeqCst);
            Ok::<_, Infallible>(Response::new(Body::from("ok")))
        }
    });
    let order = Arc::new(Mutex::new(Vec::new()));
    let (first, second) = (order.clone(), order.clone());
    let server = Server::builder()
        .listen(ANY.parse().unwrap())
        .layer(tower::util::MapRequestLayer::new(move |request: Request<Body>| {
            first.lock().push("first");
            request
        }))
        .layer(tower::util::MapRequestLayer::new(move |request: Request<Body>| {
            second.lock().push("second");
            request
        }))
        .layer(ConcurrencyLimitLayer::new(1))
        .routes(single(Target::service("h", handler)))
        .start()
        .unwrap();
    let address = server.addresses()[0];
    let clients: Vec<_> = (0..8)
        .map(|_| std::thread::spawn(move || status(&Client::connect(address).get("/")).to_owned()))
        .collect();
    assert!(clients.into_iter().all(|client| client.join().unwrap() == "200"));
    assert_eq!(most.load(Ordering::SeqCst), 1, "the concurrency limit is shared by all requests");
    assert!(order.lock().starts_with(&["first"]) && order.lock().ends_with(&["second"]));
}

#[test]
fn files_stay_below_their_root() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("www");
    std::fs::create_dir_all(root.join("sub dir")).unwrap();
    std::fs::write(root.join("index.html"), "<p>home").unwrap();
    std::fs::write(root.join("sub dir/a.txt"), "0123456789").unwrap();
    std::fs::write(dir.path().join("secret.txt"), "secret").unwrap();
    std::os::unix::fs::symlink("../secret.txt", root.join("link.txt")).unwrap();
    let server = start(RouteTable::new([Route::new("www", "/static", Target::files(&root))]).unwrap());
    let mut client = Client::connect(server.addresses()[0]);
    assert!(client.get("/static/").ends_with("<p>home"));
    assert!(client.get("/static").contains("location: /static/\r\n"));
    let text = client.get("/static/sub%20dir/a.txt");
    assert!(text.contains("content-type: text/plain") && text.ends_with("0123456789"), "{text}");
    let part = client.request("GET /static/sub%20dir/a.txt HTTP/1.1\r\nhost: t\r\nrange: bytes=2-4\r\n\r\n");
    assert!(status(&part) == "206" && part.ends_with("234"), "{part}");
    for (path, expected) in [
        ("/static/link.txt", "404"),
        ("/static/../secret.txt", "404"),
        ("/static/..%2fsecret.txt", "400"),
        ("/static/%2e%2e/secret.txt", "404"),
        ("/static/none.txt", "404"),
        ("/other", "404"),
    ] {
        let response = client.get(path);
        assert_eq!(status(&response), expected, "{path}");
        assert!(!response.contains("secret\n"));
    }
    assert_eq!(status(&client.request("POST /static/ HTTP/1.1\r\nhost: t\r\n\r\n")), "405");
}

#[test]
fn a_busy_port_is_named_even_when_the_other_server_shares_its_port() {
    let first = start(single(Target::respond(StatusCode::OK, "")));
    let address = first.addresses()[0];
    let error = Server::builder().listen(address).start().unwrap_err();
    assert!(matches!(error, StartError::Busy(busy) if busy == address), "{error}");
    assert!(error.to_string().contains("in use by another process"));
}

#[test]
fn a_drain_finishes_what_runs_and_accepts_nothing_new() {
    let (entered, go) = (Arc::new(Notify::new()), Arc::new(tokio::sync::Semaphore::new(0)));
    let signals = (entered.clone(), go.clone());
    let slow = service_fn(move |_request: Request<Body>| {
        let (entered, go) = signals.clone();
        async move {
            entered.notify_one();
            let _permit = go.acquire().await.unwrap();
            Ok::<_, Infallible>(Response::new(Body::from("finished")))
        }
    });
    let server = start(single(Target::service("slow", slow)));
    let address = server.addresses()[0];
    let running = std::thread::spawn(move || Client::connect(address).get("/"));
    let mut idle = Client::connect(address);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let left = runtime.block_on(async {
        soon(entered.notified()).await;
        let drain = tokio::spawn(server.shutdown(Duration::from_secs(20)));
        while std::net::TcpStream::connect(address).is_ok() {
            tokio::task::yield_now().await;
        }
        go.add_permits(1);
        drain.await.unwrap()
    });
    assert_eq!(left, 0);
    assert!(running.join().unwrap().ends_with("finished"));
    assert!(idle.is_closed());
}

#[test]
fn http2_with_prior_knowledge_and_over_tls() {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = TlsConfig::from_der(
        vec![key.cert.der().clone()],
        rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap(),
    )
    .unwrap();
    let server = Server::builder()
        .listen(ANY.parse().unwrap())
        .listen_tls(ANY.parse().unwrap(), tls)
        .routes(single(Target::respond(StatusCode::OK, "two")))
        .start()
        .unwrap();
    let (plain, secure) = (server.addresses()[0], server.addresses()[1]);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(key.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(plain).await.unwrap();
        assert_eq!(get_h2(stream, "http://localhost/").await, "HTTP/2.0 200 OK two");
        let stream = tokio::net::TcpStream::connect(secure).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        assert_eq!(get_h2(stream, "https://localhost/").await, "HTTP/2.0 200 OK two");
    });
}

async fn get_h2<S>(stream: S, uri: &str) -> String
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(stream);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(uri).body(Empty::<Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let (version, status) = (response.version(), response.status());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    format!("{version:?} {status} {}", String::from_utf8_lossy(&body))
}

#[test]
fn an_observer_sees_each_moment_once_and_in_order() {
    let origin = crate::common::Origin::fixed("hello");
    let hooks = Recording::default();
    let server = hooks.watch(crate::common::proxy_to([origin.address.to_string()]));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let observed = |client: &mut Client, request: &str| {
        let response = client.request(request);
        runtime.block_on(soon(hooks.1.notified()));
        (status(&response).to_owned(), std::mem::take(&mut *hooks.0.lock()))
    };
    let mut client = Client::connect(server.addresses()[0]);
    let (_, first) = observed(&mut client, "GET /a?b HTTP/1.1\r\nhost: t\r\n\r\n");
    assert_eq!(
        first,
        ["begin GET /a", "routed only", "upstream.connect", "upstream", "response", "finish 200 5 ok"]
    );
    let (_, head) = observed(&mut client, "HEAD / HTTP/1.1\r\nhost: t\r\n\r\n");
    assert_eq!(head.last().unwrap(), "finish 200 0 ok");
    let (code, refused) = observed(&mut client, "GET /%2f HTTP/1.1\r\nhost: t\r\n\r\n");
    assert_eq!(code, "400");
    assert!(refused.last().unwrap().ends_with("bad_request"), "{refused:?}");
    let sent = origin.requests.lock()[0].clone();
    assert!(sent.contains("\r\ntraceparent: 00-"), "{sent}");
}

#[test]
fn a_client_that_leaves_in_the_middle_is_noted() {
    let hooks = Recording::default();
    let endless = service_fn(|_request: Request<Body>| async {
        let frames = std::iter::repeat_with(|| {
            Ok::<_, Infallible>(http_body::Frame::data(Bytes::from(vec![0; 65_536])))
        });
        let body = http_body_util::StreamBody::new(IterStream(frames));
        Ok::<_, Infallible>(Response::new(body))
    });
    let server = hooks.watch(single(Target::service("endless", endless)));
    let mut client = Client::connect(server.addresses()[0]);
    client.send("GET / HTTP/1.1\r\nhost: t\r\n\r\n");
    std::io::Read::read_exact(&mut client.0, &mut [0; 1000]).unwrap();
    drop(client);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(soon(hooks.1.notified()));
    let seen = hooks.0.lock().clone();
    assert!(seen.iter().any(|line| line.ends_with("client_gone")), "{seen:?}");
}
