use iap_apm::{Trace, TransactionSummary};
use serde_json::{Value, json};

use super::super::parameters::parameter;
use super::{Group, failing, property, slower};

/// A transaction whose handler calls what the spans say: (name, kind, start, duration, failed, attributes).
fn group(traces: usize, failed: bool, spans: &[(&str, &str, u64, u64, bool, Value)]) -> Group {
    let mut group = Group::default();
    for number in 0..traces {
        let trace_id = format!("{:032x}", number + 1);
        let mut all = vec![json!({
            "span_id": "0000000000000001", "name": "GET", "kind": "server", "service": "shop",
            "start_us": 0, "duration_us": 1_000_000, "status": if failed { "error" } else { "unset" },
        })];
        for (at, (name, kind, start_us, duration_us, failed, attributes)) in spans.iter().enumerate() {
            // A server's span is below the client's before it.
            let parent = if *kind == "server" { at + 1 } else { 1 };
            all.push(json!({
                "span_id": format!("{:016x}", at + 2), "parent_id": format!("{parent:016x}"), "name": name, "kind": kind,
                "service": if *kind == "server" { "stock" } else { "shop" }, "start_us": start_us,
                "duration_us": duration_us, "status": if *failed { "error" } else { "unset" }, "attributes": attributes,
            }));
        }
        let row: TransactionSummary = serde_json::from_value(json!({
            "trace_id": trace_id, "span_id": "0000000000000001", "parent_id": null, "source": "own", "service": "shop",
            "start_us": 0, "duration_us": 1_000_000, "method": "GET", "path": "/", "host": "", "route": "shop",
            "status": 200, "failed": failed, "error": null, "message": null, "user": null,
            "session": format!("s{}", number % 3), "client": null, "bytes_out": 0,
        }))
        .expect("a row");
        let spans = serde_json::from_value(Value::Array(all)).expect("spans");
        let trace =
            Trace { trace_id: row.trace_id, summary: None, spans, logs: Vec::new(), truncated: false };
        group.add(&row, &trace);
    }
    group
}

#[test]
fn what_failed_first_in_bad_ones_only_is_blamed() {
    let query = json!({"db.query.text": "SELECT 1 FROM a WHERE id = 7"});
    let bad = group(
        10,
        true,
        &[
            ("pay", "client", 100, 10, true, json!({"server.address": "10.0.0.9"})),
            ("q", "client", 10, 10, false, query.clone()),
        ],
    );
    let good = group(10, false, &[("q", "client", 10, 10, false, query)]);
    let suspects = failing(&bad, &good);
    assert_eq!((suspects.len(), suspects[0].blame.name.as_str()), (1, "10.0.0.9"));
    assert!(suspects[0].confidence > 0.99);
    assert_eq!(bad.sessions.len(), 3);
}

#[test]
fn what_grew_is_blamed_not_what_is_longest() {
    let spans = |slow| {
        [
            ("always long", "internal", 0, 500_000, false, json!({})),
            ("q", "client", 500_000, slow, false, json!({"db.query.text": "SELECT x FROM t WHERE y = 'z'"})),
        ]
    };
    let suspects = slower(&group(5, false, &spans(400_000)), &group(5, false, &spans(1_000)));
    assert_eq!(suspects[0].blame.name, "SELECT x FROM t WHERE y = ?");
    assert_eq!(suspects[0].self_us, Some((400_000, 1_000)));
}

#[test]
fn the_gap_between_a_caller_and_the_one_it_calls_is_the_networks() {
    let spans = |client| {
        [
            ("call", "client", 0, client, false, json!({"server.address": "stock:80"})),
            ("serve", "server", 0, 1_000, false, json!({})),
        ]
    };
    let suspects = slower(&group(5, false, &spans(400_000)), &group(5, false, &spans(2_000)));
    assert_eq!(suspects[0].blame.name, "network to stock");
}

#[test]
fn a_property_goes_with_failing_where_the_good_ones_have_another() {
    let on = |address: &str, failed| {
        [("pay", "client", 0, 9, failed, json!({"server.address": address, "db.namespace": "x"}))]
    };
    let (bad, good) = (group(9, true, &on("10.0.0.9", true)), group(9, false, &on("10.0.0.8", false)));
    let (name, value, weight) = property(&bad, &good).expect("one of them");
    assert_eq!((name.as_str(), value.as_str()), ("server.address", "10.0.0.9"));
    assert!(weight > 0.9);
    let same = group(9, false, &on("10.0.0.9", false));
    assert_eq!(property(&bad, &same), None, "what all have says nothing");
}

#[test]
fn a_statement_is_blamed_with_the_kind_of_values_that_its_bad_calls_have() {
    let text = "SELECT x FROM t WHERE owner = $1";
    let call = |owner: &str, rows: u64| json!({"db.query.text": text, "db.query.parameter.0": owner, "db.response.returned_rows": rows});
    let slow = ("q", "client", 0, 400_000, false, call("kim", 48_000));
    let bad = group(9, false, &[slow]);
    let good = group(9, false, &[("q", "client", 0, 900, false, call("park", 4))]);
    let found = parameter(&bad.calls, &good.calls, text).expect("rows");
    assert_eq!((found.name.as_str(), found.class.as_str()), ("rows returned", "10,000 to 99,999"));
    assert_eq!((found.percent, found.usual_percent), (100.0, 0.0));
    // What usual calls have as well is no sign, and of another statement nothing is known.
    assert_eq!(parameter(&good.calls, &good.calls, text), None);
    assert_eq!(parameter(&bad.calls, &Group::default().calls, text), None);
}
