//! A cluster whose nodes change their parts.

use std::sync::Arc;

use iap_session::testing::RedisCluster;

use crate::ledger::{Load, until};
use crate::{all_keys_expire, beside, connect, connect_strong};

async fn role(redis: &Arc<RedisCluster>, server: usize, role: &'static str) {
    until("the nodes take their new roles", async || {
        let redis = redis.clone();
        let info = beside(move || redis.servers[server].ask(&["INFO", "replication"])).await;
        info.is_ok_and(|info| info.contains(role))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn masters_fail_over_by_command() {
    let redis = Arc::new(beside(|| RedisCluster::start(3)).await);
    let mut load = Load::start(connect(redis.url()).await).await;
    load.breaks();
    for master in 0..3 {
        let replica = redis.replica_of(master);
        redis.servers[replica].ask(&["CLUSTER", "FAILOVER"]).unwrap();
        role(&redis, replica, "role:master").await;
    }
    load.recovers().await;
    load.balance("Cluster: failover of all masters by command").await.nothing_lost();
    all_keys_expire(&redis.servers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_is_killed() {
    for strong in [false, true] {
        let mut redis = beside(|| RedisCluster::start(3)).await;
        let store = if strong { connect_strong(redis.url()).await } else { connect(redis.url()).await };
        let mut load = Load::start(store).await;
        load.breaks();
        redis.servers[1].kill();
        let redis = Arc::new(redis);
        let replica = redis.replica_of(1);
        role(&redis, replica, "role:master").await;
        if strong {
            // The new master has no replica: what is written there is not confirmed.
            load.answers().await;
            load.balance("Cluster: kill -9 of a master, strong").await.nothing_lost();
        } else {
            load.recovers().await;
            let ledger = load.balance("Cluster: kill -9 of a master, eventual").await;
            assert_eq!(ledger.missing, 0, "sessions that were long replicated are there");
        }
        all_keys_expire([&redis.servers[0], &redis.servers[2], &redis.servers[replica]]);
    }
}

/// The other masters' sessions must not suffer for long, and the hanging one's find the new master.
#[tokio::test(flavor = "multi_thread")]
async fn a_master_hangs_and_comes_back() {
    let redis = Arc::new(beside(|| RedisCluster::start(3)).await);
    let mut load = Load::start(connect(redis.url()).await).await;
    load.breaks();
    redis.servers[1].pause();
    let replica = redis.replica_of(1);
    role(&redis, replica, "role:master").await;
    load.recovers().await;
    redis.servers[1].resume();
    role(&redis, 1, "role:slave").await;
    load.progresses(20).await;
    let ledger = load.balance("Cluster: SIGSTOP of a master, SIGCONT after the failover, eventual").await;
    assert_eq!(ledger.missing, 0, "sessions that were long replicated are there");
    all_keys_expire(&redis.servers);
}

/// All slots that hold sessions move, one after the other, while they are written to.
#[tokio::test(flavor = "multi_thread")]
async fn slots_move_under_load() {
    let redis = Arc::new(beside(|| RedisCluster::start(3)).await);
    let mut load = Load::start(connect(redis.url()).await).await;
    load.breaks();
    let moving = redis.clone();
    beside(move || {
        let keys = [0, 1, 2].map(|master| moving.servers[master].ask(&["KEYS", "*"]).unwrap());
        for (master, keys) in keys.iter().enumerate() {
            for key in keys.lines() {
                let slot = moving.servers[master].ask(&["CLUSTER", "KEYSLOT", key]).unwrap();
                moving.migrate(slot.parse().unwrap(), master, (master + 1) % 3);
            }
        }
    })
    .await;
    load.recovers().await;
    load.balance("Cluster: every slot moves").await.nothing_lost();
    all_keys_expire(&redis.servers[..3]);
}

/// A slot stays half moved, its keys on the way: both ends have to be found.
#[tokio::test(flavor = "multi_thread")]
async fn slots_stay_half_moved() {
    let redis = Arc::new(beside(|| RedisCluster::start(3)).await);
    let mut load = Load::start(connect(redis.url()).await).await;
    load.breaks();
    let moving = redis.clone();
    beside(move || half_move(&moving)).await;
    load.recovers().await;
    load.balance("Cluster: slots stay half moved (ASK)").await.nothing_lost();
}

/// The same where replicas have to confirm: the new master's have to.
#[tokio::test(flavor = "multi_thread")]
async fn slots_stay_half_moved_and_writes_are_confirmed() {
    let redis = Arc::new(beside(|| RedisCluster::start(3)).await);
    let mut load = Load::start(connect_strong(redis.url()).await).await;
    load.breaks();
    let moving = redis.clone();
    beside(move || half_move(&moving)).await;
    load.recovers().await;
    load.balance("Cluster: slots stay half moved (ASK), strong").await.nothing_lost();
}

/// Sends all sessions to the next master, and leaves their slots where they were.
fn half_move(redis: &RedisCluster) {
    let keys = [0, 1, 2].map(|master| redis.servers[master].ask(&["KEYS", "iap:s:*"]).unwrap());
    for (master, keys) in keys.iter().enumerate() {
        for key in keys.lines() {
            let slot = redis.servers[master].ask(&["CLUSTER", "KEYSLOT", key]).unwrap();
            redis.begin_migration(slot.parse().unwrap(), master, (master + 1) % 3);
        }
    }
}
