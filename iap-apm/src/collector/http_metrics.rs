//! The HTTP metrics, counted where transactions are assembled: no label is looked up twice, and no
//! serving thread is involved.

use std::collections::HashMap;

use metrics::{Counter, Histogram, counter, histogram};

use crate::model::TransactionSummary;

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
const CLASSES: [&str; 6] = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];
/// The label of routes beyond the limit.
const OTHER: &str = "other";

type Handles = (Counter, Histogram);

pub(super) struct HttpMetrics {
    max_routes: usize,
    routes: HashMap<String, HashMap<(&'static str, &'static str), Handles>>,
}

impl HttpMetrics {
    pub(super) fn new(max_routes: usize) -> Self {
        Self { max_routes, routes: HashMap::new() }
    }

    pub(super) fn add(&mut self, row: &TransactionSummary) {
        let method = METHODS.into_iter().find(|name| *name == row.method).unwrap_or("_OTHER");
        let class = CLASSES.get(usize::from(row.status / 100)).copied().unwrap_or(OTHER);
        let known = self.routes.contains_key(&row.route);
        let route = if known || self.routes.len() < self.max_routes { &row.route } else { OTHER };
        if !self.routes.contains_key(route) {
            self.routes.insert(route.to_owned(), HashMap::new());
        }
        let handles = self.routes.get_mut(route).expect("inserted above");
        let (requests, durations) =
            handles.entry((method, class)).or_insert_with(|| register(route, method, class));
        requests.increment(1);
        durations.record(row.duration_us as f64 / 1e6);
    }
}

fn register(route: &str, method: &'static str, class: &'static str) -> Handles {
    let route = route.to_owned();
    let requests = counter!("iap_http_requests_total", "route" => route.clone(), "method" => method, "status_class" => class);
    let durations = histogram!(
        "iap_http_request_duration_seconds", "route" => route, "method" => method, "status_class" => class
    );
    (requests, durations)
}
