use serde_json::json;
use unicode_width::UnicodeWidthStr;

use super::super::Screen;
use super::super::paint::Paint;
use super::{listed, tree};

fn screen(width: Option<usize>) -> Screen {
    Screen { paint: Paint::Off, width }
}

#[test]
fn a_list_fits_the_usual_terminal_and_traces_are_whole() {
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let tx = json!({
        "start_us": 1, "status": 500, "duration_us": 123_456_789, "method": "POST", "route": "주문 확인", "trace_id": trace,
        "path": "/orders/2026/결제/confirm/with/a/long/path", "failed": true, "message": "시간 초과", "user": "alice",
    });
    let page = json!({ "items": [tx], "next": "n" });
    let narrow = listed(&page, screen(Some(80)));
    assert!(narrow.lines().all(|line| line.width() <= 80), "{narrow}");
    assert!(
        narrow.contains(trace) && narrow.contains('…') && narrow.ends_with("more: --cursor n"),
        "{narrow}"
    );
    let whole = listed(&page, screen(None));
    for part in ["POST", "alice", "시간 초과", "/orders/2026/결제/confirm/with/a/long/path", "2 m 03 s"]
    {
        assert!(whole.contains(part), "{part}\n{whole}");
    }
}

#[test]
fn a_tree_fits_and_marks_what_the_end_waited_for() {
    let span =
        |name: &str| json!({ "name": name, "duration_us": 2_000, "status": "unset", "attributes": {} });
    let statement = json!({ "name": "SELECT 상품", "duration_us": 900, "status": "error", "error": "no\nway",
                            "attributes": { "db.query.text": "SELECT name FROM product WHERE id = ? AND ".repeat(9) } });
    let leaf = json!({ "span": statement, "self_us": 900, "critical_us": 900, "children": [], "logs": [] });
    let idle = json!({ "span": span("idle"), "self_us": 5, "critical_us": 0, "children": [], "logs": [] });
    let root = json!({ "span": span("GET /"), "self_us": 1_100, "critical_us": 1_100, "children": [leaf, idle], "logs": [] });
    let answer = json!({ "trace_id": "t", "span_count": 3, "tree": { "roots": [root], "logs": [] } });
    let shown = tree::show(&answer, false, screen(Some(80)));
    assert!(shown.lines().all(|line| line.width() <= 80), "{shown}");
    let lines: Vec<&str> = shown.lines().skip_while(|line| !line.starts_with("SPAN")).skip(1).collect();
    let cells = |line: &str| {
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(cells(lines[0]), ["GET /", "2.00 ms", "1.10 ms", "1.10 ms *"]);
    assert_eq!(cells(lines[1]), ["├─ SELECT 상품", "900 µs", "900 µs", "900 µs *"]);
    assert!(lines[2].starts_with("│     SELECT name") && lines[2].ends_with('…'), "{shown}");
    assert_eq!(lines[3].trim_end(), "│     no way");
    assert_eq!(cells(lines[4]), ["└─ idle", "2.00 ms", "5 µs"]);
}
