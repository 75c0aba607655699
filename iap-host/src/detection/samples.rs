//! From what was counted to what is watched: rate, errors and duration of each route, errors of each upstream, the
//! sessions, and the operations of their store.

use std::collections::BTreeMap;

use iap_ops::detect::{Direction, Entity, Measure, Sample, SeriesKey};

use super::counters::Added;

/// Requests in a step below which a percentile says nothing.
const LEAST_P50: f64 = 5.0;
const LEAST_P95: f64 = 10.0;

/// Buckets by their upper ends, each with all that is not above it.
#[derive(Debug, Default)]
struct Buckets(Vec<(f64, f64)>);

#[derive(Debug, Default)]
struct Red {
    count: f64,
    errors: f64,
    buckets: Buckets,
}

pub(super) fn samples(added: &[Added]) -> Vec<Sample> {
    let (mut routes, mut upstreams, mut stores) =
        (BTreeMap::<String, Red>::new(), BTreeMap::<String, Red>::new(), BTreeMap::<String, Red>::new());
    let mut sessions = BTreeMap::<String, f64>::new();
    for Added { name, labels, value } in added {
        let label = |name: &str| labels.get(name).map_or("", String::as_str);
        match name.as_str() {
            "iap_http_requests_total" => {
                let route = routes.entry(label("route").to_owned()).or_default();
                route.count += value;
                if label("status_class") == "5xx" {
                    route.errors += value;
                }
            }
            "iap_http_request_duration_seconds_bucket" => {
                routes.entry(label("route").to_owned()).or_default().buckets.add(label("le"), *value);
            }
            "iap_upstream_requests_total" => {
                let upstream = upstreams.entry(label("upstream").to_owned()).or_default();
                // What broke off later was counted as answered before.
                match label("outcome") {
                    "answered" => upstream.count += value,
                    "server_error" | "failed" => {
                        upstream.count += value;
                        upstream.errors += value;
                    }
                    _ => {}
                }
            }
            "iap_upstream_refused_total" => {
                let upstream = upstreams.entry(label("upstream").to_owned()).or_default();
                upstream.count += value;
                upstream.errors += value;
            }
            "iap_session_store_duration_seconds_bucket" => {
                stores.entry(label("op").to_owned()).or_default().buckets.add(label("le"), *value);
            }
            "iap_session_store_duration_seconds_count" => {
                stores.entry(label("op").to_owned()).or_default().count += value;
            }
            _ => {
                if let Some(what) = name.strip_prefix("iap_session_") {
                    let what = match label("result") {
                        "" => what.to_owned(),
                        result => format!("{what}:{result}"),
                    };
                    *sessions.entry(what).or_default() += value;
                }
            }
        }
    }
    let mut samples = Vec::new();
    for (name, red) in routes {
        of_route(&Entity::Route(name), &red, &mut samples);
    }
    for (name, red) in upstreams {
        push_ratio(&mut samples, &Entity::Upstream(name), "errors", Direction::Up, (red.errors, red.count));
    }
    for (op, red) in stores {
        push_percentile(&mut samples, &Entity::SessionStore, &format!("{op} p95"), 0.95, &red, LEAST_P50);
    }
    of_sessions(&sessions, &mut samples);
    samples
}

fn of_route(entity: &Entity, red: &Red, samples: &mut Vec<Sample>) {
    push_events(samples, entity, "requests", Direction::Both, red.count);
    push_ratio(samples, entity, "errors", Direction::Up, (red.errors, red.count));
    push_percentile(samples, entity, "p50", 0.5, red, LEAST_P50);
    push_percentile(samples, entity, "p95", 0.95, red, LEAST_P95);
}

fn of_sessions(counted: &BTreeMap<String, f64>, samples: &mut Vec<Sample>) {
    let of = |name: &str| counted.get(name).copied();
    let entity = Entity::Sessions;
    let events = [
        ("logins", "logins_total"),
        ("created", "created_total"),
        ("evicted", "evicted_total"),
        ("commit errors", "commit_errors_total"),
        ("load errors", "loads_total:error"),
        ("refused logins", "refused_total"),
    ];
    for (signal, name) in events {
        if let Some(value) = of(name) {
            push_events(samples, &entity, signal, Direction::Up, value);
        }
    }
    if let Some(hits) = of("loads_total:hit") {
        let all = hits + of("loads_total:miss").unwrap_or(0.0);
        push_ratio(samples, &entity, "hit rate", Direction::Down, (hits, all));
    }
}

fn push_events(samples: &mut Vec<Sample>, entity: &Entity, signal: &str, direction: Direction, value: f64) {
    let key = SeriesKey { entity: entity.clone(), signal: signal.to_owned() };
    samples.push(Sample { key, measure: Measure::Events, direction, value, weight: value });
}

fn push_ratio(
    samples: &mut Vec<Sample>,
    entity: &Entity,
    signal: &str,
    direction: Direction,
    (part, all): (f64, f64),
) {
    if all >= 1.0 {
        let key = SeriesKey { entity: entity.clone(), signal: signal.to_owned() };
        samples.push(Sample { key, measure: Measure::Ratio, direction, value: part / all, weight: all });
    }
}

fn push_percentile(
    samples: &mut Vec<Sample>,
    entity: &Entity,
    signal: &str,
    part: f64,
    red: &Red,
    least: f64,
) {
    if red.count >= least
        && let Some(value) = red.buckets.quantile(part)
    {
        let key = SeriesKey { entity: entity.clone(), signal: signal.to_owned() };
        samples.push(Sample {
            key,
            measure: Measure::Duration,
            direction: Direction::Up,
            value,
            weight: red.count,
        });
    }
}

impl Buckets {
    fn add(&mut self, end: &str, value: f64) {
        let Some(end) = end.parse::<f64>().ok().or((end == "+Inf").then_some(f64::INFINITY)) else { return };
        match self.0.iter_mut().find(|(other, _)| *other == end) {
            Some((_, sum)) => *sum += value,
            None => self.0.push((end, value)),
        }
    }

    /// In proportion within its bucket; of those above the last end, that end.
    fn quantile(&self, part: f64) -> Option<f64> {
        let mut buckets = self.0.clone();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let all = buckets.last().filter(|(_, all)| *all > 0.0)?.1;
        let (mut start, mut below) = (0.0, 0.0);
        for (end, upto) in buckets {
            if upto >= all * part {
                let inside = if upto > below { (all * part - below) / (upto - below) } else { 1.0 };
                return Some(if end.is_finite() { start + (end - start) * inside } else { start });
            }
            (start, below) = (end, upto);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(name: &str, labels: &[(&str, &str)], value: f64) -> Added {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Added { name: name.into(), labels, value }
    }

    fn value(samples: &[Sample], series: &str) -> Option<f64> {
        samples.iter().find(|sample| sample.key.to_string() == series).map(|sample| sample.value)
    }

    #[test]
    fn counts_become_rate_errors_and_duration() {
        let bucket = "iap_http_request_duration_seconds_bucket";
        let requests = "iap_http_requests_total";
        let found = samples(&[
            added(requests, &[("route", "shop"), ("status_class", "2xx")], 15.0),
            added(requests, &[("route", "shop"), ("status_class", "5xx")], 5.0),
            added(bucket, &[("route", "shop"), ("le", "0.1"), ("status_class", "2xx")], 10.0),
            added(bucket, &[("route", "shop"), ("le", "0.2"), ("status_class", "2xx")], 20.0),
            added(bucket, &[("route", "shop"), ("le", "+Inf"), ("status_class", "2xx")], 20.0),
            added(requests, &[("route", "rare"), ("status_class", "2xx")], 2.0),
            added(bucket, &[("route", "rare"), ("le", "+Inf")], 2.0),
        ]);
        assert_eq!(value(&found, "shop requests"), Some(20.0));
        assert_eq!(value(&found, "shop errors"), Some(0.25));
        assert_eq!(value(&found, "shop p50"), Some(0.1));
        assert!((value(&found, "shop p95").unwrap() - 0.19).abs() < 1e-9);
        assert_eq!(value(&found, "rare p95"), None, "two requests have no percentiles");
    }

    #[test]
    fn upstreams_and_sessions_are_watched() {
        let upstream = |outcome, value| {
            let labels = [("upstream", "pay"), ("server", "1"), ("outcome", outcome)];
            added("iap_upstream_requests_total", &labels, value)
        };
        let found = samples(&[
            upstream("answered", 6.0),
            upstream("failed", 1.0),
            upstream("broken", 9.0),
            added("iap_upstream_refused_total", &[("upstream", "pay")], 1.0),
            added("iap_session_logins_total", &[], 30.0),
            added("iap_session_loads_total", &[("result", "hit")], 9.0),
            added("iap_session_loads_total", &[("result", "miss")], 1.0),
        ]);
        assert_eq!(value(&found, "pay errors"), Some(0.25));
        assert_eq!(value(&found, "sessions logins"), Some(30.0));
        assert_eq!(value(&found, "sessions hit rate"), Some(0.9));
    }
}
