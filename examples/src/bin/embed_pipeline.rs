//! The pipeline inside your own binary, with a tower middleware of your own.
//!
//! `cargo run -p iap-examples --bin embed_pipeline`, then `curl -i http://127.0.0.1:8080/hello`.
#![allow(clippy::print_stdout)] // An example talks to its reader.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use http::{HeaderValue, Request, Response};
use iap_core::http::StatusCode;
use iap_core::{BoxError, MatchedRoute, Route, RouteTable, Server, Target};
use tower::{Layer, Service};

/// Says in a header how long the target took: `server-timing: shop;dur=1.2`.
#[derive(Clone)]
struct ServerTiming;

impl<S> Layer<S> for ServerTiming {
    type Service = ServerTimingService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ServerTimingService { inner }
    }
}

#[derive(Clone)]
struct ServerTimingService<S> {
    inner: S,
}

impl<S, A, B> Service<Request<A>> for ServerTimingService<S>
where
    S: Service<Request<A>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    A: Send + 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        // The clone that has said that it is ready serves this request; a fresh one takes its place.
        let fresh = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, fresh);
        Box::pin(async move {
            // Every layer finds the route, the client's connection and the transaction here.
            let route = request.extensions().get::<MatchedRoute>().map(|route| route.name().clone());
            let started = Instant::now();
            let mut response = ready.call(request).await?;
            let millis = started.elapsed().as_secs_f64() * 1000.0;
            let text = format!("{};dur={millis:.1}", route.as_deref().unwrap_or("none"));
            if let Ok(value) = HeaderValue::from_str(&text) {
                response.headers_mut().insert("server-timing", value);
            }
            Ok(response)
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let app = Router::new().route("/hello", get(|| async { "hello from axum\n" }));
    let routes = RouteTable::new([
        Route::new("app", "/", Target::service("app", app)),
        Route::new(
            "closed",
            "/closed",
            Target::respond(StatusCode::SERVICE_UNAVAILABLE, "closed for today\n"),
        ),
    ])?;
    let port = if iap_examples::is_check() { 0 } else { 8080 };
    let server =
        Server::builder().listen(([127, 0, 0, 1], port).into()).routes(routes).layer(ServerTiming).start()?;
    let address = server.addresses()[0];
    println!("listening on http://{address}/hello");

    if iap_examples::is_check() {
        let reply = iap_examples::get(address, "/hello").await;
        assert_eq!((reply.status, reply.text.as_str()), (200, "hello from axum\n"));
        assert!(reply.headers["server-timing"].to_str()?.starts_with("app;dur="), "{reply:?}");
        assert_eq!(iap_examples::get(address, "/closed").await.status, 503);
    } else {
        iap_examples::until_ctrl_c().await;
    }
    server.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
