//! Clients with an old cookie, at gateways that adopt sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use iap_core::{Body, Error};
use iap_session::migrate::{Adoption, AdoptionConfig, Candidate, Import, Page, Source, Spring, Takeover};
use iap_session::testing::{RedisServer, patient};
use iap_session::{
    BoxFuture, MemoryStore, Outage, Session, SessionConfig, SessionIds, SessionLayer, SessionPolicy,
    SessionStore, StoreError,
};
use tokio::sync::Semaphore;
use tower::{Layer, ServiceExt, service_fn};

use crate::beside;

const OLD: &str = "SESSION=11111111-1111-1111-1111-111111111111";

/// A request of `/held` is under way; it may go on.
static HELD: Semaphore = Semaphore::const_new(0);
static GO: Semaphore = Semaphore::const_new(0);

/// Spring's sessions, and how often they were asked for.
struct Counted(Spring, AtomicUsize);

impl Source for Counted {
    fn system(&self) -> &'static str {
        self.0.system()
    }
    fn id(&self, cookie: &str) -> Option<String> {
        self.0.id(cookie)
    }
    fn find<'a>(&'a self, cookie: &'a str) -> BoxFuture<'a, Result<Option<Candidate>, StoreError>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.find(cookie)
    }
    fn scan(&self, cursor: Option<String>) -> BoxFuture<'_, Result<Page, StoreError>> {
        self.0.scan(cursor)
    }
}

struct Bench {
    server: RedisServer,
    source: Arc<Counted>,
    store: Arc<dyn SessionStore>,
    layer: SessionLayer,
}

struct Answer {
    status: StatusCode,
    body: String,
    /// The cookie that was given, and how many lines of Set-Cookie there were.
    cookie: Option<String>,
    lines: usize,
}

impl Bench {
    /// A gateway without a grace, and an old store with one session in it.
    async fn new() -> Self {
        Self::with(Duration::ZERO, Outage::FailClosed).await
    }

    async fn with(rotation_grace: Duration, outage: Outage) -> Self {
        let server = beside(RedisServer::start).await;
        old_session(&server, "11111111-1111-1111-1111-111111111111", "alice");
        let source = Spring::new(&patient(server.url()), Spring::NAMESPACE, Some("user".into())).unwrap();
        let source = Arc::new(Counted(source, AtomicUsize::new(0)));
        let store: Arc<dyn SessionStore> = Arc::new(MemoryStore::new(SessionIds::ephemeral()));
        let policy = SessionPolicy { outage, ..SessionPolicy::default() };
        let config = SessionConfig { rotation_grace, policy, ..SessionConfig::default() };
        let layer = SessionLayer::with_config(store.clone(), config).unwrap();
        let settings =
            AdoptionConfig { timeout: Duration::from_millis(500), ..AdoptionConfig::new("SESSION") };
        let adoption = Adoption::new(source.clone(), settings).unwrap();
        Self { server, source, store, layer: layer.with_adoption(Arc::new(adoption)) }
    }

    async fn get(&self, path: &str, cookies: &[&str]) -> Answer {
        let app = self.layer.layer(service_fn(application));
        let mut request = Request::builder().uri(path);
        for cookie in cookies {
            request = request.header(header::COOKIE, *cookie);
        }
        let response = match app.oneshot(request.body(Body::empty()).unwrap()).await {
            Ok(response) => response,
            Err(error) => error.into_response(None),
        };
        let lines = response.headers().get_all(header::SET_COOKIE);
        let values: Vec<_> = lines.iter().map(|line| line.to_str().unwrap().to_owned()).collect();
        let given =
            values.iter().find_map(|line| line.split(';').next()).filter(|cookie| !cookie.ends_with('='));
        let (status, cookie, lines) = (response.status(), given.map(str::to_owned), values.len());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Answer { status, body: String::from_utf8(body.to_vec()).unwrap(), cookie, lines }
    }

    fn asked(&self) -> usize {
        self.source.1.load(Ordering::SeqCst)
    }

    async fn live(&self) -> u64 {
        self.store.stats().await.unwrap().live
    }
}

async fn application(request: Request<Body>) -> Result<Response<Body>, Error> {
    let session = Session::from_request(&request).expect("the layer is there");
    let text = match request.uri().path() {
        "/unused" => String::new(),
        "/login" => {
            session.login("bob").await?;
            "bob".to_owned()
        }
        "/logout" => {
            session.destroy()?;
            String::new()
        }
        "/held" => {
            let user = session.user().await?;
            HELD.add_permits(1);
            GO.acquire().await.expect("it is never closed").forget();
            user.as_deref().unwrap_or("nobody").to_owned()
        }
        "/write" => {
            session.insert("written", true)?;
            String::new()
        }
        _ => {
            let user = session.user().await?;
            format!("{} {:?}", user.as_deref().unwrap_or("nobody"), session.get::<u64>("visits").await?)
        }
    };
    Ok(Response::new(Body::from(text)))
}

fn old_session(server: &RedisServer, id: &str, user: &str) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let (key, now) = (format!("spring:session:sessions:{id}"), now.to_string());
    let user = format!("\"{user}\"");
    let fields = ["creationTime", &now, "lastAccessedTime", &now, "maxInactiveInterval", "1800"];
    let command =
        [&["HSET", &key][..], &fields, &["sessionAttr:visits", "3", "sessionAttr:user", &user]].concat();
    server.ask(&command).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_cookie_brings_its_session_and_gets_a_new_one() {
    let bench = Bench::new().await;
    let first = bench.get("/", &[OLD]).await;
    assert_eq!((first.status, first.body.as_str()), (StatusCode::OK, "alice Some(3)"));
    assert_eq!(first.lines, 1, "the old cookie is left alone");
    let ours = first.cookie.expect("a cookie of ours");
    assert!(ours.starts_with("iap-session="));

    // The answer was lost: the client comes again as before.
    let again = bench.get("/", &[OLD]).await;
    assert_eq!(again.body, "alice Some(3)");
    assert_eq!(again.cookie.as_ref(), Some(&ours), "the same session has the same new id");
    assert_eq!((bench.asked(), bench.live().await), (1, 1), "the old store was asked once");

    let next = bench.get("/", &[&ours, OLD]).await;
    assert_eq!((next.body.as_str(), next.lines), ("alice Some(3)", 0));
    // The client has shown its new id: the old one is good for nothing now.
    let late = bench.get("/", &[OLD]).await;
    assert_eq!((late.body.as_str(), late.lines), ("nobody None", 0));
    assert_eq!(bench.get("/", &[&ours]).await.body, "alice Some(3)");
    assert_eq!(bench.live().await, 1);
    assert!(
        bench
            .server
            .ask(&["EXISTS", "spring:session:sessions:11111111-1111-1111-1111-111111111111"])
            .unwrap()
            == "1"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_one_page_come_to_one_session() {
    let bench = Bench::with(Duration::from_secs(60), Outage::FailClosed).await;
    let get = || bench.get("/write", &[OLD]);
    let (a, b, c, d) = tokio::join!(get(), get(), get(), get());
    let cookies: Vec<_> = [a, b, c, d].into_iter().map(|answer| answer.cookie.expect("a cookie")).collect();
    assert!(cookies.iter().all(|cookie| *cookie == cookies[0]), "whichever answer comes last");
    assert_eq!(bench.live().await, 1);
    bench.get("/", &[&cookies[0]]).await;
    let late = bench.get("/", &[OLD]).await;
    assert_eq!(late.body, "alice Some(3)", "what is on its way with the old cookie is let in for the grace");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_no_session_asks_nobody() {
    let bench = Bench::new().await;
    let unused = bench.get("/unused", &[OLD]).await;
    assert_eq!((unused.status, unused.lines, bench.asked()), (StatusCode::OK, 0, 0));
    let none = bench.get("/", &[]).await;
    assert_eq!((none.body.as_str(), none.lines, bench.asked()), ("nobody None", 0, 0));
    let nonsense = bench.get("/", &["SESSION=../../x", "SESSION=", "OTHER=y"]).await;
    assert_eq!((nonsense.body.as_str(), bench.asked()), ("nobody None", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_cookie_is_asked_about_once() {
    let bench = Bench::new().await;
    let unknown = "SESSION=99999999-9999-9999-9999-999999999999";
    for _ in 0..5 {
        let answer = bench.get("/", &[unknown]).await;
        assert_eq!((answer.body.as_str(), answer.lines), ("nobody None", 0));
    }
    assert_eq!(bench.asked(), 1);
    assert_eq!(
        bench.get("/", &[unknown, OLD]).await.body,
        "alice Some(3)",
        "another cookie beside it counts"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_left_does_not_come_back_by_the_old_cookie() {
    let bench = Bench::new().await;
    let out = bench.get("/logout", &[OLD]).await;
    assert_eq!((out.status, out.cookie), (StatusCode::OK, None));
    let late = bench.get("/", &[OLD]).await;
    assert_eq!((late.body.as_str(), late.lines, bench.live().await), ("nobody None", 0, 0));

    old_session(&bench.server, "22222222-2222-2222-2222-222222222222", "carol");
    let other = "SESSION=22222222-2222-2222-2222-222222222222";
    let ours = bench.get("/", &[other]).await.cookie.unwrap();
    bench.get("/logout", &[&ours, other]).await;
    let ended = bench.get("/", &[&ours, other]).await;
    assert_eq!(ended.body, "nobody None", "an end here is an end, whatever the old store has");
    assert_eq!(bench.get("/", &[other]).await.body, "nobody None");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_takes_the_old_session_along() {
    let bench = Bench::new().await;
    let login = bench.get("/login", &[OLD]).await;
    let ours = login.cookie.expect("a cookie");
    assert_eq!(login.lines, 1);
    assert_eq!(bench.get("/", &[&ours]).await.body, "bob Some(3)");
    assert_eq!(bench.get("/", &[OLD]).await.body, "nobody None", "the id has changed with the login");
    assert_eq!(bench.live().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_overtaken_by_a_login_or_an_end_gives_no_cookie() {
    let bench = Bench::with(Duration::from_secs(60), Outage::FailClosed).await;
    old_session(&bench.server, "22222222-2222-2222-2222-222222222222", "carol");
    let other = "SESSION=22222222-2222-2222-2222-222222222222";
    for (cookie, path, user) in [(OLD, "/login", "alice"), (other, "/logout", "carol")] {
        let cookies = [cookie];
        let overtaking = async {
            HELD.acquire().await.unwrap().forget();
            let answer = bench.get(path, &cookies).await;
            GO.add_permits(1);
            answer
        };
        let (held, answer) = tokio::join!(bench.get("/held", &cookies), overtaking);
        assert_eq!(
            (held.body.as_str(), held.lines),
            (user, 0),
            "the cookie of {path} is the one that counts"
        );
        assert_eq!(answer.cookie.is_some(), path == "/login");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_imported_at_once_is_found_without_the_old_store() {
    let mut bench = Bench::new().await;
    let (store, source) = (bench.store.clone(), bench.source.clone());
    let import = Import { store, source, takeover: Takeover::default(), dry_run: false };
    assert_eq!(import.run(None, |_| {}).await.unwrap().imported, 1);
    bench.server.kill();
    let answer = bench.get("/", &[OLD]).await;
    assert_eq!((answer.body.as_str(), bench.asked()), ("alice Some(3)", 0));
    assert!(answer.cookie.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_store_that_is_away_is_an_outage() {
    let mut bench = Bench::new().await;
    bench.server.pause();
    let begun = Instant::now();
    let hung = bench.get("/", &[OLD]).await;
    assert_eq!((hung.status, hung.lines), (StatusCode::SERVICE_UNAVAILABLE, 0));
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "it is given up by the adoption, not by the connection"
    );
    bench.server.resume();
    assert_eq!(bench.get("/unused", &[OLD]).await.status, StatusCode::OK);
    bench.server.kill();
    assert_eq!(bench.get("/", &[OLD]).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(bench.get("/", &[]).await.status, StatusCode::OK, "who has no old cookie does not notice");

    let mut lenient = Bench::with(Duration::ZERO, Outage::Anonymous).await;
    lenient.server.kill();
    let answer = lenient.get("/", &[OLD]).await;
    assert_eq!((answer.status, answer.body.as_str(), answer.lines), (StatusCode::OK, "nobody None", 0));
    assert_eq!(lenient.get("/write", &[OLD]).await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_over_is_no_session() {
    let bench = Bench::new().await;
    let large = "33333333-3333-3333-3333-333333333333";
    old_session(&bench.server, large, "dora");
    let text = format!("\"{}\"", "x".repeat(100_000));
    bench
        .server
        .ask(&["HSET", &format!("spring:session:sessions:{large}"), "sessionAttr:big", &text])
        .unwrap();
    let cookie = format!("SESSION={large}");
    for _ in 0..2 {
        assert_eq!(bench.get("/", &[&cookie]).await.body, "nobody None");
    }
    assert_eq!((bench.asked(), bench.live().await), (1, 0));
}
