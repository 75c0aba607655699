use serde_json::json;

use super::*;

fn id(n: u64) -> SpanId {
    SpanId(n.to_be_bytes())
}

fn span(n: u64, parent: u64, start_us: u64, duration_us: u64) -> Span {
    serde_json::from_value(json!({
        "span_id": id(n).to_string(), "parent_id": (parent != 0).then(|| id(parent).to_string()),
        "name": format!("s{n}"), "service": "t", "start_us": start_us, "duration_us": duration_us,
    }))
    .expect("a span")
}

fn trace(spans: Vec<Span>) -> Trace {
    Trace { trace_id: TraceId([1; 16]), summary: None, spans, logs: Vec::new(), truncated: false }
}

#[test]
fn self_time_is_the_duration_minus_the_union_of_children() {
    // Children 10..40 and 30..60 overlap; 90..200 runs past its parent, which ends at 100.
    let tree =
        trace(vec![span(3, 1, 30, 30), span(1, 0, 0, 100), span(2, 1, 10, 30), span(4, 1, 90, 110)]).tree();
    assert_eq!(tree.roots.len(), 1);
    assert_eq!(tree.roots[0].self_us, 100 - 50 - 10);
    let names: Vec<_> = tree.roots[0].children.iter().map(|node| node.span.name.as_str()).collect();
    assert_eq!(names, ["s2", "s3", "s4"]);
    assert_eq!(tree.find(id(4)).expect("present").self_us, 110);
}

#[test]
fn children_of_children_do_not_count_twice() {
    let tree = trace(vec![span(1, 0, 0, 100), span(2, 1, 20, 60), span(3, 2, 30, 40)]).tree();
    let times: Vec<_> = tree.iter().map(|node| node.self_us).collect();
    assert_eq!(times, [40, 20, 40]);
}

/// (critical, self) of each span by its number.
fn times(tree: &TraceTree, n: u64) -> (u64, u64) {
    let node = tree.find(id(n)).expect("present");
    (node.critical_us, node.self_us)
}

#[test]
fn the_critical_path_is_what_the_end_waited_for() {
    // 2 and 3 run beside each other, and 3 ends last: of 2 only what lies before it counts; 4 comes after both, 5 goes on after the end of all.
    let spans = vec![
        span(1, 0, 0, 100),
        span(2, 1, 10, 30),
        span(3, 1, 15, 35),
        span(4, 1, 60, 30),
        span(5, 4, 80, 500),
    ];
    let tree = trace(spans).tree();
    let path: Vec<_> = (1..=5).map(|n| times(&tree, n)).collect();
    assert_eq!(path, [(10 + 10 + 10, 30), (5, 30), (35, 35), (20, 20), (10, 500)]);
    assert_eq!(path.iter().map(|(critical, _)| critical).sum::<u64>(), 100);
}

#[test]
fn a_clock_that_is_wrong_is_told_and_not_believed() {
    let served = |start_us| {
        let mut spans = vec![
            span(1, 0, 1_000, 100),
            span(2, 1, 1_010, 80),
            span(3, 2, start_us, 60),
            span(4, 3, start_us + 5, 10),
        ];
        spans[1].kind = SpanKind::Client;
        spans[2].kind = SpanKind::Server;
        for at in [2, 3] {
            spans[at].service = "other".into();
        }
        trace(spans).tree()
    };
    // Ahead, behind, and ending after its caller though it would have had the time.
    for (start_us, skew_us) in [(9_020, 8_000), (20, -1_000), (1_040, 20)] {
        let tree = served(start_us);
        let of = |n| tree.find(id(n)).expect("present");
        assert_eq!(
            (1..=4).map(|n| of(n).skew_us).collect::<Vec<_>>(),
            [0, 0, skew_us, skew_us],
            "{start_us}"
        );
        assert_eq!((of(3).span.start_us, of(3).span.duration_us), (start_us, 60), "as it was told");
        assert_eq!(
            (1..=4).map(|n| times(&tree, n)).collect::<Vec<_>>(),
            [(20, 20), (20, 20), (50, 50), (10, 10)]
        );
    }
    // What can be is believed, and so is what runs on after its caller for longer than that.
    let right = served(1_015);
    assert!(right.iter().all(|node| node.skew_us == 0));
    let mut later = vec![span(1, 0, 0, 10), span(2, 1, 5, 50)];
    (later[0].kind, later[1].kind, later[1].service) = (SpanKind::Client, SpanKind::Server, "other".into());
    assert_eq!(trace(later).tree().find(id(2)).expect("present").skew_us, 0);
}

#[test]
fn an_unknown_parent_makes_a_root_and_circles_are_cut() {
    let tree = trace(vec![span(1, 99, 0, 10), span(2, 3, 5, 10), span(3, 2, 6, 10), span(4, 4, 7, 1)]).tree();
    let roots: Vec<_> = tree.roots.iter().map(|node| node.span.span_id).collect();
    assert_eq!(roots, [id(1), id(2), id(4)]);
    assert_eq!(tree.iter().count(), 4);
    assert_eq!([2, 3].map(|n| times(&tree, n).0), [1, 9], "circles have a path, too");
}

#[test]
fn a_chain_of_any_length_is_listed_whole_and_not_deep() {
    let spans = (1..=20_000).map(|n| span(n, n - 1, n, 1)).collect();
    let tree = trace(spans).tree();
    assert_eq!(tree.iter().count(), 20_000);
    let (mut depth, mut level) = (0, &tree.roots);
    while let Some(node) = level.first() {
        depth += 1;
        level = &node.children;
    }
    assert_eq!(depth, MAX_DEPTH);
    assert!(serde_json::to_string(&tree).is_ok());
}

#[test]
fn log_lines_go_to_their_span() {
    let line = |span_id| LogLine {
        time_us: 5,
        level: Level::Warn,
        target: "t".into(),
        message: "m".into(),
        trace_id: Some(TraceId([1; 16])),
        span_id,
        service: "t".into(),
        fields: Attributes::new(),
    };
    let mut trace = trace(vec![span(1, 0, 0, 10)]);
    trace.logs = vec![line(Some(id(1))), line(Some(id(7))), line(None)];
    let tree = trace.tree();
    assert_eq!(tree.roots[0].logs.len(), 1);
    assert_eq!(tree.logs.len(), 2);
}

#[test]
fn the_statement_is_read_from_new_and_old_names() {
    let mut span = span(1, 0, 0, 1);
    assert_eq!(span.sql(), None);
    span.attributes.insert("db.statement".into(), json!("old"));
    span.attributes.insert("db.system".into(), json!("sqlite"));
    assert_eq!((span.sql(), span.db_system()), (Some("old"), Some("sqlite")));
    span.attributes.insert("db.query.text".into(), json!("new"));
    assert_eq!(span.sql(), Some("new"));
}

#[test]
fn ids_are_hexadecimal_text() {
    let json = serde_json::to_value(span(1, 2, 3, 4)).expect("serializable");
    assert_eq!(json["span_id"], "0000000000000001");
    assert_eq!(json["parent_id"], "0000000000000002");
    assert_eq!(json["kind"], "internal");
}

#[test]
fn what_has_served_a_transaction_is_told_from_what_has_not() {
    let mut call = span(2, 1, 10, 30);
    call.kind = SpanKind::Client;
    call.attributes.insert("server.address".into(), "127.0.0.1:8080".into());
    let mut query = call.clone();
    // Clients of OpenTelemetry tell the host alone: which of its servers is not known.
    query.attributes.insert("server.address".into(), "127.0.0.1".into());
    let mut trace = trace(vec![span(1, 0, 0, 100), call, query]);
    trace.summary = Some(TransactionSummary { route: "shop".into(), ..crate::testing::summary(1, 0, 100) });
    let served = |kind, text: &str| {
        let text = text.to_owned();
        trace.servers().met(&TimelineEvent { time_us: 1, duration_us: 1, kind, node: "n".into(), text })
    };
    for (kind, text) in [
        (EventKind::GcPause, "app 127.0.0.1:8080: G1 young, Allocation Failure"),
        (EventKind::GcPause, "shop 2: G1 young, Allocation Failure"),
        (EventKind::ProcessRestarted, "shop 1: signal 9"),
        (EventKind::ServerEjected, "127.0.0.1:8080 of app"),
    ] {
        assert!(served(kind, text), "{text}");
    }
    for (kind, text) in [
        (EventKind::GcPause, "app 127.0.0.1:80: G1 young"),
        (EventKind::GcPause, "app 127.0.0.1:80801: G1 young"),
        (EventKind::GcPause, "Bootstrap 17672: G1 young"),
        (EventKind::GcPause, "shop-2 1: G1 young"),
        (EventKind::GcPause, "shop batch 1: G1 young"),
        (EventKind::Deployed, "shop 2: a new one"),
        (EventKind::ServerReturned, "127.0.0.1:8081 of app"),
        (EventKind::Stall, "worker-0"),
    ] {
        assert!(!served(kind, text), "{text}");
    }
}
