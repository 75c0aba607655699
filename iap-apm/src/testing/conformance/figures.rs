//! Figures of routes and series of them, which agree with what is listed.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use super::{SECOND, T0};
use crate::error::HistoryErrorKind;
use crate::history::{History, MAX_LIMIT, MAX_ROUTES, OTHER_ROUTES, SeriesQuery, TransactionQuery};
use crate::model::{TransactionSummary, Window};
use crate::testing::{percentile, summary, transactions};

pub(super) async fn run<F, Fut>(make: &F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn History>>,
{
    aggregates_are_by_route_and_step(&make().await).await;
    aggregates_count_by_weight(&make().await).await;
    figures_agree_with_the_listing(&make().await).await;
    counts_are_exact(&make().await).await;
    routes_beyond_the_limit_are_together(&make().await).await;
}

async fn aggregates_are_by_route_and_step(history: &Arc<dyn History>) {
    let mut rows: Vec<_> = (1..=60).map(|n| summary(n, T0 + n * SECOND, n)).collect();
    rows.iter_mut().skip(50).for_each(|row| row.route = "cart".into());
    rows[59].failed = true;
    history.append(transactions(rows)).await.expect("kept");
    let window = Window::new(T0, T0 + 100 * SECOND);
    let stats = history.route_stats(window).await.expect("stats");
    assert_eq!(stats.iter().map(|route| route.route.as_str()).collect::<Vec<_>>(), ["orders", "cart"]);
    assert_eq!((stats[0].count, stats[0].errors, stats[0].p50_us, stats[0].p95_us), (50, 0, 25, 48));
    assert_eq!((stats[1].count, stats[1].errors, stats[1].max_us, stats[1].total_us), (10, 1, 60, 555));

    let mut query = SeriesQuery { window, step_us: 30 * SECOND, route: None };
    let series = history.series(&query).await.expect("a series");
    assert_eq!(series.iter().map(|point| point.count).collect::<Vec<_>>(), [29, 30, 1, 0]);
    assert_eq!((series[1].start_us, series[3].p95_us), (T0 + 30 * SECOND, 0));
    assert_eq!((series[2].errors, series[2].p99_us), (1, 60));
    query.route = Some("cart".into());
    let series = history.series(&query).await.expect("a series");
    assert_eq!(series.iter().map(|point| point.count).collect::<Vec<_>>(), [0, 9, 1, 0]);
    query.route = Some("' OR 1=1 --".into());
    let series = history.series(&query).await.expect("a series");
    assert_eq!(series.iter().map(|point| point.count).collect::<Vec<_>>(), [0, 0, 0, 0]);
    for step_us in [0, 1] {
        query.step_us = step_us;
        let error = history.series(&query).await.expect_err("too many steps");
        assert_eq!(error.kind(), HistoryErrorKind::InvalidQuery);
    }
}

async fn aggregates_count_by_weight(history: &Arc<dyn History>) {
    let mut rows: Vec<_> = (1..=4).map(|n| summary(n, T0 + n, n * 10)).collect();
    (rows[0].weight, rows[1].weight, rows[2].weight) = (90, 9, 0);
    (rows[1].failed, rows[1].status) = (true, 500);
    history.append(transactions(rows.clone())).await.expect("kept");
    let stats = history.route_stats(Window::all()).await.expect("stats");
    let [stats] = stats.as_slice() else { panic!("one route: {stats:?}") };
    assert_eq!((stats.count, stats.errors, stats.total_us), (100, 9, 900 + 180 + 40));
    assert_eq!((stats.p50_us, stats.p95_us, stats.max_us), (10, 20, 40));
    let query = SeriesQuery { window: Window::new(T0, T0 + 10), step_us: 5, route: None };
    let series = history.series(&query).await.expect("a series");
    assert_eq!((series[0].count, series[0].errors, series[0].p95_us), (100, 9, 20));
    let page = history.transactions(&TransactionQuery::new(Window::all())).await.expect("a page");
    assert_eq!(page.items.iter().map(|row| row.weight).collect::<Vec<_>>(), [1, 0, 9, 90]);
    assert_eq!(page.items[3], rows[0], "a row comes back as it was");
}

/// Values of very different sizes, the same in each run.
pub(super) fn mixed(count: u64) -> Vec<TransactionSummary> {
    let row = |n: u64| {
        let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (n << 40);
        let duration_us = (mixed >> 20) % [40, 5_000, 3_000_000, 40_000_000_000][(mixed % 4) as usize];
        let mut row = summary(n, T0 + (mixed >> 9) % (600 * SECOND), duration_us);
        row.route = format!("route {}", (mixed >> 3) % 5);
        (row.failed, row.weight) = (mixed.is_multiple_of(7), (mixed >> 7) % 5);
        row
    };
    (1..=count).map(row).collect()
}

async fn figures_agree_with_the_listing(history: &Arc<dyn History>) {
    for part in mixed(900).chunks(250) {
        history.append(transactions(part.to_vec())).await.expect("kept");
    }
    for window in [Window::all(), Window::new(T0 + 61 * SECOND + 7, T0 + 433 * SECOND + 1)] {
        let listing = TransactionQuery { limit: MAX_LIMIT, ..TransactionQuery::new(window) };
        let page = history.transactions(&listing).await.expect("a page");
        assert!(page.next.is_none() && page.items.len() > 100, "all of them");
        let stats = history.route_stats(window).await.expect("figures");
        let by_total = |pair: &[crate::model::RouteStats]| pair[0].total_us >= pair[1].total_us;
        assert!(stats.windows(2).all(by_total), "by falling total time");
        let mut routes: BTreeMap<&str, Vec<&TransactionSummary>> = BTreeMap::new();
        page.items.iter().for_each(|row| routes.entry(&row.route).or_default().push(row));
        assert_eq!(stats.len(), routes.len());
        for told in &stats {
            let of = &routes[told.route.as_str()];
            assert_eq!(told.count, of.iter().map(|row| row.weight).sum::<u64>());
            let errors = of.iter().filter(|row| row.failed).map(|row| row.weight);
            assert_eq!(told.errors, errors.sum::<u64>());
            assert_eq!(told.total_us, of.iter().map(|row| row.weight * row.duration_us).sum::<u64>());
            assert_eq!(Some(told.max_us), of.iter().map(|row| row.duration_us).max());
            for (percent, told) in [(50, told.p50_us), (95, told.p95_us), (99, told.p99_us)] {
                near(told, percentile(of, percent));
            }
        }
    }
    let query = SeriesQuery { window: Window::new(T0, T0 + 600 * SECOND), step_us: 97 * SECOND, route: None };
    let points = history.series(&query).await.expect("points");
    assert_eq!(points.len(), 7);
    for point in points {
        let window = Window::new(point.start_us, query.window.to_us.min(point.start_us + query.step_us));
        let listing = TransactionQuery { limit: MAX_LIMIT, ..TransactionQuery::new(window) };
        let page = history.transactions(&listing).await.expect("a page");
        let of: Vec<_> = page.items.iter().collect();
        assert_eq!(point.count, of.iter().map(|row| row.weight).sum::<u64>());
        near(point.p50_us, percentile(&of, 50));
        near(point.p99_us, percentile(&of, 99));
    }
}

/// Exact below 64 us, else within 1.6 %, as [`RouteStats`](crate::RouteStats) says.
fn near(told: u64, value: u64) {
    assert!(told == value || value >= 64 && told.abs_diff(value) * 62 <= value, "{told} for {value}");
}

async fn counts_are_exact(history: &Arc<dyn History>) {
    let rows = mixed(300);
    history.append(transactions(rows.clone())).await.expect("kept");
    history.append(transactions(rows[..50].to_vec())).await.expect("kept");
    let limits = [0, 39, 40, 100_000, 3_000_000, u64::MAX];
    let counts = history.route_counts(Window::all(), &limits).await.expect("counts");
    assert_eq!(
        counts.iter().map(|counts| counts.route.as_str()).collect::<Vec<_>>(),
        ["route 0", "route 1", "route 2", "route 3", "route 4"]
    );
    for told in &counts {
        let of = || rows.iter().filter(|row| row.route == told.route);
        assert_eq!(told.count, of().map(|row| row.weight).sum::<u64>());
        assert_eq!(told.errors, of().filter(|row| row.failed).map(|row| row.weight).sum::<u64>());
        for (limit, within) in limits.iter().zip(&told.within) {
            let good = of().filter(|row| !row.failed && row.duration_us <= *limit);
            assert_eq!(*within, good.map(|row| row.weight).sum::<u64>(), "within {limit}");
        }
    }
    let without = history.route_counts(Window::all(), &[]).await.expect("counts");
    assert!(without.iter().zip(&counts).all(|(a, b)| a.count == b.count && a.within.is_empty()));
}

async fn routes_beyond_the_limit_are_together(history: &Arc<dyn History>) {
    let many = MAX_ROUTES as u64 + 100;
    let row = |n| TransactionSummary { route: format!("route {n}"), ..summary(n, T0 + n, 1) };
    history.append(transactions((1..=many).map(row).collect())).await.expect("kept");
    let stats = history.route_stats(Window::all()).await.expect("figures");
    assert_eq!(stats.len(), MAX_ROUTES + 1);
    assert_eq!(stats.iter().map(|route| route.count).sum::<u64>(), many, "none is lost");
    let counts = history.route_counts(Window::all(), &[5]).await.expect("counts");
    let other = counts.iter().find(|route| route.route == OTHER_ROUTES).expect("what is beyond");
    assert_eq!((counts.len(), other.count, other.within[0]), (MAX_ROUTES + 1, 100, 100));
}
