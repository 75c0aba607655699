use iap_core::ManualClock;

use super::*;
use crate::testing::{Fixture, FlakyStore, conformance};
use crate::write::{Expiry, Login, LoginPolicy};
use crate::{MemoryConfig, MemoryStore, Op, OpId};

struct Bench {
    clock: ManualClock,
    /// What is behind the cache; others write to it directly.
    far: Arc<FlakyStore>,
    near: NearCache<Arc<FlakyStore>>,
}

fn bench_with(config: NearCacheConfig) -> Bench {
    let clock = ManualClock::at(1_000_000);
    let memory = MemoryConfig { clock: Arc::new(clock.clone()), ..MemoryConfig::default() };
    let memory = MemoryStore::with_config(SessionIds::ephemeral(), memory);
    let far = Arc::new(FlakyStore::new(Arc::new(memory)));
    let config = NearCacheConfig { clock: Arc::new(clock.clone()), ..config };
    Bench { clock, far: far.clone(), near: NearCache::new(far, config) }
}

/// Only the clock that a test moves makes entries old.
fn bench() -> Bench {
    bench_with(NearCacheConfig { max_staleness: Duration::from_secs(60), ..NearCacheConfig::default() })
}

impl Bench {
    async fn create(&self) -> SessionKey {
        self.near.create(NewSession::new(Expiry::default())).await.unwrap().record.key
    }

    async fn version(&self, key: SessionKey) -> Option<u64> {
        match self.near.load(key, None).await.unwrap() {
            Some(Loaded::Found { record, .. }) => Some(record.version),
            _ => None,
        }
    }

    /// How often the store was asked for that.
    async fn asked(&self, key: SessionKey) -> u64 {
        let before = self.far.reads();
        self.version(key).await;
        self.far.reads() - before
    }
}

fn set(value: i32) -> Commit {
    Commit { op: OpId::random(), ops: vec![Op::Set("a".into(), value.into())], expected: None, logout: false }
}

#[tokio::test]
async fn it_conforms() {
    conformance(|| async {
        let bench = bench();
        Fixture { store: Arc::new(bench.near), advance: Box::new(move |by| bench.clock.advance(by)) }
    })
    .await;
}

#[tokio::test]
async fn a_warm_read_asks_nobody_and_a_write_is_seen_at_once() {
    let bench = bench();
    let key = bench.create().await;
    assert_eq!((bench.asked(key).await, bench.asked(key).await), (1, 0));
    assert!(matches!(bench.near.load(key, Some(1)).await.unwrap(), Some(Loaded::Unchanged { .. })));
    bench.near.commit(key, set(1)).await.unwrap();
    assert_eq!((bench.version(key).await, bench.asked(key).await), (Some(2), 0));
    bench.near.touch(key).await.unwrap();
    assert_eq!(bench.asked(key).await, 1);
    bench.near.revoke(key, Reason::Operator).await.unwrap();
    assert_eq!(bench.near.load(key, None).await.expect_err("revoked").kind(), crate::StoreErrorKind::Revoked);
}

#[tokio::test]
async fn a_failed_write_counts_as_one_that_may_have_happened() {
    let bench = bench();
    let key = bench.create().await;
    bench.version(key).await;
    bench.far.fail_writes(true);
    bench.near.commit(key, set(1)).await.expect_err("the store fails");
    assert_eq!(bench.asked(key).await, 1);
}

#[tokio::test]
async fn what_nobody_tells_ends_with_the_deadline() {
    let bench = bench();
    let key = bench.create().await;
    bench.version(key).await;
    bench.far.commit(key, set(1)).await.unwrap();
    assert_eq!(bench.version(key).await, Some(1), "nobody has told yet");
    bench.clock.advance(Duration::from_secs(60));
    assert_eq!(bench.version(key).await, Some(2));
    bench.clock.advance(Duration::from_secs(60));
    assert_eq!((bench.asked(key).await, bench.asked(key).await), (1, 0), "the same version is young again");
    bench.far.revoke(key, Reason::Operator).await.unwrap();
    bench.clock.advance(Duration::from_secs(60));
    assert!(bench.near.load(key, None).await.is_err());
}

#[tokio::test]
async fn the_deadline_holds_whatever_the_clock_says() {
    let bench = bench_with(NearCacheConfig { max_staleness: Duration::ZERO, ..NearCacheConfig::default() });
    let key = bench.create().await;
    assert_eq!((bench.asked(key).await, bench.asked(key).await), (1, 1), "nothing is as young as that");
}

#[tokio::test]
async fn changes_are_heard() {
    let bench = bench();
    let login = Login { user: "alice".into(), policy: LoginPolicy::default() };
    let new = NewSession { login: Some(login), ..NewSession::new(Expiry::default()) };
    let alice = bench.near.create(new).await.unwrap().record.key;
    let other = bench.create().await;
    let user = bench.near.ids().user_key("alice");
    for (change, heard) in [
        (Change::Session(alice), [1, 0]),
        (Change::User(&user), [1, 0]),
        (Change::User("another"), [0, 0]),
        (Change::All, [1, 1]),
    ] {
        bench.version(alice).await;
        bench.version(other).await;
        bench.near.cache.changed(change);
        assert_eq!([bench.asked(alice).await, bench.asked(other).await], heard, "{change:?}");
    }
}

#[tokio::test]
async fn a_read_that_was_overtaken_by_a_change_is_not_kept() {
    let bench = bench();
    let key = bench.create().await;
    let record = bench.far.load(key, None).await.unwrap();
    let Some(Loaded::Found { record, now_ms }) = record else { panic!("not found") };
    let generation = bench.near.cache.shard(&key).lock().generation();
    bench.near.cache.changed(Change::Session(key));
    bench.near.keep(&record, now_ms, generation);
    assert_eq!(bench.asked(key).await, 1);
}

#[tokio::test]
async fn it_is_bounded_and_what_is_used_stays() {
    let bench = bench_with(NearCacheConfig { max_entries: 10, ..NearCacheConfig::default() });
    let used = bench.create().await;
    bench.version(used).await;
    for _ in 0..100 {
        let key = bench.create().await;
        bench.version(key).await;
        assert_eq!(bench.asked(used).await, 0, "it is used all the time");
        let (entries, _) = bench.near.cache.shards[0].lock().size();
        assert!(entries <= 10);
    }
    let bench =
        bench_with(NearCacheConfig { max_entries: 100, max_bytes: 10_000, ..NearCacheConfig::default() });
    for size in [100, 3000, 20_000] {
        for _ in 0..20 {
            let mut new = NewSession::new(Expiry::default());
            new.attributes.insert("text".into(), "x".repeat(size).into());
            let key = bench.near.create(new).await.unwrap().record.key;
            bench.version(key).await;
            let (_, bytes) = bench.near.cache.shards[0].lock().size();
            assert!(bytes <= 10_000, "{bytes}");
        }
    }
}
