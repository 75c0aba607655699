use std::time::Duration;

use http::header::{COOKIE, ETAG, IF_MATCH, IF_NONE_MATCH, SET_COOKIE};
use iap_core::{MatchedRoute, Route, Target};
use serde_json::json;
use tower::{Layer, ServiceExt, service_fn};

use super::*;
use crate::memory::MemoryStore;
use crate::{ScanQuery, SessionIds, SessionLayer, SessionPolicy, SessionStore};

/// Calls the API with the token of a live request and returns status and body.
#[derive(Clone)]
struct Caller {
    api: SessionApi,
    token: String,
}

impl Caller {
    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .body(body.as_ref().map_or_else(Body::empty, |body| body.to_string().into()))
            .unwrap();
        if body.is_some() {
            let json = HeaderValue::from_static("application/json; charset=utf-8");
            request.headers_mut().insert(CONTENT_TYPE, json);
        }
        self.send(request).await
    }

    async fn send(&self, request: Request<Body>) -> (u16, Value) {
        let response = self.api.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        let problem =
            response.headers().get(CONTENT_TYPE).is_some_and(|value| value == "application/problem+json");
        assert_eq!(problem, status >= 400);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }
}

struct Gateway {
    layer: SessionLayer,
    api: SessionApi,
    store: Arc<MemoryStore>,
}

fn gateway() -> Gateway {
    let store = Arc::new(MemoryStore::new(SessionIds::ephemeral()));
    let registry = TokenRegistry::new(100);
    let layer =
        SessionLayer::new(store.clone()).with_forwarding(registry.clone(), "http://127.0.0.1:1").unwrap();
    Gateway { layer, api: SessionApi::new(registry), store }
}

impl Gateway {
    /// Runs one request whose application talks to the API; returns the cookie line and the token.
    async fn visit<F>(&self, cookie: &str, application: F) -> (Option<String>, String)
    where
        F: AsyncFn(Caller),
    {
        let (to_app, from_gateway) = tokio::sync::oneshot::channel();
        let (to_gateway, from_app) = tokio::sync::oneshot::channel::<()>();
        let ends = Arc::new(parking_lot::Mutex::new(Some((to_app, from_app))));
        let service = service_fn(move |request: Request<Body>| {
            let (to_app, from_app) = ends.lock().take().expect("one request");
            async move {
                let token = request.headers()[TOKEN_HEADER].to_str().unwrap().to_owned();
                to_app.send(token).unwrap();
                from_app.await.unwrap();
                Ok::<_, Infallible>(Response::new(Body::empty()))
            }
        });
        let policy = SessionPolicy { forward: true, ..SessionPolicy::default() };
        let route = Route::new("app", "/", Target::respond(StatusCode::OK, "")).with_policy(policy);
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(MatchedRoute::new(route));
        if !cookie.is_empty() {
            request.headers_mut().insert(COOKIE, cookie.parse().unwrap());
        }
        let application = async {
            let token = from_gateway.await.unwrap();
            application(Caller { api: self.api.clone(), token: token.clone() }).await;
            to_gateway.send(()).unwrap();
            token
        };
        let (response, token) = tokio::join!(self.layer.layer(service).oneshot(request), application);
        let response = response.unwrap();
        let line = response.headers().get(SET_COOKIE).map(|line| line.to_str().unwrap().to_owned());
        (line.and_then(|line| line.split(';').next().map(str::to_owned)), token)
    }
}

#[tokio::test]
async fn an_application_reads_and_changes_its_session() {
    let gateway = gateway();
    let (cookie, _) = gateway
        .visit("", async |caller| {
            let fresh = json!({"user": null, "new": true, "version": 0, "handle": null, "ended": null, "attributes": {}});
            assert_eq!(caller.call("GET", "/session", None).await, (200, fresh));
            let patch = json!({"set": {"cart": [1], "a b": null}, "remove": ["none"]});
            let (status, state) = caller.call("PATCH", "/session", Some(patch)).await;
            assert_eq!((status, &state["attributes"]), (200, &json!({"cart": [1], "a b": null})));
            assert_eq!(caller.call("GET", "/session/attributes/cart", None).await, (200, json!([1])));
            assert_eq!(caller.call("GET", "/session/attributes/a%20b", None).await.0, 200);
            assert_eq!(caller.call("GET", "/session/attributes/other", None).await.0, 404);
            let (status, state) = caller.call("POST", "/session/login", Some(json!({"user": "alice"}))).await;
            assert_eq!((status, &state["user"]), (200, &json!("alice")));
            assert_eq!(
                gateway.store.stats().await.unwrap().live,
                0,
                "nothing is written before the response"
            );
        })
        .await;
    let cookie = cookie.expect("the commit has created a session");

    let (rotated, _) = gateway
        .visit(&cookie, async |caller| {
            let (_, state) = caller.call("GET", "/session", None).await;
            let handle = gateway.store.scan(ScanQuery::default()).await.unwrap().sessions[0].key.short();
            let wanted = json!({"user": "alice", "new": false, "version": 1, "ended": null, "handle": handle,
            "attributes": {"cart": [1], "a b": null}});
            assert_eq!(state, wanted);
            assert_eq!(caller.call("POST", "/session/rotate", None).await.0, 200);
            let (_, state) = caller.call("POST", "/session/logout", None).await;
            assert_eq!(state["user"], Value::Null);
        })
        .await;
    let rotated = rotated.expect("a rotation gives a new cookie");
    assert_ne!(rotated, cookie);

    let (gone, _) = gateway
        .visit(&rotated, async |caller| {
            assert_eq!(caller.call("DELETE", "/session", None).await.0, 204);
        })
        .await;
    assert_eq!(gone.as_deref(), Some("iap-session="));
    assert_eq!(gateway.store.stats().await.unwrap().live, 0);
}

#[tokio::test]
async fn a_token_ends_with_its_request() {
    let gateway = gateway();
    let (_, token) = gateway.visit("", async |_| ()).await;
    for token in [token.as_str(), "", "x", &"A".repeat(22), &"é".repeat(40)] {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = "/session".parse().unwrap();
        request.headers_mut().insert(TOKEN_HEADER, HeaderValue::from_bytes(token.as_bytes()).unwrap());
        let caller = Caller { api: gateway.api.clone(), token: String::new() };
        let (status, problem) = caller.send(request).await;
        assert_eq!((status, &problem["kind"]), (401, &json!("unauthorized")));
    }
}

#[tokio::test]
async fn a_token_ends_when_the_client_leaves() {
    let gateway = gateway();
    let (to_app, mut from_gateway) = tokio::sync::mpsc::channel(1);
    let service = service_fn(move |request: Request<Body>| {
        let to_app = to_app.clone();
        async move {
            to_app.send(request.headers()[TOKEN_HEADER].clone()).await.unwrap();
            std::future::pending::<Result<Response<Body>, Infallible>>().await
        }
    });
    let policy = SessionPolicy { forward: true, ..SessionPolicy::default() };
    let route = Route::new("app", "/", Target::respond(StatusCode::OK, "")).with_policy(policy);
    let mut request = Request::new(Body::empty());
    request.extensions_mut().insert(MatchedRoute::new(route));
    let visit = tokio::spawn(gateway.layer.layer(service).oneshot(request));
    let token = from_gateway.recv().await.unwrap();
    assert!(gateway.api.registry.resolve(token.to_str().unwrap()).is_some());
    visit.abort();
    assert!(tokio::time::timeout(Duration::from_secs(30), visit).await.unwrap().unwrap_err().is_cancelled());
    assert!(gateway.api.registry.resolve(token.to_str().unwrap()).is_none());
}

#[tokio::test]
async fn wrong_requests_are_told_what_is_wrong_and_change_nothing() {
    let gateway = gateway();
    let (cookie, _) = gateway
        .visit("", async |caller| {
            let big = "x".repeat(gateway.store.limits().attribute_bytes);
            for (method, path, body, status) in [
                ("PUT", "/session", None, 405),
                ("GET", "/session/login", None, 405),
                ("PATCH", "/session/attributes/a", None, 405),
                ("GET", "/session/attributes/a/increment", None, 405),
                ("GET", "/session/increment", None, 405),
                ("POST", "/session/increment", Some(json!({"by": 1})), 400),
                ("POST", "/session/increment", Some(json!({"name": ""})), 400),
                ("PUT", "/session/attributes/a", None, 415),
                ("PUT", "/session/attributes/%01", Some(json!(1)), 400),
                ("POST", "/session/attributes/a/increment", Some(json!({"by": 0.5})), 400),
                ("POST", "/session/login", Some(json!({"user": "a", "group": "none"})), 400),
                ("GET", "/other", None, 404),
                ("GET", "/session/attributes/a/b", None, 404),
                ("GET", "/session/attributes/%zz", None, 400),
                ("GET", "/session/attributes/%ff", None, 400),
                ("PATCH", "/session", None, 415),
                ("PATCH", "/session", Some(json!("text")), 400),
                ("PATCH", "/session", Some(json!({"sett": {}})), 400),
                ("PATCH", "/session", Some(json!({"set": {"fine": 1, "": 1}})), 400),
                ("PATCH", "/session", Some(json!({"set": {"fine": 1, "big": big}})), 413),
                ("PATCH", "/session", Some(json!({"set": {"big": "x".repeat(1 << 20)}})), 413),
                ("POST", "/session/login", Some(json!({"user": ""})), 400),
                ("POST", "/session/login", Some(json!({"user": "a\nb"})), 400),
            ] {
                assert_eq!(caller.call(method, path, body).await.0, status, "{method} {path}");
            }
            let (_, state) = caller.call("GET", "/session", None).await;
            assert_eq!(state["attributes"], json!({}));
        })
        .await;
    assert_eq!(cookie, None);
}

#[tokio::test]
async fn a_refused_method_is_told_which_are_served() {
    let gateway = gateway();
    gateway
        .visit("", async |caller| {
            for (path, allow) in [
                ("/session/rotate", "POST"),
                ("/session/attributes/a", "GET, PUT, DELETE"),
                ("/session/attributes/a/increment", "POST"),
            ] {
                let request = Request::patch(path).header(AUTHORIZATION, format!("Bearer {}", caller.token));
                let response =
                    caller.api.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
                assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
                assert_eq!(response.headers()[http::header::ALLOW], allow);
            }
        })
        .await;
}

#[tokio::test]
async fn a_change_during_the_commit_is_too_late() {
    let gateway = gateway();
    let cookie = gateway.visit("", async |caller| {
        let session = gateway.api.registry.resolve(&caller.token).unwrap();
        session.seal();
        let (status, _) = caller.call("PATCH", "/session", Some(json!({"set": {"late": 1}}))).await;
        assert_eq!(status, 401);
        assert_eq!(caller.call("DELETE", "/session", None).await.0, 401);
    });
    assert_eq!(cookie.await.0, None);
}

/// Sends one attribute with a condition; returns status and version.
async fn put(
    caller: &Caller,
    method: &str,
    condition: Option<(http::HeaderName, &str)>,
) -> (u16, Option<String>) {
    let mut request = Request::builder()
        .method(method)
        .uri("/session/attributes/seat")
        .header(AUTHORIZATION, format!("Bearer {}", caller.token))
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from("7"))
        .unwrap();
    if let Some((name, value)) = condition {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let response = caller.api.clone().oneshot(request).await.unwrap();
    let version = response.headers().get(ETAG).map(|tag| tag.to_str().unwrap().to_owned());
    (response.status().as_u16(), version)
}

#[tokio::test]
async fn an_attribute_has_a_version_and_conditions_are_decided_at_once() {
    let gateway = gateway();
    let set = async |caller: Caller| {
        caller.call("PATCH", "/session", Some(json!({"set": {"first": 1}}))).await;
    };
    let (cookie, _) = gateway.visit("", set).await;
    let cookie = cookie.unwrap();
    let stored = async |name: &str| {
        let page = gateway.store.scan(crate::ScanQuery::default()).await.unwrap();
        let Some(crate::Loaded::Found { record, .. }) =
            gateway.store.load(page.sessions[0].key, None).await.unwrap()
        else {
            panic!("it is there");
        };
        record.attributes.get(name).cloned()
    };
    gateway
        .visit(&cookie, async |caller| {
            let absent = Some((IF_NONE_MATCH, "*"));
            let (status, version) = put(&caller, "PUT", absent.clone()).await;
            assert_eq!(
                (status, stored("seat").await),
                (204, Some(json!(7))),
                "not with the response, but now"
            );
            let version = version.unwrap();
            assert_eq!(put(&caller, "PUT", absent).await.0, 412);
            assert_eq!(put(&caller, "GET", None).await, (200, Some(version.clone())));
            assert_eq!(put(&caller, "DELETE", Some((IF_MATCH, "\"0\""))).await.0, 412);
            assert_eq!(put(&caller, "PUT", Some((IF_MATCH, "*"))).await.0, 400);

            let (_, state) = caller.call("GET", "/session?versions", None).await;
            assert_eq!(state["versions"]["seat"], json!(version.trim_matches('"')));
            let first = &state["versions"]["first"];
            let wrong = json!({"set": {"first": 2}, "if": {"first": first, "seat": null}});
            assert_eq!(caller.call("PATCH", "/session", Some(wrong)).await.0, 412);
            assert_eq!(stored("first").await, Some(json!(1)));
            let right = json!({"set": {"first": 2}, "if": {"first": first, "none": null}});
            assert_eq!(caller.call("PATCH", "/session", Some(right)).await.0, 200);
            assert_eq!(stored("first").await, Some(json!(2)));

            let tags = format!("\"0\", {version}");
            assert_eq!(put(&caller, "DELETE", Some((IF_MATCH, &tags))).await.0, 204);
            assert_eq!(stored("seat").await, None);
            let path = "/session/attributes/count/increment";
            assert_eq!(caller.call("POST", path, Some(json!({}))).await, (200, json!({"value": 1})));
            assert_eq!(caller.call("POST", path, Some(json!({"by": -3}))).await, (200, json!({"value": -2})));
            assert_eq!(stored("count").await, Some(json!(-2)));
            let path = "/session/increment";
            let slashes = |by: i64| json!({"name": "../a\\b", "by": by});
            assert_eq!(caller.call("POST", path, Some(slashes(5))).await, (200, json!({"value": 5})));
            assert_eq!(
                caller.call("POST", path, Some(json!({"name": "count"}))).await.1,
                json!({"value": -1})
            );
            assert_eq!(stored("../a\\b").await, Some(json!(5)));
        })
        .await;
}

#[tokio::test]
async fn an_application_is_told_which_limit_it_has_met() {
    let gateway = gateway();
    gateway
        .visit("", async |caller| {
            let big = json!({"set": {"a\"b": "x".repeat(gateway.store.limits().attribute_bytes)}});
            let (status, problem) = caller.call("PATCH", "/session", Some(big)).await;
            let detail = problem["detail"].as_str().unwrap();
            assert!(status == 413 && detail.contains("`a\"b`") && detail.contains("65536"), "{problem}");
            let (_, problem) = caller.call("POST", "/session/login", Some(json!({"user": ""}))).await;
            assert!(
                problem["detail"].as_str().unwrap().contains("a user name has 1 to 256 bytes"),
                "{problem}"
            );
        })
        .await;
}
