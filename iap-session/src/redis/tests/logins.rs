//! A login of somebody who has as many sessions as allowed.

use super::*;
use crate::metrics::tests::Values;
use crate::testing::{Proxy, Way};

const MANY: u32 = 100;

fn login(max: u32) -> NewSession {
    let policy = LoginPolicy { max, when_full: WhenFull::EvictOldest };
    NewSession { login: Some(Login { user: "alice".into(), policy }), ..NewSession::new(Expiry::default()) }
}

#[tokio::test]
async fn what_is_in_the_other_sessions_is_not_read_for_it() {
    let server = RedisServer::start();
    let values: &'static Values = Box::leak(Box::default());
    let _recorder = metrics::set_default_local_recorder(values);
    let store = connect(&server).await;
    let text = "x".repeat(10_000);
    for _ in 0..MANY {
        let key = store.create(login(MANY)).await.unwrap().record.key;
        let ops = vec![Op::Set("text".into(), text.as_str().into())];
        store.commit(key, Commit { op: OpId::random(), ops, expected: None, logout: false }).await.unwrap();
    }
    let read = || values.counter("iap_session_store_bytes_total read");
    let before = read();
    store.create(login(MANY)).await.unwrap();
    assert!(read() - before < 50_000, "{} bytes for {MANY} sessions", read() - before);
    assert_eq!(values.counter("iap_session_displaced_total "), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_sessions_are_not_asked_for_one_after_the_other() {
    let server = RedisServer::start();
    let network = Proxy::start(&server).await;
    let ids = SessionIds::new(SECRET).unwrap();
    let store = RedisStore::connect(ids, patient(network.url())).await.unwrap();
    let first = store.create(login(MANY)).await.unwrap().record.key;
    for _ in 1..MANY {
        store.create(login(MANY)).await.unwrap();
    }
    network.set(Way::Slow(Duration::from_millis(25)));
    // One way there and back, over the same network: what everything else is counted in.
    let begun = Instant::now();
    store.load(first, None).await.unwrap();
    let one = begun.elapsed();
    let begun = Instant::now();
    store.create(login(MANY)).await.unwrap();
    let login = begun.elapsed();
    assert!(login < one * (MANY / 3), "{login:?}, and {one:?} for one of them");
    let begun = Instant::now();
    let page = store.scan(ScanQuery { user: Some("alice".into()), ..ScanQuery::default() }).await.unwrap();
    let (listed, rounds) = (page.sessions.len(), begun.elapsed());
    assert!(listed == MANY as usize && rounds < one * (MANY / 3), "{listed} in {rounds:?}");
    let begun = Instant::now();
    store.stats().await.unwrap();
    assert!(begun.elapsed() < one * (MANY / 3), "{:?}", begun.elapsed());
}
