//! What a span costs the thread that records it, beside other ways to record one:
//! `cargo run --release --manifest-path benches/spans/Cargo.toml`.
//!
//! Each arm records the same: a request of a root and six spans below it, one of them with a text. What is recorded is
//! taken away by each library's own thread and dropped there. A round is 2,000 requests; printed is the fastest of all
//! rounds, which other work on the machine disturbs least, and what a round allocates on its thread.

#[path = "../../../tests/support/allocations.rs"]
mod allocations;
mod iap;
mod others;

use std::time::{Duration, Instant};

use allocations::allocations;

const REQUESTS: u64 = 2_000;
/// Of a request, with its root.
const SPANS: u64 = 7;
const ROUNDS: usize = 40;
/// Between rounds, for the threads that take away.
const PAUSE: Duration = Duration::from_millis(60);
/// The text of one of the spans, as long as a server's address.
const DETAIL: &str = "10.0.0.17:8080";

fn main() {
    println!("{:<44} {:>10} {:>12} {:>8}", "a span", "ns", "allocations", "over off");
    let base = measure("iap, hooks off", None, iap::off());
    for (name, request) in [
        ("iap, hooks on", iap::on()),
        ("iap, by the handle in a request's extensions", iap::handle()),
        ("tracing, nobody listens", others::tracing_alone()),
        ("tracing, registry", others::tracing_registry()),
        ("fastrace", others::fastrace()),
        ("OpenTelemetry SDK, batches", others::sdk()),
        ("tracing-opentelemetry, batches", others::tracing_opentelemetry()),
    ] {
        measure(name, base, request);
    }
}

/// Nanoseconds a span, and how much more they are than with hooks that are off.
fn measure(name: &str, off: Option<f64>, mut request: Box<dyn FnMut()>) -> Option<f64> {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        (0..REQUESTS).for_each(|_| request());
        best = best.min(begun.elapsed());
        std::thread::sleep(PAUSE);
    }
    let allocated = allocations(|| (0..REQUESTS).for_each(|_| request()));
    let spans = (REQUESTS * SPANS) as f64;
    let ns = best.as_nanos() as f64 / spans;
    let over = off.map_or_else(String::new, |off| format!("{:.1}", ns - off));
    println!("{name:<44} {ns:>10.1} {:>12.2} {over:>8}", allocated as f64 / spans);
    Some(ns)
}
