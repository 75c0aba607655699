use std::collections::BTreeMap;

use super::{CallGraph, Observation, walk};

fn graph(calls: &[(&str, &str)]) -> CallGraph {
    let mut graph = CallGraph::default();
    for (caller, callee) in calls {
        graph.add(*caller, *callee);
    }
    graph
}

fn seen(nodes: &[(&str, f64)]) -> BTreeMap<String, Observation> {
    let one = |(node, score): &(&str, f64)| {
        ((*node).to_owned(), Observation { score: *score, correlation: 0.9, effect: *score })
    };
    nodes.iter().map(one).collect()
}

fn first(calls: &[(&str, &str)], nodes: &[(&str, f64)]) -> String {
    walk(&graph(calls), calls[0].0, &seen(nodes)).remove(0).node
}

#[test]
fn the_deepest_anomaly_is_to_blame_though_its_callers_look_worse() {
    let calls = [("web", "pay"), ("pay", "bank"), ("web", "cart")];
    assert_eq!(first(&calls, &[("web", 90.0), ("pay", 50.0), ("bank", 40.0), ("cart", 1.0)]), "bank");
    assert_eq!(first(&calls, &[("web", 90.0), ("pay", 50.0), ("bank", 1.0), ("cart", 1.0)]), "pay");
    assert_eq!(first(&calls, &[("web", 90.0), ("pay", 1.0), ("bank", 1.0), ("cart", 1.0)]), "web");
}

#[test]
fn what_is_not_measured_does_not_hide_what_is_below_it() {
    let calls = [("web", "lb"), ("lb", "pay")];
    assert_eq!(first(&calls, &[("web", 90.0), ("pay", 50.0)]), "pay");
}

#[test]
fn what_nobody_calls_from_there_is_not_to_blame() {
    let graph = graph(&[("web", "pay"), ("batch", "report")]);
    let suspects = walk(&graph, "web", &seen(&[("web", 5.0), ("pay", 4.0), ("report", 99.0)]));
    assert!(suspects.iter().all(|suspect| suspect.node != "report"));
}

#[test]
fn those_that_call_each_other_end() {
    let calls = [("a", "b"), ("b", "c"), ("c", "a")];
    assert_eq!(first(&calls, &[("a", 5.0), ("b", 1.0), ("c", 1.0)]), "a");
}
