//! A primary that fails while Sentinel watches it.

use std::sync::Arc;

use iap_session::testing::RedisSentinel;

use crate::ledger::{Load, until};
use crate::{all_keys_expire, beside, connect, connect_strong};

/// Waits until another server than `before` is primary.
pub(crate) async fn another_primary(redis: &Arc<RedisSentinel>, before: usize) -> usize {
    let mut now = before;
    until("another server takes over", async || {
        let redis = redis.clone();
        now = beside(move || redis.primary()).await;
        now != before
    })
    .await;
    now
}

#[tokio::test(flavor = "multi_thread")]
async fn the_primary_is_killed() {
    let mut redis = beside(|| RedisSentinel::start(2)).await;
    let mut load = Load::start(connect(redis.url()).await).await;
    load.breaks();
    redis.servers[0].kill();
    let redis = Arc::new(redis);
    let primary = another_primary(&redis, 0).await;
    load.recovers().await;
    let ledger = load.balance("Sentinel: kill -9 of the primary, eventual").await;
    assert_eq!(ledger.missing, 0, "sessions that were long replicated are there");
    all_keys_expire([&redis.servers[primary]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn failover_by_command() {
    let redis = Arc::new(beside(|| RedisSentinel::start(2)).await);
    let mut load = Load::start(connect(redis.url()).await).await;
    load.breaks();
    let commanded = redis.clone();
    beside(move || commanded.failover()).await;
    let primary = another_primary(&redis, 0).await;
    load.recovers().await;
    let ledger = load.balance("Sentinel: failover by command, eventual").await;
    assert_eq!(ledger.missing, 0, "sessions that were long replicated are there");
    all_keys_expire([&redis.servers[primary]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_primary_hangs_and_comes_back() {
    hangs(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_primary_hangs_and_comes_back_and_writes_are_confirmed() {
    hangs(true).await;
}

async fn hangs(strong: bool) {
    let redis = Arc::new(beside(|| RedisSentinel::start(2)).await);
    let store = if strong { connect_strong(redis.url()).await } else { connect(redis.url()).await };
    let mut load = Load::start(store).await;
    load.breaks();
    redis.servers[0].pause();
    let primary = another_primary(&redis, 0).await;
    load.recovers().await;
    redis.servers[0].resume();
    until("the old primary is a replica", async || {
        let redis = redis.clone();
        let info = beside(move || redis.servers[0].ask(&["INFO", "replication"])).await;
        info.is_ok_and(|info| info.contains("role:slave") && info.contains("master_link_status:up"))
    })
    .await;
    load.progresses(20).await;
    let kind = if strong { "strong" } else { "eventual" };
    let name = format!("Sentinel: SIGSTOP of the primary, SIGCONT after the failover, {kind}");
    let ledger = load.balance(&name).await;
    assert_eq!(ledger.missing, 0, "sessions that were long replicated are there");
    if strong {
        ledger.nothing_lost();
    }
    all_keys_expire([&redis.servers[primary]]);
}
