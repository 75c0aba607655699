//! A network that is slow, stops, or loses replies.

use std::sync::Arc;
use std::time::Duration;

use iap_session::testing::{Proxy, RedisServer, Way};
use iap_session::{Expiry, SessionStore, StoreErrorKind};

use crate::ledger::{Load, commit, create, until};
use crate::{all_keys_expire, beside, connect};

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_network_loses_nothing() {
    let server = beside(RedisServer::start).await;
    let proxy = Proxy::start(&server).await;
    for (millis, name) in [(50, "Network: 50 ms each way"), (300, "Network: 300 ms each way")] {
        let mut load = Load::start(connect(proxy.url()).await).await;
        load.breaks();
        proxy.set(Way::Slow(Duration::from_millis(millis)));
        load.progresses(3).await;
        proxy.set(Way::Open);
        load.recovers().await;
        load.balance(name).await.nothing_lost();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_stops_is_an_outage_and_no_endless_wait() {
    let server = beside(RedisServer::start).await;
    let proxy = Proxy::start(&server).await;
    let store: Arc<dyn SessionStore> = connect(proxy.url()).await;
    let mut load = Load::start(store.clone()).await;
    let key = create(&store, Expiry::default()).await;
    load.breaks();
    proxy.set(Way::Blocked);
    let error = store.load(key, None).await.expect_err("nothing comes through");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    until("requests fail at once", async || {
        let error = store.commit(key, commit(1)).await.expect_err("nothing comes through");
        assert!(matches!(error.kind(), StoreErrorKind::Unavailable | StoreErrorKind::Ambiguous));
        error.kind() == StoreErrorKind::Unavailable
    })
    .await;
    proxy.set(Way::Open);
    load.recovers().await;
    load.balance("Network: stops, connections stand").await.nothing_lost();
    all_keys_expire([&server]);
}

/// What was done and not told is repeated under its name, and has one effect.
#[tokio::test(flavor = "multi_thread")]
async fn lost_replies_repeat_nothing() {
    let server = beside(RedisServer::start).await;
    let proxy = Proxy::start(&server).await;
    let mut load = Load::start(connect(proxy.url()).await).await;
    load.breaks();
    proxy.set(Way::Lossy(40));
    load.progresses(40).await;
    proxy.set(Way::Open);
    load.recovers().await;
    load.balance("Network: every 40th reply is lost after the write").await.nothing_lost();
    all_keys_expire([&server]);
}
