use std::time::Duration;

use iap_core::ManualClock;

use super::*;
use crate::OpId;
use crate::record::Op;
use crate::testing::{Fixture, conformance};
use crate::write::{Expiry, LoginPolicy};

fn store(max_sessions: usize, max_bytes: usize) -> (MemoryStore, ManualClock) {
    let clock = ManualClock::at(1_700_000_000_000);
    let config =
        MemoryConfig { max_sessions, max_bytes, clock: Arc::new(clock.clone()), ..Default::default() };
    (MemoryStore::with_config(SessionIds::ephemeral(), config), clock)
}

#[tokio::test]
async fn it_conforms() {
    conformance(|| async {
        let (store, clock) = store(100_000, 64 << 20);
        Fixture { store: Arc::new(store), advance: Box::new(move |by| clock.advance(by)) }
    })
    .await;
}

#[tokio::test]
async fn a_full_store_drops_the_longest_idle_and_anonymous_first() {
    let (store, clock) = store(3, 64 << 20);
    let login = Login { user: "alice".into(), policy: LoginPolicy::default() };
    let user = store.create(NewSession { login: Some(login), ..NewSession::new(Expiry::default()) });
    let user = user.await.unwrap().record.key;
    let mut visitors = Vec::new();
    for _ in 0..3 {
        clock.advance(Duration::from_secs(1));
        visitors.push(store.create(NewSession::new(Expiry::default())).await.unwrap().record.key);
    }
    assert!(store.load(user, None).await.unwrap().is_some());
    assert!(store.load(visitors[0], None).await.unwrap().is_none());
    assert!(store.load(visitors[2], None).await.unwrap().is_some());
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.live, stats.evicted, stats.expired), (3, 1, 0));
}

#[tokio::test]
async fn bytes_are_bounded() {
    let (store, _clock) = store(100, 40_000);
    for _ in 0..10 {
        let mut new = NewSession::new(Expiry::default());
        new.attributes.insert("data".into(), "x".repeat(10_000).into());
        store.create(new).await.unwrap();
    }
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.live, stats.evicted), (3, 7));
    assert!(stats.bytes.unwrap() <= 40_000);
}

#[tokio::test]
async fn expired_sessions_go_little_by_little() {
    let (store, clock) = store(1000, 64 << 20);
    for _ in 0..20 {
        store.create(NewSession::new(Expiry::default())).await.unwrap();
    }
    clock.advance(Expiry::default().idle);
    let (_, unknown) = store.ids().generate();
    for _ in 0..5 {
        store.load(unknown, None).await.unwrap();
    }
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.live, stats.expired, stats.bytes), (0, 20, Some(0)));
}

#[tokio::test]
async fn an_eviction_for_room_frees_the_users_place() {
    let (store, _clock) = store(1, 64 << 20);
    let login = Login { user: "alice".into(), policy: LoginPolicy::default() };
    let new = NewSession { login: Some(login), ..NewSession::new(Expiry::default()) };
    store.create(new).await.unwrap();
    store.create(NewSession::new(Expiry::default())).await.unwrap();
    assert!(store.users.keys(store.ids(), "alice").is_empty());
}

#[tokio::test]
async fn readers_keep_what_they_have_read() {
    let (store, _clock) = store(10, 64 << 20);
    let created = store.create(NewSession::new(Expiry::default())).await.unwrap();
    let ops = vec![Op::Set("a".into(), 1.into())];
    let commit = Commit { op: OpId::random(), ops, expected: None, logout: false };
    store.commit(created.record.key, commit).await.unwrap();
    assert!(created.record.attributes.is_empty());
}
