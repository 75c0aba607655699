use super::*;
use crate::testing::{Fixture, FlakyStore, conformance};
use crate::write::Expiry;
use crate::{MemoryStore, Op, OpId};

fn flaky() -> Arc<FlakyStore> {
    Arc::new(FlakyStore::new(Arc::new(MemoryStore::new(SessionIds::ephemeral()))))
}

/// Times of zero and of for ever: nothing here depends on how fast the machine is.
fn breaker(store: &Arc<FlakyStore>, after: Duration, pause: Duration) -> Breaker<Arc<FlakyStore>> {
    Breaker::new(store.clone(), BreakerConfig { failures: 3, after, pause })
}

const EVER: Duration = Duration::from_secs(3600);

fn set() -> Commit {
    Commit { op: OpId::random(), ops: vec![Op::Set("a".into(), 1.into())], expected: None, logout: false }
}

#[tokio::test]
async fn it_conforms() {
    conformance(|| async {
        let clock = iap_core::ManualClock::at(1_000_000);
        let memory = crate::MemoryConfig { clock: Arc::new(clock.clone()), ..Default::default() };
        let memory = MemoryStore::with_config(SessionIds::ephemeral(), memory);
        let store = Breaker::new(memory, BreakerConfig::default());
        Fixture { store: Arc::new(store), advance: Box::new(move |by| clock.advance(by)) }
    })
    .await;
}

#[tokio::test]
async fn an_open_circuit_asks_nobody_and_one_try_closes_it() {
    let store = flaky();
    let key = store.create(NewSession::new(Expiry::default())).await.unwrap().record.key;
    let breaker = breaker(&store, Duration::ZERO, EVER);
    store.fail_writes(true);
    let before = store.writes();
    for _ in 0..10 {
        let error = breaker.commit(key, set()).await.expect_err("the store is away");
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    }
    assert_eq!(store.writes() - before, 3, "after three it is not asked any more");
    assert!(breaker.load(key, None).await.unwrap().is_some(), "reads are judged apart");

    *breaker.writes.state.lock() = State::Open(Instant::now().checked_sub(EVER).unwrap());
    breaker.commit(key, set()).await.expect_err("the try fails");
    breaker.commit(key, set()).await.expect_err("the next one does not try");
    assert_eq!(store.writes() - before, 4);

    store.fail_writes(false);
    *breaker.writes.state.lock() = State::Open(Instant::now().checked_sub(EVER).unwrap());
    breaker.commit(key, set()).await.expect("the try succeeds");
    breaker.commit(key, set()).await.expect("the circuit is closed");
}

#[tokio::test]
async fn successes_between_failures_keep_it_closed() {
    let store = flaky();
    let key = store.create(NewSession::new(Expiry::default())).await.unwrap().record.key;
    let breaker = breaker(&store, Duration::ZERO, EVER);
    for _ in 0..10 {
        store.fail_reads(true);
        for _ in 0..2 {
            breaker.load(key, None).await.expect_err("it fails");
        }
        store.fail_reads(false);
        breaker.load(key, None).await.expect("it is asked");
    }
    let slow = super::tests::breaker(&store, EVER, EVER);
    store.fail_reads(true);
    let before = store.reads();
    for _ in 0..20 {
        slow.load(key, None).await.expect_err("it fails");
    }
    assert_eq!(store.reads() - before, 20, "a moment is no outage");
}

#[tokio::test]
async fn answers_that_are_no_outage_do_not_open_it() {
    let store = flaky();
    let breaker = breaker(&store, Duration::ZERO, EVER);
    let (_, unknown) = store.ids().generate();
    for _ in 0..10 {
        assert_eq!(breaker.commit(unknown, set()).await.expect_err("none").kind(), StoreErrorKind::Gone);
    }
    assert_eq!(*breaker.writes.state.lock(), State::Closed);
}

#[tokio::test]
async fn a_try_that_is_given_up_leaves_the_next_one() {
    let store = flaky();
    let key = store.create(NewSession::new(Expiry::default())).await.unwrap().record.key;
    let breaker = breaker(&store, Duration::ZERO, Duration::ZERO);
    *breaker.reads.state.lock() = State::Open(Instant::now());
    drop(breaker.load(key, None));
    breaker.load(key, None).await.expect("another may try");
    assert_eq!(*breaker.reads.state.lock(), State::Closed);
}
