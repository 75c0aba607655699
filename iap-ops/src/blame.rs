//! Which span of a trace the time, or the failure, is due to.

use std::collections::{BTreeMap, HashSet};

use iap_apm::model::{Level, waited_for};
use iap_apm::sql::fingerprint;
use iap_apm::{Span, SpanKind, SpanNode, SpanStatus, TraceTree};
use iap_core::SpanId;
use schemars::JsonSchema;
use serde::Serialize;

const MAX_NAME: usize = 200;

/// What kind of thing is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BlameKind {
    /// An SQL statement.
    Sql,
    /// A server that was called.
    Upstream,
    /// The service's own code, by the span's name.
    Code,
}

/// A thing to blame; the same thing in several traces compares as equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Blame {
    /// What kind of thing it is.
    pub kind: BlameKind,
    /// The service that reported the span.
    pub service: String,
    /// The statement without its literals, the server's address, or the span's name. Untrusted text;
    /// control characters are taken out.
    pub name: String,
}

impl Blame {
    /// What a span stands for.
    pub fn of(span: &Span) -> Self {
        let address = || span.text("server.address").filter(|_| span.kind == SpanKind::Client);
        let (kind, name) = match span.sql() {
            Some(sql) => (BlameKind::Sql, fingerprint(sql, span.db_system())),
            None => match address() {
                Some(address) => (BlameKind::Upstream, clean(address)),
                None => (BlameKind::Code, clean(&span.name)),
            },
        };
        Self { kind, service: clean(&span.service), name }
    }
}

fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect()
}

/// The time of each thing on the critical path below a span: the chain of spans whose ends the request
/// waited for. Times add up to the span's duration.
pub fn critical_path(root: &SpanNode) -> BTreeMap<Blame, u64> {
    let mut times = BTreeMap::new();
    walk(root, &[], (root.span.start_us, root.span.end_us()), &mut times);
    times
}

/// Whether a span is a stage that asks the session store: what is below it are that one's commands, which are not blamed
/// by themselves.
fn asks_session_store(span: &Span) -> bool {
    span.kind == SpanKind::Internal && span.name.starts_with("session.")
}

/// Whether a stage is waited for by another that stands beside it: what the handler asks of its session is recorded at the
/// transaction.
fn is_inside(inner: &SpanNode, outer: &SpanNode) -> bool {
    let (inner, outer) = (&inner.span, &outer.span);
    let stages = outer.name == "handler" && inner.name.starts_with("session.");
    stages && inner.start_us >= outer.start_us && inner.end_us() <= outer.end_us()
}

/// Adds up what was waited for. A tree is at most
/// [`iap_apm::model::MAX_DEPTH`] deep, so this may recurse.
fn walk(node: &SpanNode, adopted: &[&SpanNode], (from, to): (u64, u64), times: &mut BTreeMap<Blame, u64>) {
    if asks_session_store(&node.span) {
        *times.entry(Blame::of(&node.span)).or_default() += to.saturating_sub(from);
        return;
    }
    let mut children: Vec<&SpanNode> = node.children.iter().chain(adopted.iter().copied()).collect();
    let outer = children.clone();
    let handler = |inner: &SpanNode| outer.iter().any(|outer| is_inside(inner, outer));
    children.retain(|child| !handler(child));
    let below = children.into_iter().map(|child| (child, (child.span.start_us, child.span.end_us())));
    let awaited = waited_for((from, to), below.collect());
    for (child, interval) in awaited.others {
        let inside: Vec<_> = outer.iter().copied().filter(|inner| is_inside(inner, child)).collect();
        walk(child, &inside, interval, times);
    }
    let own: u64 = awaited.own.into_iter().map(|(from, to)| to.saturating_sub(from)).sum();
    if own > 0 {
        *times.entry(Blame::of(&node.span)).or_default() += own;
    }
}

/// The span that failed by itself: a failed one without a failed one below it; of several, the one that
/// ended last.
pub fn failed_span(tree: &TraceTree) -> Option<&Span> {
    let stages = tree.iter().filter(|node| asks_session_store(&node.span));
    let commands: HashSet<SpanId> =
        stages.flat_map(|stage| &stage.children).map(|command| command.span.span_id).collect();
    let failed =
        |node: &&SpanNode| node.span.status == SpanStatus::Error && !commands.contains(&node.span.span_id);
    let leaf = |node: &&SpanNode| !node.children.iter().any(|child| failed(&child));
    let key = |node: &&SpanNode| -> (u64, SpanId) { (node.span.end_us(), node.span.span_id) };
    tree.iter().filter(failed).filter(leaf).max_by_key(key).map(|node| &node.span)
}

/// The gravest line that was logged in a span, the first of equals: what an application says of a
/// failure that its span does not explain.
pub fn error_line(tree: &TraceTree, span: &Span) -> Option<String> {
    let grave = tree.find(span.span_id)?.logs.iter().filter(|line| line.level >= Level::Warn);
    // `max_by_key` gives the last of equals.
    grave.rev().max_by_key(|line| line.level).map(|line| line.message.clone())
}

#[cfg(test)]
mod tests;
