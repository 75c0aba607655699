//! From a flat list of spans to a call tree. The list comes from outside: parents may be missing,
//! form circles, or chains of any length; nothing here recurses.

use std::collections::HashMap;

use iap_core::SpanId;
use serde::Serialize;

use super::{LogLine, Span, Trace};

/// The deepest level of a tree. What is nested deeper is listed at this level, so that neither
/// building, writing nor dropping a tree can exhaust the stack.
pub const MAX_DEPTH: usize = 100;

/// A span with what is below it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpanNode {
    /// The span.
    pub span: Span,
    /// Its own time: the duration minus the union of its children's intervals.
    pub self_us: u64,
    /// The log lines written in it, by time.
    pub logs: Vec<LogLine>,
    /// The spans below it, by start time.
    pub children: Vec<SpanNode>,
}

/// A trace as a tree.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
            self_us: self_time(&span, shape.children[at].iter().map(|child| spans[*child])),
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
        let mut shape = Self { index, children, order: Vec::with_capacity(spans.len()) };
        let mut seen = vec![false; spans.len()];
        // Whatever no root leads to is part of a circle; its earliest span becomes a root.
        for start in starts.into_iter().chain(0..spans.len()) {
            shape.walk(start, &mut seen);
        }
        shape
    }

    fn walk(&mut self, start: usize, seen: &mut [bool]) {
        // (span, the node it goes under, depth)
        let mut stack = vec![(start, None, 0)];
        while let Some((at, parent, depth)) = stack.pop() {
            if std::mem::replace(&mut seen[at], true) {
                continue;
            }
            self.order.push((at, parent));
            let (under, next) = if depth + 1 < MAX_DEPTH { (Some(at), depth + 1) } else { (parent, depth) };
            stack.extend(self.children[at].iter().map(|child| (*child, under, next)));
        }
    }
}

fn self_time<'a>(span: &Span, children: impl Iterator<Item = &'a Span>) -> u64 {
    // Children are sorted by start, since the spans are.
    let (mut covered, mut reached) = (0, span.start_us);
    for child in children {
        let from = child.start_us.clamp(reached, span.end_us().max(reached));
        let to = child.end_us().clamp(from, span.end_us().max(from));
        covered += to - from;
        reached = to.max(reached);
    }
    span.duration_us.saturating_sub(covered)
}
