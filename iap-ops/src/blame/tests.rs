use iap_apm::Trace;
use iap_core::TraceId;
use serde_json::json;

use super::*;

/// (number, parent, name, start, duration)
fn tree(spans: &[(u64, u64, &str, u64, u64)]) -> TraceTree {
    let id = |n: u64| SpanId(n.to_be_bytes());
    let span = |&(n, parent, name, start_us, duration_us): &(u64, u64, &str, u64, u64)| -> Span {
        let parent = (parent > 0).then(|| id(parent).to_string());
        serde_json::from_value(json!({
            "span_id": id(n).to_string(), "parent_id": parent, "name": name, "service": "shop",
            "start_us": start_us, "duration_us": duration_us,
        }))
        .expect("a span")
    };
    let spans = spans.iter().map(span).collect();
    Trace { trace_id: TraceId([1; 16]), summary: None, spans, logs: Vec::new(), truncated: false }.tree()
}

fn times(tree: &TraceTree) -> Vec<(String, u64)> {
    critical_path(&tree.roots[0]).into_iter().map(|(blame, time)| (blame.name, time)).collect()
}

#[test]
fn time_goes_to_what_was_waited_for() {
    // `a` and `b` run side by side; the request waits for `b`, the longer one, and only 10 of `a`
    // lie before it.
    let tree = tree(&[(1, 0, "root", 0, 100), (2, 1, "a", 10, 40), (3, 1, "b", 20, 60), (4, 3, "c", 30, 20)]);
    let expected = [("a", 10), ("b", 40), ("c", 20), ("root", 30)];
    assert_eq!(times(&tree), expected.map(|(name, time)| (name.to_owned(), time)));
}

#[test]
fn children_outside_their_parent_take_no_time_from_it() {
    let tree = tree(&[(1, 0, "root", 100, 100), (2, 1, "late", 150, 500), (3, 1, "early", 0, 50)]);
    assert_eq!(times(&tree), [("late".to_owned(), 50), ("root".to_owned(), 50)]);
}

#[test]
fn the_failure_is_blamed_where_it_began() {
    let mut tree = tree(&[(1, 0, "root", 0, 100), (2, 1, "handler", 10, 80), (3, 2, "query", 20, 10)]);
    assert_eq!(failed_span(&tree), None);
    let root = &mut tree.roots[0];
    root.span.status = SpanStatus::Error;
    root.children[0].children[0].span.status = SpanStatus::Error;
    root.children[0].span.status = SpanStatus::Error;
    assert_eq!(failed_span(&tree).map(|span| span.name.as_str()), Some("query"));
}

#[test]
fn things_are_named_by_statement_address_or_span() {
    let mut span = tree(&[(1, 0, "up\nstream", 0, 1)]).roots.remove(0).span;
    assert_eq!((Blame::of(&span).kind, Blame::of(&span).name), (BlameKind::Code, "upstream".to_owned()));
    span.attributes.insert("server.address".into(), "10.0.0.1:80".into());
    assert_eq!(Blame::of(&span).kind, BlameKind::Code, "a server span has its own address in it");
    span.kind = SpanKind::Client;
    assert_eq!(Blame::of(&span).kind, BlameKind::Upstream);
    span.attributes.insert("db.query.text".into(), "SELECT 1".into());
    assert_eq!((Blame::of(&span).kind, Blame::of(&span).name), (BlameKind::Sql, "SELECT ?".to_owned()));
}

#[test]
fn what_the_handler_asks_of_its_session_is_not_its_own_time() {
    let tree = tree(&[
        (1, 0, "root", 0, 100),
        (2, 1, "handler", 10, 80),
        (3, 1, "session.load", 20, 50),
        (4, 2, "query", 75, 10),
    ]);
    let expected = [("handler", 20), ("query", 10), ("root", 20), ("session.load", 50)];
    assert_eq!(times(&tree), expected.map(|(name, time)| (name.to_owned(), time)));
}

#[test]
fn the_session_store_is_blamed_and_not_its_commands() {
    let mut tree = tree(&[(1, 0, "root", 0, 100), (2, 1, "session.load", 10, 80), (3, 2, "HGETALL", 12, 78)]);
    let expected = [("root", 20), ("session.load", 80)];
    assert_eq!(times(&tree), expected.map(|(name, time)| (name.to_owned(), time)));
    let fail = |path: &[usize]| {
        let mut node = &mut tree.roots[0];
        for at in path {
            node = &mut node.children[*at];
        }
        node.span.status = SpanStatus::Error;
    };
    [&[][..], &[0], &[0, 0]].into_iter().for_each(fail);
    assert_eq!(failed_span(&tree).expect("one").name, "session.load", "though both end at once");
}
