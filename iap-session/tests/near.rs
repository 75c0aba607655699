//! The near cache over a real Redis, which tells what changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use iap_session::testing::{Fixture, RedisCluster, RedisServer, conformance, patient};
use iap_session::{
    Commit, Expiry, Loaded, Login, LoginPolicy, NearCache, NearCacheConfig, NewSession, Op, OpId, Reason,
    RedisConfig, RedisStore, Rotation, SessionIds, SessionKey, SessionStore, WhenFull,
};

/// So long that a test which passes was told of the change.
const NEVER: Duration = Duration::from_secs(3600);

async fn near(config: RedisConfig, max_staleness: Duration) -> NearCache<RedisStore> {
    let ids = SessionIds::new(b"the secret of these tests").unwrap();
    let store = RedisStore::connect(ids, RedisConfig { tracking: true, ..config }).await.unwrap();
    let near = NearCache::new(store, NearCacheConfig { max_staleness, ..NearCacheConfig::default() });
    // Tracking begins beside the first reads.
    let key = near.create(NewSession::new(Expiry::default())).await.unwrap().record.key;
    until("reads are tracked", async || near.store().load_watched(key, None).await.unwrap().watched).await;
    near.revoke(key, Reason::Destroyed).await.unwrap();
    near
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(Instant::now() < give_up, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn version(store: &impl SessionStore, key: SessionKey) -> Option<u64> {
    match store.load(key, None).await {
        Ok(Some(Loaded::Found { record, .. })) => Some(record.version),
        _ => None,
    }
}

fn set(value: i32) -> Commit {
    Commit { op: OpId::random(), ops: vec![Op::Set("a".into(), value.into())], expected: None, logout: false }
}

/// How many commands the server has run so far, ours to ask for that not counted.
fn commands(server: &RedisServer) -> u64 {
    let stats = server.ask(&["INFO", "commandstats"]).unwrap();
    let calls = |line: &str| -> Option<u64> {
        let name = line.strip_prefix("cmdstat_")?;
        if name.starts_with("info") {
            return None;
        }
        line.split("calls=").nth(1)?.split(',').next()?.parse().ok()
    };
    stats.lines().filter_map(calls).sum()
}

async fn conforms(config: RedisConfig) {
    let parts = AtomicUsize::new(0);
    conformance(|| async {
        let part = parts.fetch_add(1, Ordering::Relaxed);
        let store = near(RedisConfig { prefix: format!("part{part}"), ..config.clone() }, NEVER).await;
        Fixture { store: Arc::new(store), advance: Box::new(|_| ()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_conforms_on_a_server_and_on_a_cluster() {
    let server = RedisServer::start();
    conforms(patient(server.url())).await;
    let cluster = RedisCluster::start(3);
    conforms(patient(cluster.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_read_sends_no_command() {
    let server = RedisServer::start();
    let near = near(patient(server.url()), NEVER).await;
    let login = Some(Login { user: "alice".into(), policy: LoginPolicy::default() });
    let new = NewSession { login, ..NewSession::new(Expiry::default()) };
    let key = near.create(new).await.unwrap().record.key;
    until("the session is cached", async || {
        version(&near, key).await;
        let before = commands(&server);
        version(&near, key).await;
        commands(&server) == before
    })
    .await;
    let before = commands(&server);
    for _ in 0..1000 {
        assert_eq!(version(&near, key).await, Some(1));
        assert!(matches!(near.load(key, Some(1)).await, Ok(Some(Loaded::Unchanged { .. }))));
    }
    assert_eq!(commands(&server), before);
}

/// What another gateway does is heard: a commit, a touch, a change of the id, an end, an eviction.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_change_is_heard() {
    let server = RedisServer::start();
    let (here, there) = (near(patient(server.url()), NEVER).await, near(patient(server.url()), NEVER).await);
    let policy = LoginPolicy { max: 1, when_full: WhenFull::EvictOldest };
    let login = || Some(Login { user: "alice".into(), policy });
    let new = || NewSession { login: login(), ..NewSession::new(Expiry::default()) };
    let key = here.create(new()).await.unwrap().record.key;
    for round in 2..20 {
        version(&here, key).await;
        assert_eq!(there.commit(key, set(1)).await.unwrap(), round);
        until("the commit is heard", async || version(&here, key).await == Some(round)).await;
    }
    let rotation = Rotation::new(Duration::ZERO);
    let rotated = there.rotate(key, rotation).await.unwrap().record.key;
    until("the change of the id is heard", async || version(&here, key).await.is_none()).await;
    assert!(version(&here, rotated).await.is_some());
    there.create(new()).await.unwrap();
    until("the eviction is heard", async || version(&here, rotated).await.is_none()).await;
    let last = here.create(NewSession::new(Expiry::default())).await.unwrap().record.key;
    version(&here, last).await;
    there.revoke(last, Reason::Operator).await.unwrap();
    until("the end is heard", async || version(&here, last).await.is_none()).await;
}

/// The server tells of FLUSHALL with an empty message that never reaches us: the deadline does it.
#[tokio::test(flavor = "multi_thread")]
async fn a_flush_is_seen_by_the_deadline() {
    let server = RedisServer::start();
    let near = near(patient(server.url()), Duration::from_millis(300)).await;
    let key = near.create(NewSession::new(Expiry::default())).await.unwrap().record.key;
    version(&near, key).await;
    server.ask(&["FLUSHALL"]).unwrap();
    until("the session is gone", async || version(&near, key).await.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_tracking_connection_hides_nothing() {
    let server = RedisServer::start();
    let near = near(patient(server.url()), NEVER).await;
    let other = RedisStore::connect(SessionIds::ephemeral(), patient(server.url())).await.unwrap();
    let key = near.create(NewSession::new(Expiry::default())).await.unwrap().record.key;
    for round in 2..6 {
        version(&near, key).await;
        server.ask(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
        until("the commit is taken", async || other.commit(key, set(1)).await.is_ok()).await;
        until("the commit is seen", async || version(&near, key).await == Some(round)).await;
    }
    until("reads are tracked again", async || {
        near.store().load_watched(key, None).await.is_ok_and(|answer| answer.watched)
    })
    .await;
    version(&near, key).await;
    other.commit(key, set(1)).await.unwrap();
    until("changes are heard again", async || version(&near, key).await == Some(6)).await;
}
