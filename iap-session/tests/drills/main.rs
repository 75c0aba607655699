//! What happens to sessions when Redis breaks in every way it can: a load writes, something breaks, and
//! when it is over the books are balanced. Each drill prints its ledger: `make drills` shows them.
#![allow(clippy::print_stdout)] // The ledgers are what the drills are for.

mod cluster;
mod imports;
mod ledger;
mod network;
mod replicas;
mod rights;
mod sentinel;
mod server;
mod steps;
mod strong;

use std::sync::Arc;
use std::time::Duration;

use iap_session::testing::RedisServer;
use iap_session::{Consistency, Limits, RedisConfig, RedisStore, SessionIds};

/// A store as an operator would have it, but for a larger share of patience: the machine is busy.
async fn connect(url: String) -> Arc<RedisStore> {
    connect_with(RedisConfig::new(url)).await
}

async fn connect_with(config: RedisConfig) -> Arc<RedisStore> {
    let limits = Limits { attributes: ledger::ATTRIBUTES, ..Limits::default() };
    let config = RedisConfig { limits, connect_timeout: Duration::from_secs(15), connections: 2, ..config };
    let ids = SessionIds::new(b"the secret of these drills").unwrap();
    Arc::new(RedisStore::connect(ids, config).await.unwrap())
}

/// A store whose writes one replica has to confirm.
async fn connect_strong(url: String) -> Arc<RedisStore> {
    connect_with(RedisConfig { consistency: Consistency::STRONG, ..RedisConfig::new(url) }).await
}

/// Runs what blocks beside the load.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// Every key of the primaries among `servers` ends by itself.
fn all_keys_expire<'a>(servers: impl IntoIterator<Item = &'a RedisServer>) {
    for server in servers {
        if !server.ask(&["INFO", "replication"]).unwrap().contains("role:master") {
            continue;
        }
        let keys = server.ask(&["KEYS", "*"]).unwrap();
        for key in keys.lines() {
            let ttl = server.ask(&["PTTL", key]).unwrap();
            // -2: it has ended since it was listed.
            assert!(ttl != "-1", "{key} lives for ever");
        }
    }
}
