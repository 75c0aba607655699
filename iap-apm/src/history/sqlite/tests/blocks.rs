use super::*;
use crate::history::{MAX_TRACE_BYTES, TraceSpans};
use crate::model::Span;

#[tokio::test]
async fn spans_that_an_earlier_version_has_written_are_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let open = || SqliteHistory::open(directory.path(), SqliteOptions::default()).expect("opened");
    let kept = [span(1, None, T0, 5), span(2, Some(1), T0, 5)];
    let history = open();
    history.append(spans(1, vec![span(9, None, T0, 5)])).await.expect("written");
    drop(history);
    let before = rusqlite::Connection::open(hour_file(directory.path())).expect("opened");
    let json = serde_json::to_vec(&kept).expect("JSON");
    let (length, data) = (json.len() as i64, zstd::bulk::compress(&json, 1).expect("compressed"));
    before.execute("UPDATE blocks SET length = ?1, data = ?2", (length, data)).expect("changed");
    before
        .execute("INSERT INTO parts SELECT trace_id, hash, block, start, ?1 FROM places", [length])
        .expect("changed");
    before.execute_batch("DROP TABLE places").expect("changed");
    before.pragma_update(None, "user_version", 6).expect("as version 6 has written it");
    drop(before);
    let history = open();
    let trace = history.trace(trace_id(1)).await.expect("read").expect("present");
    assert_eq!(trace.spans, kept);
    // The file goes on with spans of this version.
    history.append(spans(2, vec![span(3, None, T0, 5)])).await.expect("written");
    let trace = history.trace(trace_id(2)).await.expect("read").expect("present");
    assert_eq!(trace.spans, [span(3, None, T0, 5)]);
}

#[tokio::test]
async fn a_damaged_part_hides_no_others() {
    let directory = tempfile::tempdir().expect("a directory");
    let open = || SqliteHistory::open(directory.path(), SqliteOptions::default()).expect("opened");
    let history = open();
    // Blocks of their own.
    for trace in 1..=4 {
        history.append(batch(vec![summary(trace, T0, 5)])).await.expect("written");
        let mut call = span(10 + trace, Some(trace), T0, 5);
        call.attributes.insert("db.query.text".into(), format!("SELECT {trace} FROM t{trace}").into());
        call.attributes.insert("db.system.name".into(), "sqlite".into());
        history.append(spans(trace, vec![span(trace, None, T0, 5), call])).await.expect("written");
    }
    drop(history);
    let file = rusqlite::Connection::open(hour_file(directory.path())).expect("opened");
    // Of the first no byte can be unpacked, of the second no span can be read, the third lies elsewhere.
    let noise = zstd::bulk::compress(&[0xff; 2_000], 1).expect("compressed");
    let change = |sql: &str| assert_eq!(file.execute(sql, []).expect("changed"), 1, "{sql}");
    change("UPDATE blocks SET data = x'00112233' WHERE id = 1");
    assert_eq!(file.execute("UPDATE blocks SET length = 2000, data = ?1 WHERE id = 2", [noise]), Ok(1));
    change("UPDATE places SET start = 1000000 WHERE block = 3");
    drop(file);
    let history = open();
    for trace in 1..=4 {
        let found = history.trace(trace_id(trace)).await.expect("read").expect("present");
        assert_eq!((found.spans.len(), found.truncated), if trace == 4 { (2, false) } else { (0, true) });
    }
    let found = history.statements(&crate::history::StatementsQuery::new(Window::all())).await.expect("read");
    assert_eq!(found.statements.len(), 1, "{found:?}");
}

#[tokio::test]
async fn what_is_small_on_the_disk_and_large_in_memory_has_a_bound() {
    let history = history();
    // Names that are stored once, and that each span has for itself.
    let mut tiny = span(1, None, T0, 5);
    (tiny.service, tiny.instance) = ("s".repeat(256), Some("i".repeat(768)));
    let each = size_of::<Span>() + 1_024;
    let many = MAX_TRACE_BYTES / each / 10_000 + 2;
    for trace in 1..=many as u64 {
        let all: Vec<Span> =
            (0..10_000).map(|n| Span { span_id: span_id(trace * 10_000 + n), ..tiny.clone() }).collect();
        let rows = vec![summary(trace, T0, 5)];
        let spans = vec![TraceSpans::of(trace_id(trace), &all)];
        let batch = Batch { transactions: rows, spans, ..Batch::default() };
        history.append(Arc::new(batch)).await.expect("written");
    }
    let map = history.edges(Window::all()).await.expect("read");
    assert!(map.basis.truncated && map.basis.spans < (many * 10_000) as u64, "{:?}", map.basis);
    assert!(map.basis.spans as usize <= MAX_TRACE_BYTES / each, "{:?}", map.basis);
}
