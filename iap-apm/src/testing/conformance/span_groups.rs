//! Figures of spans by what they say of themselves, which agree with the spans that are found by their traces.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use super::{SECOND, T0};
use crate::error::HistoryErrorKind;
use crate::history::{
    Batch, History, SpanColumn, SpanGroup, SpanGroupOrder, SpanGroups, SpanGroupsQuery, TraceSpans,
};
use crate::model::{Span, SpanKind, SpanStatus, Window};
use crate::testing::{span, spans, summary, trace_id};

const MINUTE: u64 = 60 * SECOND;
const KINDS: [SpanKind; 5] =
    [SpanKind::Internal, SpanKind::Server, SpanKind::Client, SpanKind::Producer, SpanKind::Consumer];
const STATUSES: [SpanStatus; 3] = [SpanStatus::Unset, SpanStatus::Ok, SpanStatus::Error];
const TRACES: u64 = 90;
const EACH: u64 = 8;

pub(super) async fn run<F, Fut>(make: &F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Arc<dyn History>>,
{
    let history = make().await;
    let all = fill(&history).await;
    groups_agree_with_the_spans(&history, &all).await;
    only_what_was_asked_for_is_counted(&history, &all).await;
    groups_are_ordered_and_bounded(&history).await;
    impossible_groups_are_refused(&history).await;
    what_comes_again_counts_once(&make().await).await;
}

/// Values of very different sizes, the same in each run, over some minutes.
fn made(n: u64) -> Span {
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (n << 40);
    let duration_us = (mixed >> 20) % [40, 5_000, 3_000_000, 40_000_000_000][(mixed % 4) as usize];
    Span {
        name: format!("step {}", (mixed >> 3) % 7),
        service: format!("service {}", (mixed >> 6) % 3),
        kind: KINDS[((mixed >> 9) % 5) as usize],
        status: STATUSES[((mixed >> 13) % 3) as usize],
        ..span(n, None, T0 + (mixed >> 17) % (9 * MINUTE), duration_us)
    }
}

async fn fill(history: &Arc<dyn History>) -> Vec<Span> {
    let mut all = Vec::new();
    for traces in (1..=TRACES).collect::<Vec<_>>().chunks(20) {
        let mut batch = Batch::default();
        for trace in traces {
            let made: Vec<_> = (0..EACH).map(|n| made(trace * EACH + n)).collect();
            batch.transactions.push(summary(*trace, T0 + *trace, 7));
            batch.spans.push(TraceSpans::of(trace_id(*trace), &made));
            all.extend(made);
        }
        history.append(Arc::new(batch)).await.expect("kept");
    }
    all
}

fn value(span: &Span, column: SpanColumn) -> String {
    match column {
        SpanColumn::Service => span.service.clone(),
        SpanColumn::Name => span.name.clone(),
        SpanColumn::Kind => span.kind.as_str().to_owned(),
        SpanColumn::Status => span.status.as_str().to_owned(),
    }
}

/// By nearest rank.
fn percentile(durations: &[u64], percent: usize) -> u64 {
    durations[(durations.len() * percent).div_ceil(100).max(1) - 1]
}

/// What the groups have to be, in the order of their values.
fn expected(all: &[Span], query: &SpanGroupsQuery, window: Window) -> BTreeMap<Vec<String>, Vec<Span>> {
    let mut groups: BTreeMap<Vec<String>, Vec<Span>> = BTreeMap::new();
    for span in all {
        let inside = (window.from_us..window.to_us).contains(&span.start_us);
        if inside && query.only.iter().all(|(column, wanted)| value(span, *column) == *wanted) {
            let values = query.by.iter().map(|column| value(span, *column)).collect();
            groups.entry(values).or_default().push(span.clone());
        }
    }
    groups
}

async fn ask(history: &Arc<dyn History>, query: &SpanGroupsQuery) -> SpanGroups {
    history.span_groups(query).await.expect("groups")
}

fn check(answer: &SpanGroups, expected: &BTreeMap<Vec<String>, Vec<Span>>) {
    assert_eq!((answer.found, answer.groups.len()), (expected.len(), expected.len()));
    assert_eq!(answer.spans, expected.values().map(|spans| spans.len() as u64).sum::<u64>());
    for group in &answer.groups {
        let spans = expected.get(&group.values).unwrap_or_else(|| panic!("no such group: {group:?}"));
        let mut durations: Vec<u64> = spans.iter().map(|span| span.duration_us).collect();
        durations.sort_unstable();
        let errors = spans.iter().filter(|span| span.status == SpanStatus::Error).count() as u64;
        let exact = (durations.len() as u64, errors, durations.iter().sum(), durations[durations.len() - 1]);
        assert_eq!((group.count, group.errors, group.total_us, group.max_us), exact, "{group:?}");
        for (told, percent) in [(group.p50_us, 50), (group.p95_us, 95), (group.p99_us, 99)] {
            let exact = percentile(&durations, percent);
            assert!(told.abs_diff(exact) * 50 <= exact, "p{percent} is {exact}, not {told}");
        }
    }
}

async fn groups_agree_with_the_spans(history: &Arc<dyn History>, all: &[Span]) {
    use SpanColumn::{Kind, Name, Service, Status};
    for by in [vec![Service], vec![Name, Service], vec![Service, Name, Status], vec![Kind, Status, Name]] {
        let query = SpanGroupsQuery { limit: 1_000, ..SpanGroupsQuery::new(Window::all(), by) };
        check(&ask(history, &query).await, &expected(all, &query, Window::all()));
    }
    // The window is widened to whole minutes, and says so.
    let start = T0 - T0 % MINUTE;
    let window = Window::new(start + 2 * MINUTE + 7, start + 5 * MINUTE + 1);
    let whole = Window::new(start + 2 * MINUTE, start + 6 * MINUTE);
    let query = SpanGroupsQuery { limit: 1_000, ..SpanGroupsQuery::new(window, vec![Name, Kind]) };
    let answer = ask(history, &query).await;
    assert_eq!(answer.window, whole);
    check(&answer, &expected(all, &query, whole));
    let nothing = ask(history, &SpanGroupsQuery::new(Window::new(0, 1), vec![Name])).await;
    assert_eq!((nothing.spans, nothing.found, nothing.groups), (0, 0, Vec::new()));
}

async fn only_what_was_asked_for_is_counted(history: &Arc<dyn History>, all: &[Span]) {
    let only = |values: &[(SpanColumn, &str)]| SpanGroupsQuery {
        only: values.iter().map(|(column, value)| (*column, (*value).to_owned())).collect(),
        limit: 1_000,
        ..SpanGroupsQuery::new(Window::all(), vec![SpanColumn::Name, SpanColumn::Status])
    };
    for query in [
        only(&[(SpanColumn::Service, "service 1")]),
        only(&[(SpanColumn::Kind, "client"), (SpanColumn::Status, "error")]),
        only(&[(SpanColumn::Name, "' OR 1=1 --")]),
    ] {
        check(&ask(history, &query).await, &expected(all, &query, Window::all()));
    }
}

async fn groups_are_ordered_and_bounded(history: &Arc<dyn History>) {
    let by = vec![SpanColumn::Name, SpanColumn::Kind];
    let key = |order: SpanGroupOrder, group: &SpanGroup| match order {
        SpanGroupOrder::TotalTime => group.total_us,
        SpanGroupOrder::Count => group.count,
        SpanGroupOrder::Errors => group.errors,
        SpanGroupOrder::P95 => group.p95_us,
    };
    for order in
        [SpanGroupOrder::TotalTime, SpanGroupOrder::Count, SpanGroupOrder::Errors, SpanGroupOrder::P95]
    {
        let mut query =
            SpanGroupsQuery { order, limit: 1_000, ..SpanGroupsQuery::new(Window::all(), by.clone()) };
        let all = ask(history, &query).await;
        let sorted = |pair: &[SpanGroup]| {
            let keys = (key(order, &pair[0]), key(order, &pair[1]));
            keys.0 > keys.1 || (keys.0 == keys.1 && pair[0].values < pair[1].values)
        };
        assert!(all.groups.windows(2).all(sorted), "{order:?}");
        query.limit = 3;
        let first = ask(history, &query).await;
        assert_eq!((&first.groups[..], first.found, first.spans), (&all.groups[..3], all.found, all.spans));
    }
}

async fn impossible_groups_are_refused(history: &Arc<dyn History>) {
    use SpanColumn::{Kind, Name, Service, Status};
    for by in [vec![], vec![Name, Name], vec![Service, Name, Kind, Status]] {
        let error = history.span_groups(&SpanGroupsQuery::new(Window::all(), by)).await.expect_err("refused");
        assert_eq!(error.kind(), HistoryErrorKind::InvalidQuery);
    }
}

async fn what_comes_again_counts_once(history: &Arc<dyn History>) {
    let batch = spans(1, (1..=5).map(made).collect());
    for _ in 0..2 {
        history.append(batch.clone()).await.expect("kept");
    }
    let answer = ask(history, &SpanGroupsQuery::new(Window::all(), vec![SpanColumn::Service])).await;
    assert_eq!(answer.spans, 5);
}
