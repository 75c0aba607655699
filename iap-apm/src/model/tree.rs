//! From a flat list of spans to a call tree. The list comes from outside: parents may be missing,
//! form circles, or chains of any length; nothing here recurses.

use std::collections::HashMap;

use iap_core::SpanId;
use schemars::JsonSchema;
use serde::Serialize;

use super::{LogLine, Span, Trace, timing};

/// The deepest level of a tree. What is nested deeper is listed at this level, so that neither
/// building, writing nor dropping a tree can exhaust the stack.
pub const MAX_DEPTH: usize = 100;

/// A span with what is below it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SpanNode {
    /// The span.
    pub span: Span,
    /// Its own time: the duration minus the union of its children's intervals.
    pub self_us: u64,
    /// The part of its own time that is on the critical path: that the end of the root waited for. All of them of a
    /// root's tree add up to its duration.
    pub critical_us: u64,
    /// How far the clock of its instance seems to be ahead of its caller's (behind: below 0), where the span says to
    /// have served its caller's request at a time at which that was not running. The span's own times are as they were
    /// told; those here are computed without the skew.
    #[serde(skip_serializing_if = "is_zero")]
    pub skew_us: i64,
    /// The log lines written in it, by time.
    pub logs: Vec<LogLine>,
    /// The spans below it, by start time.
    pub children: Vec<SpanNode>,
}

/// A trace as a tree.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TraceTree {
    /// The spans without a known parent, by start time.
    pub roots: Vec<SpanNode>,
    /// The log lines whose span is not known.
    pub logs: Vec<LogLine>,
}

impl TraceTree {
    /// The node of a span.
    pub fn find(&self, span_id: SpanId) -> Option<&SpanNode> {
        self.iter().find(|node| node.span.span_id == span_id)
    }

    /// All nodes, parents before children.
    pub fn iter(&self) -> impl Iterator<Item = &SpanNode> {
        let mut stack: Vec<&SpanNode> = self.roots.iter().rev().collect();
        std::iter::from_fn(move || {
            let node = stack.pop()?;
            stack.extend(node.children.iter().rev());
            Some(node)
        })
    }
}

pub(super) fn build(trace: &Trace) -> TraceTree {
    let mut spans: Vec<&Span> = trace.spans.iter().collect();
    spans.sort_by_key(|span| (span.start_us, span.span_id));
    let shape = Shape::of(&spans);
    let timing = timing::measure(&spans, &shape.called);

    let mut logs: HashMap<SpanId, Vec<LogLine>> = HashMap::new();
    let mut unplaced = Vec::new();
    for line in &trace.logs {
        match line.span_id.filter(|id| shape.index.contains_key(id)) {
            Some(id) => logs.entry(id).or_default().push(line.clone()),
            None => unplaced.push(line.clone()),
        }
    }

    let mut below: Vec<Vec<SpanNode>> = vec![Vec::new(); spans.len()];
    let mut roots = Vec::new();
    // Children come after their parents in the order, so that backwards each node is complete.
    for &(at, parent) in shape.order.iter().rev() {
        let mut children = std::mem::take(&mut below[at]);
        children.sort_by_key(|node| (node.span.start_us, node.span.span_id));
        let span = spans[at].clone();
        let node = SpanNode {
            self_us: timing.self_us[at],
            critical_us: timing.critical_us[at],
            skew_us: timing.skew_us[at],
            logs: logs.remove(&span.span_id).unwrap_or_default(),
            span,
            children,
        };
        match parent {
            Some(parent) => below[parent].push(node),
            None => roots.push(node),
        }
    }
    roots.sort_by_key(|node| (node.span.start_us, node.span.span_id));
    TraceTree { roots, logs: unplaced }
}

/// Who is below whom, by index into the sorted spans.
struct Shape {
    index: HashMap<SpanId, usize>,
    children: Vec<Vec<usize>>,
    /// Each span once, with the node it is listed under; parents first.
    order: Vec<(usize, Option<usize>)>,
    /// The same with the span that it is below.
    called: Vec<(usize, Option<usize>)>,
}

impl Shape {
    fn of(spans: &[&Span]) -> Self {
        let index: HashMap<SpanId, usize> =
            spans.iter().enumerate().map(|(at, span)| (span.span_id, at)).collect();
        let mut children = vec![Vec::new(); spans.len()];
        let mut starts = Vec::new();
        for (at, span) in spans.iter().enumerate() {
            match span.parent_id.and_then(|parent| index.get(&parent).copied()).filter(|parent| *parent != at)
            {
                Some(parent) => children[parent].push(at),
                None => starts.push(at),
            }
        }
        let (order, called) = (Vec::with_capacity(spans.len()), Vec::with_capacity(spans.len()));
        let mut shape = Self { index, children, order, called };
        let mut seen = vec![false; spans.len()];
        // Whatever no root leads to is part of a circle; its earliest span becomes a root.
        for start in starts.into_iter().chain(0..spans.len()) {
            shape.walk(start, &mut seen);
        }
        shape
    }

    fn walk(&mut self, start: usize, seen: &mut [bool]) {
        // (span, its parent, the node it goes under, depth)
        let mut stack = vec![(start, None, None, 0)];
        while let Some((at, caller, parent, depth)) = stack.pop() {
            if std::mem::replace(&mut seen[at], true) {
                continue;
            }
            self.order.push((at, parent));
            self.called.push((at, caller));
            let (under, next) = if depth + 1 < MAX_DEPTH { (Some(at), depth + 1) } else { (parent, depth) };
            stack.extend(self.children[at].iter().map(|child| (*child, Some(at), under, next)));
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}
