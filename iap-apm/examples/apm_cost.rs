//! What a transaction costs, by thread: `apm_cost [TRANSACTIONS [KEPT_A_SECOND [SPANS [RATE]]]]`.
//!
//! One thread makes transactions as a gateway's worker does, of two stages unless more spans are wanted, 25,000 a second unless
//! another rate is, in bursts with pauses. CPU time is read from Linux' `/proc/self/task/*/schedstat`.
#![expect(clippy::print_stdout, reason = "its purpose")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode, Version};
use iap_apm::{Apm, ApmHooks, Keeping};
use iap_core::Connection;
use iap_core::hooks::{Begin, Finish, Hooks, SpanEnd, Stage};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const BURST: u64 = 100;

/// One request as the pipeline reports it.
fn transaction(
    hooks: &ApmHooks,
    connection: &Arc<Connection>,
    route: &Arc<str>,
    server: &Arc<str>,
    spans: u64,
) {
    let transaction = hooks.begin(&Begin {
        connection,
        method: &Method::GET,
        path: "/api/orders/7/items",
        query: None,
        host: "shop.example.org",
        version: Version::HTTP_11,
        parent: None,
    });
    hooks.routed(&transaction, route);
    let upstream = hooks.start(&transaction, Stage::Upstream, None);
    let end = SpanEnd { status: Some(StatusCode::OK), error: None, detail: Some(server.clone()) };
    hooks.end(&transaction, upstream, end);
    for _ in 2..spans {
        let command = Stage::Command { system: "redis", operation: "HGETALL" };
        let span = hooks.start(&transaction, command, None);
        hooks.end(&transaction, span, SpanEnd::default());
    }
    let response = hooks.start(&transaction, Stage::Response, None);
    hooks.end(&transaction, response, SpanEnd::default());
    hooks.finish(transaction, Finish { status: StatusCode::OK, bytes_out: 13, error: None, message: None });
}

/// CPU time of the threads of a name, in nanoseconds.
fn cpu_ns(name: &str) -> u64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0 };
    let of = |path: &Path| {
        let found = std::fs::read_to_string(path.join("comm")).ok()?;
        let times = std::fs::read_to_string(path.join("schedstat")).ok()?;
        (found.trim() == name).then(|| times.split(' ').next()?.parse::<u64>().ok())?
    };
    tasks.flatten().filter_map(|task| of(&task.path())).sum()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let argument = |at| std::env::args().nth(at).map(|text| text.parse::<u64>()).transpose();
    let wanted = argument(1)?.unwrap_or(200_000);
    let (spans, rate) = (argument(3)?.unwrap_or(2), argument(4)?.unwrap_or(25_000).max(BURST));
    iap_apm::metrics::install()?;
    let kept = argument(2)?.map(u32::try_from).transpose()?;
    let apm = Apm::builder().keeping(kept.map_or_else(Keeping::default, Keeping::per_second)).build()?;
    let (hooks, route, server) = (apm.hooks(), "orders".into(), "10.0.0.1:8080".into());
    let address = ([127, 0, 0, 1], 80).into();
    let connection = Arc::new(Connection::new(address, address, false));
    let worker = std::thread::Builder::new().name("worker".into()).spawn(move || {
        let mut worked = Duration::ZERO;
        let begun = std::time::Instant::now();
        for burst in 1..=wanted / BURST {
            let start = std::time::Instant::now();
            (0..BURST).for_each(|_| transaction(&hooks, &connection, &route, &server, spans));
            worked += start.elapsed();
            let due = begun + Duration::from_nanos(burst * BURST * 1_000_000_000 / rate);
            std::thread::sleep(due.saturating_duration_since(std::time::Instant::now()));
        }
        (worked, begun.elapsed())
    })?;
    let (worked, lasted) = worker.join().map_err(|_| "the worker broke off")?;
    std::thread::sleep(Duration::from_millis(500));
    let per = |ns: u64| ns / wanted.max(1);
    println!("worker    {:>6} ns a transaction", per(worked.as_nanos() as u64));
    println!("collector {:>6} ns", per(cpu_ns("iap-apm")));
    println!("history   {:>6} ns", per(cpu_ns("iap-history")));
    let all = worked.as_nanos() as u64 + cpu_ns("iap-apm") + cpu_ns("iap-history");
    let cores = std::thread::available_parallelism()?.get();
    let share = all as f64 / lasted.as_nanos() as f64 * 100.0;
    let (rate, of_all) = (wanted as f64 / lasted.as_secs_f64(), share / cores as f64);
    println!("at {rate:.0} a second {share:.2} % of a core, {of_all:.2} % of {cores}");
    println!("{:?}\n{:?}", apm.dropped(), apm.ledger());
    Ok(())
}
