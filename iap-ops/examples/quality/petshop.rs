//! PetShop: which component.

use std::collections::BTreeMap;
use std::path::Path;

use iap_ops::cause::topology::{CallGraph, Observation, observe, walk};
use serde_json::Value;

use super::{Places, entries, name, rows};

/// Of each component, of each metric with its statistic, the values.
type Table = BTreeMap<String, BTreeMap<(String, String), Vec<f64>>>;

pub(crate) fn run(directory: &Path, part: &str) -> Option<()> {
    let graph = graph(&directory.join("graph.csv"))?;
    let usual = table(&directory.join("noissue/metrics.csv"))?;
    let mut places = Places::default();
    for issue in entries(&directory.join(part))? {
        let text = std::fs::read_to_string(issue.join("target.json")).ok()?;
        let told: Value = serde_json::from_str(&text).ok()?;
        let text = |pointer: &str| told.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let (target, metric) = (text("/target/node")?, text("/target/metric")?);
        let (statistic, right) = (text("/target/agg")?, text("/root_cause/node")?);
        let now = table(&issue.join("metrics.csv"))?;
        let key = (metric, statistic);
        let seen = observations(&graph, &usual, &now, &target, &key);
        let suspects = walk(&graph, &target, &seen);
        let place = suspects.iter().position(|suspect| suspect.node == right);
        places.add(place);
        if place != Some(0) {
            println!("{} {}: {right} at {place:?}", name(&issue), key.0);
            for suspect in suspects.iter().take(5) {
                let Observation { score, correlation, effect } = suspect.observation;
                println!(
                    "    {} first {} score {score:.1} correlation {correlation:.2} effect {effect:.4}",
                    suspect.node, suspect.first
                );
            }
        }
    }
    println!("| set | cases | top-1 | top-3 | top-5 |\n|---|---|---|---|---|");
    let (one, three, five) = (places.within(1), places.within(3), places.within(5));
    println!("| {part} | {} | {one:.3} | {three:.3} | {five:.3} |", places.cases());
    Some(())
}

fn observations(
    graph: &CallGraph,
    usual: &Table,
    now: &Table,
    target: &str,
    key: &(String, String),
) -> BTreeMap<String, Observation> {
    let requests = ("requests".to_owned(), "Sum".to_owned());
    let of = |table: &Table, node: &str, key: &(String, String)| {
        table.get(node).and_then(|node| node.get(key)).cloned()
    };
    let both = |node: &str, key: &(String, String)| {
        Some((of(usual, node, key).unwrap_or_default(), of(now, node, key)?))
    };
    let worse_when_less = key.0 == "availability";
    let mut seen = BTreeMap::new();
    let Some(noticed) = both(target, key) else { return seen };
    let calls = |node: &str| {
        let values =
            both(node, &requests).map(|(before, after)| [before, after].concat()).unwrap_or_default();
        values.iter().copied().filter(|value| value.is_finite()).sum::<f64>()
    };
    let own = calls(target).max(1.0);
    for node in graph.below(target).into_keys() {
        let Some((before, after)) = both(&node, key) else { continue };
        if let Some(one) =
            observe((&before, &after), (&noticed.0, &noticed.1), worse_when_less, calls(&node) / own)
        {
            seen.insert(node, one);
        }
    }
    seen
}

/// The rows are callers.
fn graph(path: &Path) -> Option<CallGraph> {
    let rows = rows(path)?;
    let mut graph = CallGraph::default();
    for row in &rows[1..] {
        for (callee, cell) in rows[0].iter().zip(row).skip(1) {
            if cell.parse::<f64>().is_ok_and(|number| number > 0.0) {
                graph.add(row[0].clone(), callee.clone());
            }
        }
    }
    Some(graph)
}

/// Three rows of names, one without values, then a row a step.
fn table(path: &Path) -> Option<Table> {
    let rows = rows(path)?;
    let mut table = Table::new();
    for at in 1..rows[0].len() {
        let values =
            rows[4..].iter().map(|row| row.get(at).and_then(|cell| cell.parse().ok()).unwrap_or(f64::NAN));
        let key = (rows[1][at].clone(), rows[2][at].clone());
        table.entry(rows[0][at].clone()).or_default().insert(key, values.collect());
    }
    Some(table)
}
