//! Where the time of a trace went: clocks that disagree, self times and the critical path.

use super::{Span, SpanKind};

/// What is known of the time of each span, by index into the spans.
pub(super) struct Timing {
    /// How far ahead of its caller's clock that of each span seems to be.
    pub(super) skew_us: Vec<i64>,
    pub(super) self_us: Vec<u64>,
    /// Of its self time, what the end of its root waited for.
    pub(super) critical_us: Vec<u64>,
}

/// What the end of an interval waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited<I, T> {
    /// The pieces in which nobody else was waited for, the last first; some may be empty.
    pub own: Vec<(T, T)>,
    /// Those that were, the last first, each with the piece of it.
    pub others: Vec<(I, (T, T))>,
}

/// Goes backwards from the end of an interval: whichever of the others ended last before was waited for. What runs beside that
/// one counts up to where it began. The pieces cover the interval, each moment once: this is what a critical path is
/// made of.
///
/// ```
/// use iap_apm::model::waited_for;
///
/// let awaited = waited_for((0, 100), vec![("a", (10, 50)), ("b", (20, 80))]);
/// assert_eq!(awaited.others, [("b", (20, 80)), ("a", (10, 20))]);
/// assert_eq!(awaited.own, [(80, 100), (20, 20), (0, 10)]);
/// ```
pub fn waited_for<I, T: Copy + Ord>((from, to): (T, T), mut others: Vec<(I, (T, T))>) -> Awaited<I, T> {
    others.sort_by_key(|(_, (_, ended))| std::cmp::Reverse(*ended));
    let mut awaited = Awaited { own: Vec::new(), others: Vec::new() };
    let mut at = to;
    for (other, (began, ended)) in others {
        let (start, end) = (began.max(from), ended.min(at));
        if start < end {
            awaited.own.push((end, at));
            awaited.others.push((other, (start, end)));
            at = start;
        }
    }
    awaited.own.push((from, at));
    awaited
}

/// An interval by the clock of the root.
#[derive(Clone, Copy)]
struct Interval {
    from: i64,
    to: i64,
}

impl Interval {
    fn of(span: &Span, skew_us: i64) -> Self {
        let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let from = signed(span.start_us).saturating_sub(skew_us);
        Self { from, to: from.saturating_add(signed(span.duration_us)) }
    }

    fn length(self) -> u64 {
        self.to.saturating_sub(self.from).max(0) as u64
    }

    fn within(self, other: Self) -> Self {
        let from = self.from.clamp(other.from, other.to);
        Self { from, to: self.to.clamp(from, other.to) }
    }
}

/// `order` has each span once with its parent, parents first.
pub(super) fn measure(spans: &[&Span], order: &[(usize, Option<usize>)]) -> Timing {
    let (mut skew_us, mut children) = (vec![0; spans.len()], vec![Vec::new(); spans.len()]);
    for &(at, parent) in order {
        if let Some(parent) = parent {
            children[parent].push(at);
            let caller = Interval::of(spans[parent], skew_us[parent]);
            skew_us[at] = skew(spans[parent], spans[at], caller, skew_us[parent]);
        }
    }
    let of = |at: usize| Interval::of(spans[at], skew_us[at]);
    let self_us =
        (0..spans.len()).map(|at| self_time(of(at), children[at].iter().map(|child| of(*child)))).collect();

    let mut critical_us = vec![0; spans.len()];
    // What of each span its root waited for; spans that it did not wait for have none.
    let mut awaited: Vec<Option<Interval>> = vec![None; spans.len()];
    for &(at, parent) in order {
        if parent.is_none() {
            awaited[at] = Some(of(at));
        }
        let Some(mine) = awaited[at] else { continue };
        let below = children[at].iter().map(|child| {
            let child_interval = of(*child);
            (*child, (child_interval.from, child_interval.to))
        });
        let Awaited { own, others } = waited_for((mine.from, mine.to), below.collect());
        critical_us[at] = own.into_iter().map(|(from, to)| Interval { from, to }.length()).sum();
        for (child, (from, to)) in others {
            awaited[child] = Some(Interval { from, to });
        }
    }
    Timing { skew_us, self_us, critical_us }
}

/// How far ahead the clock of a span is. Spans of one instance share a clock. A request that was served began after it was
/// sent, and ended before its answer came: where the times say otherwise the clocks disagree, and it is taken to lie in the
/// middle of its caller's span. What cannot be told is taken to be right.
fn skew(parent: &Span, span: &Span, caller: Interval, of_parent: i64) -> i64 {
    if (&parent.service, &parent.instance) == (&span.service, &span.instance) {
        return of_parent;
    }
    let told = Interval::of(span, 0);
    let is_call = parent.kind == SpanKind::Client && span.kind == SpanKind::Server;
    let ended_late = told.to > caller.to && told.length() <= caller.length();
    if !is_call || (told.from >= caller.from && !ended_late) {
        return 0;
    }
    let on_the_way = (caller.length().saturating_sub(told.length()) / 2) as i64;
    told.from.saturating_sub(caller.from.saturating_add(on_the_way))
}

fn self_time(mine: Interval, children: impl Iterator<Item = Interval>) -> u64 {
    let mut intervals: Vec<Interval> = children.map(|child| child.within(mine)).collect();
    intervals.sort_by_key(|interval| interval.from);
    let (mut covered, mut reached) = (0, mine.from);
    for interval in intervals {
        let rest = Interval { from: interval.from.max(reached), to: interval.to };
        covered += rest.length();
        reached = reached.max(interval.to);
    }
    mine.length().saturating_sub(covered)
}
