//! What is counted of a real server.

use super::*;
use crate::metrics::tests::Values;

#[tokio::test]
async fn operations_and_bytes_are_counted() {
    let server = RedisServer::start();
    let values: &'static Values = Box::leak(Box::default());
    // Handles are made while the store connects, on this thread: the runtime has no other.
    let _recorder = metrics::set_default_local_recorder(values);
    let store = connect(&server).await;
    let bytes = |direction| values.counter(&format!("iap_session_store_bytes_total {direction}"));
    let policy = LoginPolicy { max: 1, when_full: WhenFull::EvictOldest };
    let login = || Some(Login { user: "alice".into(), policy });
    let first =
        store.create(NewSession { login: login(), ..NewSession::new(Expiry::default()) }).await.unwrap();
    store.create(NewSession { login: login(), ..NewSession::new(Expiry::default()) }).await.unwrap();
    store.load(first.record.key, None).await.expect_err("it has given way");
    let key = store.create(NewSession::new(Expiry::default())).await.unwrap().record.key;
    // A script is sent again in full where the server does not know it yet.
    store.commit(key, set("a", 1)).await.unwrap();
    let (written, read) = (bytes("written"), bytes("read"));
    let text = "x".repeat(10_000);
    let ops = vec![Op::Set("text".into(), text.into())];
    store.commit(key, Commit { op: OpId::random(), ops, expected: None, logout: false }).await.unwrap();
    assert!((10_000..15_000).contains(&(bytes("written") - written)), "{}", bytes("written") - written);
    store.load(key, None).await.unwrap();
    assert!((10_000..15_000).contains(&(bytes("read") - read)), "{}", bytes("read") - read);
    store.touch(key).await.unwrap();
    let key = store.rotate(key, Rotation::new(Duration::ZERO)).await.unwrap().record.key;
    store.scan(ScanQuery::default()).await.unwrap();
    store.revoke(key, Reason::Operator).await.unwrap();
    for (op, wanted) in
        [("create", 3), ("load", 2), ("commit", 2), ("touch", 1), ("rotate", 1), ("scan", 1), ("revoke", 1)]
    {
        let name = format!("iap_session_store_duration_seconds {op}");
        assert_eq!(values.counter(&name), wanted, "{op}");
    }
    assert_eq!(values.counter("iap_session_displaced_total "), 1);
    let described = values.described.lock();
    for name in values.values.lock().keys() {
        let name = name.split(' ').next().unwrap();
        assert!(described.iter().any(|described| described == name), "{name} has no description");
    }
}

#[tokio::test]
async fn what_the_server_drops_and_what_waits_for_it_is_told() {
    let server = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let store = connect(&server).await;
    assert_eq!(store.pressure().await.unwrap().dropped, 0);
    let create = |_| store.create(NewSession::new(Expiry::default()));
    futures_util::future::try_join_all((0..20).map(create)).await.unwrap();
    let busy = store.pressure().await.unwrap();
    assert!((2..=40).contains(&busy.in_flight.unwrap()), "{busy:?}");
    // What nobody waits for any more is not under way, and what was asked for this is not counted.
    drop(create(0));
    drop(futures_util::poll!(Box::pin(create(0))));
    store.pressure().await.unwrap();
    assert!(store.pressure().await.unwrap().in_flight.unwrap() <= 1);
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    // It drops what it has with the next write, which it refuses if that is not enough.
    let _ = create(0).await;
    let pressed = store.pressure().await.unwrap();
    let told = server.ask(&["INFO", "stats"]).unwrap();
    let told = told.lines().find_map(|line| line.trim_end().strip_prefix("evicted_keys:"));
    assert!(pressed.dropped >= 20, "{pressed:?}");
    assert_eq!(told.unwrap().parse(), Ok(pressed.dropped));
}
