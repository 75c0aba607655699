//! What is counted, under fixed names and few labels. A recorder has to be installed before the
//! upstream is made.

use metrics::{Counter, Histogram, counter, histogram};

/// How requests to one server ended.
#[derive(Debug)]
pub(super) struct ServerMetrics {
    /// With an answer below 500.
    pub(super) answered: Counter,
    /// With an answer of 5xx.
    pub(super) server_error: Counter,
    /// Without a valid answer, or without a connection.
    pub(super) failed: Counter,
    /// With a head, and a body that broke off; counted in addition.
    pub(super) broken: Counter,
}

/// What concerns an upstream as a whole.
#[derive(Debug)]
pub(super) struct UpstreamMetrics {
    pub(super) ejections: Counter,
    pub(super) retries: Counter,
    /// Requests that were sent to a second server, since the first one was late.
    pub(super) hedges: Counter,
    /// Requests that found no room.
    pub(super) refused: Counter,
    /// In seconds; only of requests that had to wait.
    pub(super) queue_time: Histogram,
}

impl ServerMetrics {
    pub(super) fn new(upstream: &str, server: &str) -> Self {
        let of = |outcome: &'static str| {
            let (upstream, server) = (upstream.to_owned(), server.to_owned());
            counter!("iap_upstream_requests_total", "upstream" => upstream, "server" => server, "outcome" => outcome)
        };
        Self {
            answered: of("answered"),
            server_error: of("server_error"),
            failed: of("failed"),
            broken: of("broken"),
        }
    }
}

impl UpstreamMetrics {
    pub(super) fn new(upstream: &str) -> Self {
        let name = || upstream.to_owned();
        Self {
            ejections: counter!("iap_upstream_ejections_total", "upstream" => name()),
            retries: counter!("iap_upstream_retries_total", "upstream" => name()),
            hedges: counter!("iap_upstream_hedges_total", "upstream" => name()),
            refused: counter!("iap_upstream_refused_total", "upstream" => name()),
            queue_time: histogram!("iap_upstream_queue_seconds", "upstream" => name()),
        }
    }
}
