use iap_core::rules::{RateKey, RateLimit, Rules};
use iap_core::target::{Split, SplitBy, Variant};

use super::*;

/// An application that answers with who it is told the request is from: `session user`.
fn telling(bench: &Bench) -> App {
    let service = service_fn(async |request: Request<Body>| {
        let identity = request.extensions().get::<Identity>().cloned().unwrap_or_default();
        let text = |name: Option<Arc<str>>| name.unwrap_or_else(|| "-".into());
        let mut response = Response::new(Body::empty());
        let told = format!("{} {}", text(identity.session), text(identity.user));
        response.headers_mut().insert("x-told", told.parse().unwrap());
        Ok::<_, Infallible>(response)
    });
    BoxCloneService::new(bench.layer.layer(service))
}

/// A request on a route whose limit is by this key.
fn limited(key: RateKey, mut request: Request<Body>) -> Request<Body> {
    let mut rules = Rules::default();
    rules.rates = vec![RateLimit::new(key, 1, Duration::from_secs(1)).unwrap()];
    let route = Route::new("test", "/", Target::respond(StatusCode::OK, "")).with_rules(rules);
    request.extensions_mut().insert(MatchedRoute::new(route));
    request
}

fn told(response: &Response<Body>) -> &str {
    response.headers()["x-told"].to_str().unwrap()
}

async fn login(bench: &Bench, user: &'static str) -> String {
    let app = bench.app(async move |session| session.login(user).await);
    cookie_of(&send(&app, get("")).await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_route_that_asks_is_told_the_session_and_its_user() {
    let bench = bench();
    let (app, kim) = (telling(&bench), login(&bench, "kim").await);
    let session = bench.store.scan(ScanQuery::default()).await.unwrap().sessions[0].key.to_string();
    for key in [RateKey::Session, RateKey::User] {
        let response = send(&app, limited(key, get(&kim))).await.unwrap();
        assert_eq!(told(&response), format!("{session} kim"));
        assert!(!kim.contains(&session), "the cookie's value is told to nobody");
    }
    // Nobody is logged in.
    let guest = bench.cookie().await;
    let response = send(&app, limited(RateKey::User, get(&guest))).await.unwrap();
    assert!(told(&response).ends_with(" -") && !told(&response).starts_with("- "), "{}", told(&response));
}

#[tokio::test]
async fn who_is_made_up_is_nobody() {
    let bench = bench();
    let app = telling(&bench);
    let forged = format!("iap-session={}", SessionIds::ephemeral().generate().0.encode());
    for cookie in ["", "theme=dark", "iap-session=x", &forged] {
        let response = send(&app, limited(RateKey::Session, get(cookie))).await.unwrap();
        assert_eq!(told(&response), "- -", "{cookie}");
    }
}

#[tokio::test]
async fn a_route_that_does_not_ask_costs_no_load() {
    let bench = bench();
    let (app, kim) = (telling(&bench), login(&bench, "kim").await);
    let before = bench.store.reads();
    let plain = send(&app, get(&kim)).await.unwrap();
    let by_client = send(&app, limited(RateKey::Client, get(&kim))).await.unwrap();
    assert_eq!((told(&plain), told(&by_client)), ("- -", "- -"));
    assert_eq!(bench.store.reads(), before);
    send(&app, limited(RateKey::Session, get(""))).await.unwrap();
    assert_eq!(bench.store.reads(), before, "nor one without a cookie");
}

#[tokio::test]
async fn the_user_of_a_login_at_the_route_stays() {
    let bench = bench();
    let (app, kim) = (telling(&bench), login(&bench, "kim").await);
    let mut request = limited(RateKey::User, get(&kim));
    request.extensions_mut().get_or_insert_default::<Identity>().user = Some("ci".into());
    assert!(told(&send(&app, request).await.unwrap()).ends_with(" ci"));
}

#[tokio::test]
async fn a_split_by_user_is_told_too() {
    let bench = bench();
    let (app, kim) = (telling(&bench), login(&bench, "kim").await);
    let told_by = async |by| {
        let variant = |name: &str| Variant::new(name, 1, Target::respond(StatusCode::OK, ""));
        let split = Split::new("canary", by, [variant("old"), variant("new")]).unwrap();
        let mut request = get(&kim);
        let route = MatchedRoute::new(Route::new("test", "/", Target::Split(Arc::new(split))));
        request.extensions_mut().insert(route);
        told(&send(&app, request).await.unwrap()).to_owned()
    };
    assert!(told_by(SplitBy::User).await.ends_with(" kim"));
    assert_eq!(told_by(SplitBy::Client).await, "- -");
}
