use std::collections::HashMap;

use super::*;
use crate::record::Loaded;
use crate::write::Imported;
use bytes::Bytes;

fn imported(absolute: Duration) -> Imported {
    let now_ms = iap_core::Clock::now_ms(&iap_core::SystemClock);
    Imported {
        op: OpId::random(),
        created_ms: now_ms,
        accessed_ms: now_ms,
        expiry: Expiry { absolute, ..Expiry::default() },
        attributes: [("secret".to_owned(), json!("x".repeat(1000)))].into(),
        login: None,
        remember: Duration::from_secs(3600),
    }
}

async fn fields(store: &RedisStore, key: SessionKey) -> HashMap<String, Bytes> {
    let args = vec![store.session_key(&key).into()];
    store.connection.command("HGETALL", ClusterHash::FirstKey, args, Effect::Read).await.unwrap()
}

async fn ttl(store: &RedisStore, key: SessionKey) -> i64 {
    let args = vec![store.session_key(&key).into()];
    store.connection.command("PTTL", ClusterHash::FirstKey, args, Effect::Read).await.unwrap()
}

/// What a session leaves behind is that it was taken, and nothing of what it held.
#[tokio::test]
async fn the_mark_of_a_takeover_outlives_the_session_and_holds_nothing_of_it() {
    let server = RedisServer::start();
    let store = connect(&server).await;
    let key = |id: &str| store.ids.foreign("test", id).key();
    let (ended, rotated, expired) = (key("ended"), key("rotated"), key("expired"));
    for key in [ended, rotated] {
        assert!(store.import(key, imported(Duration::from_secs(60))).await.unwrap());
    }
    assert!(store.import(expired, imported(Duration::from_millis(50))).await.unwrap());
    for key in [ended, rotated, expired] {
        assert!(ttl(&store, key).await > 3_600_000, "it is remembered for longer than it can live");
    }
    store.touch(ended).await.unwrap();
    store.commit(ended, set("a", 1)).await.unwrap();
    assert!(ttl(&store, ended).await > 3_600_000, "a write does not shorten that");
    store.revoke(ended, Reason::Destroyed).await.unwrap();
    let rotation = Rotation::new(Duration::from_secs(5));
    let next = store.rotate(rotated, rotation).await.unwrap().record.key;
    assert!(ttl(&store, next).await <= 60_000, "the new id lives as long as the session");
    eventually("it expires", async || store.load(expired, None).await.unwrap().is_none().then_some(())).await;
    for key in [ended, rotated, expired] {
        let left = fields(&store, key).await;
        assert!(!left.keys().any(|name| name.starts_with("a:") || name == "_u"), "{:?}", left.keys());
        assert!(ttl(&store, key).await > 3_500_000);
        assert!(!store.import(key, imported(Duration::from_secs(60))).await.unwrap());
    }
    assert_eq!(store.stats().await.unwrap().live, 1, "marks are no sessions");
}

/// Whoever tries again prolongs the memory, so that it does not run out while the other system still has the session.
#[tokio::test]
async fn each_attempt_prolongs_the_memory() {
    let server = RedisServer::start();
    let store = connect(&server).await;
    let key = store.ids.foreign("test", "a").key();
    assert!(store.import(key, imported(Duration::from_secs(60))).await.unwrap());
    store.revoke(key, Reason::Destroyed).await.unwrap();
    let longer = Imported { remember: Duration::from_secs(7200), ..imported(Duration::from_secs(60)) };
    assert!(!store.import(key, longer).await.unwrap());
    let ms = ttl(&store, key).await;
    assert!((7_100_000..=7_200_000).contains(&ms), "{ms}");
    assert!(!store.import(key, imported(Duration::from_secs(60))).await.unwrap());
    assert!(ttl(&store, key).await > 7_100_000, "and never shortens it");
}

/// A gateway whose clock is wrong takes sessions over as the server's clock says.
#[tokio::test]
async fn what_is_over_by_the_servers_clock_is_not_taken() {
    let server = RedisServer::start();
    let store = connect(&server).await;
    let key = store.ids.foreign("test", "a").key();
    store.connection.observe(iap_core::Clock::now_ms(&iap_core::SystemClock) - 3_600_000);
    let mut old = imported(Duration::from_secs(60));
    old.accessed_ms -= 3_000_000;
    let error = store.import(key, old).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Gone);
    assert!(store.import(key, imported(Duration::from_secs(60))).await.unwrap());
    assert!(matches!(store.load(key, None).await.unwrap(), Some(Loaded::Found { .. })));
}
