//! Metrics of applications, from the stock SDK to the admin API.

mod common;

use common::http::{get, send};
use common::{Host, python};
use serde_json::Value;

const CONFIG: &str = "sessions: {enabled: false}\n";

/// What the program has sent, and how that ended.
fn sent(host: &Host, protocol: &str, compression: &str, temporality: &str) -> Value {
    let mut sender = python("otlp_metrics.py");
    sender.env("OTLP", host.otlp.unwrap().to_string()).env("PROTOCOL", protocol);
    let output = sender.env("COMPRESSION", compression).env("TEMPORALITY", temporality).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
}

#[test]
fn metrics_of_the_stock_exporters_are_listed_and_computed() {
    let host = Host::start(CONFIG);
    let cases = [
        ("http", "none", "cumulative"),
        ("http", "gzip", "delta"),
        ("grpc", "gzip", "cumulative"),
        ("grpc", "none", "delta"),
    ];
    for (protocol, compression, temporality) in cases {
        let sent = sent(&host, protocol, compression, temporality);
        assert_eq!(sent["results"], serde_json::json!(["SUCCESS", "SUCCESS"]), "{sent}");
        let service = sent["service"].as_str().unwrap();
        let names = host.admin(&format!("/api/metrics/names?service={service}"));
        let kinds: Vec<_> = names["metrics"]
            .as_array()
            .unwrap()
            .iter()
            .map(|metric| {
                (
                    metric["name"].as_str().unwrap(),
                    metric["kind"].as_str().unwrap(),
                    metric["series"].as_u64().unwrap(),
                )
            })
            .collect();
        let expected = [
            ("carts", "up_down_counter", 1),
            ("duration", "histogram", 1),
            ("orders", "counter", 2),
            ("size", "exponential_histogram", 1),
            ("temperature", "gauge", 1),
        ];
        assert_eq!(kinds, expected, "{service}");
        assert_eq!(names["metrics"][2]["unit"], "{order}");
        assert_eq!(
            names["metrics"][2]["labels"],
            serde_json::json!(["country", "otel.scope.name", "service.instance.id"])
        );
        check_values(&host, service, &sent);
    }
}

/// In one step over all that was sent.
fn check_values(host: &Host, service: &str, sent: &Value) {
    let (from, to) = (sent["began_us"].as_u64().unwrap(), sent["ended_us"].as_u64().unwrap());
    let step = (to - from).div_ceil(1_000_000);
    let to = from + step * 1_000_000;
    let ask = |query: &str| {
        let window = format!("from_us={from}&to_us={to}&step_s={step}&service={service}");
        let answer = host.admin(&format!("/api/metrics/query?{window}&{query}"));
        answer["groups"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
    };
    let one =
        |query: &str| ask(query)[0]["values"][0].as_f64().unwrap_or_else(|| panic!("{service} {query}"));
    let near = |query: &str, expected: f64| {
        let found = one(query);
        assert!((found - expected).abs() <= expected * 1e-6, "{service} {query}: {found}, not {expected}");
    };
    near("name=orders&fn=sum", 200.0);
    near("name=orders&fn=sum&where=country=at", 50.0);
    let by_country = ask("name=orders&fn=sum&by=country");
    assert_eq!(by_country[0]["labels"], serde_json::json!({"country": "at"}));
    assert!((by_country[1]["values"][0].as_f64().unwrap() - 150.0).abs() < 1e-3, "{by_country:?}");
    near("name=temperature&fn=last", 21.5);
    near("name=carts&fn=sum", 14.0);
    assert_eq!(ask("name=carts").len(), 1, "what is usual can be computed, whatever is counted from");
    near("name=duration&fn=avg", 0.0505);
    let mut sizes: Vec<f64> =
        sent["sizes"].as_array().unwrap().iter().map(|size| size.as_f64().unwrap()).collect();
    sizes.sort_by(f64::total_cmp);
    for (function, rank) in [("p50", 100), ("p95", 190), ("p99", 198)] {
        let (found, truth) = (one(&format!("name=size&fn={function}")), sizes[rank - 1]);
        // The neighbours are 10 % apart, and the buckets 4 % wide.
        assert!((0.88..1.14).contains(&(found / truth)), "{service} {function}: {found} for {truth}");
    }
}

#[test]
fn wrong_parameters_are_named() {
    let host = Host::start(CONFIG);
    let sent = sent(&host, "http", "none", "cumulative");
    assert_eq!(sent["results"][0], "SUCCESS");
    let cases = [
        ("query?fn=sum", "name: "),
        ("query?name=a&name=b", "name: given twice"),
        ("query?name=orders&fn=median", "fn: one of rate"),
        ("query?name=orders&fn=p99", "fn: "),
        ("query?name=temperature&fn=rate", "fn: "),
        ("query?name=orders&kind=meter", "kind: "),
        ("query?name=orders&where=country", "where: "),
        ("query?name=orders&where=a=1&where=a=2", "where: "),
        ("query?name=orders&by=", "by: "),
        ("query?name=orders&step_s=0", "step_s: "),
        ("query?name=orders&step_s=a", "step_s: "),
        ("query?name=orders&step_s=1&last_s=100000", "step_s: "),
        ("query?name=orders&last_s=soon", "last_s: "),
        ("query?name=orders&limit=5", "name, service, kind"),
        ("names?from_us=-1", "from_us: "),
        ("names?route=a", "service"),
    ];
    for (query, text) in cases {
        let answer = get(host.admin, &format!("/api/metrics/{query}"));
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(answer.status == 400 && detail.contains(text), "{query}: {} {detail}", answer.status);
    }
    let nothing = host.admin("/api/metrics/query?name=unknown&fn=p99");
    assert_eq!((&nothing["kind"], nothing["groups"].as_array().unwrap().len()), (&Value::Null, 0));
}

#[test]
fn series_are_limited_by_configuration() {
    let config = "server: {listen: 127.0.0.1:0}\nadmin: {listen: 127.0.0.1:0}\nlog: {format: json}\n\
        apm: {otlp: 127.0.0.1:0, max_series: 5, max_series_per_service: 2}\nsessions: {enabled: false}\n";
    let host = Host::start_with(config);
    let point = |n: u32| {
        format!(
            r#"{{"timeUnixNano": "1700000000000000000", "asInt": 1, "attributes": [{{"key": "n", "value": {{"intValue": {n}}}}}]}}"#
        )
    };
    let points: Vec<String> = (0..4).map(point).collect();
    let body = format!(
        r#"{{"resourceMetrics": [{{"scopeMetrics": [{{"metrics": [{{"name": "g", "gauge": {{"dataPoints": [{}]}}}}]}}]}}]}}"#,
        points.join(",")
    );
    let headers = [("content-type", "application/json")];
    let answer = send(host.otlp.unwrap(), "POST", "/v1/metrics", &headers, body.as_bytes()).unwrap();
    assert_eq!(answer.json()["partialSuccess"]["rejectedDataPoints"], "2", "{}", answer.text());
    let text = get(host.admin, "/metrics").text();
    assert!(text.contains(r#"iap_apm_otlp_rejected_total{what="point"} 2"#), "{text}");
}

#[test]
fn exemplars_lead_to_transactions() {
    let routes = "routes: [{name: hello, path: /, respond: {status: 200, body: hello}}]\n";
    let host = Host::start(&format!("{CONFIG}{routes}"));
    assert_eq!(get(host.http, "/").status, 200);
    let text = common::eventually("an exemplar", || {
        let accept = [("accept", "application/openmetrics-text; version=1.0.0, text/plain; q=0.5")];
        let answer = send(host.admin, "GET", "/metrics", &accept, b"").unwrap();
        assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
        Some(answer.text()).filter(|text| text.contains("# {trace_id="))
    });
    assert!(text.ends_with("# EOF\n"), "{text}");
    let id = text.split("# {trace_id=\"").nth(1).unwrap().split('"').next().unwrap();
    let trace = common::eventually("the transaction", || {
        let answer = get(host.admin, &format!("/api/transactions/{id}"));
        (answer.status == 200).then(|| answer.json())
    });
    assert_eq!(trace["summary"]["route"], "hello");
    let plain = get(host.admin, "/metrics");
    assert!(
        plain.header("content-type").unwrap().starts_with("text/plain") && !plain.text().contains("# EOF")
    );
}
