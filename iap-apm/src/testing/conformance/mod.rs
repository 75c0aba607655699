//! What every history has to do, as one function that panics where an engine does something else.

mod drill;
mod figures;
mod hostile;
mod lines;
mod listing;
mod metrics;
mod points;
mod span_groups;
mod traces;

use std::future::Future;
use std::sync::Arc;

use crate::history::{History, TransactionQuery};

/// A moment that everything is told relative to.
const T0: u64 = 1_700_000_000_000_000;
const SECOND: u64 = 1_000_000;

/// Runs the suite; `make` is called for each part and returns an empty history.
///
/// ```
/// use std::sync::Arc;
/// use iap_apm::testing::conformance;
/// use iap_apm::{History, SqliteHistory, SqliteOptions};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(
/// conformance(|| async {
///     let history = SqliteHistory::temporary(SqliteOptions::default()).expect("a history");
///     Arc::new(history) as Arc<dyn History>
/// })
/// # );
/// ```
///
/// # Panics
///
/// With a text that says what the history should have done.
pub async fn conformance<F, Fut>(make: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn History>>,
{
    listing::run(&make).await;
    traces::run(&make).await;
    figures::run(&make).await;
    lines::run(&make).await;
    metrics::run(&make).await;
    points::run(&make).await;
    span_groups::run(&make).await;
    drill::run(&make).await;
    hostile::run(&make).await;
}

/// The numbers of the spans on a page.
async fn ids(history: &Arc<dyn History>, query: &TransactionQuery) -> Vec<u64> {
    let page = history.transactions(query).await.expect("a page");
    page.items.iter().map(|row| u64::from_be_bytes(row.span_id.0)).collect()
}
