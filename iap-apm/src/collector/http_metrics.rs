//! The HTTP metrics, counted where transactions are collected: no label is looked up twice, and no
//! serving thread is involved.

use std::collections::HashSet;

use metrics::{Counter, Histogram, counter, histogram};

use super::keeper::{ClassId, Keeper, METHODS};
use crate::exemplars::HttpLabels;

const CLASSES: [&str; 6] = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];
/// The label of routes beyond the limit.
const OTHER: &str = "other";

pub(super) struct HttpMetrics {
    max_routes: usize,
    /// Routes that have metrics of their own.
    routes: HashSet<String>,
    /// By the keeper's classes.
    handles: Vec<Option<(Counter, Histogram)>>,
}

impl HttpMetrics {
    pub(super) fn new(max_routes: usize) -> Self {
        Self { max_routes, routes: HashSet::new(), handles: Vec::new() }
    }

    pub(super) fn add<T>(&mut self, keeper: &Keeper<T>, id: ClassId, duration_us: u64) {
        if let Some(Some((requests, durations))) = self.handles.get(id) {
            requests.increment(1);
            durations.record(duration_us as f64 / 1e6);
            return;
        }
        let (route, method, class) = keeper.names(id);
        let handles = self.register(route, method, class);
        handles.0.increment(1);
        handles.1.record(duration_us as f64 / 1e6);
        if self.handles.len() <= id {
            self.handles.resize_with(id + 1, || None);
        }
        self.handles[id] = Some(handles);
    }

    /// The labels of a class.
    pub(super) fn labels<T>(&mut self, keeper: &Keeper<T>, id: ClassId) -> HttpLabels {
        let (route, method, class) = keeper.names(id);
        let (route, method, class) = self.texts(route, method, class);
        [route, method.to_owned(), class.to_owned()]
    }

    fn texts(&mut self, route: &str, method: u8, class: u8) -> (String, &'static str, &'static str) {
        if !self.routes.contains(route) && self.routes.len() < self.max_routes {
            self.routes.insert(route.to_owned());
        }
        let route = if self.routes.contains(route) { route } else { OTHER }.to_owned();
        let method = METHODS.get(usize::from(method)).copied().unwrap_or("_OTHER");
        let class = CLASSES.get(usize::from(class)).copied().unwrap_or(OTHER);
        (route, method, class)
    }

    fn register(&mut self, route: &str, method: u8, class: u8) -> (Counter, Histogram) {
        let (route, method, class) = self.texts(route, method, class);
        let requests = counter!(
            "iap_http_requests_total", "route" => route.clone(), "method" => method, "status_class" => class
        );
        let durations = histogram!(
            "iap_http_request_duration_seconds", "route" => route, "method" => method, "status_class" => class
        );
        (requests, durations)
    }
}
