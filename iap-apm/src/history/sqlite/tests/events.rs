use super::*;
use crate::history::EventQuery;
use crate::model::{EventKind, TimelineEvent};

fn event(time_us: u64, duration_us: u64, kind: EventKind) -> TimelineEvent {
    TimelineEvent { time_us, duration_us, kind, node: "node-1".into(), text: format!("at {time_us}") }
}

#[tokio::test]
async fn a_history_without_events_gets_room_for_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let open = || SqliteHistory::open(directory.path(), SqliteOptions::default()).expect("opened");
    let history = open();
    history
        .append(Arc::new(Batch { transactions: vec![summary(1, 5, 5)], ..Batch::default() }))
        .await
        .expect("written");
    drop(history);
    let before = rusqlite::Connection::open(hour_file(directory.path())).expect("opened");
    before
        .execute_batch("DROP TABLE events; PRAGMA user_version = 3;")
        .expect("as the version before has written it");
    drop(before);
    let history = open();
    let one = event(7, 1, EventKind::Crashed);
    history.append(Arc::new(Batch { events: vec![one.clone()], ..Batch::default() })).await.expect("written");
    assert_eq!(history.events(&EventQuery::new(Window::all())).await.expect("read"), [one]);
}
