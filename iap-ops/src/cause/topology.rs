//! Root cause by who calls whom: from where users notice it towards the callees, to what is out of order by itself.
//!
//! A component is to blame where it is anomalous and none of its callees is: what a callee does to its callers
//! shows in them too. Among several, the one that moves with what users notice.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::detect::robust::centre_and_iqr;

/// A component is anomalous from this score on.
const ANOMALOUS: f64 = 3.0;
/// A callee explains its caller when it is anomalous, and its effect and its correlation are at least these parts of the
/// caller's. Correlation is diluted by all else that the caller does.
const EXPLAINS: f64 = 0.5;
const MOVES_WITH: f64 = 0.25;
/// The least part of what users notice that a component accounts for which is to blame.
const LEAST_PART: f64 = 0.01;
/// The spread of what was never seen to vary, as a part of its median.
const LEAST_SPREAD: f64 = 0.001;
/// Components that are walked through.
const MAX_NODES: usize = 10_000;

/// Who calls whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallGraph {
    callees: BTreeMap<String, BTreeSet<String>>,
}

impl CallGraph {
    /// Adds a call.
    pub fn add(&mut self, caller: impl Into<String>, callee: impl Into<String>) {
        self.callees.entry(caller.into()).or_default().insert(callee.into());
    }

    /// Whom a component calls.
    pub fn callees(&self, of: &str) -> impl Iterator<Item = &str> {
        self.callees.get(of).into_iter().flatten().map(String::as_str)
    }

    /// A component and all that it depends on, each with the length of the shortest way.
    pub fn below(&self, from: &str) -> BTreeMap<String, usize> {
        let mut found = BTreeMap::from([(from.to_owned(), 0)]);
        let mut next = VecDeque::from([(from.to_owned(), 0)]);
        while let Some((at, depth)) = next.pop_front() {
            for callee in self.callees(&at) {
                if found.len() < MAX_NODES && !found.contains_key(callee) {
                    found.insert(callee.to_owned(), depth + 1);
                    next.push_back((callee.to_owned(), depth + 1));
                }
            }
        }
        found
    }
}

/// What was measured of a component.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// How far it is from what is usual, in the direction that hurts; in quartile distances.
    pub score: f64,
    /// How it moves with what users notice: -1 to 1.
    pub correlation: f64,
    /// Its part of what users notice: how much worse it got, times how often it is called for one of their requests.
    pub effect: f64,
}

impl Observation {
    /// Whether it is out of order, and mostly: one value is none.
    pub fn is_anomalous(&self) -> bool {
        self.score >= ANOMALOUS && self.effect > 0.0
    }

    fn accounts_for(&self, caller: &Self) -> bool {
        self.effect >= caller.effect * EXPLAINS && self.correlation >= caller.correlation * MOVES_WITH
    }
}

/// Looks at a component: what it did before and after the change, beside what users notice at the same steps. `calls` is how
/// often it is called for one of their requests. `None` where nothing is known of it after the change.
pub fn observe(
    (before, after): (&[f64], &[f64]),
    noticed: (&[f64], &[f64]),
    worse_when_less: bool,
    calls: f64,
) -> Option<Observation> {
    let sign = if worse_when_less { -1.0 } else { 1.0 };
    let known = |values: &[f64]| values.iter().copied().filter(|v| v.is_finite()).collect::<Vec<f64>>();
    let (mut usual, now) = (known(before), known(after));
    if now.is_empty() {
        return None;
    }
    let (centre, iqr) = centre_and_iqr(&mut usual);
    // What is never seen to vary varies by a part of itself.
    let scale = iqr.max(centre.abs() * LEAST_SPREAD).max(f64::EPSILON);
    let worst = now.iter().map(|value| sign * (value - centre)).fold(f64::MIN, f64::max);
    let shift = sign * (mean(&now) - mean(&usual));
    let (mine, theirs) = ([before, after].concat(), [noticed.0, noticed.1].concat());
    let correlation = correlation(&mine, &theirs);
    Some(Observation { score: worst / scale, correlation, effect: shift * calls })
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Pearson's, of the steps where both are known; 0 where one does not vary.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let pairs: Vec<(f64, f64)> =
        a.iter().copied().zip(b.iter().copied()).filter(|(a, b)| a.is_finite() && b.is_finite()).collect();
    let n = pairs.len().max(1) as f64;
    let total = pairs.iter().fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
    let (ma, mb) = (total.0 / n, total.1 / n);
    let sum = |of: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|(a, b)| of(a - ma, b - mb)).sum::<f64>();
    let spread = (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt();
    if spread > 0.0 { (sum(&|a, b| a * b) / spread).clamp(-1.0, 1.0) } else { 0.0 }
}

/// A component to blame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suspect {
    /// The component.
    pub node: String,
    /// Whether it is anomalous and none of its callees explains that.
    pub first: bool,
    /// Its part of what users notice (at most 1), times its correlation.
    pub weight: f64,
    /// What was measured.
    pub observation: Observation,
}

/// The components below `from`, the one to blame first. Those that nothing was measured of are left out.
pub fn walk(graph: &CallGraph, from: &str, seen: &BTreeMap<String, Observation>) -> Vec<Suspect> {
    let below = graph.below(from);
    let noticed = seen.get(from).map_or(0.0, |seen| seen.effect.max(0.0));
    let mut suspects: Vec<Suspect> = Vec::new();
    for node in below.keys() {
        let Some(observation) = seen.get(node).copied() else { continue };
        let accounts = observation.effect >= noticed * LEAST_PART;
        let explained = explained(graph, node, seen, node == from);
        let first = observation.is_anomalous() && accounts && !explained;
        let part = if noticed > 0.0 { (observation.effect / noticed).clamp(0.0, 1.0) } else { 1.0 };
        // What does not move with what users notice may be anomalous for itself.
        let weight = part * observation.correlation;
        suspects.push(Suspect { node: node.clone(), first, weight, observation });
    }
    let depth = |suspect: &Suspect| below.get(&suspect.node).copied().unwrap_or(0);
    suspects.sort_by(|a, b| {
        let order = b.first.cmp(&a.first).then_with(|| b.weight.total_cmp(&a.weight));
        order.then_with(|| depth(b).cmp(&depth(a))).then_with(|| a.node.cmp(&b.node))
    });
    suspects
}

/// Whether a callee, or one below it that is not measured, accounts for what a component shows. Where users notice it
/// (`noticed`), the correlation with that is 1 by definition and says nothing.
fn explained(graph: &CallGraph, node: &str, seen: &BTreeMap<String, Observation>, noticed: bool) -> bool {
    let mut own = seen.get(node).copied().unwrap_or_default();
    if noticed {
        own.correlation = 0.0;
    }
    let mut met = BTreeSet::from([node]);
    let mut next: Vec<&str> = graph.callees(node).collect();
    while let Some(callee) = next.pop() {
        if !met.insert(callee) || met.len() > MAX_NODES {
            continue;
        }
        match seen.get(callee) {
            Some(theirs) if theirs.is_anomalous() && theirs.accounts_for(&own) => return true,
            Some(_) => {}
            None => next.extend(graph.callees(callee)),
        }
    }
    false
}

#[cfg(test)]
mod tests;
