//! Writes that replicas confirm.

use std::sync::Arc;

use iap_session::testing::{Proxy, RedisSentinel, RedisServer, Way};
use iap_session::{Consistency, Expiry, Loaded, RedisConfig, SessionStore, StoreErrorKind};

use crate::ledger::{Load, commit, create, until};
use crate::sentinel::another_primary;
use crate::{all_keys_expire, beside, connect_strong, connect_with};

#[tokio::test(flavor = "multi_thread")]
async fn the_primary_is_killed_and_nothing_is_lost() {
    let mut redis = beside(|| RedisSentinel::start(2)).await;
    let mut load = Load::start(connect_strong(redis.url()).await).await;
    load.breaks();
    redis.servers[0].kill();
    let redis = Arc::new(redis);
    let primary = another_primary(&redis, 0).await;
    load.recovers().await;
    load.balance("Sentinel: kill -9 of the primary, strong").await.nothing_lost();
    all_keys_expire([&redis.servers[primary]]);
}

/// The replica lags when it happens: what eventual consistency loses was refused here.
#[tokio::test(flavor = "multi_thread")]
async fn the_primary_is_killed_while_the_replica_lags() {
    for consistency in [Consistency::Eventual, Consistency::STRONG] {
        let mut server = beside(RedisServer::start).await;
        let replica = beside(RedisServer::start).await;
        let (way, link) = (Proxy::start(&server).await, Proxy::start(&server).await);
        replica.ask(&["REPLICAOF", "127.0.0.1", &link.port.to_string()]).unwrap();
        in_step(&server).await;
        let config = RedisConfig { consistency, ..RedisConfig::new(way.url()) };
        let mut load = Load::start(connect_with(config).await).await;
        // What was not replicated would be gone: the sessions themselves are not to be among it.
        catches_up(&replica, &server).await;
        link.set(Way::Blocked);
        let strong = consistency != Consistency::Eventual;
        if strong {
            load.is_not_durable().await
        } else {
            load.progresses(30).await
        }
        load.breaks();
        server.kill();
        replica.ask(&["REPLICAOF", "NO", "ONE"]).unwrap();
        way.lead_to(&replica);
        if strong {
            // There is no replica any more: nothing is confirmed, and nothing that was is lost.
            load.is_not_durable().await;
            load.balance("kill -9 while the replica lags, strong").await.nothing_lost();
        } else {
            load.recovers().await;
            let ledger = load.balance("kill -9 while the replica lags, eventual").await;
            assert!(ledger.lost > 0, "what was not replicated is lost: {ledger:?}");
            assert_eq!(ledger.missing, 0);
        }
        all_keys_expire([&replica]);
    }
}

async fn in_step(server: &RedisServer) {
    until("the replica is in step", async || {
        server.ask(&["INFO", "replication"]).is_ok_and(|info| info.contains("state=online"))
    })
    .await;
}

/// Waits until the replica has all that the primary has now.
async fn catches_up(replica: &RedisServer, primary: &RedisServer) {
    let offset = |server: &RedisServer, name: &str| {
        let info = server.ask(&["INFO", "replication"]).ok()?;
        info.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok())
    };
    let goal = offset(primary, "master_repl_offset:").expect("a primary tells");
    until("the replica catches up", async || {
        offset(replica, "slave_repl_offset:").is_some_and(|now| now >= goal)
    })
    .await;
}

/// "Not durable" is told of a repetition as well, until a replica has the write.
#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_is_not_durable_before_the_write_is() {
    let server = beside(RedisServer::start).await;
    let replica = beside(RedisServer::start).await;
    replica.ask(&["REPLICAOF", "127.0.0.1", &server.port().to_string()]).unwrap();
    in_step(&server).await;
    let store: Arc<dyn SessionStore> = connect_strong(server.url()).await;
    let key = create(&store, Expiry::default()).await;
    store.touch(key).await.unwrap();
    replica.pause();
    let write = commit(7);
    for _ in 0..3 {
        let error = store.commit(key, write.clone()).await.expect_err("the replica hangs");
        assert_eq!(error.kind(), StoreErrorKind::NotDurable, "{error:?}");
    }
    let Some(Loaded::Found { record, .. }) = store.load(key, None).await.unwrap() else {
        panic!("not found")
    };
    assert_eq!((record.version, &record.attributes["count"]), (2, &7.into()), "it took effect, once");
    store.touch(key).await.expect("touches are not waited for");
    let error = store.create(iap_session::NewSession::new(Expiry::default())).await.expect_err("not durable");
    assert_eq!(error.kind(), StoreErrorKind::NotDurable);
    assert_eq!(server.ask(&["DBSIZE"]).unwrap(), "1", "a session whose id nobody got is taken back");
    replica.resume();
    in_step(&server).await;
    until("the repetition is confirmed", async || store.commit(key, write.clone()).await.is_ok()).await;
    assert_eq!(store.commit(key, write).await.unwrap(), 2, "with its first result");
}
