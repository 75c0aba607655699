//! Whatever came from outside is data: it comes back as it was, selects only itself, and breaks nothing.

use std::future::Future;
use std::sync::Arc;

use super::T0;
use crate::history::{
    Batch, EventQuery, History, LogQuery, MetricNamesQuery, MetricQuery, Order, SeriesExemplars,
    SeriesPoints, SeriesQuery, TraceSpans, TransactionQuery,
};
use crate::model::{
    EventKind, Labels, Level, MetricExemplar, MetricKind, MetricPoint, MetricSeries, MetricValue, SpanLink,
    Temporality, TimelineEvent, Window,
};
use crate::testing::{line, span, span_id, summary, trace_id, transactions};

/// What breaks out of quotes, formats and parsers where they are weak.
const TEXTS: [&str; 14] = [
    "' OR 1=1 --",
    "\"; DROP TABLE transactions; --",
    "\\",
    "\\'",
    "a\tb\nc\r\nd",
    "\u{0}\u{1}\u{7f}",
    "\\N",
    "NULL",
    "{p:String}",
    "%27 %00 &query=SELECT+1#",
    "naïve \u{202e}\u{1F980}",
    "",
    " ",
    "[1,2]",
];

pub(super) async fn run<F, Fut>(make: &F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn History>>,
{
    rows_of_any_text_are_found_by_it(&make().await).await;
    lines_and_events_of_any_text_come_back(&make().await).await;
    metrics_of_any_text_are_found_by_it(&make().await).await;
    numbers_of_any_size_are_kept(&make().await).await;
}

async fn rows_of_any_text_are_found_by_it(history: &Arc<dyn History>) {
    let rows = (1..).zip(TEXTS).map(|(n, text)| {
        let mut row = summary(n, T0 + n, 5);
        for field in [&mut row.service, &mut row.method, &mut row.path, &mut row.host, &mut row.route] {
            *field = text.to_owned();
        }
        for field in [&mut row.error, &mut row.message, &mut row.user, &mut row.session, &mut row.client] {
            *field = Some(text.to_owned());
        }
        row
    });
    let rows: Vec<_> = rows.collect();
    history.append(transactions(rows.clone())).await.expect("kept");
    for row in &rows {
        let all = TransactionQuery::new(Window::all());
        for query in [
            TransactionQuery { route: Some(row.route.clone()), ..all.clone() },
            TransactionQuery { service: Some(row.service.clone()), ..all.clone() },
            TransactionQuery { user: row.user.clone(), ..all.clone() },
            TransactionQuery { session: row.session.clone(), ..all },
        ] {
            let page = history.transactions(&query).await.expect("a page");
            assert_eq!(page.items, std::slice::from_ref(row), "{query:?}");
        }
        let query =
            SeriesQuery { window: Window::new(T0, T0 + 100), step_us: 100, route: Some(row.route.clone()) };
        assert_eq!(history.series(&query).await.expect("points")[0].count, 1, "{query:?}");
    }
    let stats = history.route_stats(Window::all()).await.expect("figures");
    let mut routes: Vec<_> = stats.iter().map(|stats| stats.route.as_str()).collect();
    let mut expected = TEXTS.to_vec();
    routes.sort_unstable();
    expected.sort_unstable();
    assert_eq!(routes, expected);
}

async fn lines_and_events_of_any_text_come_back(history: &Arc<dyn History>) {
    let mut batch = Batch::default();
    for (n, text) in (1..).zip(TEXTS) {
        let mut line = line(T0 + n, Level::Info, Some(1));
        (line.service, line.target, line.message) = (text.into(), text.into(), text.into());
        line.fields.insert(text.into(), text.into());
        batch.logs.push(line);
        let (kind, node, text) = (EventKind::Stall, text.to_owned(), text.to_owned());
        batch.events.push(TimelineEvent { time_us: T0 + n, duration_us: 1, kind, node, text });
        let mut span = span(n, None, T0 + n, 1);
        (span.name, span.service, span.error) = (text_of(n), text_of(n), Some(text_of(n)));
        span.attributes.insert(text_of(n), text_of(n).into());
        span.links =
            vec![SpanLink { trace_id: trace_id(2), span_id: span_id(2), attributes: Default::default() }];
        batch.spans.push(TraceSpans::of(trace_id(1), &[span]));
    }
    let batch = Arc::new(batch);
    history.append(batch.clone()).await.expect("kept");
    assert_eq!(history.logs(&LogQuery::new(Window::all())).await.expect("lines"), batch.logs);
    assert_eq!(history.events(&EventQuery::new(Window::all())).await.expect("events"), batch.events);
    let trace = history.trace(trace_id(1)).await.expect("readable").expect("present");
    assert!(trace.spans.into_iter().eq(batch.spans.iter().flat_map(TraceSpans::spans)));
    let back = history.linked_from(trace_id(2), None).await.expect("readable");
    assert!(back.iter().map(|link| link.name.as_str()).eq(TEXTS));
}

fn text_of(n: u64) -> String {
    TEXTS[n as usize - 1].to_owned()
}

async fn metrics_of_any_text_are_found_by_it(history: &Arc<dyn History>) {
    let series = |text: &str| MetricSeries {
        service: text.into(),
        name: text.into(),
        kind: MetricKind::Gauge,
        temporality: Temporality::Cumulative,
        labels: Labels::from([(text.to_owned(), text.to_owned())]),
        unit: text.into(),
        description: text.into(),
    };
    let point = MetricPoint { time_us: T0, start_us: 0, value: MetricValue::Number(2.5) };
    let exemplar = MetricExemplar { time_us: T0, value: 2.5, trace_id: trace_id(1), span_id: None };
    let batch = Batch {
        metrics: TEXTS.map(|text| SeriesPoints { series: series(text), points: vec![point.clone()] }).into(),
        exemplars: TEXTS
            .map(|text| SeriesExemplars { series: series(text), exemplars: vec![exemplar] })
            .into(),
        ..Batch::default()
    };
    history.append(Arc::new(batch)).await.expect("kept");
    let all = history.metric_names(&MetricNamesQuery { window: Window::all(), service: None }).await;
    assert_eq!(all.expect("a list").len(), TEXTS.len());
    for text in TEXTS {
        let query = MetricNamesQuery { window: Window::all(), service: Some(text.into()) };
        let names = history.metric_names(&query).await.expect("a list");
        let [info] = names.as_slice() else { panic!("one metric: {names:?}") };
        assert_eq!((&*info.name, &*info.unit, &*info.description), (text, text, text));
        assert_eq!((&info.services, &info.labels), (&vec![text.to_owned()], &vec![text.to_owned()]));
        let mut query = MetricQuery::new(text, Window::new(T0, T0 + 60));
        (query.service, query.by) = (Some(text.into()), vec![text.into()]);
        query.filter.insert(text.into(), text.into());
        let answer = history.metric(&query).await.expect("an answer");
        assert_eq!((answer.groups.len(), answer.groups[0].values[0]), (1, Some(2.5)), "{text:?}");
        assert_eq!(answer.exemplars, [exemplar]);
    }
}

async fn numbers_of_any_size_are_kept(history: &Arc<dyn History>) {
    let times = [0, 1, T0, 4_102_444_800_000_000, i64::MAX as u64, u64::MAX];
    let mut batch = Batch::default();
    for (n, time) in (1..).zip(times) {
        let mut row = summary(n, time, time);
        (row.bytes_out, row.weight, row.status) = (time, time, u16::MAX);
        batch.transactions.push(row);
        batch.logs.push(line(time, Level::Trace, None));
        let (kind, node, text) = (EventKind::Started, "n".to_owned(), n.to_string());
        batch.events.push(TimelineEvent { time_us: time, duration_us: time, kind, node, text });
        batch.spans.push(TraceSpans::of(trace_id(n), &[span(n, None, time, time)]));
    }
    history.append(Arc::new(batch)).await.expect("a clock that is wrong is no reason to refuse");
    let all = Window::new(0, u64::MAX);
    for order in [Order::Newest, Order::Slowest] {
        let query = TransactionQuery { order, ..TransactionQuery::new(Window::all()) };
        let page = history.transactions(&query).await.expect("a page");
        let found: Vec<_> = page.items.iter().map(|row| (row.start_us, row.status)).rev().collect();
        assert_eq!(found[..4], [(0, u16::MAX), (1, u16::MAX), (T0, u16::MAX), (times[3], u16::MAX)]);
    }
    let stats = history.route_stats(all).await.expect("sums that do not fit are the largest that does");
    assert_eq!((stats[0].count, stats[0].total_us), (1 + T0 + times[3], u64::MAX));
    assert!(history.route_counts(all, &[0, u64::MAX]).await.expect("counts")[0].count > 0);
    for n in 1..=times.len() as u64 {
        assert_eq!(history.trace(trace_id(n)).await.expect("readable").expect("present").spans.len(), 1);
    }
    assert!(history.logs(&LogQuery::new(all)).await.expect("lines").len() >= 4);
    assert!(history.events(&EventQuery::new(all)).await.expect("events").len() >= 4);
}
