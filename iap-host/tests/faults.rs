//! Faults of the demo: each is to be detected within 30 seconds and blamed rightly. Takes long, so it runs by `make faults`; it prints
//! its ledger. `IAP_FAULT_RUNS` says how often each fault is injected (3), `IAP_FAULTS` which (all).

#![allow(clippy::print_stdout, reason = "the ledger")]

mod common;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::{Process, SOON, host_command, http};
use iap_session::testing::{Proxy, RedisServer, Way};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// Until when an incident counts as detected.
const IN_TIME: Duration = Duration::from_secs(30);
/// Until when it is waited for at all, and for things to be well again.
const AT_LAST: Duration = Duration::from_secs(60);
const WELL_AGAIN: Duration = Duration::from_secs(400);
/// How long things stay well between two faults.
const QUIET: Duration = Duration::from_secs(30);
/// Rounds of ten seconds after which all series are known.
const KNOWN: u64 = 18;
/// How much later a slow Redis is heard, each way.
const LATE: Duration = Duration::from_millis(100);
/// How many of the injected faults must be detected in time and blamed rightly.
const SHARE: f64 = 0.8;

/// The fault, what kind of cause is right, and a text that its cause must hold.
const FAULTS: [(&str, &str, &str); 9] = [
    ("slow-sql", "sql", "WITH RECURSIVE spelling"),
    ("pool", "pool", "db.pool.acquire"),
    ("upstream", "upstream", "delivery"),
    ("store", "session_store", "session store"),
    ("deploy", "change", "shop 2."),
    ("login-storm", "load", "logins"),
    ("redis", "session_store", "session store"),
    ("gc", "gc", "stock"),
    ("memory", "memory", "stock"),
];

struct Demo {
    _process: Process,
    /// Between the demo and its Redis.
    link: Proxy,
    _network: Runtime,
    _redis: RedisServer,
    shop: SocketAddr,
    admin: SocketAddr,
}

#[test]
#[ignore = "takes half an hour: run it by `make faults`"]
fn injected_faults_are_detected_and_blamed() {
    let runs = std::env::var("IAP_FAULT_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let directory = tempfile::tempdir().unwrap();
    let demo = start(directory.path());
    until("all series are known", WELL_AGAIN, || {
        (demo.list("")["watched"]["rounds"].as_u64()? >= KNOWN).then_some(())
    });
    println!("| fault | run | detected | kind | cause | confidence | right |\n|---|---|---|---|---|---|---|");
    let (mut detected, mut right, mut all, mut other) = (0, 0, 0, 0);
    for run in 1..=runs {
        for (fault, kind, text) in FAULTS.into_iter().filter(|(fault, ..)| only(fault)) {
            other += demo.wait_until_well();
            let (in_time, good) = demo.inject(run, fault, kind, text);
            all += 1;
            detected += usize::from(in_time);
            right += usize::from(in_time && good);
        }
    }
    other += demo.wait_until_well();
    println!(
        "detected within {IN_TIME:?}: {detected} of {all}; and blamed rightly: {right} of {all}; incidents without a fault: {other}"
    );
    assert!(all > 0 && right as f64 >= SHARE * all as f64, "see the ledger above");
}

/// Whether a fault is asked for.
fn only(fault: &str) -> bool {
    std::env::var("IAP_FAULTS").ok().is_none_or(|asked| asked.split(',').any(|one| one == fault))
}

impl Demo {
    fn list(&self, query: &str) -> Value {
        http::get(self.admin, &format!("/api/incidents?limit=1000{query}")).json()
    }

    fn active(&self) -> Vec<Value> {
        self.list("&state=active")["incidents"].as_array().cloned().unwrap_or_default()
    }

    /// Gives how many incidents there were that no fault was injected for.
    fn wait_until_well(&self) -> usize {
        until("nothing is wrong any more", WELL_AGAIN, || self.active().is_empty().then_some(()));
        // What begins before the next fault is a false one.
        let before = self.newest();
        let quiet = Instant::now();
        while quiet.elapsed() < QUIET {
            std::thread::sleep(Duration::from_millis(500));
        }
        until("nothing is wrong any more", WELL_AGAIN, || self.active().is_empty().then_some(()));
        (self.newest() - before) as usize
    }

    fn newest(&self) -> u64 {
        self.list("")["incidents"][0]["id"].as_u64().unwrap_or(0)
    }

    fn switch(&self, fault: &str, on: bool) {
        if fault == "redis" {
            return self.link.set(if on { Way::Slow(LATE) } else { Way::Open });
        }
        let path = format!("/faults/{fault}");
        assert_eq!(
            http::send(self.shop, if on { "PUT" } else { "DELETE" }, &path, &[], b"").unwrap().status,
            204
        );
    }

    fn inject(&self, run: usize, fault: &str, kind: &str, text: &str) -> (bool, bool) {
        let before = self.newest();
        if fault == "deploy" {
            let body = json!({ "what": format!("shop 2.{run}") }).to_string();
            let header = [("content-type", "application/json")];
            assert_eq!(
                http::send(self.admin, "POST", "/api/changes", &header, body.as_bytes()).unwrap().status,
                200
            );
        }
        let began = Instant::now();
        self.switch(fault, true);
        let is_right = |incident: &Value| {
            let cause = incident["cause"].to_string();
            incident["cause"]["kind"] == kind && cause.contains(text)
        };
        let (mut first, mut good) = (None, None);
        while began.elapsed() < AT_LAST && good.is_none() {
            let new: Vec<Value> =
                self.active().into_iter().filter(|one| one["id"].as_u64().unwrap_or(0) > before).collect();
            if first.is_none() && !new.is_empty() {
                first = Some(began.elapsed());
            }
            good = new.iter().find(|one| is_right(one)).cloned().map(|one| (began.elapsed(), one));
            // In time or not at all: the ledger tells what was blamed by then.
            if first.is_some() && began.elapsed() >= IN_TIME {
                break;
            }
            std::thread::sleep(Duration::from_millis(250));
        }
        self.switch(fault, false);
        let told = good.clone().map(|(_, one)| one).or_else(|| self.active().into_iter().next());
        let cause = told.map(|one| one["cause"].clone()).unwrap_or_default();
        let seconds =
            |time: Option<Duration>| time.map_or("-".into(), |time| format!("{:.0} s", time.as_secs_f64()));
        let name: String = cause["name"].as_str().unwrap_or("-").chars().take(40).collect();
        let (kind, sure) =
            (cause["kind"].as_str().unwrap_or("-"), cause["confidence"].as_f64().unwrap_or(0.0));
        let in_time = first.is_some_and(|time| time <= IN_TIME);
        let rightly = good.as_ref().is_some_and(|(time, _)| *time <= IN_TIME);
        println!("| {fault} | {run} | {} | {kind} | {name} | {sure:.2} | {rightly} |", seconds(first));
        (in_time, rightly)
    }
}

/// Waits for a condition, and fails where it does not come.
fn until<T>(what: &str, long: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(began.elapsed() < long, "{what}: not within {long:?}");
        std::thread::sleep(Duration::from_millis(250));
    }
}

/// The demo on free ports.
fn start(directory: &Path) -> Demo {
    let redis = RedisServer::start();
    let network = Runtime::new().unwrap();
    let link = network.block_on(Proxy::start(&redis));
    let url = link.url();
    let mut command = host_command(directory);
    command.args([
        "demo",
        "--faults",
        "--redis",
        &url,
        "--port",
        "0",
        "--admin-port",
        "0",
        "--session-port",
        "0",
        "--otlp-port",
        "0",
    ]);
    let mut process = Process(command.stdout(Stdio::piped()).spawn().unwrap());
    let stdout = process.0.stdout.take().unwrap();
    let (send, found) = mpsc::channel();
    // Reads on to the end, so that the demo never blocks on a full pipe.
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let mut words = line.split_whitespace();
            if let (Some(name @ ("shop" | "console")), Some(url)) = (words.next(), words.next()) {
                let address = url.trim_start_matches("http://").trim_end_matches('/').parse::<SocketAddr>();
                let _ = send.send((name.to_owned(), address.unwrap()));
            }
        }
    });
    let next = || found.recv_timeout(SOON).expect("the demo does not come up").1;
    let (shop, admin) = (next(), next());
    Demo { _process: process, link, _network: network, _redis: redis, shop, admin }
}
