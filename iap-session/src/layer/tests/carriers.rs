use super::*;
use crate::policy::{Binding, Carrier, CookieConfig, Group, SameSite, TokenKeys};

const HEADER: &str = "x-auth-token";
const BY_HEADER: SessionPolicy = SessionPolicy { carrier: Carrier::Header, ..SessionPolicy::DEFAULT };

fn with_header(value: &str) -> Request<Body> {
    let request = Request::builder().header(HEADER, value).body(Body::empty()).unwrap();
    on_route(BY_HEADER, request)
}

fn header_of(response: &Response<Body>) -> Option<&str> {
    response.headers().get(HEADER).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn an_api_client_has_its_session_in_a_header() {
    let bench = bench();
    let first = send(&bench.writer(), on_route(BY_HEADER, get(""))).await.unwrap();
    let token = header_of(&first).expect("the response brings it").to_owned();
    assert_eq!(set_cookie(&first), None);

    let kept = bench.app(async |session| {
        assert_eq!(session.get::<bool>("seen").await?, Some(true));
        Ok(())
    });
    let second = send(&kept, with_header(&token)).await.unwrap();
    assert_eq!((second.status(), header_of(&second)), (StatusCode::OK, None));

    let login = bench.app(async |session| session.login("kim").await);
    let rotated = send(&login, with_header(&token)).await.unwrap();
    let rotated = header_of(&rotated).unwrap().to_owned();
    assert_ne!(rotated, token);

    let leave = bench.app(async |session| session.destroy());
    let left = send(&leave, with_header(&rotated)).await.unwrap();
    assert_eq!(header_of(&left), Some(""), "the client shall forget it");
    assert_eq!(bench.live().await, 0);
}

#[tokio::test]
async fn where_headers_count_a_cookie_does_not_and_the_other_way_round() {
    let bench = bench();
    let cookie = bench.cookie().await;
    let (_, token) = cookie.split_once('=').unwrap();
    let empty = bench.app(async |session| {
        assert_eq!(session.get::<bool>("seen").await?, None);
        Ok(())
    });
    let by_cookie = send(&empty, on_route(BY_HEADER, get(&cookie))).await.unwrap();
    let by_header = Request::builder().header(HEADER, token).body(Body::empty()).unwrap();
    let by_header = send(&empty, by_header).await.unwrap();
    assert_eq!((by_cookie.status(), by_header.status()), (StatusCode::OK, StatusCode::OK));
}

#[tokio::test]
async fn the_attributes_of_the_cookie_are_as_configured_when_it_is_set_and_taken_away() {
    let cookie = CookieConfig {
        secure_name: "JSESSIONID".into(),
        plain_name: "JSESSIONID".into(),
        same_site: SameSite::None,
        partitioned: true,
        domain: Some("shop.example".into()),
        ..CookieConfig::default()
    };
    let bench =
        bench_with(SessionConfig { cookie, jvm_route: Some("node1".into()), ..SessionConfig::default() });
    let secure = send(&bench.writer(), over_tls(get(""))).await.unwrap();
    let line = set_cookie(&secure).unwrap();
    let (value, attributes) = line.split_once("; ").unwrap();
    assert!(value.starts_with("JSESSIONID=") && value.ends_with(".node1"), "{value}");
    assert_eq!(attributes, "Domain=shop.example; Path=/; HttpOnly; SameSite=None; Secure; Partitioned");

    let leave = bench.app(async |session| session.destroy());
    let gone = send(&leave, over_tls(get(value))).await.unwrap();
    assert_eq!(set_cookie(&gone), Some(&*format!("JSESSIONID=; {attributes}; Max-Age=0")));

    let plain = send(&bench.writer(), get("")).await.unwrap();
    let (_, attributes) = set_cookie(&plain).unwrap().split_once("; ").unwrap();
    assert_eq!(attributes, "Domain=shop.example; Path=/; HttpOnly; SameSite=Lax", "browsers want it so");
}

#[test]
fn cookies_that_browsers_refuse_are_refused() {
    let store = || Arc::new(MemoryStore::new(SessionIds::ephemeral()));
    let default = CookieConfig::default;
    for cookie in [
        CookieConfig { domain: Some("shop.example".into()), ..default() },
        CookieConfig { plain_name: "__Host-iap".into(), ..default() },
        CookieConfig { plain_name: "__secure-iap".into(), ..default() },
        CookieConfig { secure_name: "a b".into(), ..default() },
        CookieConfig { secure_name: "iap".into(), domain: Some("a; Path=/b".into()), ..default() },
        CookieConfig { secure_name: "iap".into(), domain: Some("".into()), ..default() },
    ] {
        let config = SessionConfig { cookie: cookie.clone(), ..SessionConfig::default() };
        assert!(SessionLayer::with_config(store(), config).is_err(), "{cookie:?}");
    }
    let node = SessionConfig { jvm_route: Some("a.b".into()), ..SessionConfig::default() };
    assert!(SessionLayer::with_config(store(), node).is_err());
}

#[tokio::test]
async fn a_forged_id_asks_no_store_and_a_former_key_is_replaced() {
    let keys = |current: &[u8], former: &[&[u8]]| Some(TokenKeys::new(current, former).unwrap());
    let config = SessionConfig { token_keys: keys(b"first key, 16 b.", &[]), ..SessionConfig::default() };
    let mut bench = bench_with(config);
    let cookie = bench.cookie().await;

    let asked = bench.store.reads();
    let forged = SessionIds::ephemeral().generate().0.encode();
    let forged = send(&bench.reader(), get(&format!("iap-session={forged}"))).await.unwrap();
    assert_eq!((forged.status(), bench.store.reads()), (StatusCode::OK, asked));

    let token_keys = keys(b"second key, 16 b.", &[b"first key, 16 b."]);
    let config = SessionConfig { token_keys, ..SessionConfig::default() };
    bench.layer = SessionLayer::with_config(bench.store.clone(), config).unwrap();
    let user = send(&bench.reader(), get(&cookie)).await.unwrap();
    let renewed = cookie_of(&user).expect("written anew");
    assert_eq!(renewed[..55], cookie[..55], "the same id");
    assert_ne!(renewed, cookie);
    let again = send(&bench.reader(), get(&renewed)).await.unwrap();
    assert_eq!(set_cookie(&again), None);
    assert_eq!(bench.live().await, 1);
}

fn from(address: [u8; 4], agent: &str, cookie: &str) -> Request<Body> {
    let mut request = get(cookie);
    request.headers_mut().insert(http::header::USER_AGENT, agent.parse().unwrap());
    let local = ([127, 0, 0, 1], 80).into();
    request.extensions_mut().insert(Arc::new(Connection::new((address, 1).into(), local, false)));
    request
}

#[tokio::test]
async fn a_bound_session_is_of_no_use_elsewhere_and_stays_its_owners() {
    let binding = Binding { user_agent: true, address: true };
    let bench = bench_with(SessionConfig { binding, ..SessionConfig::default() });
    let home = |cookie: &str| from([192, 0, 2, 1], "Firefox/131.0", cookie);
    let created = send(&bench.writer(), home("")).await.unwrap();
    let cookie = cookie_of(&created).unwrap();
    let has_it = bench
        .app(async |session| session.get::<bool>("seen").await?.map(|_| ()).ok_or_else(StoreError::gone));
    let status = async |request| send(&has_it, request).await.unwrap().status();
    assert_eq!(status(from([192, 0, 2, 200], "Firefox/132.1", &cookie)).await, StatusCode::OK);
    assert_eq!(status(from([192, 0, 3, 1], "Firefox/131.0", &cookie)).await, StatusCode::IM_A_TEAPOT);
    assert_eq!(status(from([192, 0, 2, 1], "curl/8.5.0", &cookie)).await, StatusCode::IM_A_TEAPOT);
    assert_eq!(status(home(&cookie)).await, StatusCode::OK, "its owner has it still");

    // A login binds it anew.
    let login = bench.app(async |session| session.login("kim").await);
    let moved = send(&login, home(&cookie)).await.unwrap();
    let moved = cookie_of(&moved).unwrap();
    assert_eq!(status(home(&moved)).await, StatusCode::OK);
}

#[tokio::test]
async fn a_group_has_its_own_limit_and_lifetime() {
    let admins = Group {
        login: LoginPolicy { max: 1, when_full: WhenFull::RefuseNew },
        expiry: Some(Expiry { idle: Duration::from_secs(60), absolute: Duration::from_secs(600) }),
    };
    let groups = [("admins".to_owned(), admins)].into();
    let bench = bench_with(SessionConfig { groups, ..SessionConfig::default() });
    let admin = bench.app(async |session| session.login_as("root", "admins").await);
    let anybody = bench.app(async |session| session.login("kim").await);
    let nobody = bench.app(async |session| session.login_as("kim", "unknown").await);

    let first = send(&admin, get(&bench.cookie().await)).await.unwrap();
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(send(&admin, get("")).await.unwrap().status(), StatusCode::IM_A_TEAPOT, "one is the limit");
    for _ in 0..3 {
        assert_eq!(send(&anybody, get("")).await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(send(&nobody, get("")).await.unwrap().status(), StatusCode::IM_A_TEAPOT);

    let lives = async |request| {
        let user = bench.app(async |session| session.user().await?.map(|_| ()).ok_or_else(StoreError::gone));
        send(&user, request).await.unwrap().status() == StatusCode::OK
    };
    let admins = cookie_of(&first).unwrap();
    assert!(lives(get(&admins)).await);
    bench.clock.advance(Duration::from_secs(61));
    assert!(!lives(get(&admins)).await, "after the idle time of the group");
}

#[tokio::test]
async fn a_route_has_its_own_lifetime() {
    let bench = bench();
    let short = Expiry { idle: Duration::from_secs(10), absolute: Duration::from_secs(20) };
    let policy = SessionPolicy { expiry: Some(short), ..SessionPolicy::DEFAULT };
    let created = send(&bench.writer(), on_route(policy, get(""))).await.unwrap();
    let page = bench.store.scan(ScanQuery::default()).await.unwrap();
    let session = &page.sessions[0];
    assert_eq!(session.deadline_ms - session.created_ms, 10_000);
    assert!(cookie_of(&created).is_some());
}
