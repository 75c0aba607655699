//! Sessions of another system: taken over at once by the command, or by gateways at first sight, also while a gateway is
//! killed.
#![allow(clippy::print_stdout)] // The ledger is what a drill is for.

mod common;

use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{SystemTime, UNIX_EPOCH};

use common::http::Browser;
use common::{FREE_PORTS, Host, free_port, host_command};
use iap_session::testing::RedisServer;
use serde_json::Value;

const SHOP: &str = "routes:\n  - {name: shop, path: /, service: demo-shop}\n";

fn id(number: usize) -> String {
    format!("{number:08}-0000-4000-8000-000000000000")
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// A session as Spring Session with the JSON serializer writes it.
fn old_session(redis: &RedisServer, number: usize, idle_s: i64) {
    let (key, used) = (format!("spring:session:sessions:{}", id(number)), (now_ms() - 120_000).to_string());
    let (user, idle) = (format!("\"customer{number}\""), idle_s.to_string());
    let command = [
        "HSET",
        &key,
        "creationTime",
        &used,
        "lastAccessedTime",
        &used,
        "maxInactiveInterval",
        &idle,
        "sessionAttr:user",
        &user,
    ];
    redis.ask(&command).unwrap();
}

/// The settings of gateways whose sessions are in `redis`, and that adopt those in `old`, if there is one.
fn settings(redis: &RedisServer, old: Option<&RedisServer>) -> String {
    let adopt = old.map_or(String::new(), |old| {
        format!(
            ", adopt: {{from: spring, source: '{}', user: user, timeout: 10s, unknown_for: 1s}}",
            old.url()
        )
    });
    let sessions = common::redis_sessions(redis);
    format!("{}{adopt}}}\n{SHOP}", sessions.trim_end().strip_suffix('}').unwrap())
}

fn import(config: &str, args: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("iap.yaml"), format!("{FREE_PORTS}{config}")).unwrap();
    let mut command = host_command(directory.path());
    command.args(["session", "import", "-c", "iap.yaml"]).args(args).stdin(Stdio::null()).output().unwrap()
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[test]
fn the_command_takes_over_what_lives_once() {
    let (redis, old) = (RedisServer::start(), RedisServer::start());
    for number in 0..40 {
        old_session(&old, number, if number % 4 == 0 { 60 } else { 1800 });
    }
    let large = format!("\"{}\"", "x".repeat(70_000));
    let key = format!("spring:session:sessions:{}", id(1));
    old.ask(&["HSET", &key, "sessionAttr:large", &large, "sessionAttr:binary", "\u{1}"]).unwrap();
    old.ask(&["HSET", &format!("spring:session:sessions:{}", id(2)), "sessionAttr:binary", "\u{1}"]).unwrap();
    let config = settings(&redis, None);
    let url = old.url();
    let from = ["--from", "spring-indexed", "--source", &url, "--user", "user"];

    let dry = import(&config, &[&from[..], &["--dry-run", "--json"]].concat());
    let told = report(&dry);
    assert_eq!((&told["read"], &told["imported"]), (&40.into(), &29.into()), "{told}");
    assert_eq!(redis.ask(&["DBSIZE"]).unwrap(), "0");

    let first = import(&config, &from);
    assert_eq!(first.status.code(), Some(2), "one could not be taken over: {first:?}");
    let text = String::from_utf8(first.stdout).unwrap();
    for (name, count) in
        [("read", 40), ("imported", 29), ("expired", 10), ("too large", 1), ("unknown bytes", 1)]
    {
        let line = text.lines().find(|line| line.trim_start().starts_with(name));
        assert!(line.is_some_and(|line| line.ends_with(&format!(" {count}"))), "{name}: {text}");
    }
    let again = report(&import(&config, &[&from[..], &["--json"]].concat()));
    assert_eq!((&again["imported"], &again["before"]), (&0.into(), &29.into()), "nothing twice: {again}");

    // The gateways need to know whose cookies these are, not where they came from.
    let host = Host::start(&settings(&redis, Some(&old)));
    drop(old);
    let mut browser = with_old_cookie(5);
    assert!(browser.get(host.http, "/").text().contains("<b>customer5</b>"));
    assert_eq!(host.admin("/api/sessions")["stats"]["live"], 29);
}

#[test]
fn the_command_says_what_is_wrong() {
    let redis = RedisServer::start();
    let config = settings(&redis, None);
    let fails = |config: &str, args: &[&str], part: &str| {
        let output = import(config, args);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(part), "no `{part}` in {text}");
    };
    let away = format!("redis://127.0.0.1:{}", free_port());
    fails(&config, &["--from", "spring", "--source", &away], "cannot connect to Redis");
    fails(&config, &[], "say --from and --source");
    fails(&config, &["--from", "spring"], "belong together");
    fails(&config, &["--from", "spring", "--source", "redis://:secret@h:1"], "use username and password");
    fails(&config, &["--from", "tomcat", "--source", "/no/such/directory"], "is no directory");
    fails(&config, &["--from", "connect", "--source", &away], "secrets");
    fails(SHOP, &["--from", "spring", "--source", &away], "sessions.store");
    let resumed = ["--from", "spring", "--source", &redis.url(), "--resume", "nonsense"];
    fails(&config, &resumed, "not a cursor");
}

fn with_old_cookie(number: usize) -> Browser {
    let mut browser = Browser::default();
    browser.cookies.insert("SESSION".into(), id(number));
    browser
}

/// What an upstream is told of the user, and what the old cookie is worth after it.
#[test]
fn a_gateway_adopts_at_first_sight_and_a_reload_begins_and_ends_it() {
    let (redis, old) = (RedisServer::start(), RedisServer::start());
    old_session(&old, 1, 1800);
    old_session(&old, 2, 1800);
    let host = Host::start(&settings(&redis, None));
    let mut browser = with_old_cookie(1);
    assert!(!browser.get(host.http, "/").text().contains("customer1"), "nobody adopts yet");
    reload(&host, &settings(&redis, Some(&old)));
    // The server before may still take a connection.
    common::eventually("sessions are adopted", || {
        browser.get(host.http, "/").text().contains("<b>customer1</b>").then_some(())
    });
    assert!(browser.cookies.contains_key("iap-session") && browser.cookies.contains_key("SESSION"));
    browser.cookies.remove("SESSION");
    assert!(browser.get(host.http, "/").text().contains("<b>customer1</b>"), "ours is enough");
    reload(&host, &settings(&redis, None));
    common::eventually("sessions are no longer adopted", || {
        (!with_old_cookie(2).get(host.http, "/").text().contains("customer2")).then_some(())
    });
    assert!(browser.get(host.http, "/").text().contains("<b>customer1</b>"));
}

fn reload(host: &Host, config: &str) {
    host.write("iap.yaml", &format!("{FREE_PORTS}{config}"));
    let answer = common::http::send(host.admin, "POST", "/api/config/reload", &[], b"");
    let answer = answer.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

const CUSTOMERS: usize = 60;

/// Customers come with old cookies to two gateways at once; one of them is killed meanwhile. Everybody goes on at the other.
#[test]
fn killing_a_gateway_that_adopts_logs_nobody_out() {
    let (redis, old) = (RedisServer::start(), RedisServer::start());
    (0..CUSTOMERS).for_each(|number| old_session(&old, number, 1800));
    let config = settings(&redis, Some(&old));
    let (mut first, second) = (Host::start(&config), Host::start(&config));
    let gateways = [first.http, second.http];
    let (seen, start) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(9)));
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let (seen, start) = (seen.clone(), start.clone());
            std::thread::spawn(move || {
                start.wait();
                let numbers = (0..CUSTOMERS).filter(|number| number % 4 == thread % 4);
                let visit = |number| {
                    let mut browser = with_old_cookie(number);
                    // Two threads for each customer: both gateways meet the same cookie. An answer may be lost.
                    let answer = browser.try_send(gateways[thread / 4], "GET", "/", "");
                    let name = format!("<b>customer{number}</b>");
                    let known = answer.as_ref().is_ok_and(|answer| answer.text().contains(&name));
                    assert!(known || answer.is_err(), "{answer:?}");
                    seen.fetch_add(usize::from(known), Ordering::SeqCst);
                    (number, browser)
                };
                numbers.map(visit).collect::<Vec<_>>()
            })
        })
        .collect();
    start.wait();
    common::eventually("some were adopted", || (seen.load(Ordering::SeqCst) > CUSTOMERS / 3).then_some(()));
    first.process.0.kill().unwrap();
    let browsers: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    let lost = browsers.iter().filter(|(_, browser)| !browser.cookies.contains_key("iap-session")).count();
    for (number, mut browser) in browsers {
        let page = browser.get(second.http, "/").text();
        assert!(page.contains(&format!("<b>customer{number}</b>")), "customer {number} is logged out");
        assert!(browser.cookies.contains_key("iap-session"));
    }
    println!(
        "LEDGER | adopting, kill -9 of a gateway | {CUSTOMERS} sessions | {lost} answers lost | 0 logged out |"
    );
    let sessions = second.admin("/api/sessions");
    assert_eq!(sessions["stats"]["live"], CUSTOMERS, "each old session is one of ours: {sessions}");
    for key in redis.ask(&["KEYS", "*"]).unwrap().lines() {
        assert_ne!(redis.ask(&["PTTL", key]).unwrap(), "-1", "{key} lives for ever");
    }
}

/// `kill -9` of the command, again and again: what it has taken stays, and the next run takes the rest.
#[test]
fn an_import_that_is_killed_goes_on() {
    const SESSIONS: usize = 3000;
    let (redis, old) = (RedisServer::start(), RedisServer::start());
    (0..SESSIONS).for_each(|number| old_session(&old, number, 1800));
    let directory = tempfile::tempdir().unwrap();
    let config = format!("{FREE_PORTS}{}", settings(&redis, Some(&old)));
    std::fs::write(directory.path().join("iap.yaml"), config).unwrap();
    let mut last = 0;
    for _ in 0..3 {
        let mut command = command_in(directory.path());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        common::eventually("it goes on", || {
            let taken = count(&redis);
            (taken > last || child.try_wait().unwrap().is_some()).then_some(())
        });
        child.kill().unwrap();
        child.wait().unwrap();
        last = count(&redis);
    }
    let output = command_in(directory.path()).arg("--json").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let told = report(&output);
    let number = |name: &str| told[name].as_u64().unwrap() as usize;
    assert_eq!(number("imported") + number("before"), number("read"), "{told}");
    assert!(number("read") >= SESSIONS, "{told}");
    assert_eq!(count(&redis), SESSIONS, "each once");
}

fn command_in(directory: &Path) -> std::process::Command {
    let mut command = host_command(directory);
    command.args(["session", "import", "-c", "iap.yaml"]).stdin(Stdio::null());
    command
}

fn count(redis: &RedisServer) -> usize {
    redis.ask(&["EVAL", "return #redis.call('KEYS', 'iap:s:*')", "0"]).unwrap().parse().unwrap()
}
