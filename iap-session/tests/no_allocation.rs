//! The layer costs a route without sessions no allocation, and a session that nobody uses two: itself, and its
//! place in the request's extensions.

#[path = "../../tests/support/allocations.rs"]
mod allocations;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use allocations::allocations;
use http::{Request, Response, StatusCode};
use iap_core::{Body, MatchedRoute, Route, Target};
use iap_session::{MemoryStore, Mode, SessionIds, SessionLayer, SessionPolicy};
use tower::{Layer as _, Service, service_fn};

const REQUESTS: u64 = 1000;

/// Allocations of a thousand requests beyond those that making them takes.
fn of_requests(service: &mut impl Service<Request<Body>, Response = Response<Body>>, mode: Mode) -> u64 {
    let policy = SessionPolicy { mode, ..SessionPolicy::DEFAULT };
    let route = Route::new("r", "/", Target::respond(StatusCode::OK, "")).with_policy(policy);
    let route = MatchedRoute::new(route);
    let requests: Vec<_> = (0..REQUESTS)
        .map(|_| {
            let mut request = Request::new(Body::empty());
            request.extensions_mut().insert(route.clone());
            request
        })
        .collect();
    let mut context = Context::from_waker(Waker::noop());
    allocations(|| {
        for request in requests {
            assert!(service.poll_ready(&mut context).is_ready());
            let mut answer = std::pin::pin!(service.call(request));
            assert!(matches!(answer.as_mut().poll(&mut context), Poll::Ready(Ok(_))), "it waits for nothing");
        }
    })
}

#[test]
fn what_is_not_used_is_not_paid_for() {
    let layer = SessionLayer::new(Arc::new(MemoryStore::new(SessionIds::ephemeral())));
    let mut nothing = service_fn(|_| std::future::ready(Ok::<_, Infallible>(Response::new(Body::empty()))));
    let mut service = layer.layer(nothing);
    let bare = of_requests(&mut nothing, Mode::Off);
    assert_eq!(of_requests(&mut service, Mode::Off), bare);
    assert_eq!(of_requests(&mut service, Mode::On), bare + 2 * REQUESTS, "what is counted can be seen");
}
