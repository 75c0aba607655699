//! Listings of transactions.

use std::future::Future;
use std::sync::Arc;

use super::{T0, ids};
use crate::error::HistoryErrorKind;
use crate::history::{Batch, History, MAX_LIMIT, Order, StatusFilter, TransactionQuery};
use crate::model::{Source, TransactionSummary, Window};
use crate::testing::{span_id, summary, trace_id, transactions};

pub(super) async fn run<F, Fut>(make: &F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn History>>,
{
    an_empty_history_answers(&make().await).await;
    every_filter_selects(&make().await).await;
    filters_go_together(&make().await).await;
    pages_continue_over_equal_keys(&make().await).await;
    what_comes_again_is_listed_once(&make().await).await;
    limits_are_kept(&make().await).await;
    the_most_trusted_rows_are_listed(&make().await).await;
}

async fn an_empty_history_answers(history: &Arc<dyn History>) {
    history.append(Arc::new(Batch::default())).await.expect("nothing to write is no error");
    assert_eq!(ids(history, &TransactionQuery::new(Window::all())).await, [] as [u64; 0]);
    assert_eq!(history.trace(trace_id(1)).await.expect("readable"), None);
    assert_eq!(history.route_stats(Window::all()).await.expect("figures"), []);
    assert_eq!(history.route_counts(Window::all(), &[1, 2]).await.expect("counts"), []);
}

async fn every_filter_selects(history: &Arc<dyn History>) {
    let mut rows: Vec<_> = (1..=6).map(|n| summary(n, T0 + n, n * 100)).collect();
    rows[0].route = "cart".into();
    rows[1].status = 503;
    rows[1].failed = true;
    rows[2].status = 404;
    rows[3].user = Some("kim".into());
    rows[4].session = Some("s-1".into());
    rows[5].service = "other".into();
    rows[0].parent_id = Some(span_id(77));
    (rows[0].error, rows[0].message) = (Some("e".into()), Some(String::new()));
    (rows[0].client, rows[0].bytes_out, rows[0].weight) = (Some("10.0.0.1".into()), 12, 3);
    history.append(transactions(rows.clone())).await.expect("kept");

    let all = TransactionQuery::new(Window::new(T0, T0 + 100));
    let cases = [
        (all.clone(), vec![6, 5, 4, 3, 2, 1]),
        (TransactionQuery { window: Window::new(T0 + 2, T0 + 4), ..all.clone() }, vec![3, 2]),
        (TransactionQuery { window: Window::new(T0 + 4, T0 + 2), ..all.clone() }, vec![]),
        (TransactionQuery { route: Some("cart".into()), ..all.clone() }, vec![1]),
        (TransactionQuery { route: Some("Cart".into()), ..all.clone() }, vec![]),
        (TransactionQuery { status: Some(StatusFilter::Class(5)), ..all.clone() }, vec![2]),
        (TransactionQuery { status: Some(StatusFilter::Exact(404)), ..all.clone() }, vec![3]),
        (TransactionQuery { errors_only: true, ..all.clone() }, vec![2]),
        (TransactionQuery { min_duration_us: Some(500), ..all.clone() }, vec![6, 5]),
        (TransactionQuery { user: Some("kim".into()), ..all.clone() }, vec![4]),
        (TransactionQuery { user: Some(String::new()), ..all.clone() }, vec![]),
        (TransactionQuery { session: Some("s-1".into()), ..all.clone() }, vec![5]),
        (TransactionQuery { service: Some("other".into()), ..all.clone() }, vec![6]),
        (TransactionQuery { user: Some("' OR 1=1 --".into()), ..all.clone() }, vec![]),
    ];
    for (query, expected) in cases {
        assert_eq!(ids(history, &query).await, expected, "{query:?}");
    }
    let page = history.transactions(&all).await.expect("a page");
    rows.reverse();
    assert_eq!(page.items, rows, "rows come back as they were");
}

async fn filters_go_together(history: &Arc<dyn History>) {
    let rows = (1..=40).map(|n| {
        let mut row = summary(n, T0 + n, n % 8);
        row.route = if n % 2 == 0 { "cart".into() } else { "orders".into() };
        row.user = (n % 3 == 0).then(|| "kim".into());
        row.failed = n % 5 == 0;
        row
    });
    history.append(transactions(rows.collect())).await.expect("kept");
    let query = TransactionQuery {
        route: Some("cart".into()),
        user: Some("kim".into()),
        ..TransactionQuery::new(Window::all())
    };
    assert_eq!(ids(history, &query).await, [36, 30, 24, 18, 12, 6]);
    assert_eq!(ids(history, &TransactionQuery { errors_only: true, ..query.clone() }).await, [30]);
    let slow = TransactionQuery { min_duration_us: Some(4), order: Order::Slowest, ..query };
    assert_eq!(ids(history, &slow).await, [30, 6, 36, 12], "by duration, then by ids");
}

async fn pages_continue_over_equal_keys(history: &Arc<dyn History>) {
    // In several batches, all with the same start and duration, so that only the ids order them.
    for batch in 0..3 {
        let rows = (1..=10).map(|n| summary(n * 3 - batch, T0, 7)).collect();
        history.append(transactions(rows)).await.expect("kept");
    }
    for order in [Order::Newest, Order::Slowest] {
        let query = TransactionQuery { limit: 7, order, ..TransactionQuery::new(Window::all()) };
        assert_eq!(all_pages(history, query).await, (1..=30).rev().collect::<Vec<_>>(), "{order:?}");
        let exact = TransactionQuery { limit: 30, order, ..TransactionQuery::new(Window::all()) };
        assert_eq!(history.transactions(&exact).await.expect("a page").next, None, "nothing comes after");
    }
    for foreign in ["x", "", "1-2-3", "99999999999999999999-0-0"] {
        let query = TransactionQuery { cursor: Some(foreign.into()), ..TransactionQuery::new(Window::all()) };
        let error = history.transactions(&query).await.expect_err("not a cursor");
        assert_eq!((error.kind(), error.is_retryable()), (HistoryErrorKind::InvalidQuery, false));
    }
}

async fn all_pages(history: &Arc<dyn History>, mut query: TransactionQuery) -> Vec<u64> {
    let mut seen = Vec::new();
    loop {
        let page = history.transactions(&query).await.expect("a page");
        assert!(page.items.len() <= query.limit, "a page is no longer than its limit");
        seen.extend(page.items.iter().map(|row| u64::from_be_bytes(row.span_id.0)));
        query.cursor = page.next;
        if query.cursor.is_none() {
            return seen;
        }
    }
}

async fn what_comes_again_is_listed_once(history: &Arc<dyn History>) {
    let rows = |from: u64, to: u64| transactions((from..=to).map(|n| summary(n, T0 + n, n)).collect());
    history.append(rows(1, 20)).await.expect("kept");
    for _ in 0..4 {
        // The sender has not heard the answer; some of it comes with others.
        history.append(rows(1, 20)).await.expect("kept");
        history.append(rows(11, 25)).await.expect("kept");
    }
    let twice = [summary(30, T0 + 30, 30), summary(30, T0 + 30, 30)].to_vec();
    history.append(transactions(twice)).await.expect("kept");
    for order in [Order::Newest, Order::Slowest] {
        for limit in [2, 3, 26, 100] {
            let query = TransactionQuery { limit, order, ..TransactionQuery::new(Window::all()) };
            let expected: Vec<_> = [30].into_iter().chain((1..=25).rev()).collect();
            assert_eq!(all_pages(history, query).await, expected, "{order:?}, {limit} a page");
        }
    }
    let stats = history.route_stats(Window::all()).await.expect("figures");
    assert_eq!((stats.len(), stats[0].count, stats[0].total_us), (1, 26, 25 * 26 / 2 + 30));
}

async fn limits_are_kept(history: &Arc<dyn History>) {
    let rows = (1..=1_200).map(|n| summary(n, T0 + n, n)).collect();
    history.append(transactions(rows)).await.expect("kept");
    for (limit, rows) in [(0, 1), (1, 1), (MAX_LIMIT, MAX_LIMIT), (usize::MAX, MAX_LIMIT)] {
        let query = TransactionQuery { limit, ..TransactionQuery::new(Window::all()) };
        let page = history.transactions(&query).await.expect("a page");
        assert_eq!((page.items.len(), page.next.is_some()), (rows, true), "{limit}");
    }
}

async fn the_most_trusted_rows_are_listed(history: &Arc<dyn History>) {
    let row =
        |n, trace, source| TransactionSummary { trace_id: trace_id(trace), source, ..summary(n, T0 + n, 10) };
    let rows = vec![
        row(1, 1, Source::OtlpEntry),
        row(2, 1, Source::Own),
        row(3, 2, Source::OtlpEntry),
        row(4, 2, Source::OtlpRoot),
        row(5, 3, Source::OtlpEntry),
        row(6, 3, Source::OtlpEntry),
    ];
    for row in rows {
        history.append(transactions(vec![row])).await.expect("kept");
    }
    assert_eq!(ids(history, &TransactionQuery::new(Window::all())).await, [6, 5, 4, 2]);
    let stats = history.route_stats(Window::all()).await.expect("figures");
    assert_eq!(stats.iter().map(|route| route.count).sum::<u64>(), 4, "aggregates agree with the listing");
    let outside = Window::new(T0 + 1, T0 + 2);
    assert_eq!(ids(history, &TransactionQuery::new(outside)).await, [] as [u64; 0], "wherever the other is");
    assert_eq!(history.route_stats(outside).await.expect("figures"), []);
    let trace = history.trace(trace_id(2)).await.expect("readable").expect("present");
    assert_eq!(trace.summary.map(|row| row.span_id), Some(span_id(4)), "the same stands for the trace");
}
