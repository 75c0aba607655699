//! Scatters, which agree with what is listed.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use super::figures::mixed;
use super::{SECOND, T0};
use crate::history::{History, MAX_LIMIT, Order, Points, TransactionQuery};
use crate::model::{TransactionSummary, Window};
use crate::testing::{summary, transactions};

const WINDOW: Window = Window { from_us: T0, to_us: T0 + 600 * SECOND };

pub(super) async fn run<F, Fut>(make: &F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn History>>,
{
    points_are_what_is_listed(&make().await).await;
    a_grid_has_all_and_what_is_looked_for_besides(&make().await).await;
    nothing_is_an_empty_scatter(&make().await).await;
}

async fn points(history: &Arc<dyn History>, query: &TransactionQuery, limit: usize) -> Points {
    history.points(query, limit).await.expect("points")
}

/// What makes a point, of a row and of a point.
type Told = (u64, u64, u16, bool, u64, String, String);

fn of_rows(rows: &[TransactionSummary]) -> Vec<Told> {
    let told = |row: &TransactionSummary| {
        let of = row.clone();
        (of.start_us, of.duration_us, of.status, of.failed, of.weight, of.trace_id.to_string(), of.route)
    };
    let mut told: Vec<_> = rows.iter().map(told).collect();
    told.sort();
    told
}

fn of_points(points: &Points) -> Vec<Told> {
    let told = |of: &crate::history::Point| {
        let route = points.routes[of.route as usize].clone();
        (of.start_us, of.duration_us, of.status, of.failed, of.weight, of.trace_id.to_string(), route)
    };
    let mut all: Vec<_> = points.points.iter().map(told).collect();
    assert!(points.points.is_sorted_by_key(|point| point.start_us), "by when they began");
    all.sort();
    all
}

async fn points_are_what_is_listed(history: &Arc<dyn History>) {
    for part in mixed(900).chunks(400) {
        history.append(transactions(part.to_vec())).await.expect("kept");
    }
    let all = TransactionQuery { limit: MAX_LIMIT, ..TransactionQuery::new(WINDOW) };
    let queries = [
        all.clone(),
        TransactionQuery { window: Window::new(T0 + 61 * SECOND + 7, T0 + 433 * SECOND + 1), ..all.clone() },
        TransactionQuery { errors_only: true, ..all.clone() },
        TransactionQuery { route: Some("route 3".into()), ..all.clone() },
        TransactionQuery { route: Some("' OR 1=1 --".into()), ..all.clone() },
        TransactionQuery { min_duration_us: Some(50), max_duration_us: Some(2_500_000), ..all.clone() },
        TransactionQuery { max_duration_us: Some(u64::MAX), order: Order::Slowest, ..all.clone() },
    ];
    for query in queries {
        let listed = history.transactions(&query).await.expect("a page");
        let found = points(history, &query, 900).await;
        assert_eq!(found.grid, None, "{query:?}");
        assert_eq!(of_points(&found), of_rows(&listed.items), "{query:?}");
        assert_eq!(found.kept, listed.items.len() as u64);
        assert_eq!(found.count, listed.items.iter().map(|row| row.weight).sum::<u64>());
        let failed = listed.items.iter().filter(|row| row.failed).map(|row| row.weight);
        assert_eq!(found.errors, failed.sum::<u64>());
        if let (Some(least), Some(most)) = (query.min_duration_us, query.max_duration_us) {
            assert!(listed.items.iter().all(|row| (least..=most).contains(&row.duration_us)));
            assert!(!listed.items.is_empty());
        }
    }
}

async fn a_grid_has_all_and_what_is_looked_for_besides(history: &Arc<dyn History>) {
    // More than are points beside a grid, though all of them failed or were slow.
    let rows = (1..=4_000_u64).map(|n| {
        let mut row = summary(n, T0 + n * 149_993, 1 + n.wrapping_mul(2_654_435_761) % 3_000_000);
        (row.failed, row.weight) = (n % 50 == 0, n % 4);
        row.route = format!("route {}", n % 3);
        row
    });
    let rows: Vec<_> = rows.collect();
    for part in rows.chunks(1_000) {
        history.append(transactions(part.to_vec())).await.expect("kept");
    }
    let query = TransactionQuery::new(WINDOW);
    let found = points(history, &query, 3_999).await;
    let grid = found.grid.as_ref().expect("there are too many");
    assert_eq!((found.kept, found.count), (4_000, rows.iter().map(|row| row.weight).sum()));
    let mut expected: BTreeMap<(u32, u16), (u64, u64)> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.weight > 0) {
        let level = grid.levels_us.partition_point(|low| *low <= row.duration_us) - 1;
        let column = (row.start_us - WINDOW.from_us) / grid.column_us;
        let cell = expected.entry((column as u32, level as u16)).or_default();
        cell.0 += row.weight;
        cell.1 += if row.failed { row.weight } else { 0 };
    }
    let cells = grid.cells.iter().map(|cell| ((cell.column, cell.level), (cell.count, cell.errors)));
    assert_eq!(cells.collect::<Vec<_>>(), expected.into_iter().collect::<Vec<_>>());
    assert!(grid.levels_us.is_sorted_by(|a, b| a < b), "{:?}", grid.levels_us);
    for pair in grid.levels_us.windows(2).filter(|pair| pair[0] > 1_000) {
        assert!(pair[1] * 100 <= pair[0] * 114, "a level is narrow: {pair:?}");
    }
    assert_eq!(found.errors, grid.cells.iter().map(|cell| cell.errors).sum::<u64>());
    let told = of_points(&found);
    assert!(
        told.len() < rows.len() && of_rows(&rows).iter().filter(|row| row.3).all(|row| told.contains(row))
    );
    let mut slow = rows.clone();
    slow.sort_by_key(|row| std::cmp::Reverse(row.duration_us));
    assert!(of_rows(&slow[..1_000]).iter().all(|row| told.binary_search(row).is_ok()), "the slowest");
    assert_eq!(points(history, &query, 3_999).await, found, "the same each time");
    let narrow = TransactionQuery { route: Some("route 1".into()), ..query };
    assert_eq!(points(history, &narrow, 3_999).await.grid, None, "what is wanted is few");
}

async fn nothing_is_an_empty_scatter(history: &Arc<dyn History>) {
    let found = points(history, &TransactionQuery::new(WINDOW), usize::MAX).await;
    assert_eq!((found.kept, found.count, found.errors, found.grid), (0, 0, 0, None));
    assert!(found.points.is_empty() && found.routes.is_empty());
}
