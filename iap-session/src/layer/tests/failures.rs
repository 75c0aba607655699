use super::*;
use crate::store::{Change, ChangeListener};
use crate::{NearCache, NearCacheConfig};

#[tokio::test]
async fn a_failed_commit_is_never_a_success() {
    let bench = bench();
    let cookie = bench.cookie().await;
    bench.store.fail_writes(true);
    for request in [get(""), get(&cookie)] {
        let error = send(&bench.writer(), request).await.expect_err("nothing was written");
        assert_eq!((error.status(), error.is_retryable()), (StatusCode::SERVICE_UNAVAILABLE, true));
        let response = error.into_response(None);
        assert!(response.headers().contains_key("retry-after"));
        assert_eq!(set_cookie(&response), None, "the cookie is untouched");
    }
    bench.store.fail_writes(false);
    assert_eq!(send(&bench.writer(), get(&cookie)).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_touch_that_fails_does_not_cost_the_response() {
    let bench = bench();
    let cookie = bench.cookie().await;
    bench.clock.advance(Expiry::default().idle / 10);
    bench.store.fail_writes(true);
    assert_eq!(send(&bench.reader(), get(&cookie)).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn without_a_store_a_closed_route_fails_whatever_the_application_says() {
    let bench = bench();
    let cookie = bench.cookie().await;
    bench.store.fail_reads(true);
    let app = bench.app(async |session| {
        let error = session.get::<bool>("seen").await.expect_err("no store");
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        Ok(())
    });
    let error = send(&app, get(&cookie)).await.expect_err("the route fails closed");
    assert_eq!(error.status(), StatusCode::SERVICE_UNAVAILABLE);
    let unused = bench.app(async |_| Ok(()));
    assert_eq!(send(&unused, get(&cookie)).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn without_a_store_an_open_route_goes_on_but_never_writes() {
    let bench = bench();
    let cookie = bench.cookie().await;
    bench.store.fail_reads(true);
    let policy = SessionPolicy { outage: Outage::Anonymous, ..SessionPolicy::default() };
    let response = send(&bench.reader(), on_route(policy, get(&cookie))).await.unwrap();
    assert_eq!((response.status(), set_cookie(&response)), (StatusCode::OK, None));
    let writes = bench.store.writes();
    let error = send(&bench.writer(), on_route(policy, get(&cookie))).await.expect_err("nothing was written");
    assert_eq!(error.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(bench.store.writes(), writes, "no second session takes the place of the first");
    let login = bench.app(async |session| session.login("alice").await);
    let response = send(&login, on_route(policy, get(&cookie))).await.unwrap();
    assert_eq!(response.status(), StatusCode::IM_A_TEAPOT, "a login needs the store");
}

#[tokio::test]
async fn without_a_store_reads_go_on_with_what_was_known() {
    let mut bench = bench();
    let config = NearCacheConfig { clock: Arc::new(bench.clock.clone()), ..NearCacheConfig::default() };
    let near = Arc::new(NearCache::new(bench.store.clone(), config));
    bench.layer = SessionLayer::new(near.clone());
    let cookie = bench.cookie().await;
    let policy = SessionPolicy { outage: Outage::Stale(Duration::from_secs(60)), ..SessionPolicy::DEFAULT };
    let seen = bench.app(async |session| {
        assert_eq!(session.get::<bool>("seen").await?, Some(true));
        Ok(())
    });
    let read = async || send(&seen, on_route(policy, get(&cookie))).await.map(|answer| answer.status());
    assert_eq!(read().await.unwrap(), StatusCode::OK);

    bench.store.fail_reads(true);
    bench.store.fail_writes(true);
    ChangeListener::changed(near.listener(), Change::All);
    bench.clock.advance(Duration::from_secs(59));
    assert_eq!(read().await.unwrap(), StatusCode::OK, "although it is not believed any more");
    let strict = send(&seen, get(&cookie)).await.expect_err("a route that fails closed");
    assert_eq!(strict.status(), StatusCode::SERVICE_UNAVAILABLE);
    let mut post = on_route(policy, get(&cookie));
    *post.method_mut() = http::Method::POST;
    let post = send(&seen, post).await.expect_err("what may change something needs the truth");
    assert_eq!(post.status(), StatusCode::SERVICE_UNAVAILABLE);
    let write = send(&bench.writer(), on_route(policy, get(&cookie))).await.expect_err("no write is lost");
    assert_eq!(write.status(), StatusCode::SERVICE_UNAVAILABLE);
    bench.clock.advance(Duration::from_secs(2));
    assert_eq!(read().await.expect_err("it is too old").status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn leaving_works_in_the_browser_even_without_a_store() {
    let bench = bench();
    let cookie = bench.cookie().await;
    for reads_fail in [false, true] {
        bench.store.fail_reads(reads_fail);
        bench.store.fail_writes(true);
        let leave = bench.app(async |session| session.destroy());
        let response = send(&leave, get(&cookie)).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(set_cookie(&response).unwrap().starts_with("iap-session=; "));
    }
}

#[tokio::test]
async fn a_session_that_ends_during_the_request_stays_ended() {
    let bench = bench();
    let cookie = bench.cookie().await;
    let store = bench.store.clone();
    let app = bench.app(move |session| {
        let store = store.clone();
        async move {
            session.get::<bool>("seen").await?;
            let key = store.scan(ScanQuery::default()).await?.sessions[0].key;
            store.revoke(key, Reason::Operator).await?;
            session.insert("late", 1)
        }
    });
    let error = send(&app, get(&cookie)).await.expect_err("the session has ended");
    assert_eq!(error.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(bench.live().await, 0);
}

#[tokio::test]
async fn when_the_application_fails_nothing_is_written() {
    let bench = bench();
    let kept: Arc<Mutex<Option<Session>>> = Arc::default();
    let keep = kept.clone();
    let service = service_fn(move |request: Request<Body>| {
        let session = Session::from_request(&request).unwrap();
        session.insert("half", "done").unwrap();
        *keep.lock() = Some(session);
        async { Err::<Response<Body>, _>(BoxError::from("broken")) }
    });
    let app = BoxCloneService::new(bench.layer.layer(service));
    let error = send(&app, get("")).await.expect_err("the application fails");
    assert_eq!((error.status(), error.origin()), (StatusCode::INTERNAL_SERVER_ERROR, Origin::App));
    assert_eq!(bench.live().await, 0);
    let late = kept.lock().take().unwrap().insert("more", 1);
    assert_eq!(late.expect_err("the request is over").kind(), StoreErrorKind::Sealed);
}

#[tokio::test]
async fn limits_are_told_at_once_or_with_the_commit() {
    let bench = bench();
    let limits = *bench.store.limits();
    let app = bench.app(move |session| async move {
        let error = session.insert("big", "x".repeat(limits.attribute_bytes)).expect_err("too large");
        assert_eq!(error.kind(), StoreErrorKind::TooLarge);
        for index in 0..=limits.session_bytes / (limits.attribute_bytes / 2) {
            session.insert(format!("part{index}"), "x".repeat(limits.attribute_bytes / 2))?;
        }
        Ok(())
    });
    let error = send(&app, get("")).await.expect_err("the session is too large");
    assert_eq!(error.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let endless = bench.app(async |session| {
        loop {
            let name = crate::OpId::random().to_string();
            if let Err(error) = session.insert(name, "x".repeat(1000)) {
                assert_eq!(error.kind(), StoreErrorKind::TooLarge);
                return Ok(());
            }
        }
    });
    send(&endless, get("")).await.expect_err("what waits for the commit is bounded");
}
