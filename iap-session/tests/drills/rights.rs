//! A server that no longer lets us in, or lets us do less.

use std::sync::Arc;

use iap_session::testing::RedisServer;
use iap_session::{Expiry, RedisConfig, SessionStore, StoreErrorKind};

use crate::ledger::{Load, commit, create, until};
use crate::{beside, connect, connect_with};

/// Breaks the connections, so that new ones are made, and waits until the store says what it should.
async fn locked_out(server: &RedisServer, store: &Arc<dyn SessionStore>, key: iap_session::SessionKey) {
    until("the store is locked out", async || {
        let _ = server.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
        let error = store.load(key, None).await.err();
        error.is_some_and(|error| error.kind() == StoreErrorKind::Unavailable)
    })
    .await;
    let error = store.commit(key, commit(1)).await.expect_err("locked out");
    assert!(matches!(error.kind(), StoreErrorKind::Unavailable | StoreErrorKind::Ambiguous), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_comes_up_that_we_do_not_have() {
    let server = beside(RedisServer::start).await;
    let store: Arc<dyn SessionStore> = connect(server.url()).await;
    let mut load = Load::start(store.clone()).await;
    let key = create(&store, Expiry::default()).await;
    load.breaks();
    server.ask(&["ACL", "SETUSER", "root", "on", "nopass", "~*", "+@all"]).unwrap();
    server.ask(&["CONFIG", "SET", "requirepass", "new"]).unwrap();
    let as_root = |words: &[&str]| server.ask_as("root", "any", words);
    until("the store is locked out", async || {
        as_root(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).unwrap();
        store.load(key, None).await.is_err_and(|error| error.kind() == StoreErrorKind::Unavailable)
    })
    .await;
    as_root(&["CONFIG", "SET", "requirepass", ""]).unwrap();
    load.recovers().await;
    load.balance("NOAUTH: a password comes up").await.nothing_lost();
}

#[tokio::test(flavor = "multi_thread")]
async fn our_password_is_changed() {
    let server = beside(RedisServer::start).await;
    let rules = |password: &str| {
        let password = format!(">{password}");
        server.ask(&["ACL", "SETUSER", "iap", "on", "resetpass", &password, "~*", "+@all"]).unwrap();
    };
    rules("old");
    let config = RedisConfig {
        username: Some("iap".into()),
        password: Some("old".into()),
        ..RedisConfig::new(server.url())
    };
    let store: Arc<dyn SessionStore> = connect_with(config).await;
    let mut load = Load::start(store.clone()).await;
    let key = create(&store, Expiry::default()).await;
    load.breaks();
    rules("new");
    locked_out(&server, &store, key).await;
    rules("old");
    load.recovers().await;
    load.balance("WRONGPASS: our password is changed").await.nothing_lost();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_is_taken_away() {
    let server = beside(RedisServer::start).await;
    let store: Arc<dyn SessionStore> = connect(server.url()).await;
    let mut load = Load::start(store.clone()).await;
    let key = create(&store, Expiry::default()).await;
    load.breaks();
    for right in ["hset", "evalsha", "hgetall"] {
        server.ask(&["ACL", "SETUSER", "default", &format!("-{right}")]).unwrap();
        let read = store.load(key, None).await;
        let write = store.commit(key, commit(1)).await;
        let error = if right == "hgetall" { read.expect_err(right) } else { write.expect_err(right) };
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
        server.ask(&["ACL", "SETUSER", "default", &format!("+{right}")]).unwrap();
    }
    load.recovers().await;
    load.balance("NOPERM: a right is missing").await.nothing_lost();
}
