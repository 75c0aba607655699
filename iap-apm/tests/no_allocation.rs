//! Recording a span allocates nothing.

#[path = "../../tests/support/allocations.rs"]
mod allocations;
mod common;

use allocations::allocations;
use common::{begin, finish};
use iap_apm::Apm;
use iap_core::hooks::{Hooks, SpanEnd, Stage};

#[test]
fn spans_allocate_nothing() {
    let apm = Apm::builder().build().expect("an APM");
    let hooks = apm.hooks();
    let transaction = begin(&hooks, "/orders/7", None);
    let handle = hooks.handle(&transaction).expect("recorded");
    let address: std::sync::Arc<str> = "10.0.0.1:80".into();
    // The thread's ring is made by the first record that goes through it.
    hooks.finish(begin(&hooks, "/", None), finish(200, None));

    let spans = || {
        for _ in 0..1_000 {
            let upstream = hooks.start(&transaction, Stage::Upstream, None);
            let connect = hooks.start(&transaction, Stage::UpstreamConnect, hooks.span_id(&upstream));
            let end = SpanEnd { detail: Some(address.clone()), ..SpanEnd::default() };
            hooks.end(&transaction, connect, end);
            let end = SpanEnd { error: Some("refused".into()), ..SpanEnd::default() };
            hooks.end(&transaction, upstream, end);
        }
    };
    assert_eq!(allocations(spans), 0, "by the hooks");
    let guards = || (0..1_000).for_each(|_| drop(handle.span(Stage::Custom("price".into()))));
    assert_eq!(allocations(guards), 0, "by the handle");
    assert_eq!(apm.dropped().spans, 0, "they were all recorded");
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(7)))), 1, "the counter counts");

    drop(handle);
    assert_eq!(allocations(|| hooks.finish(transaction, finish(200, None))), 0, "at the end");
    // The transaction itself, with a short path. The connection is made by the test, and so is not counted.
    let connection = std::sync::Arc::new(iap_core::Connection::new(
        ([192, 0, 2, 7], 1).into(),
        ([127, 0, 0, 1], 80).into(),
        false,
    ));
    let whole = || {
        let transaction = hooks.begin(&iap_core::hooks::Begin {
            connection: &connection,
            method: &http::Method::GET,
            path: "/orders/7",
            query: None,
            host: "shop.example",
            version: http::Version::HTTP_11,
            parent: None,
        });
        hooks.finish(transaction, finish(200, None));
    };
    assert_eq!(allocations(whole), 1, "a whole transaction");
}
