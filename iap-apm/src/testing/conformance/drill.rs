//! Statements, errors, and who calls whom, of spans.

use std::future::Future;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{SECOND, T0};
use crate::history::{
    Batch, DRILL_STEPS, ErrorSource, ErrorsQuery, History, NodeKind, StatementAnswer, StatementOrder,
    StatementsQuery, TraceSpans, statement_id,
};
use crate::model::{Span, SpanKind, SpanStatus, TransactionSummary, Window};
use crate::testing::{span, span_id, summary, trace_id};

const WINDOW: Window = Window { from_us: T0, to_us: T0 + 300 * SECOND };

pub(super) async fn run<F, Fut>(make: &F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn History>>,
{
    statements_are_by_shape_and_weight(&make().await).await;
    one_statement_is_told_in_detail(&make().await).await;
    of_many_traces_some_are_read_and_counts_are_in_proportion(&make().await).await;
    errors_are_by_what_they_say(&make().await).await;
    calls_are_between_who_reports_and_who_is_called(&make().await).await;
    nothing_has_nothing_below_it(&make().await).await;
}

/// A transaction with spans of its trace.
async fn keep(history: &Arc<dyn History>, row: TransactionSummary, spans: Vec<Span>) {
    let spans = vec![TraceSpans::of(row.trace_id, &spans)];
    history
        .append(Arc::new(Batch { transactions: vec![row], spans, ..Batch::default() }))
        .await
        .expect("kept");
}

/// A call of a database.
fn sql(n: u64, parent: u64, duration_us: u64, text: &str) -> Span {
    let mut span = span(n, Some(parent), T0 + parent * SECOND, duration_us);
    span.kind = SpanKind::Client;
    set(&mut span, &[("db.query.text", json!(text)), ("db.system.name", json!("postgresql"))]);
    span
}

fn set(span: &mut Span, attributes: &[(&str, Value)]) {
    span.attributes.extend(attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
}

/// Forty traces: two calls of one statement, and one of another, which fails in each tenth.
async fn shop(history: &Arc<dyn History>) {
    for n in 1..=40 {
        let mut row = summary(n, T0 + n * SECOND, 10_000);
        row.route = if n % 2 == 0 { "cart".into() } else { "orders".into() };
        row.weight = n % 3;
        let mut spans = vec![span(n, None, T0 + n * SECOND, 10_000)];
        for call in [1, 2] {
            let text = format!("SELECT *  FROM part WHERE id = {n} AND note = 'it''s {call}'");
            spans.push(sql(n * 100 + call, n, n * 10 + call, &text));
        }
        let mut update = sql(n * 100 + 3, n, 5_000, "UPDATE part SET n = ? WHERE id = ?");
        update.service = if n > 20 { "stock".into() } else { "test".into() };
        set(&mut update, &[("db.response.affected_rows", json!(2))]);
        if n % 10 == 0 {
            update.status = SpanStatus::Error;
        }
        spans.push(update);
        keep(history, row, spans).await;
    }
}

async fn statements(history: &Arc<dyn History>, query: &StatementsQuery) -> StatementAnswer {
    history.statements(query).await.expect("statements")
}

async fn statements_are_by_shape_and_weight(history: &Arc<dyn History>) {
    shop(history).await;
    let weights: u64 = (1..=40).map(|n| n % 3).sum();
    let query = StatementsQuery::new(WINDOW);
    let answer = statements(history, &query).await;
    let basis = &answer.basis;
    assert_eq!((basis.kept, basis.transactions, basis.traces, basis.spans), (40, weights, 40, 160));
    assert_eq!((basis.truncated, basis.factor, basis.window), (false, 1.0, WINDOW));
    let [update, select] = answer.statements.as_slice() else { panic!("two: {answer:?}") };
    assert_eq!(update.text, "UPDATE part SET n = ? WHERE id = ?");
    assert_eq!(select.text, "SELECT * FROM part WHERE id = ? AND note = ?");
    assert_eq!((update.count, select.count), (weights, 2 * weights));
    assert_eq!((update.total_us, update.mean_us, update.max_us), (weights * 5_000, 5_000, 5_000));
    let failed: u64 = [10, 20, 30, 40].iter().map(|n| n % 3).sum();
    assert_eq!((update.errors, select.errors), (failed, 0));
    assert_eq!((update.rows, select.rows), (Some(2 * weights), None));
    assert_eq!(update.services, ["test", "stock"], "by falling time");
    assert_eq!(update.system.as_deref(), Some("postgresql"));
    assert_eq!(update.id, statement_id(Some("postgresql"), &update.text));
    assert!(select.routes.contains(&"cart".to_owned()) && select.routes.len() == 2);
    let mut calls: Vec<u64> = Vec::new();
    for n in 1..=40_u64 {
        for call in [1, 2] {
            calls.extend(std::iter::repeat_n(n * 10 + call, (n % 3) as usize));
        }
    }
    calls.sort_unstable();
    for (percent, told) in [(50, select.p50_us), (95, select.p95_us), (99, select.p99_us)] {
        let exact = calls[(calls.len() * percent).div_ceil(100) - 1];
        assert!(told.abs_diff(exact) * 50 <= exact, "{percent} %: {told} is not about {exact}");
    }
    assert!((update.share + select.share - 1.0).abs() < 1e-9 && update.share > 0.9);
    let example = select.example.as_ref().expect("one");
    assert_eq!((example.trace_id, example.span_id, example.duration_us), (trace_id(40), span_id(4_002), 402));
    let orders = [
        (StatementOrder::Time, "UPDATE"),
        (StatementOrder::Count, "SELECT"),
        (StatementOrder::Mean, "UPDATE"),
        (StatementOrder::Errors, "UPDATE"),
    ];
    for (order, first) in orders {
        let answer = statements(history, &StatementsQuery { order, limit: 1, ..query.clone() }).await;
        assert_eq!((answer.statements.len(), answer.more), (1, 1));
        assert!(answer.statements[0].text.starts_with(first), "{order:?}");
    }
    let of = |route: Option<&str>, service: Option<&str>| StatementsQuery {
        route: route.map(Into::into),
        service: service.map(Into::into),
        ..query.clone()
    };
    let stock = statements(history, &of(None, Some("stock"))).await;
    assert_eq!(stock.statements.iter().map(|one| one.services.clone()).collect::<Vec<_>>(), [["stock"]]);
    let cart = statements(history, &of(Some("cart"), None)).await;
    assert_eq!((cart.basis.kept, cart.statements[0].routes.clone()), (20, vec!["cart".to_owned()]));
    for hostile in ["' OR 1=1 --", "%", ""] {
        assert_eq!(statements(history, &of(Some(hostile), None)).await.statements, [], "{hostile}");
        assert_eq!(statements(history, &of(None, Some(hostile))).await.statements, [], "{hostile}");
    }
}

async fn one_statement_is_told_in_detail(history: &Arc<dyn History>) {
    shop(history).await;
    let weights: u64 = (1..=40).map(|n| n % 3).sum();
    let id = statement_id(Some("postgresql"), "UPDATE part SET n = ? WHERE id = ?");
    let query = StatementsQuery { id: Some(id.clone()), ..StatementsQuery::new(WINDOW) };
    let answer = statements(history, &query).await;
    let [update] = answer.statements.as_slice() else { panic!("one: {answer:?}") };
    assert_eq!((&update.id, update.count), (&id, weights));
    assert!(update.share < 1.0, "of the time of all statements");
    let detail = update.detail.as_ref().expect("details");
    let caller = |route: &str, service: &str| {
        let found = detail.callers.iter().find(|one| one.route == route && one.service == service);
        found.map(|one| (one.count, one.total_us, one.p95_us)).expect("a caller")
    };
    let early: u64 = (1..=20).filter(|n| n % 2 == 0).map(|n| n % 3).sum();
    let (count, total_us, p95_us) = caller("cart", "test");
    assert_eq!((count, total_us), (early, early * 5_000));
    assert!(p95_us.abs_diff(5_000) < 100, "{p95_us}");
    assert_eq!(detail.callers.iter().map(|one| one.count).sum::<u64>(), weights);
    assert_eq!((detail.step_us, detail.counts.len()), (10 * SECOND, DRILL_STEPS as usize));
    assert_eq!(detail.counts.iter().sum::<u64>(), weights);
    assert_eq!(detail.counts[0], (1..10).map(|n| n % 3).sum::<u64>());
    assert!(detail.p95_us[0].abs_diff(5_000) < 100 && detail.p95_us[29] == 0);
    assert_eq!(detail.examples.len(), 10);
    let unknown = StatementsQuery { id: Some("'".into()), ..query };
    assert_eq!(statements(history, &unknown).await.statements, []);
}

async fn of_many_traces_some_are_read_and_counts_are_in_proportion(history: &Arc<dyn History>) {
    const TRACES: u64 = 5_000;
    for part in 0..5 {
        let mut batch = Batch::default();
        for n in part * 1_000 + 1..=(part + 1) * 1_000 {
            batch.transactions.push(summary(n, T0 + n, 10));
            batch.spans.push(TraceSpans::of(trace_id(n), &[sql(n, n, 1 + n % 50, "SELECT 1")]));
        }
        history.append(Arc::new(batch)).await.expect("kept");
    }
    let answer = statements(history, &StatementsQuery::new(WINDOW)).await;
    let basis = &answer.basis;
    assert!(basis.truncated && basis.traces < TRACES && basis.traces >= 250, "{basis:?}");
    assert_eq!((basis.kept, basis.transactions), (TRACES, TRACES));
    let [select] = answer.statements.as_slice() else { panic!("one: {answer:?}") };
    assert_eq!(select.count, TRACES, "each has one call");
    let exact = (1..=TRACES).map(|n| 1 + n % 50).sum::<u64>();
    assert!(select.total_us.abs_diff(exact) * 5 < exact, "{} is not about {exact}", select.total_us);
}

async fn errors_are_by_what_they_say(history: &Arc<dyn History>) {
    for n in 1..=30 {
        let mut row = summary(n, T0 + n * 10 * SECOND - 1, 1_000 + n);
        let mut spans = vec![span(n, None, row.start_us, row.duration_us)];
        if n % 3 == 0 {
            (row.failed, row.status, row.weight) = (true, 502, 2);
            row.error = Some("upstream_unreachable".into());
            row.message = Some(format!("10.0.0.{n} refused 'conn {n}'"));
            spans[0].status = SpanStatus::Error;
            // A stage that says no more than that.
            spans.push(Span { status: SpanStatus::Error, ..span(2_000 + n, Some(n), row.start_us, 5) });
        } else if n == 7 {
            (row.failed, row.status) = (true, 503);
        }
        let mut inner = span(1_000 + n, Some(n), row.start_us + 1, 5);
        (inner.service, inner.status) = ("app".into(), SpanStatus::Error);
        (inner.name, inner.error) = ("charge".into(), Some(format!("card {n} declined")));
        set(&mut inner, &[("error.type", json!("CardError"))]);
        if n % 2 == 0 {
            spans.push(inner);
        }
        keep(history, row, spans).await;
    }
    let query = ErrorsQuery::new(WINDOW);
    let answer = history.errors(&query).await.expect("errors");
    assert_eq!((answer.failed, answer.failed_truncated, answer.more), (21, false, 0));
    let [refused, status, charge] = answer.groups.as_slice() else { panic!("three: {answer:?}") };
    assert_eq!((refused.source, refused.kind.as_str()), (ErrorSource::Transaction, "upstream_unreachable"));
    assert_eq!(refused.message, "<*> refused <*>");
    assert_eq!((refused.route.as_str(), refused.service.as_str()), ("orders", "test"));
    assert_eq!((refused.count, refused.operation.as_str()), (20, "GET"));
    assert_eq!((refused.first_us, refused.last_us), (T0 + 30 * SECOND - 1, T0 + 300 * SECOND - 1));
    let shown: Vec<_> = refused.examples.iter().map(|example| example.trace_id).collect();
    assert_eq!(shown, [30, 27, 24].map(trace_id), "the latest");
    assert_eq!((refused.series.len(), answer.step_us), (DRILL_STEPS as usize, 10 * SECOND));
    assert_eq!(refused.series[..6], [0, 0, 2, 0, 0, 2]);
    assert_eq!((status.kind.as_str(), status.message.as_str(), status.count), ("HTTP 503", "", 1));
    assert_eq!((charge.source, charge.kind.as_str()), (ErrorSource::Span, "CardError"));
    assert_eq!((charge.message.as_str(), charge.operation.as_str()), ("card <*> declined", "charge"));
    let weights: u64 = (1..=30).filter(|n| n % 2 == 0).map(|n| if n % 3 == 0 { 2 } else { 1 }).sum();
    assert_eq!((charge.count, charge.service.as_str()), (weights, "app"));
    assert_eq!(charge.examples[0].span_id, span_id(1_030));
    let of = |service: &str, route: Option<&str>| ErrorsQuery {
        service: Some(service.into()),
        route: route.map(Into::into),
        ..query.clone()
    };
    let app = history.errors(&of("app", None)).await.expect("errors");
    assert_eq!(app.groups.iter().map(|group| group.kind.as_str()).collect::<Vec<_>>(), ["CardError"]);
    for (service, route) in [("' OR 1=1 --", None), ("test", Some("cart"))] {
        assert_eq!(history.errors(&of(service, route)).await.expect("errors").groups, []);
    }
    let first = history.errors(&ErrorsQuery { limit: 1, ..query }).await.expect("errors");
    assert_eq!((first.groups.len(), first.more), (1, 2));
}

async fn calls_are_between_who_reports_and_who_is_called(history: &Arc<dyn History>) {
    for n in 1..=10 {
        let at = T0 + n * SECOND;
        let mut row = summary(n, at, 1_000);
        (row.service, row.weight) = ("gateway".into(), 3);
        let make = |number: u64, parent: Option<u64>, service: &str, kind, name: &str, duration_us| Span {
            service: service.into(),
            kind,
            name: name.into(),
            ..span(n * 100 + number, parent.map(|parent| n * 100 + parent), at, duration_us)
        };
        let root =
            Span { span_id: span_id(n), ..make(0, None, "gateway", SpanKind::Server, "GET orders", 1_000) };
        let of_root = |span: Span| Span { parent_id: Some(span_id(n)), ..span };
        let mut upstream = of_root(make(1, None, "gateway", SpanKind::Client, "upstream", 900));
        set(&mut upstream, &[("server.address", json!("10.0.0.1:80"))]);
        let mut connect = make(2, Some(1), "gateway", SpanKind::Client, "upstream.connect", 10);
        set(&mut connect, &[("server.address", json!("10.0.0.1:80"))]);
        let load = of_root(make(3, None, "gateway", SpanKind::Internal, "session.load", 50));
        // The odd ones are answered by a service that reports, the even ones by one that does not.
        let mut command = make(9, Some(3), "gateway", SpanKind::Client, "HGETALL", 40);
        set(&mut command, &[("db.system.name", json!("redis"))]);
        let mut spans = vec![root, upstream, connect, load, command];
        if n % 2 == 1 {
            let shop = of_root(make(4, None, "shop", SpanKind::Server, "orders", 800));
            let mut query = make(5, Some(4), "shop", SpanKind::Client, "SELECT", 300);
            let database = [("db.system", json!("mysql")), ("db.name", json!("parts"))];
            set(&mut query, &database);
            set(&mut query, &[("db.statement", json!("SELECT 1"))]);
            let mut driver = make(6, Some(5), "shop", SpanKind::Client, "query", 290);
            set(&mut driver, &database);
            let mut card = make(7, Some(4), "shop", SpanKind::Client, "POST", 200);
            set(&mut card, &[("url.full", json!("https://k:secret@pay.example/charge?token=x"))]);
            card.status = if n == 5 { SpanStatus::Error } else { SpanStatus::Unset };
            let mut send = make(8, Some(4), "shop", SpanKind::Producer, "send", 20);
            set(&mut send, &[("messaging.destination.name", json!("mails"))]);
            spans.extend([shop, query, driver, card, send]);
        }
        keep(history, row, spans).await;
    }
    let map = history.edges(WINDOW).await.expect("a map");
    assert_eq!((map.basis.traces, map.basis.transactions, map.basis.truncated, map.more), (10, 30, false, 0));
    let mut edges: Vec<_> = map
        .edges
        .iter()
        .map(|edge| (edge.from.as_str(), edge.to.as_str(), edge.calls, edge.errors))
        .collect();
    assert!(map.edges.is_sorted_by_key(|edge| std::cmp::Reverse(edge.calls)));
    edges.sort_unstable();
    assert_eq!(
        edges,
        [
            ("clients", "service:gateway", 30, 0),
            ("service:gateway", "service:shop", 15, 0),
            ("service:gateway", "session_store:sessions", 30, 0),
            ("service:gateway", "upstream:10.0.0.1:80", 15, 0),
            ("service:shop", "database:mysql/parts", 15, 0),
            ("service:shop", "external:pay.example", 15, 3),
            ("service:shop", "queue:mails", 15, 0),
        ]
    );
    let shop = map.nodes.iter().find(|node| node.id == "service:shop").expect("a node");
    assert_eq!((shop.kind, shop.name.as_str(), shop.calls, shop.errors), (NodeKind::Service, "shop", 15, 0));
    assert!(shop.p50_us.abs_diff(800) * 50 < 800 && shop.p95_us.abs_diff(800) * 50 < 800, "{shop:?}");
    let clients = map.nodes.iter().find(|node| node.kind == NodeKind::Clients).expect("a node");
    assert_eq!((clients.calls, clients.p95_us), (0, 0));
    assert_eq!(map.nodes.len(), 8);
}

async fn nothing_has_nothing_below_it(history: &Arc<dyn History>) {
    let answer = statements(history, &StatementsQuery::new(WINDOW)).await;
    assert_eq!((answer.statements.len(), answer.basis.kept, answer.basis.truncated), (0, 0, false));
    let answer = history.errors(&ErrorsQuery::new(WINDOW)).await.expect("errors");
    assert_eq!((answer.groups.len(), answer.failed), (0, 0));
    let map = history.edges(WINDOW).await.expect("a map");
    assert_eq!((map.nodes.len(), map.edges.len()), (0, 0));
}
