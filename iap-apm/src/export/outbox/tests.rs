use super::*;
use crate::history::TraceSpans;
use crate::model::{EventKind, Level, TimelineEvent};
use crate::testing::{line, span, trace_id};

fn event() -> TimelineEvent {
    TimelineEvent {
        time_us: 1,
        duration_us: 0,
        kind: EventKind::Crashed,
        node: "n".into(),
        text: String::new(),
    }
}

fn batch(spans: u64, lines: u64, events: usize) -> Arc<Batch> {
    let spans: Vec<_> = (1..=spans).map(|n| span(n, None, n, 1)).collect();
    Arc::new(Batch {
        spans: vec![TraceSpans::of(trace_id(1), &spans)],
        logs: (0..lines).map(|n| line(n, Level::Info, None)).collect(),
        events: vec![event(); events],
        ..Batch::default()
    })
}

/// What was made and dropped, of spans and of lines.
fn books(outbox: &Outbox) -> [(u64, u64); 2] {
    [&outbox.books.traces, &outbox.books.logs].map(|book| (book.read().made, book.read().dropped))
}

#[test]
fn a_signal_that_is_off_is_not_counted_and_waits_for_nothing() {
    for (traces, logs, made) in
        [(true, false, [(3, 0), (0, 0)]), (false, true, [(0, 0), (6, 0)]), (true, true, [(3, 0), (6, 0)])]
    {
        let outbox = Outbox::new(traces, logs);
        outbox.offer(&batch(3, 4, 2));
        assert_eq!(books(&outbox), made, "{traces} {logs}");
        assert!(outbox.take().is_some() && outbox.take().is_none());
    }
    let only_spans = Outbox::new(true, false);
    only_spans.offer(&batch(0, 4, 2));
    assert!(only_spans.take().is_none(), "there is nothing in it for it");
}

#[test]
fn what_gives_way_is_noted_in_both_books() {
    let outbox = Outbox::new(true, true);
    outbox.offer(&batch(3, 4, 2));
    outbox.offer(&batch(0, 30_000, 0));
    assert_eq!(books(&outbox), [(3, 0), (30_006, 0)]);
    outbox.offer(&batch(5, 20_000, 0));
    assert_eq!(books(&outbox), [(8, 3), (50_006, 30_006)], "until there is room, the oldest first");
    // One batch is taken whatever its size.
    outbox.offer(&batch(0, 60_000, 0));
    assert_eq!(books(&outbox), [(8, 8), (110_006, 50_006)]);
    assert_eq!(outbox.take().map(|batch| batch.logs.len()), Some(60_000));
    assert!(outbox.take().is_none() && outbox.waiting.lock().records == 0);
}

#[test]
fn what_an_ended_process_has_left_waits_for_the_export() {
    let outlet = Outlet::default();
    outlet.offer(&batch(1, 1, 0));
    (0..2 * MAX_EARLY).for_each(|_| outlet.offer_recovered(&batch(2, 0, 1)));
    let outbox = Arc::new(Outbox::new(true, true));
    outlet.open(outbox.clone());
    let early = MAX_EARLY as u64;
    assert_eq!(books(&outbox), [(2 * early, 0), (early, 0)], "so many, and nothing of what is our own");
    outlet.offer_recovered(&batch(0, 0, 1));
    assert_eq!(books(&outbox)[1].0, early + 1);
    let second = Arc::new(Outbox::new(true, true));
    outlet.open(second.clone());
    outlet.offer(&batch(1, 1, 0));
    assert_eq!((books(&second), books(&outbox)[0].0), ([(0, 0); 2], 2 * early + 1), "there is one");
}
