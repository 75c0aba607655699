//! The store on every kind of Redis: one server, Sentinel, cluster; TLS, a Unix socket, ACL users.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response};
use iap_core::Body;
use iap_session::audience::{AudienceStore, By, Seen, Sketch};
use iap_session::events::{self, EventId, EventKind, EventLog, Events, EventsConfig};
use iap_session::testing::{Fixture, RedisCluster, RedisSentinel, RedisServer, conformance, patient};
use iap_session::{
    Consistency, Credentials, Expiry, NewSession, RedisConfig, RedisStore, RedisTls, ReplicaReads, Session,
    SessionConfig, SessionIds, SessionLayer, SessionStore, StoreErrorKind,
};
use tower::{Layer, ServiceExt, service_fn};

async fn connect(config: RedisConfig) -> RedisStore {
    RedisStore::connect(SessionIds::ephemeral(), config).await.unwrap()
}

/// Runs the suite; a prefix of its own makes an empty store out of a used server.
async fn conforms(config: RedisConfig) {
    let parts = AtomicUsize::new(0);
    conformance(|| async {
        let part = parts.fetch_add(1, Ordering::Relaxed);
        let store = connect(RedisConfig { prefix: format!("part{part}"), ..config.clone() }).await;
        Fixture { store: Arc::new(store), advance: Box::new(|_| ()) }
    })
    .await;
}

/// Many series, so that they lie on all masters; each over several keys.
async fn an_audience_is_counted(store: &RedisStore) {
    let now_s = 1_800_000_000;
    for application in 0..20 {
        let name = format!("app{application}");
        for minute in 0..3 {
            let mut sketch = Sketch::new();
            sketch.add(b"stays");
            sketch.add(&[minute]);
            let seen = Seen { application: Some((&*name).into()), by: By::Address, sketch };
            store.unite(now_s + u64::from(minute) * 60, &seen).await.unwrap();
        }
        let slots = [now_s, now_s + 60, now_s + 120];
        assert_eq!(store.count(&By::Address, Some(&name), 60, &slots).await.unwrap(), 4, "{name}");
        assert_eq!(store.count(&By::Address, Some(&name), 3600, &[now_s]).await.unwrap(), 4, "{name}");
    }
}

/// Sessions of a layer begin and expire, which is told.
async fn events_are_told(config: RedisConfig) {
    let (emitter, queue) = events::channel(EventsConfig::default(), Some("one".into()));
    let store = Arc::new(connect(RedisConfig { events: Some(emitter.clone()), ..config }).await);
    let events =
        Events::start(queue, Some(store.clone() as Arc<dyn EventLog>), &tokio::runtime::Handle::current());
    let expiry = Expiry { idle: Duration::from_millis(300), absolute: Duration::from_secs(60) };
    let config = SessionConfig { expiry, events: Some(emitter), ..SessionConfig::default() };
    let app = SessionLayer::with_config(store, config).unwrap().layer(service_fn(
        async |request: Request<Body>| {
            Session::from_request(&request).unwrap().insert("a", 1).unwrap();
            Ok::<_, Infallible>(Response::new(Body::empty()))
        },
    ));
    for _ in 0..20 {
        app.clone().oneshot(Request::new(Body::empty())).await.unwrap();
    }
    let (mut after, mut created, mut expired) = (EventId::default(), Vec::new(), Vec::new());
    let all_expire = async {
        while expired.len() < 20 {
            events.wait_after(after).await;
            let page = events.read(after, 100).await.unwrap();
            after = page.next;
            for entry in page.events {
                match entry.event.kind {
                    EventKind::Created => created.push(entry.event.key),
                    EventKind::Expired => expired.push(entry.event.key),
                    other => panic!("{other:?}"),
                }
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all_expire)
        .await
        .expect("all expire, and all ends are told");
    created.sort();
    expired.sort();
    assert_eq!(created, expired, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_behind_sentinel_conforms() {
    let redis = RedisSentinel::start(1);
    conforms(patient(redis.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_of_replicas_conform() {
    let redis = RedisSentinel::start(2);
    let replica_reads = Some(ReplicaReads::default());
    conforms(RedisConfig { replica_reads, ..patient(redis.url()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_conforms() {
    let redis = RedisCluster::start(3);
    conforms(patient(redis.url())).await;
    an_audience_is_counted(&connect(patient(redis.url())).await).await;
    events_are_told(patient(redis.url())).await;
    let used = redis.servers[..3].iter().map(|server| server.ask(&["DBSIZE"]).unwrap());
    assert!(used.into_iter().all(|keys| keys != "0"), "the sessions are spread over all masters");
    for server in &redis.servers {
        let errors = server.ask(&["INFO", "errorstats"]).unwrap();
        assert!(!errors.contains("MOVED"), "every command goes to the right master at once: {errors}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_at_a_unix_socket_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("redis.sock");
    let server = RedisServer::start_with(&["--unixsocket", socket.to_str().unwrap()]);
    conforms(patient(format!("unix://{}?db=5", socket.display()))).await;
    assert!(server.ask(&["INFO", "keyspace"]).unwrap().contains("db5:"));
}

#[tokio::test(flavor = "multi_thread")]
async fn strong_consistency_conforms() {
    let consistency = Consistency::STRONG;
    let redis = RedisSentinel::start(1);
    conforms(RedisConfig { consistency, ..patient(redis.url()) }).await;
    let redis = RedisCluster::start(3);
    conforms(RedisConfig { consistency, ..patient(redis.url()) }).await;
}

/// An authority, and certificates by it for the server and for a client.
struct Certificates {
    dir: tempfile::TempDir,
}

impl Certificates {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut authority = rcgen::CertificateParams::new(vec![]).unwrap();
        authority.distinguished_name.push(rcgen::DnType::CommonName, "the authority of this test");
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = authority.self_signed(&key).unwrap();
        std::fs::write(dir.path().join("ca.pem"), certificate.pem()).unwrap();
        let issuer = rcgen::Issuer::new(authority, key);
        for (name, host) in [("server", "127.0.0.1"), ("client", "gateway")] {
            let key = rcgen::KeyPair::generate().unwrap();
            let params = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
            let certificate = params.signed_by(&key, &issuer).unwrap();
            std::fs::write(dir.path().join(format!("{name}.pem")), certificate.pem()).unwrap();
            std::fs::write(dir.path().join(format!("{name}.key")), key.serialize_pem()).unwrap();
        }
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What a server is started with.
    fn server_args(&self) -> Vec<String> {
        let files = [("cert", "server.pem"), ("key", "server.key"), ("ca-cert", "ca.pem")];
        let arg = |(what, name)| [format!("--tls-{what}-file"), self.path(name).display().to_string()];
        files.into_iter().flat_map(arg).collect()
    }

    fn tls(&self) -> RedisTls {
        let client = Some((self.path("client.pem"), self.path("client.key")));
        RedisTls { ca: Some(self.path("ca.pem")), client }
    }
}

/// A server that asks clients for certificates, and the port where it speaks TLS.
fn tls_server(certificates: &Certificates) -> (RedisServer, u16) {
    let files = certificates.server_args();
    for _ in 0..5 {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let port_text = port.to_string();
        let args: Vec<&str> =
            ["--tls-port", &port_text].into_iter().chain(files.iter().map(String::as_str)).collect();
        let server = RedisServer::start_with(&args);
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return (server, port);
        }
    }
    panic!("no free port for TLS");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_a_client_certificate_conforms() {
    let certificates = Certificates::new();
    let (_server, port) = tls_server(&certificates);
    let url = format!("rediss://127.0.0.1:{port}/2");
    conforms(RedisConfig { tls: Some(certificates.tls()), ..patient(url.clone()) }).await;

    let without = RedisTls { client: None, ..certificates.tls() };
    let others = Certificates::new();
    let stranger = RedisTls { ca: Some(others.path("ca.pem")), ..certificates.tls() };
    for (tls, url, what) in [
        (without, url.clone(), "no client certificate"),
        (stranger, url, "an authority that is not trusted"),
        (certificates.tls(), format!("rediss://localhost:{port}"), "a name that is not in the certificate"),
    ] {
        let config = RedisConfig { tls: Some(tls), ..patient(url) };
        let error = RedisStore::connect(SessionIds::ephemeral(), config).await.err().expect(what);
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{what}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_over_tls_conforms() {
    let certificates = Certificates::new();
    let args = certificates.server_args();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let redis = RedisCluster::start_tls(3, &args);
    conforms(RedisConfig { tls: Some(certificates.tls()), ..patient(redis.url()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_behind_sentinels_over_tls_conforms() {
    let certificates = Certificates::new();
    let args = certificates.server_args();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let redis = RedisSentinel::start_tls(1, &args);
    let replica_reads = Some(ReplicaReads::default());
    let config = RedisConfig { tls: Some(certificates.tls()), replica_reads, ..patient(redis.url()) };
    conforms(config.clone()).await;

    let before = redis.primary();
    let store = connect(config).await;
    let key = store.create(NewSession::new(Expiry::default())).await.unwrap().record.key;
    redis.failover();
    tokio::time::timeout(Duration::from_secs(60), async {
        while redis.primary() == before || !matches!(store.load(key, None).await, Ok(Some(_))) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("the session is there after a failover");
    let others = Certificates::new();
    let stranger = RedisTls { ca: Some(others.path("ca.pem")), ..certificates.tls() };
    let config = RedisConfig { tls: Some(stranger), ..patient(redis.url()) };
    let error = RedisStore::connect(SessionIds::ephemeral(), config).await.err();
    assert_eq!(error.expect("an authority that is not trusted").kind(), StoreErrorKind::Unavailable);
}

/// The commands that the store needs, no more: what docs/sessions.md tells operators to allow.
fn acl(name: &str, password: &str) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/sessions.md");
    let text = std::fs::read_to_string(docs).unwrap();
    let line =
        text.lines().find(|line| line.starts_with("ACL SETUSER iap ")).expect("the docs name the rules");
    line.replacen("iap", name, 1).replace("PASSWORD", password)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acl_user_with_the_documented_rights_conforms() {
    let server = RedisServer::start_with(&["--requirepass", "root-pass"]);
    let rules = acl("clerk", "p@ss/word").replace("~iap:*", "~part*");
    server.ask(&rules.split(' ').collect::<Vec<_>>()).unwrap();
    let config = RedisConfig {
        username: Some("clerk".into()),
        password: Some("p@ss/word".into()),
        ..patient(server.url())
    };
    conforms(config.clone()).await;
    an_audience_is_counted(&connect(RedisConfig { prefix: "part".into(), ..config.clone() }).await).await;
    events_are_told(RedisConfig { prefix: "part".into(), ..config.clone() }).await;
    let store = connect(RedisConfig { prefix: "part".into(), ..config.clone() }).await;
    assert!(store.is_first("alert", "a", Duration::from_secs(60)).await.unwrap());
    for (username, password) in [("clerk", "wrong-pass"), ("nobody", "p@ss/word")] {
        let config = RedisConfig {
            username: Some(username.into()),
            password: Some(password.into()),
            ..config.clone()
        };
        let error = RedisStore::connect(SessionIds::ephemeral(), config).await.err().expect("a wrong user");
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("wrong-pass") && !shown.contains("p@ss"), "{shown}");
    }
    let error = RedisStore::connect(SessionIds::ephemeral(), patient(server.url())).await.err();
    assert_eq!(error.expect("no password").kind(), StoreErrorKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_write_gets_an_error_that_changes_nothing() {
    let server = RedisServer::start();
    let rules = acl("reader", "pass").replace("+hset ", "").replace("~iap:*", "~*");
    server.ask(&rules.split(' ').collect::<Vec<_>>()).unwrap();
    let config = RedisConfig {
        username: Some("reader".into()),
        password: Some("pass".into()),
        ..patient(server.url())
    };
    let store = connect(config).await;
    let error = store.create(NewSession::new(Expiry::default())).await.expect_err("HSET is not allowed");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
    assert_eq!(server.ask(&["DBSIZE"]).unwrap(), "0");
}

#[tokio::test]
async fn sentinels_have_a_password_of_their_own() {
    let redis = RedisSentinel::start_with(0, &[], Some("sentinel-pass"));
    let error = RedisStore::connect(SessionIds::ephemeral(), patient(redis.url())).await.err();
    assert_eq!(error.expect("the Sentinels ask for a password").kind(), StoreErrorKind::Unavailable);
    let sentinel = Some(Credentials { username: None, password: "sentinel-pass".into() });
    let store = connect(RedisConfig { sentinel, ..patient(redis.url()) }).await;
    store.create(NewSession::new(Expiry::default())).await.unwrap();
}
