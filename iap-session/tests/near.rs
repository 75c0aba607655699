//! The near cache over a real Redis, which tells what changes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderValue, Request, Response};
use iap_core::hooks::{Field, Recorder, SpanEnd, Stage};
use iap_core::{Body, SpanId, TraceContext, Transaction};
use iap_session::testing::{Fixture, RedisCluster, RedisServer, conformance, patient};
use iap_session::{
    Commit, Expiry, Loaded, Login, LoginPolicy, NearCache, NearCacheConfig, NewSession, Op, OpId, Reason,
    RedisConfig, RedisStore, Rotation, Session, SessionConfig, SessionIds, SessionKey, SessionLayer,
    SessionStore, WhenFull,
};
use tower::{Layer, ServiceExt, service_fn};

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

/// The spans of a transaction: what each is below, its id, its stage and what is said of it.
#[derive(Default)]
struct Spans(Mutex<Vec<(SpanId, SpanId, Stage, String)>>);

impl Recorder for Spans {
    fn context(&self) -> TraceContext {
        TraceContext::root()
    }
    fn now(&self) -> u64 {
        0
    }
    fn record(&self, id: SpanId, parent: SpanId, stage: Stage, _: u64, end: SpanEnd) {
        assert_eq!(end.error, None);
        let detail = end.detail.map_or_else(String::new, |detail| detail.to_string());
        self.0.lock().unwrap().push((parent, id, stage, detail));
    }
    fn set(&self, _: Field, _: &str) {}
}

impl Spans {
    /// The names of the stages that the session layer had, each with what is below it and what that says of itself.
    fn take(&self) -> Vec<(String, Vec<(String, String)>)> {
        let spans = std::mem::take(&mut *self.0.lock().unwrap());
        let stages = spans.iter().filter(|span| matches!(span.2, Stage::SessionLoad | Stage::SessionCommit));
        let below = |stage: SpanId| {
            let of_stage = spans.iter().filter(move |span| span.0 == stage);
            of_stage.map(|span| (span.2.name().to_owned(), span.3.clone())).collect()
        };
        stages.map(|stage| (stage.2.name().to_owned(), below(stage.1))).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_spans_of_the_request_that_they_are_sent_for() {
    let server = RedisServer::start();
    let layer = SessionLayer::with_config(
        Arc::new(near(patient(server.url()), NEVER).await),
        SessionConfig::default(),
    );
    let service = layer.unwrap().layer(service_fn(async |request: Request<Body>| {
        let session = Session::from_request(&request).unwrap();
        if request.uri().path() == "/write" {
            session.insert("a", 1).unwrap();
        } else {
            session.get::<i32>("a").await.unwrap();
        }
        Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
    }));
    let spans = Arc::new(Spans::default());
    let send = async |path: &'static str, cookie: Option<HeaderValue>| {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = path.parse().unwrap();
        request.extensions_mut().insert(Transaction::new(spans.clone()));
        request.headers_mut().extend(cookie.map(|cookie| (COOKIE, cookie)));
        let response = service.clone().oneshot(request).await.unwrap();
        (response.headers().get(SET_COOKIE).cloned(), spans.take())
    };
    let names = |stages: &[(String, Vec<(String, String)>)]| -> Vec<String> {
        let of_stage = |(stage, below): &(String, Vec<(String, String)>)| {
            std::iter::once(stage.clone())
                .chain(below.iter().map(|span| span.0.clone()))
                .collect::<Vec<_>>()
                .join(" ")
        };
        stages.iter().map(of_stage).collect()
    };
    let (cookie, written) = send("/write", None).await;
    // What was not known of the script is sent whole.
    assert!(names(&written).last().unwrap().starts_with("session.commit EVALSHA"), "{written:?}");
    let detail = &written.last().unwrap().1[0].1;
    assert!(detail.contains(" B sent, ") && detail.ends_with(" B received"), "{detail}");
    let cookie = cookie.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap().parse().unwrap());
    let (_, read) = send("/read", cookie.clone()).await;
    assert_eq!(names(&read), ["session.load HGETALL"]);
    assert!(read[0].1[0].1.ends_with(", watched"), "{read:?}");
    let (_, again) = send("/read", cookie).await;
    assert_eq!(names(&again), ["session.load near-cache hit"]);
}
