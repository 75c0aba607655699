//! Metrics in the Prometheus text format, without a server of their own; as OpenMetrics, by
//! [`Apm::openmetrics`](crate::Apm::openmetrics), with a trace id for each bucket of the request durations.
//!
//! | metric | labels |
//! |---|---|
//! | `iap_http_requests_total` | `route`, `method`, `status_class` |
//! | `iap_http_request_duration_seconds` (histogram) | the same |
//! | `iap_http_requests_active` | |
//! | `iap_apm_dropped_total` | `what`: see [`Dropped`](crate::Dropped) |
//! | `iap_apm_records_total`: the [`Ledger`] | `origin`: `own`, `received`; `what`: `transaction`, `span`, `log`, `point`; `result`: `made`, `kept`, `sampled_out`, `dropped` |
//! | `iap_apm_otlp_rejected_total` | `what`: `span`, `log`, `point`, `request` |
//! | `iap_apm_export_records_total`, see [`Ledger`](crate::export::Ledger) | `signal`: `metrics`, `traces`, `logs`; `result`: `made`, `sent`, `rejected`, `dropped` |
//! | `iap_apm_history_evicted_total` | `why`: `age`, `size` |
//! | `iap_apm_history_damaged_total`, `iap_apm_history_damaged_parts_total` | |
//! | those of the [runtime](crate::runtime), while it is sampled | |

use std::sync::OnceLock;

use metrics::{counter, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::error::{Error, ErrorKind};
use crate::ledger::{Account, Ledger};
use crate::shared::Shared;

static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();

/// Seconds: from a cached answer to a hanging upstream.
pub(crate) const BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Seconds: the operations of a session store, most of them within a millisecond.
const STORE_BUCKETS: [f64; 13] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// Makes this process's metrics (the `metrics` crate's) available to [`prometheus`]. To be called once,
/// before an [`Apm`](crate::Apm) is built: what was counted before is not seen. A second call does
/// nothing.
///
/// # Errors
/// [`ErrorKind::RecorderTaken`] when the program has installed another recorder. Metrics then go
/// there, and the rest of the APM works as before.
pub fn install() -> Result<(), Error> {
    if HANDLE.get().is_some() {
        return Ok(());
    }
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_duration_seconds".into()), &BUCKETS)
        .and_then(|builder| {
            let store = Matcher::Full("iap_session_store_duration_seconds".into());
            builder.set_buckets_for_metric(store, &STORE_BUCKETS)
        })
        .map_err(|error| Error::with_source(ErrorKind::RecorderTaken, error))?
        .build_recorder();
    let handle = recorder.handle();
    match metrics::set_global_recorder(recorder) {
        Ok(()) => {
            let _ = HANDLE.set(handle);
            Ok(())
        }
        Err(_) if HANDLE.get().is_some() => Ok(()),
        Err(_) => Err(Error::new(ErrorKind::RecorderTaken)),
    }
}

/// All metrics as text (version 0.0.4 of the format); `None` unless [`install`] has succeeded.
pub fn prometheus() -> Option<String> {
    HANDLE.get().map(PrometheusHandle::render)
}

/// Writes the gauges and the counters of refusals of one APM.
pub(crate) fn publish(shared: &Shared) {
    gauge!("iap_http_requests_active").set(shared.active.running() as f64);
    let dropped = shared.rings.dropped.read();
    let counts = [
        ("span", dropped.spans),
        ("transaction", dropped.transactions),
        ("log", dropped.logs),
        ("active", dropped.active),
        ("unfinished", dropped.unfinished),
        ("history", dropped.history),
        ("important", dropped.important),
        ("event", dropped.events),
    ];
    for (what, number) in counts {
        counter!("iap_apm_dropped_total", "what" => what).absolute(number);
    }
}

/// Writes the counters of what became of records.
pub(crate) fn publish_ledger(ledger: &Ledger) {
    for (origin, what, account) in ledger.accounts() {
        let Account { made, kept, sampled_out, dropped } = account;
        let results = [("made", made), ("kept", kept), ("sampled_out", sampled_out), ("dropped", dropped)];
        for (result, number) in results {
            counter!("iap_apm_records_total", "origin" => origin, "what" => what, "result" => result)
                .absolute(number);
        }
    }
}

/// Folds raw samples into buckets; without it histograms grow until they are read.
pub(crate) fn run_upkeep() {
    if let Some(handle) = HANDLE.get() {
        handle.run_upkeep();
    }
}
