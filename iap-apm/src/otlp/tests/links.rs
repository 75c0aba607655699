//! From span to span, and from metrics to spans.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, Histogram, HistogramDataPoint, Metric, ResourceMetrics, ScopeMetrics,
    exemplar, metric::Data,
};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};

use super::*;
use crate::history::MetricQuery;
use crate::model::MetricExemplar;

fn link(trace: u64, span: u64) -> Link {
    Link { trace_id: trace_id(trace).0.to_vec(), span_id: span_id(span).0.to_vec(), ..Link::default() }
}

#[tokio::test]
async fn links_are_kept_and_found_from_both_ends() {
    let (service, history) = receiver();
    let mut batch = proto_span(2, 5, None);
    batch.links = vec![link(1, 1), link(1, 2)];
    batch.links[0].attributes = vec![attribute("messaging.message.id", text("m-1"))];
    let body = proto_request(vec![proto_span(1, 1, None), batch.clone()]).encode_to_vec();
    assert_eq!(send(&service, request("/v1/traces", PROTOBUF, body.clone())).await.0, StatusCode::OK);
    // Sent again it is the same.
    assert_eq!(send(&service, request("/v1/traces", PROTOBUF, body)).await.0, StatusCode::OK);
    let links = stored(&history, 2).await.spans[0].links.clone();
    assert_eq!((links[0].trace_id, links[0].span_id, links.len()), (trace_id(1), span_id(1), 2));
    assert_eq!(links[0].attributes["messaging.message.id"], "m-1");
    let back = history.linked_from(trace_id(1), None).await.expect("readable");
    assert_eq!(back.len(), 2);
    assert_eq!((back[0].trace_id, back[0].span_id, back[0].target), (trace_id(2), span_id(5), span_id(1)));
    assert_eq!((back[1].target, back[1].name.as_str()), (span_id(2), "span 5"));
    assert_eq!(history.linked_from(trace_id(2), None).await.expect("readable"), []);
    let json = serde_json::to_value(stored(&history, 2).await).expect("JSON");
    assert_eq!(json["spans"][0]["links"][1]["trace_id"], trace_id(1).to_string());
}

#[tokio::test]
async fn links_and_events_are_bounded_and_drops_counted() {
    let (service, history) = receiver();
    let mut many = proto_span(1, 1, None);
    many.links = (0..130).map(|n| link(2, n + 1)).collect();
    many.events = vec![Event { time_unix_nano: T0 * 1_000, ..Event::default() }; 131];
    many.dropped_links_count = 4;
    let mut bad = proto_span(1, 2, Some(1));
    bad.links = vec![link(2, 1), Link { trace_id: vec![0; 16], ..link(2, 1) }, Link::default()];
    let body = proto_request(vec![many, bad]).encode_to_vec();
    assert_eq!(send(&service, request("/v1/traces", PROTOBUF, body)).await.0, StatusCode::OK);
    let trace = stored(&history, 1).await;
    let [many, bad] = trace.spans.as_slice() else { panic!("two spans") };
    assert_eq!((many.links.len(), many.events.len(), many.dropped), (128, 128, 2 + 3 + 4));
    assert_eq!((bad.links.len(), bad.dropped), (1, 2));
}

#[tokio::test]
async fn json_has_links_and_exemplars_too() {
    let (service, history) = receiver();
    let (other, span) = (trace_id(9).to_string(), span_id(8).to_string());
    let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [{
        "traceId": trace_id(1).to_string(), "spanId": span_id(1).to_string(), "name": "s",
        "startTimeUnixNano": "1000", "links": [{ "traceId": other, "spanId": span }],
    }] }] }] });
    assert_eq!(send(&service, request("/v1/traces", JSON, body.to_string())).await.0, StatusCode::OK);
    assert_eq!(stored(&history, 1).await.spans[0].links[0].trace_id, trace_id(9));
    let time = (T0 * 1_000).to_string();
    let body = json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [{ "name": "level", "gauge": { "dataPoints": [{
        "timeUnixNano": time, "asDouble": 1.5,
        "exemplars": [{ "timeUnixNano": time, "asDouble": 2.5, "traceId": other, "spanId": span }],
    }] } }] }] }] });
    assert_eq!(send(&service, request("/v1/metrics", JSON, body.to_string())).await.0, StatusCode::OK);
    let answer = history.metric(&MetricQuery::new("level", Window::new(T0, T0 + 1_000_000))).await;
    let expected =
        MetricExemplar { time_us: T0, value: 2.5, trace_id: trace_id(9), span_id: Some(span_id(8)) };
    assert_eq!(answer.expect("an answer").exemplars, [expected]);
}

#[tokio::test]
async fn exemplars_of_a_histogram_lead_to_their_traces() {
    let (service, history) = receiver();
    let exemplar = |n: u64, trace: Vec<u8>| Exemplar {
        time_unix_nano: (T0 + n) * 1_000,
        value: Some(exemplar::Value::AsDouble(n as f64)),
        trace_id: trace,
        ..Exemplar::default()
    };
    let point = |time: u64, exemplars| HistogramDataPoint {
        start_time_unix_nano: T0 * 1_000,
        time_unix_nano: (T0 + time) * 1_000,
        count: 3,
        explicit_bounds: vec![1.0],
        bucket_counts: vec![1, 2],
        exemplars,
        ..HistogramDataPoint::default()
    };
    let good = |n| exemplar(n, trace_id(n + 1).0.to_vec());
    // Without a trace there is nowhere to go, and what was told before is not told again.
    let first = vec![good(1), good(2), exemplar(3, Vec::new()), exemplar(4, vec![0; 16])];
    let data_points = vec![point(10, first), point(20, vec![good(1), good(5)])];
    let aggregation_temporality = AggregationTemporality::Cumulative as i32;
    let data = Some(Data::Histogram(Histogram { data_points, aggregation_temporality }));
    let metric = Metric { name: "latency".into(), data, ..Metric::default() };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }];
    let group = ResourceMetrics { scope_metrics, ..ResourceMetrics::default() };
    let body = ExportMetricsServiceRequest { resource_metrics: vec![group] }.encode_to_vec();
    for _ in 0..2 {
        let (status, _, answer) = send(&service, request("/v1/metrics", PROTOBUF, body.clone())).await;
        assert_eq!((status, answer.len()), (StatusCode::OK, 0));
    }
    let ask = async |query: &MetricQuery| {
        let answer = history.metric(query).await.expect("an answer");
        answer.exemplars.iter().map(|exemplar| exemplar.value).collect::<Vec<_>>()
    };
    let mut query = MetricQuery::new("latency", Window::new(T0, T0 + 100));
    assert_eq!(ask(&query).await, [1.0, 2.0, 5.0]);
    query.filter.insert("k".into(), "v".into());
    assert_eq!(ask(&query).await, [] as [f64; 0], "of the series asked for");
}
