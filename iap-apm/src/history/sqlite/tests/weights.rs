//! Transactions that stand for others.

use super::*;

/// The tables before there were weights.
const VERSION_1: &str = "
CREATE TABLE transactions (
    trace_id BLOB NOT NULL, span_id BLOB NOT NULL, parent_id BLOB, rank INTEGER NOT NULL,
    service TEXT NOT NULL, start_us INTEGER NOT NULL, duration_us INTEGER NOT NULL,
    method TEXT NOT NULL, path TEXT NOT NULL, host TEXT NOT NULL, route TEXT NOT NULL,
    status INTEGER NOT NULL, failed INTEGER NOT NULL, error TEXT, message TEXT,
    user TEXT, session TEXT, client TEXT, bytes_out INTEGER NOT NULL,
    PRIMARY KEY (trace_id, span_id)
);
CREATE INDEX transactions_start ON transactions (start_us);
CREATE INDEX transactions_duration ON transactions (duration_us);
CREATE VIEW entries AS SELECT * FROM transactions t WHERE rank = 0 OR NOT EXISTS (
    SELECT 1 FROM transactions other WHERE other.trace_id = t.trace_id AND other.rank < t.rank);
CREATE TABLE chunks (
    trace_id BLOB NOT NULL, hash INTEGER NOT NULL, length INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (trace_id, hash)
);
CREATE TABLE logs (
    time_us INTEGER NOT NULL, hash INTEGER NOT NULL, trace_id BLOB, level INTEGER NOT NULL,
    line TEXT NOT NULL, PRIMARY KEY (time_us, hash)
) WITHOUT ROWID;
CREATE INDEX logs_trace ON logs (trace_id) WHERE trace_id IS NOT NULL;
PRAGMA user_version = 1;
";

#[tokio::test]
async fn files_of_the_version_before_are_read_and_written_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = ManualClock::at(T0 / 1_000);
    let hour = T0 / 1_000 / 3_600_000;
    let path = directory.path().join(format!("apm-{hour:08}-00000.db"));
    let old = rusqlite::Connection::open(&path).expect("a file");
    old.execute_batch(VERSION_1).expect("valid");
    let insert =
        "INSERT INTO transactions VALUES (?1, ?2, NULL, 0, 'test', ?3, 10, 'GET', '/', 'h', 'orders',
        200, 0, NULL, NULL, NULL, NULL, NULL, 0)";
    old.execute(insert, rusqlite::params![trace_id(1).0, span_id(1).0, T0 as i64]).expect("written");
    drop(old);
    for round in 0..2 {
        let history = SqliteHistory::open(directory.path(), options(&clock)).expect("opens");
        let mut row = summary(2, T0 + 1, 10);
        row.weight = 5;
        history.append(batch(vec![row])).await.expect("kept");
        assert_eq!(history.size().0, 1, "in the same file");
        assert_eq!(ids(&history, &TransactionQuery::new(Window::all())).await, [2, 1], "{round}");
        let stats = history.route_stats(Window::all()).await.expect("stats");
        assert_eq!(stats[0].count, 6, "an old one stands for itself");
        for limit in [1, 2] {
            let query = TransactionQuery::new(Window::new(T0, T0 + 10));
            let points = history.points(&query, limit).await.expect("points");
            assert_eq!((points.count, points.points.len(), points.grid.is_some()), (6, 2, limit == 1));
        }
    }
}
