use std::time::Duration;

use iap_core::ManualClock;
use proptest::prelude::*;

use super::*;
use crate::OpId;
use crate::record::Op;
use crate::testing::{Fixture, conformance};
use crate::write::{Expiry, LoginPolicy, WhenFull};

fn store(max_sessions: usize, max_bytes: usize) -> (MemoryStore, ManualClock) {
    let clock = ManualClock::at(1_700_000_000_000);
    let config =
        MemoryConfig { max_sessions, max_bytes, clock: Arc::new(clock.clone()), ..Default::default() };
    (MemoryStore::with_config(SessionIds::ephemeral(), config), clock)
}

#[tokio::test(flavor = "multi_thread")]
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

/// One step of a random life.
#[derive(Debug, Clone)]
enum Step {
    Create(Option<u8>),
    Set(u8, u8),
    Login(u8, u8),
    Logout(u8),
    Revoke(u8),
    Wait(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        prop::option::of(0..3_u8).prop_map(Step::Create),
        (any::<u8>(), any::<u8>()).prop_map(|(at, size)| Step::Set(at, size)),
        (any::<u8>(), 0..3_u8).prop_map(|(at, user)| Step::Login(at, user)),
        any::<u8>().prop_map(Step::Logout),
        any::<u8>().prop_map(Step::Revoke),
        (0..600_u16).prop_map(Step::Wait),
    ]
}

async fn take(store: &MemoryStore, clock: &ManualClock, keys: &mut Vec<SessionKey>, step: Step) {
    let login = |user: u8| Login {
        user: format!("user{user}").into(),
        policy: LoginPolicy { max: 2, when_full: WhenFull::EvictOldest },
    };
    let at = |keys: &[SessionKey], index: u8| keys.get(usize::from(index) % keys.len().max(1)).copied();
    let commit = |ops, logout| Commit { op: OpId::random(), ops, expected: None, logout };
    // Which of them succeed depends on the steps before; here only what holds afterwards counts.
    match step {
        Step::Create(user) => {
            let new = NewSession { login: user.map(login), ..NewSession::new(Expiry::default()) };
            keys.push(store.create(new).await.unwrap().record.key);
        }
        Step::Set(index, size) => {
            if let Some(key) = at(keys, index) {
                let value = "x".repeat(usize::from(size) * 10).into();
                let _ = store.commit(key, commit(vec![Op::Set("a".into(), value)], false)).await;
            }
        }
        Step::Login(index, user) => {
            if let Some(key) = at(keys, index) {
                let grace = Duration::from_secs(60);
                let rotation = Rotation { login: Some(login(user)), ..Rotation::new(grace) };
                keys.extend(store.rotate(key, rotation).await.ok().map(|created| created.record.key));
            }
        }
        Step::Logout(index) => {
            if let Some(key) = at(keys, index) {
                let _ = store.commit(key, commit(vec![], true)).await;
            }
        }
        Step::Revoke(index) => {
            if let Some(key) = at(keys, index) {
                store.revoke(key, Reason::Operator).await.unwrap();
            }
        }
        Step::Wait(seconds) => clock.advance(Duration::from_secs(seconds.into())),
    }
}

proptest! {
    #[test]
    fn the_books_always_balance(steps in prop::collection::vec(step(), 0..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (store, clock) = store(8, 20_000);
            let mut keys = Vec::new();
            for step in steps {
                take(&store, &clock, &mut keys, step).await;
                store.shards.iter().for_each(|shard| shard.lock().check());
                let page = store.scan(ScanQuery { limit: 100, ..Default::default() }).await.unwrap();
                assert_eq!(page.sessions.len() as u64, store.stats().await.unwrap().live);
                for user in ["user0", "user1", "user2"] {
                    assert!(store.scan(ScanQuery::of_user(user)).await.unwrap().sessions.len() <= 2);
                }
            }
            clock.advance(Expiry::default().absolute);
            for key in keys {
                assert!(store.load(key, None).await.unwrap().is_none());
            }
            let (_, unknown) = store.ids().generate();
            for _ in 0..100 {
                store.load(unknown, None).await.unwrap();
            }
            assert_eq!(store.stats().await.unwrap().bytes, Some(0));
            assert_eq!(store.users.count(), 0, "no place outlives its session");
        });
    }
}
