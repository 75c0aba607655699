//! A warm near cache.

use std::sync::Arc;

use iap_session::testing::RedisServer;
use iap_session::{NearCache, NearCacheConfig, RedisConfig, RedisStore, SessionIds, SessionStore};

use crate::{load, nanoseconds, session_of_2_kb};

pub fn run() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let server = RedisServer::start();
    let config = RedisConfig { tracking: true, ..RedisConfig::new(server.url()) };
    let store = runtime.block_on(RedisStore::connect(SessionIds::ephemeral(), config)).expect("a connection");
    let staleness = std::time::Duration::from_secs(3600);
    let config = NearCacheConfig { max_staleness: staleness, ..NearCacheConfig::default() };
    let store: Arc<dyn SessionStore> = Arc::new(NearCache::new(store, config));
    let key = runtime.block_on(store.create(session_of_2_kb())).expect("a session").record.key;
    // The first reads turn tracking on.
    for _ in 0..100 {
        runtime.block_on(load(&store, key));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let before = loads(&server);
    let warm = nanoseconds(async || load(&store, key).await);
    let asked = loads(&server) - before;
    let known = nanoseconds(async || {
        store.load(key, Some(1)).await.expect("an answer");
    });
    println!(
        "near: a warm read of 2 kB takes {warm:.0} ns ({known:.0} ns where the version is known); Redis was asked {asked} times"
    );
}

/// How many HGETALL and HMGET the server has seen.
fn loads(server: &RedisServer) -> u64 {
    let text = server.ask(&["INFO", "commandstats"]).expect("statistics");
    let calls = |line: &str| {
        let (name, rest) = line.split_once(":calls=")?;
        let wanted = ["cmdstat_hgetall", "cmdstat_hmget"].contains(&name);
        rest.split(',').next().filter(|_| wanted)?.parse::<u64>().ok()
    };
    text.lines().filter_map(calls).sum()
}
