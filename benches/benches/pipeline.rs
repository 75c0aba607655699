//! What the pipeline costs: bare, with hooks `()` through the builder, and with the APM's hooks on.
//!
//! `bare` calls the same target without the pipeline around it; `off` and `on` differ in nothing
//! but the type parameter.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use iap_apm::Apm;
use iap_core::hooks::Hooks;
use iap_core::{Body, Connection, Pipeline, Route, RouteTable, Server, Target};
use tokio::runtime::Builder;

fn routes() -> RouteTable {
    RouteTable::new([
        Route::new("root", "/", Target::respond(StatusCode::OK, "hello, world!")),
        Route::new("shop", "/shop", Target::respond(StatusCode::OK, "shop")),
    ])
    .expect("valid routes")
}

fn request() -> Request<Body> {
    let mut request = Request::builder().uri("/hello?x=1").header("host", "bench.example");
    for (name, value) in [("user-agent", "bench"), ("accept", "*/*"), ("accept-encoding", "gzip")] {
        request = request.header(name, value);
    }
    request.body(Body::empty()).expect("a valid request")
}

fn connection() -> Arc<Connection> {
    let address = "127.0.0.1:1".parse().expect("an address");
    Arc::new(Connection::new(address, address, false))
}

async fn run<H: Hooks>(pipeline: &Pipeline<H>, connection: &Arc<Connection>) -> usize {
    let response = pipeline.handle(connection, request()).await;
    response.into_body().collect().await.expect("a body").to_bytes().len()
}

fn pipeline(c: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let connection = connection();
    let mut group = c.benchmark_group("pipeline");

    group.bench_function("bare", |bench| {
        bench.iter(|| {
            let request = black_box(request());
            let response = http::Response::new(Body::from("hello, world!"));
            (request, runtime.block_on(response.into_body().collect()).expect("a body").to_bytes().len())
        });
    });

    let off = Server::builder().routes(routes()).into_pipeline();
    group.bench_function("hooks_off", |bench| {
        bench.iter(|| runtime.block_on(run(&off, &connection)));
    });

    let apm = Apm::builder().build().expect("an APM");
    let on = Server::builder().hooks(apm.hooks()).routes(routes()).into_pipeline();
    group.bench_function("hooks_on", |bench| {
        bench.iter(|| runtime.block_on(run(&on, &connection)));
    });
    group.finish();
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
