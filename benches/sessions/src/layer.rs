//! What the layer adds to a request, and what counting its user does.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;

use http::{Request, Response};
use iap_core::{Body, MatchedRoute, Route, Target};
use iap_session::audience::Sketch;
use iap_session::{
    MemoryStore, Mode, Session, SessionConfig, SessionIds, SessionLayer, SessionPolicy, SessionStore,
};
use tokio::runtime::Builder;
use tower::{Layer, Service, service_fn};

use crate::{nanoseconds, session_of_2_kb};

pub fn run() {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let store = Arc::new(MemoryStore::new(SessionIds::ephemeral()));
    let layer = SessionLayer::with_config(store.clone(), SessionConfig::default()).expect("a layer");
    let mut nothing = service_fn(|_| ready(Ok::<_, Infallible>(Response::new(Body::empty()))));
    let mut service = layer.layer(nothing);
    let route = |mode| {
        let policy = SessionPolicy { mode, ..SessionPolicy::DEFAULT };
        MatchedRoute::new(Route::new("r", "/", Target::respond(http::StatusCode::OK, "")).with_policy(policy))
    };
    let request = |route: &MatchedRoute, cookie: &str| {
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(route.clone());
        if !cookie.is_empty() {
            request.headers_mut().insert(http::header::COOKIE, cookie.parse().expect("a cookie"));
        }
        request
    };
    let created = runtime.block_on(store.create(session_of_2_kb())).expect("a session");
    let cookie = format!("iap-session={}", created.id.encode());
    let (off, on) = (route(Mode::Off), route(Mode::On));
    let bare = nanoseconds(async || {
        nothing.call(request(&on, "")).await.expect("an answer");
    });
    let with_cookie = nanoseconds(async || {
        nothing.call(request(&on, &cookie)).await.expect("an answer");
    });
    let mut call = |route: &MatchedRoute, cookie: &str| {
        nanoseconds(async || {
            service.call(request(route, cookie)).await.expect("an answer");
        })
    };
    let (off, unused, sent) = (call(&off, "") - bare, call(&on, "") - bare, call(&on, &cookie) - with_cookie);
    println!(
        "layer: {off:.0} ns on a route without sessions, {unused:.0} ns with the session of nobody, {sent:.0} ns with a cookie that nobody looks at"
    );
    let reader = service_fn(|request: Request<Body>| async move {
        Session::from_request(&request).expect("a session").user().await.map(|_| Response::new(Body::empty()))
    });
    let mut reader = layer.layer(reader);
    let read = nanoseconds(async || {
        reader.call(request(&on, &cookie)).await.expect("an answer");
    });
    println!("layer: {:.0} ns with a session that is read (memory store)", read - with_cookie);

    let (mut sketch, mut number) = (Sketch::new(), 0u64);
    for number in 0..1_000_000u64 {
        sketch.add(&number.to_le_bytes());
    }
    let add = nanoseconds(async || {
        number += 1;
        sketch.add(&number.to_le_bytes());
    });
    println!("audience: {add:.1} ns to add somebody to a full sketch");
}
