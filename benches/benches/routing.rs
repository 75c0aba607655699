//! What finding a route costs, by the number of routes: it should stay the same.
//!
//! Each table holds one third of its routes below written paths, one third below parameters and one third
//! on hosts of their own. The requests go to routes all over the table.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::{Method, Request, StatusCode};
use iap_core::route::{Conditions, Head};
use iap_core::{Route, RouteTable, Target};

const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
/// How many requests one iteration looks up.
const LOOKUPS: usize = 64;

fn route(index: usize) -> Route {
    let target = Target::respond(StatusCode::OK, "");
    let name = index.to_string();
    match index % 3 {
        0 => Route::new(name, format!("/shop/{index}/items"), target),
        1 => Route::new(name, format!("/users/{{id}}/{index}"), target).exact(),
        _ => Route::new(name, "/api/{version}", target)
            .host(&format!("h{index}.example.org"))
            .when(Conditions::new().methods([Method::GET])),
    }
}

fn request(index: usize) -> (String, Request<()>) {
    let (host, path) = match index % 3 {
        0 => ("shop.example".to_owned(), format!("/shop/{index}/items/7/edit")),
        1 => ("shop.example".to_owned(), format!("/users/kim/{index}")),
        _ => (format!("h{index}.example.org"), "/api/v1/orders".to_owned()),
    };
    (host, Request::get(path).body(()).expect("a valid request"))
}

fn routing(c: &mut Criterion) {
    let mut group = c.benchmark_group("routing");
    for size in SIZES {
        let table = RouteTable::new((0..size).map(route)).expect("valid routes");
        let requests: Vec<_> = (0..LOOKUPS).map(|number| request(number * 7919 % size)).collect();
        for (host, request) in &requests {
            assert!(table.find(host, Head::from(request)).is_ok(), "{host}{}", request.uri());
        }
        group.bench_with_input(BenchmarkId::new("find", size), &table, |bench, table| {
            bench.iter(|| {
                requests
                    .iter()
                    .filter(|(host, request)| table.find(black_box(host), request.into()).is_ok())
                    .count()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, routing);
criterion_main!(benches);
