//! Root cause by traces: what the bad ones have and the good ones have not.
//!
//! For failures it is the span that failed first, and what goes with failing: each property is weighed by support (the share of
//! bad traces with it) times confidence (how much rarer it is in good ones). For slowness it is whose own time on the critical
//! path has grown most; the gap between a caller's span and that of the one it calls is the network's.

use std::collections::{BTreeMap, BTreeSet};

use iap_apm::{Span, SpanKind, SpanNode, Trace, TransactionSummary};

use super::parameters::Calls;
use crate::blame::{Blame, BlameKind, critical_path, error_line, failed_span};

/// What the name of the network between two begins with.
pub(super) const NETWORK: &str = "network to ";
/// Properties of a span that failures may go with.
const PROPERTIES: [&str; 6] =
    ["server.address", "service.version", "service.instance.id", "db.namespace", "error.type", "rpc.method"];

/// Transactions of one kind that were looked at.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// How many.
    pub(super) traces: usize,
    /// Own time by what it is due to, of all together.
    times: BTreeMap<Blame, u64>,
    /// Traces in which it was the first that failed, with the error.
    failed: BTreeMap<Blame, (usize, Option<String>)>,
    /// Calls of statements.
    pub(super) calls: Calls,
    /// Traces with a property.
    properties: BTreeMap<(String, String), usize>,
    /// The ids, with what is to blame there.
    pub(super) shown: Vec<(String, Option<Blame>)>,
    /// Users and sessions.
    pub(super) users: BTreeSet<String>,
    pub(super) sessions: BTreeSet<String>,
}

impl Group {
    /// Takes up a transaction.
    pub(super) fn add(&mut self, row: &TransactionSummary, trace: &Trace) {
        let tree = trace.tree();
        // The transaction's own span: a trace may hold several transactions.
        let Some(root) = tree.find(row.span_id).or(tree.roots.first()) else { return };
        self.traces += 1;
        self.users.extend(row.user.clone());
        self.sessions.extend(row.session.clone());
        let mut times = critical_path(root);
        gaps(root, &mut times);
        for (blame, time_us) in times {
            *self.times.entry(blame).or_default() += time_us;
        }
        let mut first = None;
        if row.failed {
            let span = failed_span(&tree).unwrap_or(&root.span);
            let said = [span.error.clone(), error_line(&tree, span), row.message.clone(), row.error.clone()];
            let blame = Blame::of(span);
            let entry = self.failed.entry(blame.clone()).or_default();
            entry.0 += 1;
            entry.1 =
                entry.1.take().or_else(|| said.into_iter().flatten().next().map(|text| printable(&text)));
            first = Some(blame);
        }
        for span in trace.spans.iter().filter(|span| span.sql().is_some()) {
            self.calls.add(&Blame::of(span).name, span);
        }
        for property in properties(&trace.spans) {
            *self.properties.entry(property).or_default() += 1;
        }
        self.shown.push((row.trace_id.to_string(), first));
    }

    fn mean_us(&self, blame: &Blame) -> f64 {
        self.times.get(blame).copied().unwrap_or(0) as f64 / self.traces.max(1) as f64
    }

    fn share_failed(&self, blame: &Blame) -> f64 {
        self.failed.get(blame).map_or(0, |(traces, _)| *traces) as f64 / self.traces.max(1) as f64
    }
}

/// A thing to blame, with what speaks for it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Suspect {
    pub(super) blame: Blame,
    pub(super) confidence: f64,
    pub(super) error: Option<String>,
    /// Its own time now and before.
    pub(super) self_us: Option<(u64, u64)>,
}

/// What failed first in the bad ones, and not in the good ones; the likeliest first.
pub(super) fn failing(bad: &Group, good: &Group) -> Vec<Suspect> {
    let mut suspects: Vec<Suspect> = bad
        .failed
        .iter()
        .map(|(blame, (_, error))| {
            let (support, elsewhere) = (bad.share_failed(blame), good.share_failed(blame));
            let confidence = support * support / (support + elsewhere).max(f64::EPSILON);
            Suspect { blame: blame.clone(), confidence, error: error.clone(), self_us: None }
        })
        .collect();
    sort(&mut suspects);
    suspects
}

/// Whose own time has grown most from the good ones to the bad ones; the most first.
pub(super) fn slower(bad: &Group, good: &Group) -> Vec<Suspect> {
    let grown = |blame: &Blame| (bad.mean_us(blame) - good.mean_us(blame)).max(0.0);
    let all: f64 = bad.times.keys().map(grown).sum();
    let mut suspects: Vec<Suspect> = bad
        .times
        .keys()
        .filter(|blame| grown(blame) > 0.0)
        .map(|blame| Suspect {
            blame: blame.clone(),
            confidence: grown(blame) / all,
            error: None,
            self_us: Some((bad.mean_us(blame) as u64, good.mean_us(blame) as u64)),
        })
        .collect();
    sort(&mut suspects);
    suspects
}

fn sort(suspects: &mut [Suspect]) {
    suspects.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then_with(|| a.blame.cmp(&b.blame)));
}

/// The property that failures go with, where they clearly do: its name, its value, support times confidence.
pub(super) fn property(bad: &Group, good: &Group) -> Option<(String, String, f64)> {
    let weigh = |(property, traces): (&(String, String), &usize)| {
        let support = *traces as f64 / bad.traces.max(1) as f64;
        let elsewhere = *good.properties.get(property)? as f64 / good.traces.max(1) as f64;
        Some((property.0.clone(), property.1.clone(), support * support / (support + elsewhere)))
    };
    let always = |(property, traces): (&(String, String), &usize)| {
        let support = *traces as f64 / bad.traces.max(1) as f64;
        let alone = !good.properties.contains_key(property) && good.traces > 0;
        alone.then(|| (property.0.clone(), property.1.clone(), support))
    };
    let all = bad.properties.iter().filter_map(|one| weigh(one).or_else(|| always(one)));
    // Half and half is what goes with everything.
    all.filter(|(_, _, weight)| *weight > 0.6).max_by(|a, b| a.2.total_cmp(&b.2))
}

fn properties(spans: &[Span]) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for span in spans {
        for name in PROPERTIES {
            // The gateway's own address is in each of its transactions.
            if let Some(value) =
                span.text(name).filter(|_| span.kind != SpanKind::Server || name != "server.address")
            {
                found.insert((name.to_owned(), printable(value)));
            }
        }
        if let Some(instance) = &span.instance {
            found.insert(("instance".to_owned(), printable(instance)));
        }
    }
    found
}

/// Moves what lies between a caller's span and that of the one it calls from the caller's own time to the network's.
fn gaps(node: &SpanNode, times: &mut BTreeMap<Blame, u64>) {
    let mut next = vec![node];
    while let Some(node) = next.pop() {
        next.extend(&node.children);
        if node.span.kind != SpanKind::Client {
            continue;
        }
        let Some(server) = node.children.iter().find(|child| child.span.kind == SpanKind::Server) else {
            continue;
        };
        let caller = Blame::of(&node.span);
        let gap_us = node.span.duration_us.saturating_sub(server.span.duration_us);
        if let Some(own_us) = times.get_mut(&caller) {
            let moved_us = gap_us.min(*own_us);
            *own_us -= moved_us;
            let name = format!("{NETWORK}{}", printable(&server.span.service));
            let network = Blame { kind: BlameKind::Code, service: caller.service, name };
            *times.entry(network).or_default() += moved_us;
        }
    }
}

pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests;
