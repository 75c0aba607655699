use serde_json::json;

use super::*;
use crate::model::{SpanEvent, SpanKind, SpanLink};
use crate::testing::{span, span_id, trace_id};

/// A span with everything that one can say.
fn whole(n: u64) -> Span {
    let mut span = span(n, Some(n + 1), 1_000_000 + n, 77);
    span.kind = SpanKind::Consumer;
    (span.status, span.error) = (SpanStatus::Error, Some(String::new()));
    span.instance = Some("ns/test/1".into());
    span.dropped = u32::MAX;
    let attributes = json!({
        "text": "주문", "none": null, "yes": true, "whole": -7, "real": 0.5, "list": [1, "two", [null]],
        "map": {"in": {"side": 1}},
    });
    span.attributes = serde_json::from_value(attributes).expect("attributes");
    let event = SpanEvent { time_us: 5, name: "exception".into(), attributes: span.attributes.clone() };
    span.events = vec![event.clone(), event];
    let attributes = span.attributes.clone();
    span.links = vec![SpanLink { trace_id: trace_id(8), span_id: span_id(9), attributes }];
    span
}

#[test]
fn what_is_packed_comes_back() {
    let mut earlier = span(1, None, 5, u64::MAX);
    earlier.service = "other".into();
    let spans = [whole(7), earlier, span(2, Some(1), u64::MAX, 0), whole(8)];
    let trace = TraceSpans::of(trace_id(1), &spans);
    assert_eq!(trace.spans(), spans);
    assert_eq!((trace.len(), trace.has_failed(), trace.has_links()), (4, true, true));
    assert_eq!(trace.slowest_us(), u64::MAX);
    let nothing = TraceSpans::new(trace_id(1));
    assert!(nothing.is_empty() && nothing.spans().is_empty() && !nothing.has_failed());
}

#[test]
fn services_are_named_where_they_change() {
    let mut other = span(2, None, 5, 5);
    other.service = "a-service-of-another-name".into();
    let count = |spans: &[Span]| {
        let trace = TraceSpans::of(trace_id(1), spans);
        assert_eq!(trace.spans(), spans);
        let name = other.service.as_bytes();
        trace.parts()[0].windows(name.len()).filter(|window| window == &name).count()
    };
    assert_eq!(count(&[other.clone(), other.clone(), other.clone()]), 1);
    assert_eq!(count(&[other.clone(), span(1, None, 5, 5), other.clone()]), 2);
}

#[test]
fn large_traces_have_parts_that_are_read_alone() {
    let mut large = whole(1);
    large.attributes.insert("large".into(), "x".repeat(PART / 3).into());
    let spans: Vec<Span> = (1..=7).map(|n| Span { span_id: span_id(n), ..large.clone() }).collect();
    let trace = TraceSpans::of(trace_id(1), &spans);
    assert_eq!(trace.parts().len(), 3);
    let alone: Vec<Vec<Span>> = trace.parts().iter().map(|part| unpack(part).expect("a part")).collect();
    assert_eq!(alone.concat(), spans);
}

#[test]
fn parts_of_earlier_versions_are_read_and_damaged_ones_are_not() {
    let spans = [whole(1), whole(2)];
    assert_eq!(unpack(&serde_json::to_vec(&spans).expect("JSON")).expect("a part"), spans);
    let trace = TraceSpans::of(trace_id(1), &spans);
    let part = &trace.parts()[0];
    let cut = (1..part.len()).filter(|length| unpack(&part[..*length]).is_ok()).count();
    // Where one field ends: the base, the origin and the first span.
    assert_eq!(cut, 3);
}
