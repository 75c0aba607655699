use super::*;

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
