//! The bridge from `tracing`. Not inside the crate, whose own messages the bridge leaves out.

mod common;

use std::time::Duration;

use common::{begin, finish};
use iap_apm::model::Level;
use iap_apm::{Apm, LogLine, LogQuery, Span, SpanKind, SpanStatus, Trace, Window};
use iap_core::Transaction;
use iap_core::hooks::{Hooks, Stage};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, registry};

/// The longest text that is kept.
const MAX_VALUE: usize = 16 * 1_024;

fn apm() -> Apm {
    Apm::builder().service_name("shop").build().expect("an APM")
}

/// Runs code as a handler of a transaction, and gives what was recorded of it.
async fn recorded<L>(apm: &Apm, layer: L, work: impl FnOnce(&Transaction)) -> Trace
where
    L: Layer<Registry> + Send + Sync + 'static,
{
    let hooks = apm.hooks();
    let transaction = begin(&hooks, "/", None);
    let handle = hooks.handle(&transaction).expect("recorded");
    let trace_id = handle.context().trace_id;
    let subscriber = registry().with(layer);
    handle.scope(async { tracing::subscriber::with_default(subscriber, || work(&handle)) }).await;
    hooks.finish(transaction, finish(200, None));
    apm.flush().await.expect("flushed");
    apm.history().trace(trace_id).await.expect("readable").expect("present")
}

fn named<'a>(trace: &'a Trace, name: &str) -> &'a Span {
    trace.spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span {name}"))
}

/// An event as sqlx-core 0.9 emits it, of a statement that is longer than its summary.
fn statement(sql: &str, elapsed: Duration) {
    let summary = sql.split_whitespace().take(4).collect::<Vec<_>>().join(" ");
    let (summary, text) = if summary == sql {
        (summary, String::new())
    } else {
        (format!("{summary} …"), format!("\n\n{sql}\n"))
    };
    tracing::event!(
        target: "sqlx::query",
        tracing::Level::DEBUG,
        summary,
        db.statement = text,
        rows_affected = 0_u64,
        rows_returned = 3_u64,
        ?elapsed,
        elapsed_secs = elapsed.as_secs_f64(),
    );
}

#[tokio::test]
async fn statements_become_spans_that_end_now() {
    let apm = apm();
    let sql = "SELECT id, total FROM orders WHERE user = ?";
    let trace = recorded(&apm, apm.tracing_layer(), |handle| {
        statement(sql, Duration::from_millis(30));
        statement("COMMIT", Duration::from_micros(5));
        let before = handle.span(Stage::Handler);
        drop(before);
    })
    .await;
    let select = named(&trace, "SELECT id, total FROM");
    assert_eq!((select.sql(), select.duration_us, select.kind), (Some(sql), 30_000, SpanKind::Client));
    assert_eq!(select.attributes["db.response.returned_rows"], 3);
    assert_eq!(select.text("db.operation.name"), Some("SELECT"));
    assert!(!select.attributes.contains_key("db.response.affected_rows"));
    assert_eq!(named(&trace, "COMMIT").attributes["db.response.affected_rows"], 0);
    let root = trace.summary.as_ref().expect("listed");
    assert_eq!(select.parent_id, Some(root.span_id));
    assert!(select.end_us() >= root.start_us && select.end_us() <= root.start_us + root.duration_us);
    assert_eq!(named(&trace, "COMMIT").sql(), Some("COMMIT"), "a short statement is in the summary");
    assert!(trace.logs.is_empty(), "statements are no log lines");
}

#[tokio::test]
async fn tracing_spans_nest_and_take_lines_and_statements_in() {
    let apm = apm();
    let trace = recorded(&apm, apm.tracing_layer(), |handle| {
        let outer = tracing::info_span!("outer", order = 7, error = tracing::field::Empty).entered();
        {
            let _unseen = tracing::debug_span!("unseen").entered();
            let _inner = tracing::info_span!("inner").entered();
            tracing::warn!(left = 2, "stock is low");
            statement("DELETE FROM basket", Duration::ZERO);
        }
        outer.record("error", "sold out");
        drop(outer);
        // A stage of the pipeline is a parent too.
        let stage = handle.span(Stage::Handler);
        let inside = stage.transaction();
        let _ = std::pin::pin!(inside.scope(async { tracing::info!("in the stage") }))
            .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    })
    .await;
    let (outer, inner) = (named(&trace, "outer"), named(&trace, "inner"));
    assert_eq!(outer.parent_id, trace.summary.as_ref().map(|row| row.span_id));
    assert_eq!(inner.parent_id, Some(outer.span_id), "a span below the level does not break the chain");
    assert_eq!((outer.attributes["order"].as_i64(), outer.error.as_deref()), (Some(7), Some("sold out")));
    assert_eq!(outer.status, SpanStatus::Error);
    assert_eq!(named(&trace, "DELETE FROM basket").parent_id, Some(inner.span_id));
    assert!(trace.spans.iter().all(|span| span.name != "unseen"));

    let line = |message: &str| trace.logs.iter().find(|line| line.message == message).expect("a line");
    let low = line("stock is low");
    assert_eq!((low.span_id, low.level, &low.fields["left"]), (Some(inner.span_id), Level::Warn, &2.into()));
    assert_eq!(line("in the stage").span_id, Some(named(&trace, "handler").span_id));
}

#[tokio::test]
async fn of_nested_scopes_the_inner_one_counts() {
    let apm = apm();
    let hooks = apm.hooks();
    let transaction = begin(&hooks, "/", None);
    let handle = hooks.handle(&transaction).expect("recorded");
    let default = tracing::subscriber::set_default(registry().with(apm.tracing_layer()));
    handle
        .scope(async {
            let _outer = tracing::info_span!("outer").entered();
            let stage = handle.span(Stage::Handler);
            let inside = stage.transaction();
            let inner = std::pin::pin!(inside.scope(async {
                tracing::info!("inside");
                statement("DELETE FROM basket", Duration::ZERO);
            }));
            assert!(inner.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_ready());
        })
        .await;
    drop(default);
    hooks.finish(transaction, finish(200, None));
    apm.flush().await.expect("flushed");
    let id = handle.context().trace_id;
    let trace = apm.history().trace(id).await.expect("readable").expect("present");
    let stage = named(&trace, "handler").span_id;
    assert_eq!(named(&trace, "DELETE FROM basket").parent_id, Some(stage));
    assert_eq!(trace.logs[0].span_id, Some(stage));
}

#[tokio::test]
async fn outside_a_transaction_there_are_only_plain_lines() {
    let apm = apm();
    tracing::subscriber::with_default(registry().with(apm.tracing_layer()), || {
        let _span = tracing::info_span!("nobody's").entered();
        statement("PRAGMA optimize", Duration::ZERO);
        tracing::info!("started");
        tracing::debug!("too fine");
        tracing::info!(target: "iap_apm::history", "of the APM itself");
    });
    apm.flush().await.expect("flushed");
    let lines = apm.history().logs(&LogQuery::new(Window::all())).await.expect("lines");
    let [LogLine { message, trace_id: None, span_id: None, .. }] = lines.as_slice() else {
        panic!("{lines:?}")
    };
    assert_eq!(message, "started");
}

#[tokio::test]
async fn everything_has_a_bound() {
    let apm = apm();
    let trace = recorded(&apm, apm.tracing_layer(), |_| {
        tracing::info!(large = ?vec![7; 1_000_000], "{}", "가".repeat(100_000));
    })
    .await;
    let line = &trace.logs[0];
    assert!(line.message.len() <= MAX_VALUE && line.message.len() > MAX_VALUE - 3);
    assert_eq!(line.fields["large"].as_str().map(str::len), Some(MAX_VALUE));
}

#[tokio::test]
async fn the_filtered_layer_takes_the_same() {
    let apm = apm();
    let layer = apm.tracing_layer().with_max_level(tracing::Level::WARN).filtered();
    let trace = recorded(&apm, layer, |_| {
        tracing::info!("below");
        tracing::warn!("above");
        statement("DELETE FROM basket", Duration::ZERO);
    })
    .await;
    let lines: Vec<_> = trace.logs.iter().map(|line| line.message.as_str()).collect();
    assert_eq!((lines, trace.spans.len()), (vec!["above"], 2));
}

#[tokio::test]
async fn a_statement_on_a_drivers_own_thread_joins_by_the_scopes_tracing_span() {
    let apm = apm();
    let hooks = apm.hooks();
    let transaction = begin(&hooks, "/", None);
    let handle = hooks.handle(&transaction).expect("recorded");
    let dispatch = tracing::Dispatch::new(registry().with(apm.tracing_layer().filtered()));
    let (scope, on_driver) = (tracing::dispatcher::set_default(&dispatch), dispatch.clone());
    handle
        .scope(async {
            let span = tracing::Span::current();
            let driver = std::thread::spawn(move || {
                assert!(Transaction::current().is_none(), "only the span came along");
                tracing::dispatcher::with_default(&on_driver, || {
                    span.in_scope(|| statement("SELECT 1 + 1 + 1 AS sum", Duration::from_millis(2)));
                });
            });
            driver.join().expect("the driver's thread");
        })
        .await;
    drop(scope);
    hooks.finish(transaction, finish(200, None));
    apm.flush().await.expect("flushed");
    let trace = apm.history().trace(handle.context().trace_id).await.expect("readable").expect("present");
    let root = trace.summary.as_ref().expect("listed").span_id;
    assert_eq!(trace.spans.len(), 2, "the scope's own span is none of the tree: {:?}", trace.spans);
    let select = trace.spans.iter().find(|span| span.sql().is_some()).expect("the statement");
    assert_eq!(select.parent_id, Some(root));
}
