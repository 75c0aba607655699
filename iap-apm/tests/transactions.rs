//! Transactions through the hooks, as a server calls them.

mod common;

use std::sync::Arc;

use common::{begin, finish, listed, trace};
use iap_apm::{Apm, SpanStatus, UNROUTED};
use iap_core::hooks::{Field, Hooks, SpanEnd, Stage};
use iap_core::{Kind, TraceContext};

fn apm() -> Apm {
    Apm::builder().service_name("shop").build().expect("an APM")
}

#[tokio::test]
async fn nested_stages_make_the_tree() {
    let apm = apm();
    let hooks = apm.hooks();
    let transaction = begin(&hooks, "/orders/7", None);
    hooks.routed(&transaction, &"orders".into());
    let upstream = hooks.start(&transaction, Stage::Upstream, None);
    let connect = hooks.start(&transaction, Stage::UpstreamConnect, hooks.span_id(&upstream));
    hooks.end(&transaction, connect, SpanEnd { detail: Some("10.0.0.1:80".into()), ..SpanEnd::default() });
    let end = SpanEnd { error: Some("reset".into()), ..SpanEnd::default() };
    hooks.end(&transaction, upstream, end);
    let handle = hooks.handle(&transaction).expect("recorded");
    handle.set(Field::User, "kim");
    let outer = handle.span(Stage::Custom("price".into()));
    drop(outer.transaction().span(Stage::SessionLoad));
    drop(outer);
    hooks.finish(transaction, finish(502, Some(Kind::BadGateway)));
    apm.flush().await.expect("flushed");

    let rows = listed(&apm).await;
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!(
        (row.method.as_str(), row.path.as_str(), row.host.as_str()),
        ("GET", "/orders/7", "shop.example")
    );
    assert_eq!((row.route.as_str(), row.status, row.failed, row.bytes_out), ("orders", 502, true, 12));
    assert_eq!((row.user.as_deref(), row.error.as_deref()), (Some("kim"), Some("bad_gateway")));
    assert_eq!(row.client.as_deref(), Some("192.0.2.7"));

    let tree = trace(&apm, row.trace_id).await.tree();
    assert_eq!(tree.roots.len(), 1);
    let root = &tree.roots[0];
    assert_eq!((root.span.name.as_str(), root.span.span_id), ("GET orders", row.span_id));
    // By name: the two may have begun in the same microsecond.
    assert_eq!(root.children.len(), 2);
    let child = |name: &str| root.children.iter().find(|node| node.span.name == name).expect(name);
    let (upstream, price) = (child("upstream"), child("price"));
    assert_eq!(upstream.span.status, SpanStatus::Error);
    assert_eq!(upstream.children[0].span.text("server.address"), Some("10.0.0.1:80"));
    assert_eq!(price.children[0].span.name, "session.load");
    for node in tree.iter() {
        let children: u64 = node.children.iter().map(|child| child.span.duration_us).sum();
        assert_eq!(node.self_us + children, node.span.duration_us, "one after the other: {}", node.span.name);
    }
    assert!(
        !serde_json::to_string(&tree).expect("serializable").contains("secret"),
        "queries are not recorded"
    );
}

#[tokio::test]
async fn a_callers_trace_is_continued() {
    let apm = apm();
    let hooks = apm.hooks();
    let caller = TraceContext::root();
    let transaction = begin(&hooks, "/", Some(caller));
    let context = hooks.context(&transaction).expect("recorded");
    assert_eq!(context.trace_id, caller.trace_id);
    assert_ne!(context.span_id, caller.span_id);
    hooks.finish(transaction, finish(404, None));
    apm.flush().await.expect("flushed");
    let trace = trace(&apm, caller.trace_id).await;
    assert_eq!(trace.spans[0].parent_id, Some(caller.span_id));
    assert_eq!(trace.spans[0].status, SpanStatus::Unset, "a 4xx says nothing of the service");
    assert_eq!(trace.summary.expect("listed").route, UNROUTED);
}

#[tokio::test]
async fn failures_are_the_services_own() {
    let apm = apm();
    let hooks = apm.hooks();
    let cases = [
        (200, None, false),
        (404, Some(Kind::NotFound), false),
        (499, Some(Kind::ClientGone), false),
        (200, Some(Kind::ClientGone), false),
        (200, Some(Kind::BadGateway), true),
        (500, None, true),
    ];
    for (status, error, _) in cases {
        hooks.finish(begin(&hooks, "/", None), finish(status, error));
    }
    apm.flush().await.expect("flushed");
    let mut rows = listed(&apm).await;
    rows.sort_by_key(|row| {
        apm.recent_since(0).points.iter().position(|point| point.trace_id == row.trace_id)
    });
    let failed: Vec<_> = rows.iter().map(|row| row.failed).collect();
    assert_eq!(failed, cases.map(|(_, _, failed)| failed));
}

#[tokio::test]
async fn a_full_ring_counts_what_it_refuses_and_keeps_the_transaction() {
    // Fewer than a trace may have that is read.
    const SPANS: u64 = 15_000;
    let apm = Apm::builder().ring_capacity(64).build().expect("an APM");
    let hooks = apm.hooks();
    let transaction = begin(&hooks, "/", None);
    let id = transaction_id(&hooks, &transaction);
    for _ in 0..SPANS {
        let span = hooks.start(&transaction, Stage::Handler, None);
        hooks.end(&transaction, span, SpanEnd::default());
    }
    hooks.finish(transaction, finish(200, None));
    apm.flush().await.expect("flushed");
    let dropped = apm.dropped();
    assert!(dropped.spans > 0);
    assert_eq!(dropped.transactions, 0, "room is kept for it");
    let kept = trace(&apm, id).await.spans.len() as u64 - 1;
    assert_eq!(kept + dropped.spans, SPANS);
    assert_eq!(apm.ledger().spans.made, SPANS);
}

fn transaction_id(
    hooks: &iap_apm::ApmHooks,
    transaction: &Arc<iap_apm::ApmTransaction>,
) -> iap_core::TraceId {
    hooks.context(transaction).expect("recorded").trace_id
}

#[tokio::test]
async fn what_ended_threads_recorded_is_kept() {
    let apm = apm();
    let work = |n: usize| {
        let hooks = apm.hooks();
        std::thread::spawn(move || hooks.finish(begin(&hooks, &format!("/{n}"), None), finish(200, None)))
    };
    let threads: Vec<_> = (0..20).map(work).collect();
    threads.into_iter().for_each(|thread| thread.join().expect("ended"));
    apm.flush().await.expect("flushed");
    assert_eq!(listed(&apm).await.len(), 20);
    assert_eq!(apm.dropped(), iap_apm::Dropped::default());
}

#[tokio::test]
async fn running_transactions_are_listed_until_they_end() {
    let apm = Apm::builder().active_slots(2).build().expect("an APM");
    let hooks = apm.hooks();
    let first = begin(&hooks, "/slow", None);
    hooks.routed(&first, &"slow".into());
    let span = hooks.start(&first, Stage::Upstream, None);
    let others = [begin(&hooks, "/b", None), begin(&hooks, "/c", None)];
    let live = apm.live();
    assert_eq!((live.active_count, live.active.len()), (3, 2), "two slots, three running");
    assert_eq!(apm.dropped().active, 1);
    assert_eq!((live.active[0].route.as_str(), live.active[0].stage.as_deref()), ("slow", Some("upstream")));
    let connect = hooks.start(&first, Stage::UpstreamConnect, None);
    hooks.reached(&first, &"app".into(), &"10.0.0.1:80".into());
    let stage = || apm.live().active[0].stage.clone();
    assert_eq!(stage().as_deref(), Some("upstream.connect"));
    hooks.end(&first, connect, SpanEnd::default());
    assert_eq!(stage().as_deref(), Some("upstream"), "where it was before");
    let guard = hooks.handle(&first).expect("recorded").span(Stage::SessionLoad);
    assert_eq!(stage().as_deref(), Some("session.load"), "by the handle, too");
    drop(guard);
    hooks.end(&first, span, SpanEnd::default());
    assert_eq!(stage(), None);
    let view = apm.active(1);
    assert_eq!((view.running, view.listed, view.requests.len(), view.routes.len()), (3, 2, 1, 2));
    let bands: Vec<_> = view.routes.iter().map(|route| route.bands.iter().sum::<u64>()).collect();
    assert_eq!((bands, view.routes[0].route.as_str()), (vec![1, 1], "slow"), "the slowest route is first");
    let server = (view.requests[0].upstream.as_deref(), view.requests[0].server.as_deref());
    assert_eq!(server, (Some("app"), Some("10.0.0.1:80")));
    hooks.finish(first, finish(200, None));
    drop(others);
    let live = apm.live();
    assert_eq!((live.active_count, live.active.len()), (0, 0));
    assert_eq!(apm.dropped().unfinished, 2);
}

#[tokio::test]
async fn after_shutdown_recording_is_refused_and_counted() {
    let apm = apm();
    let hooks = apm.hooks();
    hooks.finish(begin(&hooks, "/before", None), finish(200, None));
    apm.shutdown().await.expect("flushed");
    assert_eq!(listed(&apm).await.len(), 1);
    hooks.finish(begin(&hooks, "/after", None), finish(200, None));
    assert_eq!(apm.dropped().transactions, 1);
    assert_eq!(apm.flush().await.expect_err("closed").kind(), iap_apm::ErrorKind::Closed);
}

#[tokio::test]
async fn the_live_feed_has_counts_and_points() {
    let apm = apm();
    let hooks = apm.hooks();
    for status in [200, 200, 503] {
        hooks.finish(begin(&hooks, "/", None), finish(status, None));
    }
    apm.flush().await.expect("flushed");
    let live = apm.live();
    let sum = |of: fn(&iap_apm::LiveSecond) -> u64| live.seconds.iter().map(of).sum::<u64>();
    assert_eq!((sum(|second| second.count), sum(|second| second.errors)), (3, 1));
    let recent = apm.recent_since(0);
    assert_eq!((recent.points.len(), recent.next_seq), (3, 3));
    assert!(apm.recent_since(recent.next_seq).points.is_empty());
}
