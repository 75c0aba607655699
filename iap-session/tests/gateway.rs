//! Whole gateways over a real Redis server.

#![cfg(feature = "redis")]

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{COOKIE, SET_COOKIE};
use http::{Request, Response, StatusCode};
use iap_core::{Body, Error};
use iap_session::testing::RedisServer;
use iap_session::{
    LoginPolicy, RedisConfig, RedisStore, ScanQuery, Session, SessionConfig, SessionIds, SessionLayer,
    Sessions, StoreError, WhenFull,
};
use tower::{Layer, ServiceExt, service_fn};

struct Gateway {
    layer: SessionLayer,
    sessions: Sessions,
}

/// Waits long, so that a busy machine is not taken for a lost server.
async fn gateway(server: &RedisServer) -> Gateway {
    patient_gateway(server, Duration::from_secs(15)).await
}

async fn patient_gateway(server: &RedisServer, patience: Duration) -> Gateway {
    let ids = SessionIds::new(b"one secret for all gateways").unwrap();
    let config = RedisConfig {
        command_timeout: patience,
        connect_timeout: patience,
        unresponsive_after: 3 * patience,
        ..RedisConfig::new(server.url())
    };
    let store = Arc::new(RedisStore::connect(ids, config).await.unwrap());
    let login = LoginPolicy { max: 1, when_full: WhenFull::EvictOldest };
    let config = SessionConfig { login, ..SessionConfig::default() };
    let layer = SessionLayer::with_config(store.clone(), config).unwrap();
    Gateway { layer, sessions: Sessions::new(store) }
}

impl Gateway {
    async fn visit<F>(&self, cookie: &str, handler: F) -> Result<Response<Body>, Error>
    where
        F: AsyncFnOnce(Session) -> Result<(), StoreError>,
    {
        let (to_handler, from_layer) = tokio::sync::oneshot::channel::<Session>();
        let (to_layer, from_handler) = tokio::sync::oneshot::channel::<()>();
        let ends = Arc::new(std::sync::Mutex::new(Some((to_handler, from_handler))));
        let service = service_fn(move |request: Request<Body>| {
            let (to_handler, from_handler) = ends.lock().unwrap().take().unwrap();
            async move {
                let _ = to_handler.send(Session::from_request(&request).unwrap());
                from_handler.await.unwrap();
                Ok::<_, Infallible>(Response::new(Body::empty()))
            }
        });
        let mut request = Request::new(Body::empty());
        if !cookie.is_empty() {
            request.headers_mut().insert(COOKIE, cookie.parse().unwrap());
        }
        let handler = async {
            let result = handler(from_layer.await.unwrap()).await;
            to_layer.send(()).unwrap();
            result
        };
        let (response, result) = tokio::join!(self.layer.layer(service).oneshot(request), handler);
        if response.is_ok() {
            result.expect("the handler is content");
        }
        response
    }
}

fn cookie_of(response: &Response<Body>) -> Option<String> {
    let line = response.headers().get(SET_COOKIE)?.to_str().unwrap();
    Some(line.split(';').next().unwrap().to_owned())
}

#[tokio::test]
async fn a_session_goes_on_at_another_gateway() {
    let server = RedisServer::start();
    let (one, two) = (gateway(&server).await, gateway(&server).await);
    let first = one.visit("", async |session| session.insert("cart", [1, 2])).await.unwrap();
    let cookie = cookie_of(&first).unwrap();
    let login = two.visit(&cookie, async |session| {
        assert_eq!(session.get::<Vec<u8>>("cart").await?, Some(vec![1, 2]));
        session.login("alice").await
    });
    let cookie = cookie_of(&login.await.unwrap()).unwrap();
    one.visit(&cookie, async |session| {
        assert_eq!(session.user().await?.as_deref(), Some("alice"));
        Ok(())
    })
    .await
    .unwrap();

    // A login elsewhere takes the only place; the first session is refused from then on.
    two.visit("", async |session| session.login("alice").await).await.unwrap();
    let refused = one.visit(&cookie, async |session| {
        assert_eq!(session.user().await?, None);
        Ok(())
    });
    assert_eq!(cookie_of(&refused.await.unwrap()).as_deref(), Some("iap-session="));
}

#[tokio::test]
async fn concurrent_requests_at_two_gateways_both_win() {
    let server = RedisServer::start();
    let (one, two) = (gateway(&server).await, gateway(&server).await);
    let cookie = cookie_of(&one.visit("", async |session| session.insert("a", 1)).await.unwrap()).unwrap();
    let barrier = tokio::sync::Barrier::new(2);
    let set = async |gateway: &Gateway, name: &'static str| {
        gateway
            .visit(&cookie, async |session| {
                session.get::<u8>("a").await?;
                barrier.wait().await;
                session.insert(name, 1)
            })
            .await
            .unwrap()
    };
    tokio::join!(set(&one, "left"), set(&two, "right"));
    one.visit(&cookie, async |session| {
        let names: Vec<_> = session.snapshot().await?.attributes.keys().cloned().collect();
        assert_eq!(names, ["a", "left", "right"]);
        Ok(())
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_session_ended_by_an_operator_is_not_brought_back_by_a_late_commit() {
    let server = RedisServer::start();
    let (one, two) = (gateway(&server).await, gateway(&server).await);
    let cookie = cookie_of(&one.visit("", async |session| session.insert("a", 1)).await.unwrap()).unwrap();
    let late = one.visit(&cookie, async |session| {
        session.get::<u8>("a").await?;
        let key = two.sessions.list(ScanQuery::default()).await?.sessions[0].key;
        assert!(two.sessions.revoke(key, None).await?);
        session.insert("late", 1)
    });
    assert_eq!(late.await.expect_err("the session has ended").status(), StatusCode::UNAUTHORIZED);
    assert!(two.sessions.list(ScanQuery::default()).await.unwrap().sessions.is_empty());
    assert_eq!(two.sessions.stats().await.unwrap().live, 0);
}

#[tokio::test]
async fn a_server_that_dies_during_a_request_costs_the_response_and_not_the_cookie() {
    let mut server = RedisServer::start();
    let gateway = patient_gateway(&server, Duration::from_secs(1)).await;
    let cookie =
        cookie_of(&gateway.visit("", async |session| session.insert("a", 1)).await.unwrap()).unwrap();
    let failed = gateway.visit(&cookie, async |session| {
        session.get::<u8>("a").await?;
        server.kill();
        session.insert("b", 1)
    });
    let response = failed.await.expect_err("nothing was committed").into_response(None);
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(cookie_of(&response), None);
    server.restart();
    let give_up = Instant::now() + Duration::from_secs(30);
    while gateway.visit("", async |session| session.insert("a", 1)).await.is_err() {
        assert!(Instant::now() < give_up, "it recovers");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
