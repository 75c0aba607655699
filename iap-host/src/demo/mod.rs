//! `iap-host demo`: the platform in one process, with a shop behind it and a gentle load on it.

pub(crate) mod faults;
pub(crate) mod late_store;
mod load;
pub(crate) mod shop;
mod stock;

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::time::Duration;

use iap_apm::Apm;
use iap_core::BoxError;
use serde_json::json;

use crate::boot::Addresses;
use crate::config::{
    Builtin, Config, Environment, RouteConfig, SecretRef, StoreKind, TextOr, UpstreamConfig,
};

pub(crate) use load::Load;

/// Transactions after which every view has something to show.
const WARM: u64 = 60;
/// How long the progress line is shown at most.
const WARM_UP: Duration = Duration::from_secs(20);

/// The configuration of the demo: defaults, all in memory, one route.
pub(crate) fn config(
    http: SocketAddr,
    admin: SocketAddr,
    session_api: SocketAddr,
    otlp: SocketAddr,
) -> Config {
    let mut config = Config::default();
    config.server.listen = http;
    config.server.drain = crate::config::Span::seconds(3);
    config.admin.listen = admin;
    config.sessions.api = session_api;
    config.apm.otlp = otlp;
    config.apm.history = None;
    config.admin.revisions.directory = None;
    // What the shop logs is in the console; here it would drown the addresses.
    config.log.level = "warn,sqlx=off,iap_host::demo=off".into();
    for (name, path) in [("shop", "/"), ("search", "/search"), ("cart", "/cart"), ("checkout", "/checkout")] {
        config.routes.push(RouteConfig {
            name: name.into(),
            path: path.into(),
            service: Some(Builtin::DemoShop),
            ..RouteConfig::default()
        });
    }
    config.alerts.rules = serde_json::from_value(rules()).expect("rules as in a file");
    config
}

/// Rules of which some are broken now and then: payments fail at times, and some searches are slow.
fn rules() -> serde_json::Value {
    json!([
        { "name": "payments fail", "description": "Ask the payment provider, then see the trace.", "route": "checkout",
          "measure": "error_percent", "above": 2.0, "over": "1m", "severity": "critical" },
        { "name": "slow", "measure": "p95", "above": 100.0, "over": "1m", "for": "10s" },
        { "name": "unhappy customers", "measure": "apdex", "apdex": "50ms", "below": 0.8, "over": "5m" },
        { "name": "error budget", "slo": { "objective": 99.0 }, "above": 6.0, "over": "1h", "min_requests": 20 },
        { "name": "nobody buys", "route": "checkout", "measure": "rate", "absent": true, "over": "5m" },
    ])
}

/// The configuration as a text: JSON, which YAML contains.
pub(crate) fn text(config: &Config) -> Result<String, BoxError> {
    Ok(serde_json::to_string_pretty(config)? + "\n")
}

/// Keeps sessions in a Redis, with a secret of this process.
pub(crate) fn with_redis(
    config: &mut Config,
    url: &str,
    environment: &mut Environment,
) -> Result<(), BoxError> {
    const SECRET: &str = "IAP_DEMO_SECRET";
    let mut secret = [0; 16];
    getrandom::fill(&mut secret)?;
    environment.insert(SECRET.into(), secret.iter().map(|byte| format!("{byte:02x}")).collect());
    config.sessions.store = StoreKind::Redis;
    config.sessions.redis = Some(serde_json::from_value(json!({ "url": url, "prefix": "iap-demo" }))?);
    config.sessions.secret = Some(SecretRef::Env(SECRET.into()));
    Ok(())
}

/// Makes faults possible, and adds what can have them.
pub(crate) async fn with_faults(config: &mut Config) -> Result<(), BoxError> {
    let delivery = faults::enable(config).await?;
    config.routes.push(RouteConfig {
        name: "delivery".into(),
        path: "/delivery".into(),
        upstream: Some(TextOr::Text("delivery".into())),
        ..RouteConfig::default()
    });
    let upstream = json!({ "servers": [format!("http://{delivery}")] });
    let upstream: UpstreamConfig = serde_json::from_value(upstream).expect("all else has defaults");
    config.upstreams.insert("delivery".into(), upstream);
    Ok(())
}

/// Tells the addresses, and shows progress until there is something to see.
#[allow(clippy::print_stdout)] // What a user of this command reads.
pub(crate) async fn greet(addresses: &Addresses, apm: &Apm, has_load: bool) {
    println!("\n  The demo runs:");
    println!("    shop      http://{}/", addresses.http);
    println!("    console   http://{}/", addresses.admin);
    println!("    metrics   http://{}/metrics", addresses.admin);
    if let Some(otlp) = addresses.otlp {
        println!("    OTLP in   http://{otlp}/v1/traces");
    }
    println!();
    if has_load {
        warm_up(apm).await;
    }
    println!("\n  Ready. Open the console, click a dot, or ask it: \"what is wrong right now?\"");
    println!("  Ctrl-C ends everything.");
}

/// Shows progress until every view has something to show.
#[allow(clippy::print_stdout)] // What a user of this command reads.
async fn warm_up(apm: &Apm) {
    let started = tokio::time::Instant::now();
    let interactive = std::io::stdout().is_terminal();
    loop {
        let seen: u64 = apm.live().seconds.iter().map(|second| second.count).sum();
        let failed: u64 = apm.live().seconds.iter().map(|second| second.errors).sum();
        let done = seen >= WARM || started.elapsed() > WARM_UP;
        if interactive {
            let filled = (seen.min(WARM) * 20 / WARM) as usize;
            print!("\r  warming up [{:-<20}] {seen} requests, {failed} failed ", "#".repeat(filled));
            // A closed terminal is no reason to stop.
            let _ = std::io::stdout().flush();
        }
        if done {
            return;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}
