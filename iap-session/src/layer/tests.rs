use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use http::StatusCode;
use http::header::{COOKIE, SET_COOKIE};
use iap_core::{ManualClock, Route, Target};
use parking_lot::Mutex;
use tower::limit::ConcurrencyLimitLayer;
use tower::util::BoxCloneService;
use tower::{ServiceBuilder, ServiceExt, service_fn};

use super::*;
use crate::memory::{MemoryConfig, MemoryStore};
use crate::policy::Outage;
use crate::store::ScanQuery;
use crate::testing::FlakyStore;
use crate::write::{Expiry, LoginPolicy, Reason, WhenFull};
use crate::{SessionId, SessionIds};

mod atomic;
mod carriers;
mod creation;
mod events;
mod failures;
mod forwarding;
mod identity;
mod provenance;
mod telemetry;

type App = BoxCloneService<Request<Body>, Response<Body>, Error>;

/// A layer over a memory store with a clock and switches.
struct Bench {
    store: Arc<FlakyStore>,
    clock: ManualClock,
    layer: SessionLayer,
}

fn bench() -> Bench {
    bench_with(SessionConfig::default())
}

fn bench_with(config: SessionConfig) -> Bench {
    let clock = ManualClock::at(1_700_000_000_000);
    let memory = MemoryConfig { clock: Arc::new(clock.clone()), ..MemoryConfig::default() };
    let memory = MemoryStore::with_config(SessionIds::ephemeral(), memory);
    let store = Arc::new(FlakyStore::new(Arc::new(memory)));
    let layer = SessionLayer::with_config(store.clone(), config).unwrap();
    Bench { store, clock, layer }
}

impl Bench {
    /// The layer around an application that gets the session.
    fn app<F, Fut>(&self, handler: F) -> App
    where
        F: Fn(Session) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<(), StoreError>> + Send,
    {
        let service = service_fn(move |request: Request<Body>| {
            let handler = handler.clone();
            async move {
                let session = Session::from_request(&request).expect("the layer is there");
                let status = if handler(session).await.is_ok() { 200 } else { 418 };
                let response = Response::builder().status(status).body(Body::from("done"));
                Ok::<_, Infallible>(response.unwrap())
            }
        });
        BoxCloneService::new(self.layer.layer(service))
    }

    /// An application that sets one attribute.
    fn writer(&self) -> App {
        self.app(async |session| session.insert("seen", true))
    }

    /// An application that only reads.
    fn reader(&self) -> App {
        self.app(async |session| session.user().await.map(|_| ()))
    }

    /// Creates a session and returns its cookie.
    async fn cookie(&self) -> String {
        let response = send(&self.writer(), get("")).await.unwrap();
        cookie_of(&response).expect("a written session has a cookie")
    }

    async fn live(&self) -> u64 {
        self.store.stats().await.unwrap().live
    }
}

fn get(cookie: &str) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    if !cookie.is_empty() {
        request.headers_mut().insert(COOKIE, cookie.parse().unwrap());
    }
    request
}

fn over_tls(mut request: Request<Body>) -> Request<Body> {
    let address = ([127, 0, 0, 1], 443).into();
    request.extensions_mut().insert(Arc::new(Connection::new(address, address, true)));
    request
}

fn on_route(policy: SessionPolicy, mut request: Request<Body>) -> Request<Body> {
    let target = Target::respond(StatusCode::OK, "");
    let route = Route::new("test", "/", target).with_policy(policy);
    request.extensions_mut().insert(MatchedRoute::new(route));
    request
}

async fn send(app: &App, request: Request<Body>) -> Result<Response<Body>, Error> {
    app.clone().oneshot(request).await
}

fn set_cookie(response: &Response<Body>) -> Option<&str> {
    response.headers().get(SET_COOKIE).map(|value| value.to_str().unwrap())
}

/// The `name=value` that a browser would send back.
fn cookie_of(response: &Response<Body>) -> Option<String> {
    Some(set_cookie(response)?.split(';').next()?.to_owned())
}

#[tokio::test]
async fn a_session_is_created_by_the_first_write_and_found_again() {
    let bench = bench();
    let response = send(&bench.writer(), get("")).await.unwrap();
    let line = set_cookie(&response).unwrap().to_owned();
    let value = line.strip_prefix("iap-session=").unwrap().strip_suffix("; Path=/; HttpOnly; SameSite=Lax");
    assert!(SessionId::decode(value.unwrap()).is_some(), "{line}");
    let app = bench.app(async |session| {
        assert_eq!(session.get::<bool>("seen").await?, Some(true));
        assert_eq!(session.get::<bool>("other").await?, None);
        let wrong = session.get::<u64>("seen").await.expect_err("another type");
        assert_eq!(wrong.kind(), StoreErrorKind::Invalid);
        assert!(!session.snapshot().await?.new);
        Ok(())
    });
    let response = send(&app, get(&cookie_of(&response).unwrap())).await.unwrap();
    assert_eq!((response.status(), set_cookie(&response)), (StatusCode::OK, None));
}

#[tokio::test]
async fn requests_that_write_nothing_create_nothing_and_unused_sessions_are_not_loaded() {
    let bench = bench();
    for request in [get(""), get("iap-session=short"), get("other=1")] {
        let app = bench.app(async |session| {
            assert_eq!(session.user().await?, None);
            session.remove("absent")
        });
        let response = send(&app, request).await.unwrap();
        assert_eq!((response.status(), set_cookie(&response)), (StatusCode::OK, None));
    }
    assert_eq!((bench.live().await, bench.store.writes()), (0, 0));
    let cookie = bench.cookie().await;
    let reads = bench.store.reads();
    let idle = bench.app(async |_| Ok(()));
    send(&idle, get(&cookie)).await.unwrap();
    assert_eq!(bench.store.reads(), reads);
}

#[tokio::test]
async fn a_forged_cookie_is_never_adopted() {
    let bench = bench();
    let forged = SessionIds::ephemeral().generate().0.encode();
    let response = send(&bench.reader(), get(&format!("iap-session={forged}"))).await.unwrap();
    assert_eq!((set_cookie(&response), bench.live().await), (None, 0));
    let response = send(&bench.writer(), get(&format!("iap-session={forged}"))).await.unwrap();
    let cookie = cookie_of(&response).expect("a write begins a session of its own");
    assert_ne!(cookie, format!("iap-session={forged}"));
    assert_eq!(bench.live().await, 1);
}

#[tokio::test]
async fn the_right_one_of_several_cookies_is_found() {
    let bench = bench();
    let cookie = bench.cookie().await;
    let stale = SessionIds::ephemeral().generate().0.encode();
    let line = format!("a=b; iap-session=x; iap-session={stale}; {cookie}");
    let app = bench.app(async |session| {
        assert_eq!(session.get("seen").await?, Some(true));
        Ok(())
    });
    assert_eq!(send(&app, get(&line)).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn over_tls_the_cookie_is_secure_and_the_plain_one_is_ignored() {
    let bench = bench();
    let plain = bench.cookie().await;
    let response = send(&bench.writer(), over_tls(get(&plain))).await.unwrap();
    let line = set_cookie(&response).unwrap();
    assert!(
        line.starts_with("__Host-iap=") && line.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"),
        "{line}"
    );
    assert_eq!(bench.live().await, 2);
    let response = send(&bench.writer(), over_tls(get(&cookie_of(&response).unwrap()))).await.unwrap();
    assert_eq!((set_cookie(&response), bench.live().await), (None, 2));
}

#[tokio::test]
async fn a_login_changes_the_id() {
    let bench = bench();
    let old = bench.cookie().await;
    let login = bench.app(async |session| {
        session.login("alice").await?;
        assert_eq!(session.user().await?.as_deref(), Some("alice"));
        Ok(())
    });
    let response = send(&login, get(&old)).await.unwrap();
    let new = cookie_of(&response).unwrap();
    assert_ne!(new, old);
    let check = bench.app(async |session| {
        assert_eq!(session.user().await?.as_deref(), Some("alice"));
        assert_eq!(session.get("seen").await?, Some(true));
        Ok(())
    });
    for cookie in [&new, &old] {
        let response = send(&check, get(cookie)).await.unwrap();
        assert_eq!((response.status(), set_cookie(&response)), (StatusCode::OK, None));
    }
    let response = send(&login, get(&old)).await.unwrap();
    assert_eq!(response.status(), StatusCode::IM_A_TEAPOT, "the old id cannot rotate again");
    bench.clock.advance(SessionConfig::default().rotation_grace);
    let app = bench.app(async |session| {
        assert_eq!(session.user().await?, None);
        Ok(())
    });
    assert_eq!(send(&app, get(&old)).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_full_user_is_told_at_once() {
    let login = LoginPolicy { max: 1, when_full: WhenFull::RefuseNew };
    let bench = bench_with(SessionConfig { login, ..SessionConfig::default() });
    let app = bench.app(async |session| match session.login("alice").await {
        Err(error) => {
            assert_eq!(error.kind(), StoreErrorKind::Refused);
            Err(error)
        }
        ok => ok,
    });
    let first = send(&app, get("")).await.unwrap();
    assert_eq!(first.status(), StatusCode::OK);
    let second = send(&app, get("")).await.unwrap();
    assert_eq!((second.status(), set_cookie(&second)), (StatusCode::IM_A_TEAPOT, None));
    let again = send(&app, get(&cookie_of(&first).unwrap())).await.unwrap();
    assert_eq!(again.status(), StatusCode::OK, "the same session again is no further one");
}

#[tokio::test]
async fn logout_keeps_the_session_and_destroy_ends_it() {
    let bench = bench();
    let login = bench.app(async |session| session.login("alice").await);
    let cookie = cookie_of(&send(&login, get("")).await.unwrap()).unwrap();
    let logout = bench.app(async |session| {
        session.logout()?;
        assert_eq!(session.user().await?, None);
        Ok(())
    });
    let response = send(&logout, get(&cookie)).await.unwrap();
    assert_eq!((response.status(), set_cookie(&response)), (StatusCode::OK, None));
    assert!(bench.store.scan(ScanQuery::of_user("alice")).await.unwrap().sessions.is_empty());
    assert_eq!(bench.live().await, 1);

    let destroy = bench.app(async |session| session.destroy());
    let response = send(&destroy, get(&cookie)).await.unwrap();
    let removal = "iap-session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0";
    assert_eq!((set_cookie(&response), bench.live().await), (Some(removal), 0));
    let afresh = bench.app(async |session| {
        session.destroy()?;
        session.insert("first", 1)
    });
    let response = send(&afresh, get(&bench.cookie().await)).await.unwrap();
    assert!(cookie_of(&response).unwrap().len() > 40, "a new session begins");
}

#[tokio::test]
async fn an_ended_session_is_nobody_and_its_cookie_goes() {
    let bench = bench();
    let cookie = bench.cookie().await;
    let key = bench.store.scan(ScanQuery::default()).await.unwrap().sessions[0].key;
    bench.store.revoke(key, Reason::Operator).await.unwrap();
    let app = bench.app(async |session| {
        assert_eq!(session.get::<bool>("seen").await?, None);
        assert_eq!(session.ended(), Some(Reason::Operator));
        Ok(())
    });
    let response = send(&app, get(&cookie)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(set_cookie(&response).unwrap().starts_with("iap-session=; "));
}

#[tokio::test]
async fn concurrent_requests_that_set_different_attributes_both_win() {
    let bench = bench();
    let cookie = bench.cookie().await;
    let barrier = Arc::new(tokio::sync::Barrier::new(2));
    let setter = |name: &'static str| {
        let barrier = barrier.clone();
        bench.app(move |session| {
            let barrier = barrier.clone();
            async move {
                session.get::<bool>(name).await?;
                barrier.wait().await;
                session.insert(name, true)
            }
        })
    };
    let (left, right) = (setter("left"), setter("right"));
    let (left, right) = tokio::join!(send(&left, get(&cookie)), send(&right, get(&cookie)));
    assert_eq!((left.unwrap().status(), right.unwrap().status()), (StatusCode::OK, StatusCode::OK));
    let check = bench.app(async |session| {
        let names: Vec<_> = session.snapshot().await?.attributes.keys().cloned().collect();
        assert_eq!(names, ["left", "right", "seen"]);
        Ok(())
    });
    assert_eq!(send(&check, get(&cookie)).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn reads_touch_seldom() {
    let bench = bench();
    let cookie = bench.cookie().await;
    let (reader, writes) = (bench.reader(), bench.store.writes());
    let step = Expiry::default().idle / 20;
    bench.clock.advance(step - Duration::from_millis(1));
    send(&reader, get(&cookie)).await.unwrap();
    assert_eq!(bench.store.writes(), writes);
    bench.clock.advance(Duration::from_millis(1));
    send(&reader, get(&cookie)).await.unwrap();
    send(&reader, get(&cookie)).await.unwrap();
    assert_eq!(bench.store.writes(), writes + 1);
}

#[tokio::test]
async fn after_the_commit_the_handle_is_sealed() {
    let bench = bench();
    let kept: Arc<Mutex<Option<Session>>> = Arc::default();
    let keep = kept.clone();
    let app = bench.app(move |session| {
        *keep.lock() = Some(session);
        async { Ok(()) }
    });
    send(&app, get("")).await.unwrap();
    let session = kept.lock().take().unwrap();
    for late in [session.insert("late", 1), session.remove("seen"), session.logout(), session.destroy()] {
        assert_eq!(late.expect_err("too late").kind(), StoreErrorKind::Sealed);
    }
    assert_eq!(session.login("alice").await.expect_err("too late").kind(), StoreErrorKind::Sealed);
}

#[tokio::test]
async fn the_ready_clone_is_the_one_that_is_called() {
    let bench = bench();
    let inner = service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty())));
    // A clone of a limited service is not ready; calling one panics.
    let service =
        ServiceBuilder::new().layer(bench.layer.clone()).layer(ConcurrencyLimitLayer::new(1)).service(inner);
    let mut service = service;
    for _ in 0..3 {
        let response = service.ready().await.unwrap().call(get("")).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_route_can_switch_sessions_off() {
    let bench = bench();
    let service = service_fn(async |request: Request<Body>| {
        assert!(Session::from_request(&request).is_none());
        Ok::<_, Infallible>(Response::new(Body::empty()))
    });
    let app = BoxCloneService::new(bench.layer.layer(service));
    let policy = SessionPolicy { mode: Mode::Off, ..SessionPolicy::default() };
    let cookie = bench.cookie().await;
    assert_eq!(send(&app, on_route(policy, get(&cookie))).await.unwrap().status(), StatusCode::OK);
}
