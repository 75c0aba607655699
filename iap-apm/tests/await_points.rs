//! Where running transactions wait: real servers with embedded services on other runtimes, and a tower service.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt;
use iap_apm::{Apm, AwaitError, AwaitView};
use iap_core::target::{EmbeddedService, Placement};
use iap_core::{Body, Route, RouteTable, RunningServer, Server, SpanId, Target, TraceId};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tower::layer::util::Identity;
use tower::{Layer, ServiceExt, service_fn};

/// A place that is taken forever, and a lock that a query would wait for.
#[derive(Clone)]
struct Shop(Arc<Semaphore>);

impl Shop {
    async fn price(&self) -> u64 {
        let place = self.0.acquire().await;
        u64::from(place.is_ok())
    }

    async fn stock(&self) -> u64 {
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        7
    }

    async fn serve(self, request: Request<Body>) -> Result<Response<Body>, Infallible> {
        let answer = match request.uri().path() {
            "/price" => self.price().await,
            "/body" => {
                let body = request.into_body().collect().await;
                body.map_or(0, |body| body.to_bytes().len() as u64)
            }
            "/blocked" => {
                tokio::task::yield_now().await;
                std::thread::sleep(Duration::from_secs(2));
                0
            }
            _ => {
                let (price, stock) = tokio::join!(self.price(), self.stock());
                price + stock
            }
        };
        Ok(Response::new(Body::from(answer.to_string())))
    }
}

/// The lines of this file that the view tells, from outside inwards, by what is waited for.
fn lines(view: &AwaitView) -> Vec<Vec<&'static str>> {
    let of = |frame: &String| {
        let (file, line) = frame.rsplit_once(':')?;
        let line: usize = line.parse().ok()?;
        file.ends_with("await_points.rs")
            .then(|| include_str!("await_points.rs").lines().nth(line - 1).expect("a line").trim())
    };
    // `join!` begins with another branch at each poll.
    let mut found: Vec<Vec<_>> =
        view.awaited.iter().map(|awaited| awaited.frames.iter().filter_map(of).collect()).collect();
    found.sort();
    found
}

async fn running(apm: &Apm, path: &str) -> (TraceId, SpanId) {
    loop {
        let found = apm.active(10).requests.into_iter().find(|request| request.path == path);
        match found {
            Some(request) => return (request.trace_id, request.span_id),
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// Asks until the transaction has a task that waits.
async fn ask(apm: &Apm, path: &str) -> AwaitView {
    let (trace_id, span_id) = running(apm, path).await;
    loop {
        match apm.await_points(trace_id, span_id).await {
            Ok(view) => return view,
            Err(AwaitError::NoTask) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

async fn send(server: &RunningServer, path: &str) -> TcpStream {
    let mut client = TcpStream::connect(server.addresses()[0]).await.expect("a connection");
    client
        .write_all(format!("POST {path} HTTP/1.1\r\nhost: shop\r\ncontent-length: 9\r\n\r\n").as_bytes())
        .await
        .expect("sent");
    client
}

fn server(apm: &Apm, placement: Placement) -> RunningServer {
    let shop = Shop(Arc::new(Semaphore::new(0)));
    let service = service_fn(move |request| shop.clone().serve(request));
    let service = EmbeddedService::new("shop", service).placement(placement);
    let routes = RouteTable::new([Route::new("shop", "/", Target::Service(service))]).expect("routes");
    let server = Server::builder().listen(([127, 0, 0, 1], 0).into()).workers(1).routes(routes);
    server.hooks(apm.hooks()).start().expect("a server")
}

/// With a layer around it, which waits for the service in a task of its own.
fn layered(apm: &Apm, placement: Placement) -> RunningServer {
    let shop = Shop(Arc::new(Semaphore::new(0)));
    let service = service_fn(move |request| shop.clone().serve(request));
    let service = EmbeddedService::new("shop", service).placement(placement);
    let routes = RouteTable::new([Route::new("shop", "/", Target::Service(service))]).expect("routes");
    let server = Server::builder().listen(([127, 0, 0, 1], 0).into()).workers(1).routes(routes);
    server.hooks(apm.hooks()).layer(Identity::new()).start().expect("a server")
}

#[tokio::test]
async fn all_tasks_of_a_request_are_told() {
    for placement in [Placement::Inline, Placement::Application] {
        let apm = Apm::builder().build().expect("an APM");
        let server = layered(&apm, placement);
        for path in ["/price", "/body"] {
            let mut client = send(&server, path).await;
            for _ in 0..3 {
                let view = ask(&apm, path).await;
                assert_eq!((view.busy, view.ready), (0, 0), "{placement:?} {path}: {view:#?}");
            }
            client.shutdown().await.expect("closed");
        }
        server.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn the_line_that_waits_is_told_wherever_the_service_runs() {
    for placement in [Placement::Inline, Placement::Application] {
        let apm = Apm::builder().build().expect("an APM");
        let server = server(&apm, placement);
        let _client = send(&server, "/price").await;
        let view = ask(&apm, "/price").await;
        let [awaited] = view.awaited.as_slice() else { panic!("{view:?}") };
        assert!(awaited.at.as_ref().is_some_and(|at| at.contains("await_points.rs:")), "{awaited:?}");
        let expected = ["\"/price\" => self.price().await,", "let place = self.0.acquire().await;"];
        assert_eq!(lines(&view), [expected], "{placement:?}: {view:?}");
        assert_eq!((view.busy, view.ready), (0, 0));

        // It can be asked again, and each branch of what waits for several things is told.
        let _other = send(&server, "/all").await;
        let view = ask(&apm, "/all").await;
        let innermost: Vec<_> = lines(&view).iter().filter_map(|lines| lines.last().copied()).collect();
        let expected =
            ["let place = self.0.acquire().await;", "tokio::time::sleep(Duration::from_secs(3_600)).await;"];
        assert_eq!(innermost, expected, "{view:?}");
        assert_eq!(lines(&ask(&apm, "/all").await), lines(&view));
        server.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn a_thread_that_is_blocked_is_told() {
    let apm = Apm::builder().build().expect("an APM");
    let server = server(&apm, Placement::Inline);
    let _client = send(&server, "/blocked").await;
    let view = ask(&apm, "/blocked").await;
    assert_eq!((view.awaited.len(), view.busy), (0, 1), "{view:?}");
    server.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn of_what_has_ended_nothing_is_told_and_a_service_goes_on_as_before() {
    let apm = Apm::builder().build().expect("an APM");
    let shop = Shop(Arc::new(Semaphore::new(0)));
    let service = {
        let shop = shop.clone();
        apm.tower_layer().layer(service_fn(move |request| shop.clone().serve(request)))
    };
    let request = Request::get("/price").body(Body::empty()).expect("a request");
    let answer = tokio::spawn(service.oneshot(request));
    let (trace_id, span_id) = running(&apm, "/price").await;
    let view = ask(&apm, "/price").await;
    assert_eq!(lines(&view).len(), 1, "{view:?}");
    let asked = apm.await_points(trace_id, SpanId([9; 8])).await;
    assert_eq!(asked, Err(AwaitError::NotRunning), "another span");
    // What it waits for comes, though its waker was another one when it was looked at.
    shop.0.add_permits(1);
    let response = answer.await.expect("no panic").expect("infallible");
    assert_eq!(response.status(), 200);
    drop(response);
    assert_eq!(apm.await_points(trace_id, span_id).await, Err(AwaitError::NotRunning));
}
