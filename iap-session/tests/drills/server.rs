//! One server that is full, restarted, emptied, demoted.

use std::sync::Arc;

use iap_session::testing::RedisServer;
use iap_session::{SessionStore, StoreErrorKind};

use crate::ledger::{Load, commit, create, until};
use crate::{all_keys_expire, beside, connect};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_refuses_writes_and_serves_reads() {
    let server = beside(RedisServer::start).await;
    let store = connect(server.url()).await;
    let dynamic: Arc<dyn SessionStore> = store.clone();
    let key = create(&dynamic, iap_session::Expiry::default()).await;
    let mut load = Load::start(store.clone()).await;
    load.breaks();
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    let error = store.commit(key, commit(1)).await.expect_err("no memory");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
    assert!(store.load(key, None).await.unwrap().is_some(), "reads go on");
    assert!(store.revoke(key, iap_session::Reason::Operator).await.unwrap(), "a session can be ended");
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    load.recovers().await;
    load.balance("OOM under noeviction").await.nothing_lost();
    all_keys_expire([&server]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_is_demoted_and_keeps_its_connections() {
    let server = beside(RedisServer::start).await;
    let other = beside(RedisServer::start).await;
    let store = connect(server.url()).await;
    let dynamic: Arc<dyn SessionStore> = store.clone();
    let mut load = Load::start(dynamic.clone()).await;
    let key = create(&dynamic, iap_session::Expiry::default()).await;
    // The other one has the data, so that nothing is lost by following it.
    other.ask(&["REPLICAOF", "127.0.0.1", &server.port().to_string()]).unwrap();
    in_step(&other).await;
    load.breaks();
    server.ask(&["CLIENT", "PAUSE", "5000", "WRITE"]).unwrap();
    server.ask(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
    server.ask(&["CLIENT", "UNPAUSE"]).unwrap();
    let mut kinds = Vec::new();
    until("the demotion is seen", async || {
        let result = store.commit(key, commit(1)).await;
        kinds.extend(result.err().map(|error| error.kind()));
        kinds.len() > 20
    })
    .await;
    assert!(
        kinds.iter().all(|kind| matches!(kind, StoreErrorKind::Unavailable | StoreErrorKind::Ambiguous)),
        "{kinds:?}"
    );
    server.ask(&["REPLICAOF", "NO", "ONE"]).unwrap();
    load.recovers().await;
    load.balance("Demotion without disconnect (READONLY)").await.nothing_lost();
    all_keys_expire([&server]);
}

async fn in_step(replica: &RedisServer) {
    until("the replica is in step", async || {
        replica.ask(&["INFO", "replication"]).is_ok_and(|info| info.contains("master_link_status:up"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forgotten_scripts_are_sent_again() {
    let server = beside(RedisServer::start).await;
    let mut load = Load::start(connect(server.url()).await).await;
    load.breaks();
    for _ in 0..20 {
        server.ask(&["SCRIPT", "FLUSH"]).unwrap();
        load.progresses(2).await;
    }
    load.recovers().await;
    let ledger = load.balance("SCRIPT FLUSH, 20 times").await;
    ledger.nothing_lost();
    assert_eq!((ledger.ambiguous, ledger.refused), (0, 0), "nobody notices");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_server_brings_nothing_back() {
    let server = beside(RedisServer::start).await;
    let store = connect(server.url()).await;
    let mut load = Load::start(store.clone()).await;
    load.breaks();
    server.ask(&["FLUSHALL"]).unwrap();
    load.gone().await;
    let ledger = load.balance("FLUSHALL").await;
    assert_eq!(ledger.missing, 8, "all sessions are gone, and none came back: {ledger:?}");
    assert_eq!(server.ask(&["DBSIZE"]).unwrap(), "0", "late writes create nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_empty_brings_nothing_back() {
    let mut server = beside(RedisServer::start).await;
    let store = connect(server.url()).await;
    let mut load = Load::start(store.clone()).await;
    load.breaks();
    let server = beside(move || {
        server.restart();
        server
    })
    .await;
    load.gone().await;
    let ledger = load.balance("Restart, empty").await;
    assert_eq!(ledger.missing, 8, "{ledger:?}");
    assert_eq!(server.ask(&["DBSIZE"]).unwrap(), "0", "late writes create nothing");
}

/// The server is back at once, but reads its file first. "Absent" may only be said after that.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_loading_is_not_empty() {
    let mut server = beside(|| RedisServer::start_with(&["--key-load-delay", "20000"])).await;
    let store = connect(server.url()).await;
    let dynamic: Arc<dyn SessionStore> = store.clone();
    for _ in 0..100 {
        create(&dynamic, iap_session::Expiry::default()).await;
    }
    let mut load = Load::start(dynamic).await;
    let server = {
        // What is saved is what was acknowledged: writers wait while it is written.
        server.ask(&["CLIENT", "PAUSE", "60000", "WRITE"]).unwrap();
        server.ask(&["SAVE"]).unwrap();
        load.breaks();
        beside(move || {
            server.restart();
            server
        })
        .await
    };
    load.recovers().await;
    load.balance("Restart from a file, with LOADING").await.nothing_lost();
    all_keys_expire([&server]);
}

/// All connections of many gateways break at once, again and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_reconnects_settles() {
    const GATEWAYS: usize = 40;
    let server = beside(RedisServer::start).await;
    let mut stores = Vec::new();
    for _ in 0..GATEWAYS {
        stores.push(connect(server.url()).await);
    }
    let mut load = Load::start(stores[0].clone()).await;
    load.breaks();
    for _ in 0..5 {
        server.ask(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
        load.progresses(1).await;
    }
    load.recovers().await;
    let dynamic: Arc<dyn SessionStore> = stores[0].clone();
    let key = create(&dynamic, iap_session::Expiry::default()).await;
    for store in &stores {
        until("every gateway is back", async || store.load(key, None).await.is_ok()).await;
    }
    let info = server.ask(&["INFO"]).unwrap();
    let number = |name: &str| -> usize {
        let line = info.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse().unwrap()
    };
    // Two connections each, and ours.
    assert!(number("connected_clients:") <= GATEWAYS * 2 + 1, "no connection is made twice");
    load.balance("Reconnect storm: 40 gateways, 5 times").await.nothing_lost();
}
