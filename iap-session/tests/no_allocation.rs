//! The layer costs a route without sessions no allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::convert::Infallible;
use std::future::Ready;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use http::{Request, Response, StatusCode};
use iap_core::{Body, MatchedRoute, Route, Target};
use iap_session::{MemoryStore, Mode, SessionIds, SessionLayer, SessionPolicy};
use tower::{Layer as _, Service};

struct Counting;

thread_local!(static ALLOCATIONS: Cell<u64> = const { Cell::new(0) });

// An allocator cannot be written without `unsafe`; this one only counts and passes on.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A service that does nothing.
#[derive(Clone)]
struct Nothing;

impl Service<Request<Body>> for Nothing {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        std::future::ready(Ok(Response::new(Body::empty())))
    }
}

/// Allocations of a thousand requests beyond those that making them takes.
fn allocations(service: &mut impl Service<Request<Body>, Response = Response<Body>>, mode: Mode) -> u64 {
    let policy = SessionPolicy { mode, ..SessionPolicy::DEFAULT };
    let route = Route::new("r", "/", Target::respond(StatusCode::OK, "")).with_policy(policy);
    let route = MatchedRoute::new(route);
    let requests: Vec<_> = (0..1000)
        .map(|_| {
            let mut request = Request::new(Body::empty());
            request.extensions_mut().insert(route.clone());
            request
        })
        .collect();
    let mut context = Context::from_waker(Waker::noop());
    let before = ALLOCATIONS.get();
    for request in requests {
        assert!(service.poll_ready(&mut context).is_ready());
        let mut answer = std::pin::pin!(service.call(request));
        assert!(matches!(answer.as_mut().poll(&mut context), Poll::Ready(Ok(_))), "it waits for nothing");
    }
    ALLOCATIONS.get() - before
}

#[test]
fn a_route_without_sessions_allocates_nothing() {
    let layer = SessionLayer::new(Arc::new(MemoryStore::new(SessionIds::ephemeral())));
    let mut service = layer.layer(Nothing);
    let bare = allocations(&mut Nothing, Mode::Off);
    assert_eq!(allocations(&mut service, Mode::Off), bare);
    assert!(allocations(&mut service, Mode::On) > bare, "what is counted can be seen");
}
