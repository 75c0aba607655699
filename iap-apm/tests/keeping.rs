//! What the history keeps of a flood.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{finish, listed, trace};
use http::{Request, StatusCode};
use iap_apm::history::MAX_LIMIT;
use iap_apm::model::Level;
use iap_apm::{
    Apm, ApmHooks, ApmTransaction, Dropped, Follow, Keeping, LogQuery, Order, RouteStats, SeriesQuery,
    TransactionQuery, TransactionSummary, Window,
};
use iap_core::hooks::{Finish, Hooks, SpanEnd, Stage};
use iap_core::{Body, Kind, TraceContext, TraceId, Transaction};
use serde_json::json;
use tower::ServiceExt;
use tracing_subscriber::layer::SubscriberExt;

/// Few are kept, so that every test is a flood; a ring for all of it.
fn flooded(keeping: Keeping) -> Apm {
    Apm::builder().keeping(keeping).ring_capacity(1 << 16).build().expect("an APM")
}

fn begin(hooks: &ApmHooks, route: &str, parent: Option<TraceContext>) -> Arc<ApmTransaction> {
    let transaction = common::begin(hooks, "/", parent);
    hooks.routed(&transaction, &route.into());
    let span = hooks.start(&transaction, Stage::Handler, None);
    hooks.end(&transaction, span, SpanEnd::default());
    transaction
}

fn send(hooks: &ApmHooks, route: &str, finish: Finish) -> TraceId {
    let transaction = begin(hooks, route, None);
    let id = hooks.context(&transaction).expect("recorded").trace_id;
    hooks.finish(transaction, finish);
    id
}

async fn all(apm: &Apm, query: TransactionQuery) -> Vec<TransactionSummary> {
    let mut query = TransactionQuery { limit: MAX_LIMIT, ..query };
    let mut rows = Vec::new();
    loop {
        let page = apm.history().transactions(&query).await.expect("a page");
        rows.extend(page.items);
        query.cursor = page.next;
        if query.cursor.is_none() {
            return rows;
        }
    }
}

async fn route(apm: &Apm, name: &str) -> RouteStats {
    let stats = apm.history().route_stats(Window::all()).await.expect("stats");
    stats.into_iter().find(|stats| stats.route == name).expect(name)
}

#[tokio::test]
async fn counts_are_exact_where_few_are_kept() {
    const SENT: u64 = 20_000;
    let apm = flooded(Keeping::per_second(5));
    let hooks = apm.hooks();
    for n in 0..SENT {
        let status = if n % 4 == 0 { 404 } else { 200 };
        send(&hooks, if n % 10 == 0 { "cart" } else { "orders" }, finish(status, None));
    }
    apm.flush().await.expect("flushed");
    assert_eq!(apm.dropped(), Dropped::default());
    let rows = all(&apm, TransactionQuery::new(Window::all())).await;
    assert!((rows.len() as u64) < SENT, "some are not kept");
    let sum = |of: &dyn Fn(&TransactionSummary) -> bool| {
        rows.iter().filter(|row| of(row)).map(|row| row.weight).sum::<u64>()
    };
    assert_eq!((sum(&|_| true), sum(&|row| row.status == 404)), (SENT, SENT / 4));
    assert_eq!(sum(&|row| row.route == "cart" && row.status == 404), SENT / 20, "by route and status");
    assert_eq!(
        (route(&apm, "cart").await.count, route(&apm, "orders").await.count),
        (SENT / 10, SENT * 9 / 10)
    );
    for row in &rows {
        assert_eq!(trace(&apm, row.trace_id).await.spans.len(), 2, "what is listed is there whole");
    }

    let (first, last) = (rows[rows.len() - 1].start_us, rows[0].start_us);
    let query = SeriesQuery { window: Window::new(first, last + 1), step_us: 10_000, route: None };
    let series = apm.history().series(&query).await.expect("a series");
    assert_eq!(series.iter().map(|point| point.count).sum::<u64>(), SENT);
    let live = apm.live();
    assert_eq!(live.seconds.iter().map(|second| second.count).sum::<u64>(), SENT, "each is in the live feed");
    let points = apm.recent_since(0).points;
    assert_eq!(
        points.iter().map(|point| point.weight).sum::<u64>(),
        SENT,
        "the points are those that are kept"
    );
}

#[tokio::test]
async fn of_a_flood_all_failures_slow_and_rare_ones_are_kept() {
    let apm = flooded(Keeping::per_second(50).slow(Duration::from_secs(3_600)));
    let hooks = apm.hooks();
    let (mut wanted, mut rare) = (Vec::new(), Vec::new());
    for n in 0..20_000 {
        send(&hooks, "busy", finish(200, None));
        if n % 100 == 0 {
            wanted.push(send(&hooks, "busy", finish(503, None)));
            wanted.push(send(&hooks, "busy", finish(200, Some(Kind::BadGateway))));
            wanted.push(send(&hooks, "busy", finish(499, Some(Kind::ClientGone))));
        }
        if n % 2_000 == 0 {
            rare.push(send(&hooks, "rare", finish(200, None)));
        }
    }
    apm.flush().await.expect("flushed");
    assert_eq!(apm.dropped().important, 0);
    for id in wanted.iter().chain(&rare) {
        let trace = trace(&apm, *id).await;
        assert_eq!((trace.spans.len(), trace.summary.map(|row| row.weight)), (2, Some(1)));
    }
    let busy = route(&apm, "busy").await;
    assert_eq!((busy.count, busy.errors), (20_600, 400));
}

#[tokio::test]
async fn slow_ones_are_all_kept_and_the_list_agrees_with_the_numbers() {
    // The last in each hundred takes longer than all that is ordinary here.
    let apm = flooded(Keeping::per_second(5).slow(Duration::from_millis(20)));
    let hooks = apm.hooks();
    let mut slow = Vec::new();
    for n in 0..3_000 {
        if n % 100 == 0 {
            let transaction = begin(&hooks, "orders", None);
            slow.push(hooks.context(&transaction).expect("recorded").trace_id);
            std::thread::sleep(Duration::from_millis(25));
            hooks.finish(transaction, finish(200, None));
        } else {
            send(&hooks, "orders", finish(200, None));
        }
    }
    apm.flush().await.expect("flushed");
    let stats = route(&apm, "orders").await;
    let order = TransactionQuery { order: Order::Slowest, ..TransactionQuery::new(Window::all()) };
    let rows = all(&apm, order).await;
    assert!(slow.iter().all(|id| rows.iter().any(|row| row.trace_id == *id && row.weight == 1)));
    assert_eq!((stats.count, stats.max_us), (3_000, rows[0].duration_us), "the slowest of all is known");
    let weighted: u64 = rows.iter().map(|row| row.weight * row.duration_us).sum();
    assert_eq!(stats.total_us, weighted);
    assert_eq!(rows.iter().map(|row| row.weight).sum::<u64>(), 3_000);
}

#[tokio::test]
async fn failures_beyond_the_bound_are_counted_and_in_the_numbers() {
    const SENT: u64 = 30_000;
    let apm = flooded(Keeping::per_second(0));
    let hooks = apm.hooks();
    for n in 0..SENT {
        send(&hooks, if n % 1_000 == 0 { "cart" } else { "orders" }, finish(500, None));
    }
    apm.flush().await.expect("flushed");
    let refused = apm.dropped().important;
    let rows = all(&apm, TransactionQuery::new(Window::all())).await;
    assert!(refused > 0 && rows.len() as u64 >= SENT - refused, "{refused} of {SENT}, {} rows", rows.len());
    let (orders, cart) = (route(&apm, "orders").await, route(&apm, "cart").await);
    assert_eq!((orders.count, orders.errors, cart.errors), (SENT - SENT / 1_000, orders.count, SENT / 1_000));
}

#[tokio::test]
async fn everything_is_kept_where_that_is_wanted_or_little_happens() {
    for keeping in [Keeping::default(), Keeping::all()] {
        let apm = flooded(keeping);
        let hooks = apm.hooks();
        (0..900).for_each(|_| _ = send(&hooks, "orders", finish(200, None)));
        apm.flush().await.expect("flushed");
        let rows = all(&apm, TransactionQuery::new(Window::all())).await;
        assert!(rows.len() == 900 && rows.iter().all(|row| row.weight == 1), "{keeping:?}: {}", rows.len());
    }
}

#[tokio::test]
async fn log_lines_follow_and_those_of_errors_stay() {
    const SENT: usize = 2_000;
    let apm = flooded(Keeping::per_second(2));
    let hooks = apm.hooks();
    let subscriber = tracing_subscriber::registry().with(apm.tracing_layer());
    let guard = tracing::subscriber::set_default(subscriber);
    for n in 0..SENT {
        let transaction = begin(&hooks, "orders", None);
        let handle: Transaction = hooks.handle(&transaction).expect("recorded");
        handle.enter(|| {
            tracing::info!(n, "looked up");
            if n % 100 == 0 {
                tracing::error!(n, "no price");
            }
        });
        hooks.finish(transaction, finish(200, None));
    }
    drop(guard);
    apm.flush().await.expect("flushed");
    let rows = all(&apm, TransactionQuery::new(Window::all())).await;
    assert_eq!(rows.iter().map(|row| row.weight).sum::<u64>(), SENT as u64);
    let query = LogQuery { limit: MAX_LIMIT, ..LogQuery::new(Window::all()) };
    let errors = LogQuery { min_level: Some(Level::Error), ..query.clone() };
    assert_eq!(apm.history().logs(&errors).await.expect("lines").len(), SENT / 100);
    let mut lines = apm.history().logs(&query).await.expect("lines");
    lines.retain(|line| line.level == Level::Info);
    assert_eq!(lines.len(), rows.len(), "each of a transaction that is kept, and no others");
    assert!(lines.iter().all(|line| rows.iter().any(|row| line.trace_id == Some(row.trace_id))));
}

/// Sends a span of an application below a transaction by OTLP.
async fn application(apm: &Apm, trace_id: TraceId, status: u8) {
    let now_ns = apm.live().now_us * 1_000;
    let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [{
        "traceId": trace_id.to_string(), "spanId": "00000000000000a1", "parentSpanId": "00000000000000a0",
        "name": "GET /orders/{id}", "kind": 2, "status": { "code": status },
        "startTimeUnixNano": now_ns.to_string(), "endTimeUnixNano": (now_ns + 1_000).to_string(),
    }] }] }] });
    let request = Request::post("/v1/traces").header("content-type", "application/json");
    let request = request.body(Body::from(body.to_string())).expect("a request");
    let response = apm.otlp().oneshot(request).await.expect("infallible");
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn what_applications_send_follows_the_transaction_in_front() {
    let apm = flooded(Keeping::per_second(1));
    let hooks = apm.hooks();
    let ids: Vec<_> = (0..1_000).map(|_| send(&hooks, "orders", finish(200, None))).collect();
    apm.flush().await.expect("flushed");
    let rows = listed(&apm).await;
    let kept = rows[0].trace_id;
    let is_kept = |id: &&TraceId| rows.iter().any(|row| row.trace_id == **id);
    let mut gone = ids.iter().filter(|id| !is_kept(id));
    let (gone, failed) = (*gone.next().expect("some"), *gone.next().expect("some"));
    application(&apm, kept, 0).await;
    application(&apm, gone, 0).await;
    application(&apm, failed, 2).await;
    assert_eq!(trace(&apm, kept).await.spans.len(), 3);
    assert!(apm.history().trace(gone).await.expect("readable").is_none());
    assert_eq!(trace(&apm, failed).await.spans.len(), 1, "a failure is kept whatever was decided");
    let stats = apm.history().route_stats(Window::all()).await.expect("stats");
    assert_eq!(stats.iter().map(|route| route.count).sum::<u64>(), 1_000, "nothing is counted twice");
}

#[tokio::test]
async fn a_transaction_of_which_something_came_first_is_kept() {
    let apm = flooded(Keeping::per_second(1));
    let hooks = apm.hooks();
    (0..1_000).for_each(|_| _ = send(&hooks, "orders", finish(200, None)));
    let context = TraceContext::root();
    let transaction = begin(&hooks, "orders", Some(context));
    application(&apm, context.trace_id, 0).await;
    hooks.finish(transaction, finish(200, None));
    apm.flush().await.expect("flushed");
    assert_eq!(trace(&apm, context.trace_id).await.spans.len(), 3);
    assert_eq!(route(&apm, "orders").await.count, 1_001);
}

#[tokio::test]
async fn the_callers_flags_are_passed_on_as_they_came() {
    let apm = flooded(Keeping::per_second(0));
    let hooks = apm.hooks();
    for flags in [0, 1] {
        let transaction = begin(&hooks, "orders", Some(TraceContext { flags, ..TraceContext::root() }));
        assert_eq!(hooks.context(&transaction).expect("recorded").flags, flags);
        hooks.finish(transaction, finish(200, None));
    }
    apm.flush().await.expect("flushed");
    assert_eq!(route(&apm, "orders").await.count, 2);
}

#[tokio::test]
async fn what_a_running_transaction_has_recorded_is_there_after_a_flush_and_so_is_the_rest() {
    let apm = flooded(Keeping::per_second(1));
    let hooks = apm.hooks();
    (0..1_000).for_each(|_| _ = send(&hooks, "orders", finish(200, None)));
    let transaction = begin(&hooks, "orders", None);
    let id = hooks.context(&transaction).expect("recorded").trace_id;
    apm.flush().await.expect("flushed");
    assert_eq!(trace(&apm, id).await.spans.len(), 1);
    // More than a transaction holds by itself.
    for _ in 0..20 {
        let span = hooks.start(&transaction, Stage::Handler, None);
        hooks.end(&transaction, span, SpanEnd::default());
    }
    hooks.finish(transaction, finish(200, None));
    apm.flush().await.expect("flushed");
    assert_eq!(trace(&apm, id).await.spans.len(), 22);
    assert_eq!(route(&apm, "orders").await.count, 1_001);
}

#[tokio::test]
async fn all_of_whom_is_followed_are_kept_and_counted_once() {
    const EACH: u64 = 2_000;
    let apm = flooded(Keeping::per_second(1));
    let hooks = apm.hooks();
    let send = |user: &str| {
        let transaction = begin(&hooks, "orders", None);
        hooks.handle(&transaction).expect("recorded").set(iap_core::hooks::Field::User, user);
        hooks.finish(transaction, finish(200, None));
    };
    let kept = async |user: &str| {
        let user = Some(user.to_owned());
        let rows = all(&apm, TransactionQuery { user, ..TransactionQuery::new(Window::all()) }).await;
        (rows.len() as u64, rows.iter().map(|row| row.weight).sum::<u64>())
    };
    assert!(apm.follow(Follow::User("alice".into()), None));
    for _ in 0..EACH {
        send("alice");
        send("bob");
    }
    apm.flush().await.expect("written");
    assert_eq!(kept("alice").await, (EACH, EACH));
    let (bobs, weight) = kept("bob").await;
    assert!(bobs < EACH / 2, "{bobs}");
    assert_eq!(weight, EACH, "the others stand for them");
    assert_eq!(route(&apm, "orders").await.count, 2 * EACH);

    assert!(apm.unfollow(&Follow::User("alice".into())) && !apm.unfollow(&Follow::User("alice".into())));
    (0..EACH).for_each(|_| send("alice"));
    apm.flush().await.expect("written");
    assert!(kept("alice").await.0 < EACH + EACH / 2);
}

#[tokio::test]
async fn following_ends_in_time_and_is_bounded() {
    let apm = flooded(Keeping::default());
    for n in 0..iap_apm::MAX_FOLLOWED {
        assert!(
            apm.follow(Follow::Route(n.to_string()), Some(Duration::ZERO)),
            "those that are over do not count"
        );
        assert!(apm.follow(Follow::Session(n.to_string()), None));
    }
    let sessions = apm.followed();
    assert_eq!(sessions.len(), iap_apm::MAX_FOLLOWED);
    assert!(sessions.iter().all(|followed| matches!(followed.what, Follow::Session(_))), "{sessions:?}");
    assert!(!apm.follow(Follow::User("alice".into()), None));
    // What is followed can still be changed.
    assert!(apm.follow(Follow::Session("0".into()), Some(Duration::from_secs(3_600))));
    assert!(apm.followed().iter().any(|followed| followed.until_us.is_some()));
}
