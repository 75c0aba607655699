use super::*;

const FORWARD: SessionPolicy = SessionPolicy { forward: true, ..SessionPolicy::DEFAULT };

/// An application behind the gateway: answers with the request's headers.
fn upstream(bench: &Bench) -> (App, Arc<TokenRegistry>) {
    let registry = TokenRegistry::new(1000);
    let layer = bench.layer.clone().with_forwarding(registry.clone(), "http://127.0.0.1:7070/").unwrap();
    let service = service_fn(async |request: Request<Body>| {
        let mut response = Response::new(Body::empty());
        *response.headers_mut() = request.headers().clone();
        Ok::<_, Infallible>(response)
    });
    (BoxCloneService::new(layer.layer(service)), registry)
}

async fn login(bench: &Bench) -> String {
    let login = bench.app(async |session| session.login("alice").await);
    cookie_of(&send(&login, get("")).await.unwrap()).unwrap()
}

#[tokio::test]
async fn an_upstream_gets_a_token_and_the_user_and_not_our_cookie() {
    let bench = bench();
    let (app, registry) = upstream(&bench);
    let cookie = login(&bench).await;
    let mut request = get(&format!("theme=dark; {cookie}; __Host-iap=x; lang=ko"));
    request.headers_mut().append(COOKIE, HeaderValue::try_from(&cookie).unwrap());
    let seen = send(&app, on_route(FORWARD, request)).await.unwrap();
    let headers = seen.headers();
    let cookies: Vec<_> = headers.get_all(COOKIE).iter().collect();
    assert_eq!(cookies, ["theme=dark; lang=ko"]);
    assert_eq!(headers[USER_HEADER], "alice");
    assert_eq!(headers[URL_HEADER], "http://127.0.0.1:7070");
    let token = headers[TOKEN_HEADER].to_str().unwrap();
    assert_eq!(token.len(), 22);
    assert!(registry.resolve(token).is_none(), "the token is useless after the response");
    assert!(registry.is_empty());
}

#[tokio::test]
async fn without_a_cookie_nothing_is_loaded() {
    let bench = bench();
    let (app, _) = upstream(&bench);
    let seen = send(&app, on_route(FORWARD, get("theme=dark"))).await.unwrap();
    assert!(seen.headers().contains_key(TOKEN_HEADER) && !seen.headers().contains_key(USER_HEADER));
    assert_eq!(seen.headers()[COOKIE], "theme=dark");
    assert_eq!((bench.store.reads(), bench.store.writes()), (0, 0));
}

#[tokio::test]
async fn forged_headers_never_get_through() {
    let bench = bench();
    let (app, _) = upstream(&bench);
    let off = SessionPolicy { mode: Mode::Off, ..SessionPolicy::default() };
    for policy in [SessionPolicy::default(), off, FORWARD] {
        let mut request = get("");
        for name in ["iap-user", "iap_user", "IAP-Session-Token", "iap-session_token", "iap-session-url"] {
            request.headers_mut().append(name.parse::<http::HeaderName>().unwrap(), "admin".parse().unwrap());
        }
        request.headers_mut().insert("iap-userx", "kept".parse().unwrap());
        let seen = send(&app, on_route(policy, request)).await.unwrap();
        assert!(seen.headers().values().all(|value| value != "admin"), "{:?}", seen.headers());
        assert_eq!(seen.headers()["iap-userx"], "kept");
    }
}

#[tokio::test]
async fn an_evicted_user_is_not_named() {
    let bench = bench();
    let (app, _) = upstream(&bench);
    let cookie = login(&bench).await;
    let key = bench.store.scan(ScanQuery::default()).await.unwrap().sessions[0].key;
    bench.store.revoke(key, Reason::Evicted).await.unwrap();
    let seen = send(&app, on_route(FORWARD, get(&cookie))).await.unwrap();
    assert!(!seen.headers().contains_key(USER_HEADER));
    assert!(set_cookie(&seen).unwrap().starts_with("iap-session=; "));
}

#[tokio::test]
async fn without_a_store_a_forwarded_request_does_not_reach_the_application() {
    let bench = bench();
    let (app, registry) = upstream(&bench);
    let cookie = login(&bench).await;
    bench.store.fail_reads(true);
    let error = send(&app, on_route(FORWARD, get(&cookie))).await.expect_err("fails closed");
    assert_eq!(error.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(registry.is_empty());
    let open = SessionPolicy { outage: Outage::Anonymous, ..FORWARD };
    let seen = send(&app, on_route(open, get(&cookie))).await.unwrap();
    assert!(!seen.headers().contains_key(USER_HEADER));
}

#[tokio::test]
async fn a_full_registry_forwards_without_a_token() {
    let bench = bench();
    let registry = TokenRegistry::new(1);
    let mut guards = Vec::new();
    let brought = || Brought {
        policy: SessionPolicy::DEFAULT,
        presented: vec![],
        foreign: None,
        visitor: Visitor::new(&get("")),
        connection: None,
        route: None,
    };
    let session = || Session::new(bench.layer.shared.clone(), brought(), None);
    while registry.len() < 16 {
        guards.extend(registry.register(session()));
    }
    assert!(registry.register(session()).is_none());
    drop(guards);
    assert!(registry.is_empty());
}
