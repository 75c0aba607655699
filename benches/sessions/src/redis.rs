//! Redis, at fifty requests at a time.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use iap_session::testing::RedisServer;
use iap_session::{RedisConfig, RedisStore, SessionIds, SessionKey, SessionStore};
use serde_json::json;
use time::{Duration, OffsetDateTime};
use tokio::runtime::{Builder, Runtime};
use tower_sessions_core::session::{Id, Record};
use tower_sessions_core::session_store::SessionStore as _;
use tower_sessions_redis_store::fred;

use crate::{SPAN, commit, load, session_of_2_kb};

const CONNECTIONS: usize = 50;
const KEYS: usize = 1000;

pub fn run() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let server = RedisServer::start();
    let store = RedisStore::connect(SessionIds::ephemeral(), RedisConfig::new(server.url()));
    let store: Arc<dyn SessionStore> = Arc::new(runtime.block_on(store).expect("a connection"));
    let keys: Arc<Vec<SessionKey>> = Arc::new(
        (0..KEYS)
            .map(|_| runtime.block_on(store.create(session_of_2_kb())).expect("a session").record.key)
            .collect(),
    );
    if std::env::var_os("ONLY_LOADS").is_some() {
        let (one, all) = (store.clone(), keys.clone());
        let loads = fifty(&runtime, move |number| {
            let (store, key) = (one.clone(), all[number % KEYS]);
            async move { load(&store, key).await }
        });
        println!("redis: {loads:.0} loads/s");
        return;
    }
    let sha = commit_script(&runtime, &server, &store, keys[0]);
    // By turns, so that the noise of the machine meets all of them.
    for round in 1..=3 {
        let (one, all) = (store.clone(), keys.clone());
        let loads = fifty(&runtime, move |number| {
            let (store, key) = (one.clone(), all[number % KEYS]);
            async move { load(&store, key).await }
        });
        let (one, all) = (store.clone(), keys.clone());
        let both = fifty(&runtime, move |number| {
            let (store, key) = (one.clone(), all[number % KEYS]);
            async move {
                load(&store, key).await;
                store.commit(key, commit(number)).await.expect("committed");
            }
        });
        let (one, all) = (store.clone(), keys.clone());
        let commits = fifty(&runtime, move |number| {
            let (store, key) = (one.clone(), all[number % KEYS]);
            async move { store.commit(key, commit(number)).await.map(|_| ()).expect("committed") }
        });
        let (their_loads, their_both) = tower_sessions(&runtime, &server.url());
        let (gets, scripts) = redis_benchmark(&server, &keys[0], &sha);
        let ideal = 1.0 / (1.0 / gets + 1.0 / scripts);
        println!(
            "redis {round}: iap {loads:.0} loads/s, {commits:.0} commits/s, {both:.0} loads + commits/s"
        );
        println!(
            "redis {round}: redis-benchmark {gets:.0} HGETALL/s, {scripts:.0} EVALSHA/s, so {ideal:.0} of both/s"
        );
        println!("redis {round}: tower-sessions {their_loads:.0} loads/s, {their_both:.0} loads + saves/s");
        println!(
            "redis {round}: iap is {:.2} of redis-benchmark, {:.2} of tower-sessions (loads {:.2})",
            both / ideal,
            both / their_both,
            loads / their_loads
        );
    }
}

/// The name of the script of a commit: the server has just run it.
fn commit_script(
    runtime: &Runtime,
    server: &RedisServer,
    store: &Arc<dyn SessionStore>,
    key: SessionKey,
) -> String {
    let ask = |words: &[&str]| server.ask(words).expect("an answer");
    ask(&["CONFIG", "SET", "slowlog-log-slower-than", "0"]);
    // The first one sends the script itself.
    runtime.block_on(store.commit(key, commit(0))).expect("committed");
    ask(&["SLOWLOG", "RESET"]);
    runtime.block_on(store.commit(key, commit(0))).expect("committed");
    let log = ask(&["SLOWLOG", "GET", "8"]);
    ask(&["CONFIG", "SET", "slowlog-log-slower-than", "-1"]);
    let is_sha = |word: &&str| word.len() == 40 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    log.split(|c: char| !c.is_ascii_alphanumeric())
        .find(is_sha)
        .unwrap_or_else(|| panic!("no script in {log}"))
        .to_owned()
}

/// The rate of fifty tasks that do one after the other.
fn fifty<F, Fut>(runtime: &Runtime, work: F) -> f64
where
    F: Fn(usize) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let count = Arc::new(AtomicU64::new(0));
    let begin = Instant::now();
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|task| {
            let (work, count) = (work.clone(), count.clone());
            runtime.spawn(async move {
                let mut number = task;
                while begin.elapsed() < SPAN {
                    work(number).await;
                    number += CONNECTIONS;
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for task in tasks {
        runtime.block_on(task).expect("a task that ends");
    }
    count.load(Ordering::Relaxed) as f64 / begin.elapsed().as_secs_f64()
}

/// The same session in tower-sessions' store, by its own client with four connections as ours has.
fn tower_sessions(runtime: &Runtime, url: &str) -> (f64, f64) {
    use fred::prelude::*;
    let pool = Pool::new(Config::from_url(url).expect("a URL"), None, None, None, 4).expect("a pool");
    runtime.block_on(pool.init()).expect("a connection");
    let store = tower_sessions_redis_store::RedisStore::new(pool);
    let data: std::collections::HashMap<_, _> =
        (0..20).map(|index| (format!("attribute{index:02}"), json!("x".repeat(86)))).collect();
    let records: Arc<Vec<Record>> = Arc::new(
        (0..KEYS)
            .map(|_| {
                let expiry_date = OffsetDateTime::now_utc() + Duration::minutes(30);
                let mut record = Record { id: Id::default(), data: data.clone(), expiry_date };
                runtime.block_on(store.create(&mut record)).expect("created");
                record
            })
            .collect(),
    );
    let (one, all) = (store.clone(), records.clone());
    let loads = fifty(runtime, move |number| {
        let (store, id) = (one.clone(), all[number % KEYS].id);
        async move { assert!(store.load(&id).await.expect("an answer").is_some()) }
    });
    let both = fifty(runtime, move |number| {
        let (store, id) = (store.clone(), records[number % KEYS].id);
        async move {
            let mut record = store.load(&id).await.expect("an answer").expect("a session");
            record.data.insert("attribute07".into(), json!(format!("{number:086}")));
            store.save(&record).await.expect("saved");
        }
    });
    (loads, both)
}

/// What `redis-benchmark` reaches with the commands of a load and of a commit.
fn redis_benchmark(server: &RedisServer, key: &SessionKey, sha: &str) -> (f64, f64) {
    let name = format!("iap:s:{key}");
    let port = server.port().to_string();
    let run = |requests: &str, command: &[&str]| {
        let output = Command::new("redis-benchmark")
            .args(["-p", &port, "-c", "50", "-r", "1000000000", "--csv", "-n", requests])
            .args(command)
            .output()
            .expect("redis-benchmark");
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().last().expect("a line of numbers");
        let mut fields = line.rsplit("\",\"");
        let rate = fields.nth(6).unwrap_or_default();
        rate.parse::<f64>()
            .unwrap_or_else(|_| panic!("no rate in {text}{}", String::from_utf8_lossy(&output.stderr)))
    };
    let value = format!("j\"{}\"", "y".repeat(86));
    let script = [
        "EVALSHA",
        sha,
        "1",
        &name,
        "000000000000__rand_int__",
        "",
        "0",
        "256",
        "262144",
        "s",
        "attribute07",
        &value,
    ];
    (run("150000", &["HGETALL", &name]), run("100000", &script))
}
