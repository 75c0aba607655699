use super::*;
use crate::policy::CreationFilter;

fn as_agent(agent: &str, cookie: &str) -> Request<Body> {
    let mut request = get(cookie);
    request.headers_mut().insert(http::header::USER_AGENT, agent.parse().unwrap());
    request
}

#[tokio::test]
async fn ten_thousand_requests_of_a_crawler_create_nothing() {
    let bench = bench();
    let app = bench.app(async |session| {
        session.insert("seen", true)?;
        assert_eq!(session.get::<bool>("seen").await?, Some(true), "it lasts for the request");
        Ok(())
    });
    for _ in 0..10_000 {
        let response = send(&app, as_agent("Googlebot/2.1", "")).await.unwrap();
        assert_eq!((response.status(), set_cookie(&response)), (StatusCode::OK, None));
    }
    assert_eq!(bench.live().await, 0);
    let person = send(&app, as_agent("Firefox/131.0", "")).await.unwrap();
    assert!(set_cookie(&person).is_some());
    assert_eq!(bench.live().await, 1);
}

#[tokio::test]
async fn the_filter_is_in_nobodys_way_who_has_a_session_or_logs_in() {
    let bench = bench();
    let cookie = bench.cookie().await;
    let count = bench.app(async |session| session.increment("count", 1).await.map(|_| ()));
    send(&count, as_agent("Googlebot/2.1", &cookie)).await.unwrap();
    let read = bench.app(async |session| {
        assert_eq!(session.get::<u64>("count").await?, Some(1));
        Ok(())
    });
    assert_eq!(send(&read, get(&cookie)).await.unwrap().status(), StatusCode::OK);
    let login = bench.app(async |session| session.login("kim").await);
    let entered = send(&login, as_agent("Googlebot/2.1", "")).await.unwrap();
    assert!(set_cookie(&entered).is_some());
}

#[tokio::test]
async fn without_the_filter_a_crawler_has_sessions() {
    let bench = bench_with(SessionConfig { creation: CreationFilter::off(), ..SessionConfig::default() });
    send(&bench.writer(), as_agent("Googlebot/2.1", "")).await.unwrap();
    assert_eq!(bench.live().await, 1);
}

#[tokio::test]
async fn a_route_for_existing_sessions_begins_none() {
    let bench = bench();
    let existing = SessionPolicy { mode: Mode::Existing, ..SessionPolicy::DEFAULT };
    let stranger = send(&bench.writer(), on_route(existing, get(""))).await.unwrap();
    assert_eq!((stranger.status(), set_cookie(&stranger)), (StatusCode::OK, None));
    assert_eq!(bench.live().await, 0);
    let login = bench.app(async |session| session.login("kim").await);
    let refused = send(&login, on_route(existing, get(""))).await.unwrap();
    assert_eq!(refused.status(), StatusCode::IM_A_TEAPOT);

    let cookie = bench.cookie().await;
    let write = bench.app(async |session| session.insert("more", 1));
    send(&write, on_route(existing, get(&cookie))).await.unwrap();
    let read = bench.app(async |session| {
        assert_eq!(session.get::<u64>("more").await?, Some(1));
        Ok(())
    });
    assert_eq!(send(&read, get(&cookie)).await.unwrap().status(), StatusCode::OK);
    let entered = send(&login, on_route(existing, get(&cookie))).await.unwrap();
    assert_eq!(entered.status(), StatusCode::OK);
}
