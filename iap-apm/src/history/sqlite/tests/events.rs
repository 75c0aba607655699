use super::*;
use crate::history::EventQuery;
use crate::model::{EventKind, TimelineEvent};

fn event(time_us: u64, duration_us: u64, kind: EventKind) -> TimelineEvent {
    TimelineEvent { time_us, duration_us, kind, node: "node-1".into(), text: format!("at {time_us}") }
}

#[tokio::test]
async fn events_are_found_by_what_they_overlap() {
    let history = SqliteHistory::temporary(SqliteOptions::default()).expect("a history");
    let events = vec![
        event(1_000_000, 0, EventKind::ConfigReloaded),
        event(2_000_000, 500_000, EventKind::GcPause),
        event(3_000_000, 0, EventKind::Stall),
    ];
    let batch = Arc::new(Batch { events: events.clone(), ..Batch::default() });
    history.append(batch.clone()).await.expect("written");
    history.append(batch).await.expect("written again: it counts once");
    let find = async |from, to, kind, limit| {
        let query = EventQuery { window: Window::new(from, to), kind, limit };
        history.events(&query).await.expect("read")
    };
    assert_eq!(find(0, u64::MAX, None, 100).await, events);
    assert_eq!(find(2_300_000, 2_400_000, None, 100).await, events[1..2], "it began before");
    assert_eq!(find(2_600_000, 2_900_000, None, 100).await, []);
    assert_eq!(find(1_000_000, 3_000_000, None, 100).await, events[..2]);
    assert_eq!(find(0, u64::MAX, Some(EventKind::Stall), 100).await, events[2..]);
    assert_eq!(find(0, u64::MAX, None, 1).await, events[2..], "the latest");
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
