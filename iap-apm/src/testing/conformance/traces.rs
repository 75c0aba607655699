//! Traces, whose spans come in any order, and links between them.

use std::future::Future;
use std::sync::Arc;

use serde_json::json;

use super::T0;
use crate::history::{Batch, History, MAX_LINKED_FROM, MAX_TRACE_SPANS, TraceSpans};
use crate::model::{Level, SpanEvent, SpanKind, SpanLink, SpanStatus, Window};
use crate::testing::{line, span, span_id, spans, summary, trace_id, transactions};

pub(super) async fn run<F, Fut>(make: &F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn History>>,
{
    what_comes_again_or_late_joins(&make().await).await;
    spans_come_back_as_they_were(&make().await).await;
    a_batch_is_seen_as_a_whole(&make().await).await;
    a_trace_over_the_limit_is_read_in_part_and_marked(&make().await).await;
    spans_of_any_size_are_read_back(&make().await).await;
    links_are_found_from_where_they_lead(&make().await).await;
}

async fn what_comes_again_or_late_joins(history: &Arc<dyn History>) {
    let first = spans(1, vec![span(2, Some(1), T0 + 10, 50), span(1, None, T0, 100)]);
    for _ in 0..3 {
        history.append(first.clone()).await.expect("kept");
    }
    history.append(transactions(vec![summary(1, T0, 100)])).await.expect("kept");
    // Alone, in another order, and with others.
    history.append(spans(1, vec![span(1, None, T0, 100)])).await.expect("kept");
    history
        .append(spans(1, vec![span(3, Some(2), T0 + 20, 10), span(2, Some(1), T0 + 10, 50)]))
        .await
        .expect("kept");
    let trace = history.trace(trace_id(1)).await.expect("readable").expect("present");
    let found: Vec<_> = trace.spans.iter().map(|span| span.span_id).collect();
    assert_eq!(found, [span_id(1), span_id(2), span_id(3)], "by their start, each once");
    assert_eq!(trace.summary.as_ref().map(|row| row.span_id), Some(span_id(1)));
    assert!(!trace.truncated);
    let tree = trace.tree();
    assert_eq!((tree.roots.len(), tree.find(span_id(2)).expect("present").self_us), (1, 40));
    assert_eq!(history.trace(trace_id(2)).await.expect("readable"), None);
    for near in [Window::new(T0, T0 + 100), Window::new(0, 1), Window::all()] {
        let again = history.trace_near(trace_id(1), near).await.expect("readable");
        assert_eq!(again.as_ref(), Some(&trace), "a wrong idea of when it was costs time, not the trace");
        assert_eq!(history.trace_near(trace_id(2), near).await.expect("readable"), None);
    }
}

async fn spans_come_back_as_they_were(history: &Arc<dyn History>) {
    let mut whole = span(1, Some(9), T0, 100);
    (whole.kind, whole.status, whole.error) = (SpanKind::Client, SpanStatus::Error, Some("no route".into()));
    (whole.instance, whole.dropped) = (Some("shop/cart/1".into()), 7);
    for (name, value) in [
        ("text", json!("naïve \u{1F980}")),
        ("number", json!(-5)),
        ("large", json!(u64::MAX)),
        ("float", json!(0.1)),
        ("list", json!([1, "two", null, { "three": [3] }])),
    ] {
        whole.attributes.insert(name.into(), value);
    }
    let attributes = whole.attributes.clone();
    whole.events = vec![SpanEvent { time_us: T0 + 3, name: "retry".into(), attributes: attributes.clone() }];
    whole.links = vec![SpanLink { trace_id: trace_id(5), span_id: span_id(6), attributes }];
    history.append(spans(1, vec![whole.clone()])).await.expect("kept");
    let trace = history.trace(trace_id(1)).await.expect("readable").expect("spans alone make a trace");
    assert_eq!((trace.spans, trace.summary, trace.logs), (vec![whole], None, vec![]));
}

async fn a_batch_is_seen_as_a_whole(history: &Arc<dyn History>) {
    let of = |trace| TraceSpans::of(trace_id(trace), &[span(trace, None, T0, 5)]);
    let batch = Batch {
        transactions: vec![summary(1, T0, 5), summary(2, T0, 5)],
        spans: vec![of(1), of(2)],
        logs: vec![line(T0 + 1, Level::Info, Some(1)), line(T0, Level::Warn, Some(1))],
        ..Batch::default()
    };
    history.append(Arc::new(batch)).await.expect("kept");
    let [one, two] = [1, 2].map(|n| history.trace(trace_id(n)));
    let (one, two) = (one.await.expect("readable").expect("present"), two.await.expect("readable"));
    assert_eq!((one.spans.len(), one.logs.len(), one.summary.is_some()), (1, 2, true));
    assert_eq!(one.logs[0].time_us, T0, "lines by their time");
    assert_eq!(two.expect("present").logs, []);
}

async fn a_trace_over_the_limit_is_read_in_part_and_marked(history: &Arc<dyn History>) {
    let (batches, each) = (5, MAX_TRACE_SPANS as u64 / 4);
    for batch in 0..batches {
        let list = (1..=each).map(|n| span(batch * each + n, Some(1), T0 + n, 1)).collect();
        history.append(spans(1, list)).await.expect("kept");
    }
    let trace = history.trace(trace_id(1)).await.expect("readable").expect("present");
    assert_eq!((trace.spans.len(), trace.truncated), (MAX_TRACE_SPANS, true));
}

async fn spans_of_any_size_are_read_back(history: &Arc<dyn History>) {
    // Each control character takes six bytes in JSON.
    let large = (1..=10).map(|n| {
        let mut span = span(n, None, T0 + n, 1);
        span.attributes.insert("a".into(), "\u{1}".repeat(200_000).into());
        span
    });
    let list: Vec<_> = large.collect();
    history.append(spans(1, list.clone())).await.expect("kept");
    let trace = history.trace(trace_id(1)).await.expect("readable").expect("present");
    assert!(trace.spans == list && !trace.truncated);
}

async fn links_are_found_from_where_they_lead(history: &Arc<dyn History>) {
    let linking = |n: u64, start_us, targets: &[(u64, u64)]| {
        let mut linking = span(n, None, start_us, 1);
        let link = |(trace, span): &(u64, u64)| SpanLink {
            trace_id: trace_id(*trace),
            span_id: span_id(*span),
            attributes: Default::default(),
        };
        linking.links = targets.iter().map(link).collect();
        linking
    };
    let late = spans(2, vec![linking(5, T0 + 9, &[(1, 1), (1, 2)])]);
    let early = spans(3, vec![linking(6, T0 + 3, &[(1, 1), (4, 4)])]);
    for batch in [&late, &early, &late] {
        history.append(batch.clone()).await.expect("kept");
    }
    for near in [None, Some(Window::all())] {
        let back = history.linked_from(trace_id(1), near).await.expect("readable");
        let told: Vec<_> = back.iter().map(|link| (link.trace_id, link.span_id, link.target)).collect();
        let expected = [(3, 6, 1), (2, 5, 1), (2, 5, 2)];
        assert_eq!(told, expected.map(|(trace, span, to)| (trace_id(trace), span_id(span), span_id(to))));
        assert_eq!((back[0].start_us, &*back[0].name, &*back[0].service), (T0 + 3, "span 6", "test"));
        assert_eq!(history.linked_from(trace_id(2), near).await.expect("readable"), []);
    }
    let many = (0..MAX_LINKED_FROM as u64 + 9).map(|n| linking(100 + n, T0 + n, &[(8, 8)])).collect();
    history.append(spans(9, many)).await.expect("kept");
    let back = history.linked_from(trace_id(8), None).await.expect("readable");
    assert_eq!(back.len(), MAX_LINKED_FROM);
}
