mod audience;
mod between_gateways;
mod events;
mod imports;
mod logins;
mod measure;

use std::time::{Duration, Instant};

use serde_json::json;

use fred::types::ClusterHash;

use super::failure::Effect;
use super::*;
use crate::OpId;
use crate::testing::{Fixture, RedisServer, conformance, patient};
use crate::write::{Expiry, Login, LoginPolicy, WhenFull};

const SECRET: &[u8] = b"the secret of these tests";

async fn connect(server: &RedisServer) -> RedisStore {
    let ids = SessionIds::new(SECRET).unwrap();
    RedisStore::connect(ids, patient(server.url())).await.unwrap()
}

fn set(name: &str, value: i32) -> Commit {
    let ops = vec![Op::Set(name.into(), value.into())];
    Commit { op: OpId::random(), ops, expected: None, logout: false }
}

async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < give_up, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms() {
    let server = RedisServer::start();
    let parts = std::sync::atomic::AtomicUsize::new(0);
    conformance(|| async {
        // A prefix of its own makes an empty store out of a used server.
        let part = parts.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let config = RedisConfig { prefix: format!("part{part}"), ..patient(server.url()) };
        let store = RedisStore::connect(SessionIds::ephemeral(), config).await.unwrap();
        Fixture { store: Arc::new(store), advance: Box::new(|_| ()) }
    })
    .await;
}

#[tokio::test]
async fn sessions_outlive_a_gateway() {
    let server = RedisServer::start();
    let first = connect(&server).await;
    let mut new = NewSession::new(Expiry::default());
    new.attributes.insert("cart".into(), json!([1, 2]));
    let created = first.create(new).await.unwrap();
    first.close().await;
    drop(first);
    let second = connect(&server).await;
    let key = second.ids().key(&created.id);
    let Some(Loaded::Found { record, .. }) = second.load(key, None).await.unwrap() else {
        panic!("not found")
    };
    assert_eq!(record.attributes["cart"], json!([1, 2]));
}

#[tokio::test]
async fn a_dead_server_is_unavailable_and_not_absent() {
    let mut server = RedisServer::start();
    let config = RedisConfig::new(server.url());
    let store = RedisStore::connect(SessionIds::ephemeral(), config).await.unwrap();
    let key = store.create(NewSession::new(Expiry::default())).await.unwrap().record.key;
    server.kill();
    let load = store.load(key, None).await.expect_err("no server, no answer");
    assert_eq!(load.kind(), StoreErrorKind::Unavailable);
    let commit = store.commit(key, set("a", 1)).await.expect_err("no server, no commit");
    assert!(commit.is_retryable(), "{commit:?}");
    server.restart();
    let key = eventually("it reconnects", async || {
        store.create(NewSession::new(Expiry::default())).await.ok().map(|created| created.record.key)
    })
    .await;
    eventually("every connection is back", async || store.load(key, None).await.ok()).await;
}

#[tokio::test]
async fn an_unreachable_server_is_named_and_the_password_is_not() {
    let ids = SessionIds::ephemeral();
    let config = RedisConfig::new("redis://gate:pa55word@127.0.0.1:1");
    assert!(!format!("{config:?}").contains("pa55word"));
    let error = RedisStore::connect(ids.clone(), config).await.err().expect("nobody listens there");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    assert!(!format!("{error:?}").contains("pa55word"));
    let error = RedisStore::connect(ids, RedisConfig::new("pa55word")).await.err().expect("no URL");
    assert_eq!(error.kind(), StoreErrorKind::Invalid);
    assert!(!format!("{error:?}").contains("pa55word"));
}

#[tokio::test]
async fn a_wrong_password_is_unavailable() {
    let server = RedisServer::start_with(&["--requirepass", "right"]);
    let url = server.url().replace("redis://", "redis://:wrong@");
    let error =
        RedisStore::connect(SessionIds::ephemeral(), RedisConfig::new(url)).await.err().expect("wrong");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(!format!("{error:?}").contains(":wrong@"));
    let url = server.url().replace("redis://", "redis://:right@");
    RedisStore::connect(SessionIds::ephemeral(), RedisConfig::new(url)).await.unwrap();
}

#[tokio::test]
async fn flushed_scripts_are_sent_again() {
    let server = RedisServer::start();
    let store = connect(&server).await;
    let key = store.create(NewSession::new(Expiry::default())).await.unwrap().record.key;
    store.commit(key, set("a", 1)).await.unwrap();
    let args = vec!["FLUSH".into()];
    let _: Value =
        store.connection.command("SCRIPT", ClusterHash::Random, args, Effect::Write).await.unwrap();
    assert_eq!(store.commit(key, set("b", 1)).await.unwrap(), 3);
}

#[tokio::test]
async fn login_limits_hold_across_gateways() {
    let server = RedisServer::start();
    let (one, two) = (connect(&server).await, connect(&server).await);
    let login = |when_full| NewSession {
        login: Some(Login { user: "alice".into(), policy: LoginPolicy { max: 1, when_full } }),
        ..NewSession::new(Expiry::default())
    };
    let first = one.create(login(WhenFull::RefuseNew)).await.unwrap().record.key;
    let refused = two.create(login(WhenFull::RefuseNew)).await.expect_err("full");
    assert_eq!(refused.kind(), StoreErrorKind::Refused);
    let second = two.create(login(WhenFull::EvictOldest)).await.unwrap().record.key;
    let evicted = one.load(first, None).await.expect_err("evicted");
    assert_eq!((evicted.kind(), evicted.reason()), (StoreErrorKind::Revoked, Some(Reason::Evicted)));
    assert!(one.load(second, None).await.unwrap().is_some());
}

#[tokio::test]
async fn a_session_without_its_place_is_refused_even_unmarked() {
    let server = RedisServer::start();
    let store = connect(&server).await;
    let login = Login { user: "alice".into(), policy: LoginPolicy::default() };
    let new = NewSession { login: Some(login), ..NewSession::new(Expiry::default()) };
    let created = store.create(new).await.unwrap().record;
    store.release("alice", &created.handle).await.unwrap();
    for known in [None, Some(1)] {
        let error = store.load(created.key, known).await.expect_err("no place");
        assert_eq!(error.kind(), StoreErrorKind::Revoked);
    }
}

#[tokio::test]
async fn all_keys_carry_a_time_to_live() {
    let server = RedisServer::start();
    let store = connect(&server).await;
    let login = || Login { user: "alice".into(), policy: LoginPolicy::default() };
    let new = NewSession { login: Some(login()), ..NewSession::new(Expiry::default()) };
    let key = store.create(new).await.unwrap().record.key;
    store.commit(key, set("a", 1)).await.unwrap();
    store.touch(key).await.unwrap();
    let grace = Duration::from_secs(5);
    let rotation = Rotation { login: Some(login()), ..Rotation::new(grace) };
    let rotated = store.rotate(key, rotation).await.unwrap().record.key;
    let other = store.create(NewSession::new(Expiry::default())).await.unwrap().record.key;
    store.revoke(other, Reason::Operator).await.unwrap();
    let ttl = async |key: String| -> i64 {
        store.connection.command("PTTL", ClusterHash::FirstKey, vec![key.into()], Effect::Read).await.unwrap()
    };
    let idle = Expiry::default().idle.as_millis() as i64;
    let pointer = ttl(store.session_key(&key)).await;
    assert!((1..=5000).contains(&pointer), "the pointer lives as long as the grace: {pointer}");
    let session = ttl(store.session_key(&rotated)).await;
    assert!((60_001..=idle).contains(&session), "the new session has its full life: {session}");
    assert!((1..=idle).contains(&ttl(store.session_key(&other)).await));
    assert!(ttl(store.user_key("alice")).await > idle);
    let keys: Vec<String> =
        store.connection.command("KEYS", ClusterHash::Random, vec!["*".into()], Effect::Read).await.unwrap();
    assert_eq!(keys.len(), 4);
}

#[tokio::test]
async fn foreign_and_damaged_values_are_corrupt() {
    let server = RedisServer::start();
    let store = connect(&server).await;
    let key = store.create(NewSession::new(Expiry::default())).await.unwrap().record.key;
    let name = store.session_key(&key);
    for (command, args) in [("HSET", ["a:x", "?"]), ("HSET", ["_v", "many"]), ("HSET", ["_st", "?"])] {
        let mut all: Vec<Value> = vec![name.as_str().into()];
        all.extend(args.map(Value::from));
        let _: Value =
            store.connection.command(command, ClusterHash::FirstKey, all, Effect::Write).await.unwrap();
        assert_eq!(store.load(key, None).await.expect_err("damaged").kind(), StoreErrorKind::Corrupt);
    }
    let fields = ["_v", "_st"].map(Value::from);
    let mut all: Vec<Value> = vec![name.as_str().into()];
    all.extend(fields);
    let _: Value = store.connection.command("HDEL", ClusterHash::FirstKey, all, Effect::Write).await.unwrap();
    assert!(store.revoke(key, Reason::Operator).await.unwrap(), "an operator can end a damaged session");
    assert_eq!(store.load(key, None).await.expect_err("ended").kind(), StoreErrorKind::Revoked);
    let _: Value = store
        .connection
        .command("SET", ClusterHash::FirstKey, vec![name.into(), "text".into()], Effect::Write)
        .await
        .unwrap();
    assert_eq!(store.load(key, None).await.expect_err("no hash").kind(), StoreErrorKind::Corrupt);
    assert_eq!(store.commit(key, set("a", 1)).await.expect_err("no hash").kind(), StoreErrorKind::Corrupt);
}

#[tokio::test]
async fn a_server_that_hangs_is_unavailable() {
    let server = RedisServer::start();
    let config = RedisConfig::new(server.url());
    let store = RedisStore::connect(SessionIds::ephemeral(), config).await.unwrap();
    let key = store.create(NewSession::new(Expiry::default())).await.unwrap().record.key;
    server.pause();
    let load = store.load(key, None).await.expect_err("no answer");
    assert_eq!(load.kind(), StoreErrorKind::Unavailable);
    let commit = store.commit(key, set("a", 1)).await.expect_err("no answer");
    assert_eq!(commit.kind(), StoreErrorKind::Ambiguous);
    server.resume();
    let found = eventually("it answers again", async || store.load(key, None).await.ok()).await;
    assert!(found.is_some(), "the session is still there");
}

/// Passes bytes between clients and a server; on demand it drops the next reply with its
/// connection.
async fn lossy_proxy(server: &RedisServer, lose: Arc<std::sync::atomic::AtomicBool>) -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, target) = (listener.local_addr().unwrap().port(), server.port());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let lose = lose.clone();
            tokio::spawn(async move {
                let server = tokio::net::TcpStream::connect(("127.0.0.1", target)).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let requests = tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
                });
                let mut buffer = vec![0; 65536];
                while let Ok(length @ 1..) = from_server.read(&mut buffer).await {
                    if lose.swap(false, std::sync::atomic::Ordering::SeqCst) {
                        break;
                    }
                    if to_client.write_all(&buffer[..length]).await.is_err() {
                        break;
                    }
                }
                requests.abort();
            });
        }
    });
    port
}

#[tokio::test]
async fn a_write_whose_reply_was_lost_takes_effect_once() {
    let server = RedisServer::start();
    let lose = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let port = lossy_proxy(&server, lose.clone()).await;
    let ids = SessionIds::new(SECRET).unwrap();
    let store = RedisStore::connect(ids, patient(format!("redis://127.0.0.1:{port}"))).await.unwrap();
    let direct = connect(&server).await;
    // The server knows all scripts before; else it would be the reply "no such script" that is lost.
    let first = Login { user: "first".into(), policy: LoginPolicy::default() };
    let first = NewSession { login: Some(first), ..NewSession::new(Expiry::default()) };
    let first = direct.create(first).await.unwrap().record.key;
    direct.commit(first, set("a", 1)).await.unwrap();
    direct.revoke(first, Reason::Destroyed).await.unwrap();
    let losing = |name: &'static str| {
        assert!(!lose.swap(true, std::sync::atomic::Ordering::SeqCst), "the reply before {name} was lost");
    };

    losing("create");
    let key = store.create(NewSession::new(Expiry::default())).await.expect("create").record.key;
    losing("commit");
    assert_eq!(store.commit(key, set("a", 1)).await.expect("commit"), 2);
    let Some(Loaded::Found { record, .. }) = direct.load(key, None).await.unwrap() else {
        panic!("not found")
    };
    assert_eq!((record.version, record.attributes.len()), (2, 1));

    losing("login");
    let login =
        Some(Login { user: "alice".into(), policy: LoginPolicy { max: 1, when_full: WhenFull::RefuseNew } });
    let new = NewSession { login, ..NewSession::new(Expiry::default()) };
    store.create(new).await.expect("a repeated login does not refuse itself");
    assert_eq!(direct.scan(ScanQuery::default()).await.unwrap().sessions.len(), 2);
    assert!(!lose.load(std::sync::atomic::Ordering::SeqCst));
}

#[tokio::test]
async fn a_session_past_its_deadline_is_absent_even_if_the_server_still_has_it() {
    let server = RedisServer::start();
    let store = connect(&server).await;
    let key = store.create(NewSession::new(Expiry::default())).await.unwrap().record.key;
    let name = store.session_key(&key);
    let send = async |command: &'static str, args: &[&str]| {
        let mut all: Vec<Value> = vec![name.as_str().into()];
        all.extend(args.iter().map(|arg| Value::from(*arg)));
        let _: Value =
            store.connection.command(command, ClusterHash::FirstKey, all, Effect::Write).await.unwrap();
    };
    send("PERSIST", &[]).await;
    send("HSET", &["_la", "1000"]).await;
    assert!(store.load(key, None).await.unwrap().is_none());
    assert!(store.load(key, Some(1)).await.unwrap().is_none());
    assert_eq!(store.commit(key, set("a", 1)).await.expect_err("expired").kind(), StoreErrorKind::Gone);
    assert_eq!(store.touch(key).await.expect_err("expired").kind(), StoreErrorKind::Gone);
    assert!(!store.revoke(key, Reason::Operator).await.unwrap());
    assert!(store.scan(ScanQuery::default()).await.unwrap().sessions.is_empty());
}

#[tokio::test]
async fn the_servers_clock_counts() {
    let server = RedisServer::start();
    let store = connect(&server).await;
    let local = iap_core::Clock::now_ms(&iap_core::SystemClock);
    store.connection.observe(local + 3_600_000);
    let skewed = store.connection.now_ms();
    assert!(skewed + 1 >= local + 3_600_000);
    let created = store.create(NewSession::new(Expiry::default())).await.unwrap().record;
    assert!(store.connection.now_ms() < skewed, "every reply that tells the time corrects ours");
    assert!(store.load(created.key, None).await.unwrap().is_some());
}

#[tokio::test]
async fn our_notion_of_the_servers_clock_is_never_ahead_of_it() {
    let server = RedisServer::start();
    let store = connect(&server).await;
    let local = || iap_core::Clock::now_ms(&iap_core::SystemClock);
    for n in 0..50 {
        let observed = local();
        store.connection.observe(observed);
        while local() < observed + 3 {
            let ours = store.connection.now_ms();
            let now = local();
            assert!(observed <= ours + 1 && ours <= now, "{observed} {ours} {now}");
        }
        // At another part of a millisecond each time.
        std::thread::sleep(Duration::from_micros(n * 20));
    }
}

#[tokio::test]
async fn sessions_that_nobody_can_count_are_not_zero() {
    let values = crate::metrics::tests::Values::default();
    let _recorder = metrics::set_default_local_recorder(&values);
    let mut server = RedisServer::start();
    let store = connect(&server).await;
    store.create(NewSession::new(Expiry::default())).await.unwrap();
    assert!(!values.values.lock().contains_key("iap_session_live "), "nobody has counted yet");
    store.stats().await.unwrap();
    let live = || f64::from_bits(values.counter("iap_session_live "));
    let counted = values.counter("iap_session_live_timestamp_seconds ");
    assert_eq!(live(), 1.0);
    server.kill();
    store.stats().await.expect_err("no server");
    assert_eq!(live(), 1.0, "the last known number");
    assert_eq!(values.counter("iap_session_live_timestamp_seconds "), counted, "of the time it is of");
}
