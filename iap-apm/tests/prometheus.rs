//! Metrics; in a process of its own, since a process has one recorder.

mod common;

use common::{begin, finish};
use iap_apm::Apm;
use iap_core::hooks::Hooks;

fn value(text: &str, line: &str) -> Option<f64> {
    text.lines().find_map(|candidate| candidate.strip_prefix(line)?.trim().parse().ok())
}

#[tokio::test]
async fn requests_are_counted_by_route_and_routes_are_bounded() {
    iap_apm::metrics::install().expect("installed");
    iap_apm::metrics::install().expect("a second time does nothing");
    let apm = Apm::builder().max_routes(2).build().expect("an APM");
    let hooks = apm.hooks();
    for route in ["a", "a", "b", "c", "d"] {
        let transaction = begin(&hooks, "/", None);
        hooks.routed(&transaction, &route.into());
        hooks.finish(transaction, finish(if route == "b" { 500 } else { 200 }, None));
    }
    let running = begin(&hooks, "/", None);
    apm.shutdown().await.expect("flushed");
    let text = apm.prometheus().expect("installed");
    let requests = |route: &str, class: &str| {
        let labels = format!(r#"{{route="{route}",method="GET",status_class="{class}"}}"#);
        value(&text, &format!("iap_http_requests_total{labels}"))
    };
    assert_eq!(requests("a", "2xx"), Some(2.0), "{text}");
    assert_eq!(requests("b", "5xx"), Some(1.0));
    assert_eq!((requests("c", "2xx"), requests("other", "2xx")), (None, Some(2.0)));
    let bucket =
        r#"iap_http_request_duration_seconds_bucket{route="a",method="GET",status_class="2xx",le="+Inf"}"#;
    assert_eq!(value(&text, bucket), Some(2.0));
    assert_eq!(value(&text, "iap_http_requests_active"), Some(1.0));
    assert_eq!(value(&text, r#"iap_apm_dropped_total{what="span"}"#), Some(0.0));

    // OpenMetrics is the same with a trace for each bucket.
    let open = apm.openmetrics().expect("installed");
    assert!(open.ends_with("\n# EOF\n") && !open.contains("\n\n"), "{open}");
    assert!(open.contains("# TYPE iap_http_requests counter\n") && open.contains("iap_http_requests_total{"));
    let listed = common::listed(&apm).await;
    let line = |route: &str| {
        let start = format!("iap_http_request_duration_seconds_bucket{{route=\"{route}\"");
        let mut lines =
            open.lines().filter(|line| line.starts_with(&start) && line.contains(" # {trace_id="));
        let (line, more) = (lines.next().expect("an exemplar"), lines.next());
        assert_eq!(more, None, "one bucket has it");
        line.to_owned()
    };
    for route in ["a", "b"] {
        let ids: Vec<_> =
            listed.iter().filter(|row| row.route == route).map(|row| row.trace_id.to_string()).collect();
        let line = line(route);
        assert!(ids.iter().any(|id| line.contains(&format!("# {{trace_id=\"{id}\"}} "))), "{line}");
    }
    assert!(line("other").contains("status_class=\"2xx\""), "{open}");
    drop(running);
}
