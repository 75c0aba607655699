//! Metrics by the [`metrics`] facade, under stable names.
//!
//! | name | kind | meaning |
//! |---|---|---|
//! | `iap_session_live` | gauge | live sessions; a store that cannot count them sets it with each `stats` that succeeds, and it is absent before the first one |
//! | `iap_session_live_timestamp_seconds` | gauge | when they were counted last, in Unix seconds, by such a store: in an outage it stands still, and so does the number |
//! | `iap_session_breaker_open` | gauge | 1 while the store is not asked, by `side`: `read`, `write` |
//! | `iap_session_breaker_rejected_total` | counter | calls that failed at once, by `side` |
//! | `iap_session_created_total` | counter | sessions created |
//! | `iap_session_not_created_total` | counter | sessions that were written and not created, by `reason`: `bot`, `health_check`, `static_file`, `route` |
//! | `iap_session_bound_elsewhere_total` | counter | ids that came from a client with other traits than the session is bound to |
//! | `iap_session_stale_total` | counter | requests that went on with what was known before an outage |
//! | `iap_session_loads_total` | counter | loads, by `result`: `hit`, `miss`, `ended`, `error` |
//! | `iap_session_logins_total`, `iap_session_logouts_total` | counter | users who came and went |
//! | `iap_session_expired_total` | counter | sessions this process saw expire; with Redis only where events are told |
//! | `iap_session_evicted_total` | counter | sessions dropped for want of memory |
//! | `iap_session_revoked_total` | counter | sessions ended on purpose, by the application, the user or an operator |
//! | `iap_session_displaced_total` | counter | sessions ended by a newer login of the same user |
//! | `iap_session_store_duration_seconds` | histogram | how long operations of a store in Redis take, by `op`: `create`, `load`, `commit`, `touch`, `rotate`, `revoke`, `scan`; reads of a near cache that ask nobody are not among them |
//! | `iap_session_store_bytes_total` | counter | payload of commands to Redis and of replies, by `direction`: `written`, `read` |
//! | `iap_session_refused_total` | counter | logins refused by the policy |
//! | `iap_session_events_total` | counter | what this process has told to those who listen, by `kind` |
//! | `iap_session_events_dropped_total` | counter | what it could not tell: there was no room, or no log |
//! | `iap_session_commit_errors_total` | counter | failed commits and touches |
//! | `iap_session_near_reads_total` | counter | reads of a near cache, by `result`: `hit`, `unchanged`, `miss` |
//! | `iap_session_near_flushes_total` | counter | how often a near cache has stopped believing all it has |
//! | `iap_session_near_entries`, `iap_session_near_bytes` | gauge | its size, with each `stats` |
//! | `iap_session_replicas` | gauge | replicas that may be read from |
//! | `iap_session_replica_reads_total` | counter | sessions asked of replicas, by `result`: `answered`, `behind` (then the primary was asked) |
//! | `iap_session_adoptions_total` | counter | old cookies the old store was asked about, by `result`: `taken`, `before`, `expired`, `too_large`, `refused`, `invalid`, `unreadable`, `unknown`, `error` |
//! | `iap_session_tokens_refused_total` | counter | forwarded requests without a token: the registry was full |
//!
//! Handles are made once for each store, layer and registry, so install the recorder before them.

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, describe_histogram, gauge};

use crate::policy::KeptOut;

/// Registers the descriptions with the installed recorder. Repeating it is harmless.
pub fn describe_metrics() {
    describe_gauge!("iap_session_live", "Live sessions");
    describe_gauge!("iap_session_live_timestamp_seconds", "When live sessions were counted last");
    describe_gauge!("iap_session_breaker_open", "Whether the store is not asked");
    describe_counter!("iap_session_breaker_rejected_total", "Calls not made while the store is away");
    describe_counter!("iap_session_created_total", "Sessions created");
    describe_counter!("iap_session_not_created_total", "Sessions written and not created, by reason");
    describe_counter!("iap_session_bound_elsewhere_total", "Ids from clients with other traits");
    describe_counter!("iap_session_stale_total", "Requests served with what was known before an outage");
    describe_counter!("iap_session_loads_total", "Session loads by result");
    describe_counter!("iap_session_logins_total", "Logins");
    describe_counter!("iap_session_logouts_total", "Logouts");
    describe_counter!("iap_session_events_total", "Events told by kind");
    describe_counter!("iap_session_events_dropped_total", "Events that could not be told");
    describe_counter!("iap_session_expired_total", "Sessions this process saw expire");
    describe_counter!("iap_session_evicted_total", "Sessions dropped for want of memory");
    describe_counter!("iap_session_revoked_total", "Sessions ended on purpose");
    describe_counter!("iap_session_displaced_total", "Sessions ended by newer logins");
    describe_counter!("iap_session_store_bytes_total", "Payload to and from the store by direction");
    describe_histogram!("iap_session_store_duration_seconds", "Operations of the store by kind");
    describe_counter!("iap_session_refused_total", "Logins refused by the policy");
    describe_counter!("iap_session_commit_errors_total", "Failed commits and touches");
    describe_counter!("iap_session_near_reads_total", "Reads of the near cache by result");
    describe_counter!(
        "iap_session_near_flushes_total",
        "How often the near cache stopped believing all it has"
    );
    describe_gauge!("iap_session_replicas", "Replicas that may be read from");
    describe_counter!("iap_session_replica_reads_total", "Sessions asked of replicas by result");
    describe_gauge!("iap_session_near_entries", "Sessions in the near cache");
    describe_gauge!("iap_session_near_bytes", "Bytes in the near cache");
    describe_counter!("iap_session_adoptions_total", "Old cookies asked about by result");
    describe_counter!("iap_session_tokens_refused_total", "Forwarded requests without a token");
}

/// What a store counts.
pub(crate) struct StoreMetrics {
    pub(crate) live: Gauge,
    pub(crate) expired: Counter,
    pub(crate) evicted: Counter,
    pub(crate) displaced: Counter,
}

impl StoreMetrics {
    pub(crate) fn new() -> Self {
        describe_metrics();
        Self {
            live: gauge!("iap_session_live"),
            expired: counter!("iap_session_expired_total"),
            evicted: counter!("iap_session_evicted_total"),
            displaced: counter!("iap_session_displaced_total"),
        }
    }
}

/// Notes that a store which cannot know it all the time has counted its sessions. The gauge comes into
/// being with the first count: a number that nobody has counted is not 0.
#[cfg(feature = "redis")]
pub(crate) fn counted(live: u64) {
    gauge!("iap_session_live").set(live as f64);
    let now = iap_core::Clock::now_ms(&iap_core::SystemClock);
    gauge!("iap_session_live_timestamp_seconds").set(now as f64 / 1000.0);
}

/// What the layer counts, whatever the store.
pub(crate) struct LayerMetrics {
    pub(crate) created: Counter,
    not_created: [Counter; KeptOut::ALL.len()],
    pub(crate) bound_elsewhere: Counter,
    pub(crate) stale: Counter,
    pub(crate) logins: Counter,
    pub(crate) logouts: Counter,
    pub(crate) hits: Counter,
    pub(crate) misses: Counter,
    pub(crate) ended: Counter,
    pub(crate) load_errors: Counter,
    pub(crate) revoked: Counter,
    pub(crate) refused: Counter,
    pub(crate) commit_errors: Counter,
}

impl LayerMetrics {
    pub(crate) fn new() -> Self {
        describe_metrics();
        Self {
            created: counter!("iap_session_created_total"),
            not_created: KeptOut::ALL
                .map(|why| counter!("iap_session_not_created_total", "reason" => why.as_str())),
            bound_elsewhere: counter!("iap_session_bound_elsewhere_total"),
            stale: counter!("iap_session_stale_total"),
            logins: counter!("iap_session_logins_total"),
            logouts: counter!("iap_session_logouts_total"),
            hits: counter!("iap_session_loads_total", "result" => "hit"),
            misses: counter!("iap_session_loads_total", "result" => "miss"),
            ended: counter!("iap_session_loads_total", "result" => "ended"),
            load_errors: counter!("iap_session_loads_total", "result" => "error"),
            revoked: counter!("iap_session_revoked_total"),
            refused: counter!("iap_session_refused_total"),
            commit_errors: counter!("iap_session_commit_errors_total"),
        }
    }

    pub(crate) fn not_created(&self, why: KeptOut) -> &Counter {
        &self.not_created[why as usize]
    }
}

#[cfg(test)]
pub(crate) mod tests;
