//! `kill -9` of one of two gateways under load: no acknowledged write is lost, the other goes on.

mod common;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use common::Host;
use common::http::Browser;
use iap_session::testing::RedisServer;

const CUSTOMERS: usize = 8;
/// Writes of each customer; the shop's cart holds 50.
const WRITES: usize = 40;

/// The demo's shop, with these settings of sessions.
fn shop_with(sessions: &str) -> String {
    format!("{sessions}routes:\n  - {{name: shop, path: /, service: demo-shop}}\n")
}

/// What one customer knows to be written, and what may have been.
struct Ledger {
    browser: Browser,
    acknowledged: usize,
    unknown: usize,
    refused: usize,
}

#[test]
fn killing_a_gateway_under_load_loses_no_session() {
    let redis = RedisServer::start();
    let config = shop_with(&common::redis_sessions(&redis));
    let (mut first, second) = (Host::start(&config), Host::start(&config));
    let gateways = [first.http, second.http];
    let written = Arc::new(AtomicUsize::new(0));
    let start = Arc::new(Barrier::new(CUSTOMERS + 1));
    let customers: Vec<_> = (0..CUSTOMERS)
        .map(|number| {
            let (written, start) = (written.clone(), start.clone());
            std::thread::spawn(move || shop(number, gateways, &written, &start))
        })
        .collect();

    start.wait();
    common::eventually("half of the load is done", || {
        (written.load(Ordering::SeqCst) > CUSTOMERS * WRITES / 2).then_some(())
    });
    first.process.0.kill().unwrap();
    let ledgers: Vec<Ledger> = customers.into_iter().map(|customer| customer.join().unwrap()).collect();

    for (number, mut ledger) in ledgers.into_iter().enumerate() {
        let cart = ledger.browser.get(second.http, "/cart").json().as_array().unwrap().len();
        let most = ledger.acknowledged + ledger.unknown;
        assert!(
            (ledger.acknowledged..=most).contains(&cart),
            "customer {number}: {cart} written, {} acknowledged, {} unknown",
            ledger.acknowledged,
            ledger.unknown
        );
        assert_eq!(ledger.refused, 0, "the living gateway served everything");
        assert!(ledger.browser.get(second.http, "/").text().contains(&format!("<b>customer{number}</b>")));
    }
    let sessions = second.admin("/api/sessions");
    assert_eq!(sessions["stats"]["live"], CUSTOMERS, "{sessions}");
}

/// Signs in at one gateway and fills a cart through both, by turns; the dead one is skipped.
fn shop(number: usize, gateways: [SocketAddr; 2], written: &AtomicUsize, start: &Barrier) -> Ledger {
    let mut browser = Browser::default();
    let form = format!("user=customer{number}");
    assert_eq!(browser.post(gateways[number % 2], "/login", &form).status, 303);
    let mut ledger = Ledger { browser, acknowledged: 0, unknown: 0, refused: 0 };
    start.wait();
    for turn in 0..WRITES {
        let order = [gateways[turn % 2], gateways[(turn + 1) % 2]];
        for gateway in order {
            match ledger.browser.try_send(gateway, "POST", "/cart", "product=1") {
                Ok(response) if response.status == 303 => {
                    ledger.acknowledged += 1;
                    written.fetch_add(1, Ordering::SeqCst);
                    break;
                }
                Ok(_) => ledger.refused += 1,
                // Refused or broken off: in the second case it may have been written.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
                Err(_) => ledger.unknown += 1,
            }
        }
    }
    ledger
}

/// The settings of Redis that need nothing but a server, together.
#[test]
fn the_near_cache_serves_what_was_read() {
    let redis = RedisServer::start();
    let host = Host::start(&shop_with(&common::redis_sessions_with(&format!(
        "url: '{}/4', prefix: shop, connections: 2, near_cache: {{enabled: true, max_staleness: 1h}}",
        redis.url()
    ))));
    let mut browser = Browser::default();
    assert_eq!(browser.post(host.http, "/login", "user=alice").status, 303);
    let hits = || {
        let metrics = common::http::get(host.admin, "/metrics").text();
        let line =
            metrics.lines().find(|line| line.starts_with("iap_session_near_reads_total{result=\"hit\"}"));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    common::eventually("reads are served from the cache", || {
        let before = hits();
        assert!(browser.get(host.http, "/").text().contains("<b>alice</b>"));
        (hits() > before).then_some(())
    });
    assert_eq!(browser.post(host.http, "/cart", "product=1").status, 303);
    assert_eq!(
        browser.get(host.http, "/cart").json().as_array().unwrap().len(),
        1,
        "a write is seen at once"
    );
    assert!(redis.ask(&["INFO", "keyspace"]).unwrap().contains("db4:"));
}

#[test]
fn a_write_that_no_replica_confirms_is_no_success() {
    let redis = RedisServer::start();
    let host = Host::start(&shop_with(&common::redis_sessions_with(&format!(
        "url: '{}', consistency: strong, strong: {{wait: 50ms}}",
        redis.url()
    ))));
    let mut browser = Browser::default();
    assert_eq!(browser.post(host.http, "/login", "user=alice").status, 503, "there is no replica");
    let replica = RedisServer::start();
    replica.ask(&["REPLICAOF", "127.0.0.1", &redis.port().to_string()]).unwrap();
    common::eventually("the replica confirms", || {
        (browser.post(host.http, "/login", "user=alice").status == 303).then_some(())
    });
}

#[test]
fn two_gateways_count_their_users_together() {
    let redis = RedisServer::start();
    let config = shop_with(&common::redis_sessions(&redis));
    let gateways = [Host::start(&config), Host::start(&config)];
    let mut browsers: Vec<_> = (0..3).map(|_| Browser::default()).collect();
    for (number, browser) in browsers.iter_mut().enumerate() {
        let user = format!("user=user{number}");
        browser.post(gateways[0].http, "/login", &user);
    }
    // One of them comes to both gateways, two to one.
    for gateway in &gateways {
        browsers[0].get(gateway.http, "/products");
    }
    browsers[1].get(gateways[0].http, "/products");
    browsers[2].get(gateways[1].http, "/products");
    for gateway in &gateways {
        common::eventually("all three are counted", || {
            let answer = gateway.admin("/api/audience?by=session&last_s=3600&step_s=60");
            assert_eq!(answer["scope"], "cluster");
            (answer["kinds"][0]["window"] == 3).then_some(())
        });
        let alone = gateway.admin("/api/audience?by=session&last_s=30&step_s=30");
        assert_eq!((&alone["scope"], &alone["kinds"][0]["window"]), (&"node".into(), &2.into()));
    }
}
