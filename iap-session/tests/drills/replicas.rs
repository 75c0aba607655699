//! Reads of replicas: whatever a replica is like, a gateway sees its own writes, and those of others in time.

use std::sync::Arc;
use std::time::Duration;

use iap_session::testing::{Proxy, RedisSentinel, RedisServer, Way};
use iap_session::{
    Expiry, Loaded, Reason, RedisConfig, ReplicaReads, Rotation, SessionKey, SessionStore, StoreErrorKind,
};

use crate::ledger::{Load, answered, commit, create, until};
use crate::sentinel::another_primary;
use crate::{beside, connect_with};

const MAX_LAG: Duration = Duration::from_secs(1);

/// A primary, a replica, and what lies between them.
struct Pair {
    primary: RedisServer,
    replica: Arc<RedisServer>,
    between: Proxy,
}

impl Pair {
    async fn start() -> Self {
        let primary = beside(|| RedisServer::start_with(&["--repl-diskless-sync-delay", "0"])).await;
        let between = Proxy::start(&primary).await;
        let port = between.port.to_string();
        let replica = beside(move || {
            let replica = RedisServer::start();
            replica.ask(&["REPLICAOF", "127.0.0.1", &port]).unwrap();
            replica
        });
        Self { primary, replica: Arc::new(replica.await), between }
    }

    /// One more gateway, which has found the replica.
    async fn gateway(&self) -> Arc<dyn SessionStore> {
        let store = gateway(self.primary.url()).await;
        let key = create(&store, Expiry::default()).await;
        let before = self.reads();
        until("the replica answers", async || {
            version(&store, key).await;
            self.reads() > before
        })
        .await;
        store
    }

    /// Reads that the replica has answered.
    fn reads(&self) -> u64 {
        reads(&self.replica)
    }
}

async fn gateway(url: String) -> Arc<dyn SessionStore> {
    let replica_reads = Some(ReplicaReads { max_lag: MAX_LAG });
    connect_with(RedisConfig { replica_reads, ..RedisConfig::new(url) }).await
}

/// Sessions that a server was asked for. What a primary sends to replicas is no read.
fn reads(server: &RedisServer) -> u64 {
    let stats = server.ask(&["INFO", "commandstats"]).unwrap();
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_hgetall:calls="));
    line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
}

async fn version(store: &Arc<dyn SessionStore>, key: SessionKey) -> u64 {
    match answered(|| store.load(key, None)).await.unwrap() {
        Some(Loaded::Found { record, .. }) => record.version,
        other => panic!("the session is there: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_answers_for_sessions_that_are_known() {
    let pair = Pair::start().await;
    let store = pair.gateway().await;
    let key = create(&store, Expiry::default()).await;
    version(&store, key).await;
    let (primary, replica) = (reads(&pair.primary), pair.reads());
    until("a hundred reads are answered by the replica alone", async || {
        version(&store, key).await;
        pair.reads() - replica >= 100
    })
    .await;
    // It has to be in step now and then, and some reads meet the moment in which it is not.
    let (primary, replica) = (reads(&pair.primary) - primary, pair.reads() - replica);
    println!("replica reads: {replica} by the replica, {primary} by the primary");
    assert!(primary < replica, "{primary} reads went to the primary");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_sees_its_own_writes_however_far_a_replica_is_behind() {
    let pair = Pair::start().await;
    let (store, other) = (pair.gateway().await, pair.gateway().await);
    let key = create(&store, Expiry::default()).await;
    let ended = create(&store, Expiry::default()).await;
    let moved = create(&store, Expiry::default()).await;
    until("the other gateway reads it from the replica", async || {
        let before = pair.reads();
        version(&other, key).await;
        pair.reads() > before
    })
    .await;
    version(&other, ended).await;
    pair.between.set(Way::Blocked);
    // As long as the replica counts as fresh, and after it.
    let blocked = std::time::Instant::now();
    let mut written = 1;
    while blocked.elapsed() < MAX_LAG * 2 {
        written = answered(|| store.commit(key, commit(written))).await.unwrap();
        assert_eq!(version(&store, key).await, written, "after {:?}", blocked.elapsed());
    }
    answered(|| store.revoke(ended, Reason::Operator)).await.unwrap();
    let refused = answered(|| store.load(ended, None)).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Revoked);
    let rotation = Rotation::new(Duration::from_secs(30));
    let next = answered(|| store.rotate(moved, rotation.clone())).await.unwrap().record.key;
    match answered(|| store.load(moved, None)).await.unwrap() {
        Some(Loaded::Found { record, .. }) => assert_eq!(record.key, next),
        other => panic!("the old id leads to the new one: {other:?}"),
    }
    // What comes with the old id is done to the session that has the new one.
    written = answered(|| store.commit(moved, commit(0))).await.unwrap();
    assert_eq!(version(&store, next).await, written);
    answered(|| store.revoke(moved, Reason::Operator)).await.unwrap();
    let refused = answered(|| store.load(next, None)).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Revoked);
    written = version(&store, key).await;
    // By now nobody believes that replica, so what others have done is seen, too.
    assert_eq!(version(&other, key).await, written);
    let refused = answered(|| other.load(ended, None)).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Revoked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_takes_over_reads_from_the_primary_first() {
    let pair = Pair::start().await;
    let (store, other) = (pair.gateway().await, pair.gateway().await);
    let key = create(&store, Expiry::default()).await;
    pair.between.set(Way::Blocked);
    let written = answered(|| store.commit(key, commit(1))).await.unwrap();
    assert_eq!(version(&other, key).await, written, "it has never met this session");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_hangs_or_goes_holds_nobody_up() {
    let pair = Pair::start().await;
    let store = pair.gateway().await;
    let key = create(&store, Expiry::default()).await;
    version(&store, key).await;
    pair.replica.pause();
    for n in 0..20 {
        let written = answered(|| store.commit(key, commit(n))).await.unwrap();
        assert_eq!(version(&store, key).await, written);
    }
    pair.replica.resume();
    let before = pair.reads();
    until("the replica answers again", async || {
        version(&store, key).await;
        pair.reads() > before
    })
    .await;
    // One that was promoted on its own follows nobody: it keeps what it had, and is not believed.
    let replica = pair.replica.clone();
    beside(move || replica.ask(&["REPLICAOF", "NO", "ONE"]).unwrap()).await;
    tokio::time::sleep(MAX_LAG).await;
    let before = pair.reads();
    for n in 0..20 {
        let written = answered(|| store.commit(key, commit(n))).await.unwrap();
        assert_eq!(version(&store, key).await, written);
    }
    assert_eq!(pair.reads(), before, "it is no replica any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_is_killed_while_replicas_are_read() {
    let mut redis = beside(|| RedisSentinel::start(2)).await;
    let store = gateway(redis.url()).await;
    let key = create(&store, Expiry::default()).await;
    until("a replica answers", async || {
        version(&store, key).await;
        redis.servers[1..].iter().any(|server| reads(server) > 0)
    })
    .await;
    let mut load = Load::start(store.clone()).await;
    load.breaks();
    redis.servers[0].kill();
    let redis = Arc::new(redis);
    let primary = another_primary(&redis, 0).await;
    load.recovers().await;
    let replica = &redis.servers[3 - primary];
    let before = reads(replica);
    until("the replica of the new primary answers", async || {
        version(&store, key).await;
        reads(replica) > before
    })
    .await;
    let ledger = load.balance("Sentinel: kill -9 of the primary, reads of replicas").await;
    assert_eq!(ledger.missing, 0, "sessions that were long replicated are there");
}
