//! The collector over a history that fails.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{begin, finish};
use iap_apm::history::HistoryResult;
use iap_apm::{
    Apm, Batch, ErrorKind, History, HistoryError, HistoryErrorKind, LogQuery, MetricAnswer, MetricInfo,
    MetricNamesQuery, MetricQuery, RouteStats, SeriesPoint, SeriesQuery, SqliteHistory, SqliteOptions, Trace,
    TransactionPage, TransactionQuery, Window,
};
use iap_core::TraceId;
use iap_core::hooks::Hooks;

/// Refuses until `refusals` is used up.
struct Failing {
    inner: SqliteHistory,
    kind: HistoryErrorKind,
    refusals: AtomicUsize,
}

impl History for Failing {
    fn append(&self, batch: Arc<Batch>) -> HistoryResult<'_, ()> {
        let left =
            self.refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        match left {
            Ok(_) => Box::pin(std::future::ready(Err(HistoryError::new(self.kind, "refused")))),
            Err(_) => self.inner.append(batch),
        }
    }
    fn transactions<'a>(&'a self, query: &'a TransactionQuery) -> HistoryResult<'a, TransactionPage> {
        self.inner.transactions(query)
    }
    fn trace(&self, trace_id: TraceId) -> HistoryResult<'_, Option<Trace>> {
        self.inner.trace(trace_id)
    }
    fn route_stats(&self, window: Window) -> HistoryResult<'_, Vec<RouteStats>> {
        self.inner.route_stats(window)
    }
    fn route_counts<'a>(
        &'a self,
        window: Window,
        limits_us: &'a [u64],
    ) -> HistoryResult<'a, Vec<iap_apm::RouteCounts>> {
        self.inner.route_counts(window, limits_us)
    }
    fn series<'a>(&'a self, query: &'a SeriesQuery) -> HistoryResult<'a, Vec<SeriesPoint>> {
        self.inner.series(query)
    }
    fn logs<'a>(&'a self, query: &'a LogQuery) -> HistoryResult<'a, Vec<iap_apm::LogLine>> {
        self.inner.logs(query)
    }
    fn metric_names<'a>(&'a self, query: &'a MetricNamesQuery) -> HistoryResult<'a, Vec<MetricInfo>> {
        self.inner.metric_names(query)
    }
    fn metric<'a>(&'a self, query: &'a MetricQuery) -> HistoryResult<'a, MetricAnswer> {
        self.inner.metric(query)
    }
}

fn apm(kind: HistoryErrorKind, refusals: usize) -> Apm {
    let inner = SqliteHistory::temporary(SqliteOptions::default()).expect("a history");
    let history = Arc::new(Failing { inner, kind, refusals: AtomicUsize::new(refusals) });
    // Only a flush writes, so that it is the one that meets the refusal.
    let interval = std::time::Duration::from_secs(3_600);
    Apm::builder().history(history).flush_interval(interval).build().expect("an APM")
}

#[tokio::test]
async fn what_an_overloaded_history_refuses_is_sent_again() {
    let apm = apm(HistoryErrorKind::Overloaded, 1);
    let hooks = apm.hooks();
    hooks.finish(begin(&hooks, "/first", None), finish(200, None));
    let error = apm.flush().await.expect_err("refused");
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::History, true));
    hooks.finish(begin(&hooks, "/second", None), finish(200, None));
    apm.flush().await.expect("kept");
    assert_eq!(common::listed(&apm).await.len(), 2);
    assert_eq!(apm.dropped().history, 0);
}

#[tokio::test]
async fn what_is_refused_for_good_is_counted() {
    let apm = apm(HistoryErrorKind::Closed, 1);
    let hooks = apm.hooks();
    hooks.finish(begin(&hooks, "/", None), finish(200, None));
    assert_eq!(apm.flush().await.expect_err("refused").kind(), ErrorKind::History);
    assert_eq!(apm.dropped().history, 2, "the transaction and its span");
    apm.flush().await.expect("nothing is left");
    assert_eq!(common::listed(&apm).await.len(), 0);
}
