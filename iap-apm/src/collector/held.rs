//! Spans and log lines of transactions that are not decided on.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use iap_core::TraceId;

use crate::ledger::{Book, Books};
use crate::model::{LogLine, Span};
use crate::record::StageRecord;

/// Parts that are held at the same time.
const MAX_PARTS: usize = 50_000;
/// Parts for which there is room from the start.
const USUAL: usize = 16;
/// Slots that are kept when nothing is held.
const MAX_IDLE: usize = 256;
/// How long they are held; then they are written, and their transaction is kept when it ends.
pub(super) const HELD_FOR: Duration = Duration::from_secs(10);

/// A part of a trace.
pub(super) enum Part {
    Stage(StageRecord),
    Span(Box<Span>),
    Log(Box<LogLine>),
}

impl Part {
    /// Where it is accounted for.
    pub(super) fn book<'a>(&self, books: &'a Books) -> &'a Book {
        match self {
            Self::Stage(_) | Self::Span(_) => &books.spans,
            Self::Log(_) => &books.logs,
        }
    }
}

/// The parts of one trace.
struct Waiting {
    trace_id: TraceId,
    since: Instant,
    parts: Vec<Part>,
}

/// The parts by trace.
#[derive(Default)]
pub(super) struct Held {
    /// Where the parts of each trace are.
    places: HashMap<TraceId, usize>,
    slots: Vec<Waiting>,
    /// Slots of nobody. They keep their room.
    free: Vec<usize>,
    /// The slot that was filled last: parts of one trace often come in a row.
    last: usize,
    count: usize,
}

impl Held {
    /// Gives the part back when too much is held.
    pub(super) fn hold(&mut self, trace_id: TraceId, part: Part) -> Option<Part> {
        if self.count >= MAX_PARTS {
            return Some(part);
        }
        let Self { places, slots, free, .. } = self;
        let at = *places.entry(trace_id).or_insert_with(|| {
            let at = free.pop().unwrap_or_else(|| {
                slots.push(Waiting { trace_id, since: Instant::now(), parts: Vec::with_capacity(USUAL) });
                slots.len() - 1
            });
            (slots[at].trace_id, slots[at].since) = (trace_id, Instant::now());
            at
        });
        slots[at].parts.push(part);
        (self.last, self.count) = (at, self.count + 1);
        None
    }

    /// The same, where something of the trace came just now; gives the part back else.
    pub(super) fn hold_with_last(&mut self, trace_id: TraceId, part: Part) -> Option<Part> {
        match self.slots.get_mut(self.last) {
            Some(waiting)
                if waiting.trace_id == trace_id && !waiting.parts.is_empty() && self.count < MAX_PARTS =>
            {
                waiting.parts.push(part);
                self.count += 1;
                None
            }
            _ => Some(part),
        }
    }

    /// What is held of a trace.
    pub(super) fn take(&mut self, trace_id: TraceId) -> Vec<Part> {
        let Some(at) = self.places.remove(&trace_id) else { return Vec::new() };
        let parts = std::mem::take(&mut self.slots[at].parts);
        self.let_go_of(at, parts.len());
        parts
    }

    /// Drops what is held of a trace, after `tell` has seen it.
    pub(super) fn forget(&mut self, trace_id: TraceId, tell: impl FnMut(&Part)) {
        let Some(at) = self.places.remove(&trace_id) else { return };
        let parts = &mut self.slots[at].parts;
        let number = parts.len();
        parts.iter().for_each(tell);
        parts.clear();
        parts.shrink_to(4 * USUAL);
        self.let_go_of(at, number);
    }

    fn let_go_of(&mut self, at: usize, parts: usize) {
        self.count -= parts;
        self.free.push(at);
        if self.places.is_empty() && self.slots.len() > MAX_IDLE {
            // What a flood took is given back after it.
            *self = Self::default();
        }
    }

    /// Traces of which something has been held for so long.
    pub(super) fn older(&self, than: Duration) -> Vec<TraceId> {
        let is_old = |at: &usize| self.slots[*at].since.elapsed() >= than;
        self.places.iter().filter(|(_, at)| is_old(at)).map(|(trace_id, _)| *trace_id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{span, trace_id};

    fn part(n: u64) -> Part {
        Part::Span(Box::new(span(n, None, 0, 1)))
    }

    fn ids(parts: &[Part]) -> Vec<iap_core::SpanId> {
        let id = |part: &Part| match part {
            Part::Span(span) => span.span_id,
            _ => unreachable!("only spans are held here"),
        };
        parts.iter().map(id).collect()
    }

    #[test]
    fn parts_are_told_apart_by_trace_however_they_come() {
        let mut held = Held::default();
        // In a row, in turns, and again after a slot was somebody else's.
        for (trace, n) in [(1, 1), (1, 2), (2, 3), (1, 4), (2, 5)] {
            assert!(held.hold(trace_id(trace), part(n)).is_none());
        }
        assert_eq!(ids(&held.take(trace_id(1))), ids(&[part(1), part(2), part(4)]));
        assert!(held.hold_with_last(trace_id(1), part(6)).is_some(), "nothing of it is held");
        assert!(held.hold(trace_id(3), part(7)).is_none());
        assert!(held.hold_with_last(trace_id(1), part(6)).is_some(), "its slot is another's");
        assert!(held.hold_with_last(trace_id(3), part(8)).is_none());
        let mut seen = 0;
        held.forget(trace_id(2), |_| seen += 1);
        assert_eq!((seen, held.count), (2, 2));
        assert!(held.hold_with_last(trace_id(2), part(9)).is_some());
        assert_eq!(held.older(Duration::ZERO), [trace_id(3)]);
        assert_eq!(ids(&held.take(trace_id(3))), ids(&[part(7), part(8)]));
        assert_eq!((held.count, held.take(trace_id(2)).len()), (0, 0));
    }

    #[test]
    fn what_is_held_is_bounded_and_a_flood_leaves_nothing() {
        let mut held = Held::default();
        for n in 0..MAX_PARTS as u64 {
            assert!(held.hold(trace_id(n / 2 + 1), part(n + 1)).is_none());
        }
        let last = trace_id(MAX_PARTS as u64 / 2);
        assert!(held.hold(last, part(1)).is_some() && held.hold_with_last(last, part(1)).is_some());
        for n in 0..MAX_PARTS as u64 / 2 {
            held.forget(trace_id(n + 1), |_| ());
        }
        assert_eq!((held.count, held.slots.len(), held.places.capacity()), (0, 0, 0));
        assert!(held.hold(last, part(1)).is_none());
    }
}
