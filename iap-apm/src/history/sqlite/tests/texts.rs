use rusqlite::Connection;

use super::super::texts::{MAX_TEXT, MAX_TEXTS, Texts};
use super::*;
use crate::model::TransactionSummary;

/// The columns of a file that was begun by version 7.
const VERSION_7: &str = "
DROP VIEW entries; DROP VIEW named; DROP TABLE texts; DROP TABLE transactions;
CREATE TABLE transactions (
    trace_id BLOB NOT NULL, span_id BLOB NOT NULL, parent_id BLOB, rank INTEGER NOT NULL,
    service TEXT NOT NULL, start_us INTEGER NOT NULL, duration_us INTEGER NOT NULL,
    method TEXT NOT NULL, path TEXT NOT NULL, host TEXT NOT NULL, route TEXT NOT NULL,
    status INTEGER NOT NULL, failed INTEGER NOT NULL, error TEXT, message TEXT,
    user TEXT, session TEXT, client TEXT, bytes_out INTEGER NOT NULL,
    weight INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (trace_id, span_id)
);
CREATE VIEW entries AS SELECT *, rowid AS number FROM transactions;
PRAGMA user_version = 7;
";

fn of_route(number: u64, route: &str) -> TransactionSummary {
    TransactionSummary { route: route.to_owned(), ..summary(number, T0 + number, 500) }
}

/// Asks whatever asks by texts, and says what of `route` was found.
async fn found(history: &SqliteHistory, route: &str) -> (Vec<String>, Option<u64>, Vec<String>) {
    let window = Window::new(T0, T0 + 1_000);
    let query = TransactionQuery { route: Some(route.to_owned()), ..TransactionQuery::new(window) };
    let rows = history.transactions(&query).await.expect("a page").items;
    let stats = history.route_stats(window).await.expect("figures");
    let points = history.points(&query, 100).await.expect("points");
    let count = stats.into_iter().find(|stats| stats.route == route).map(|stats| stats.count);
    (rows.into_iter().map(|row| row.route).collect(), count, points.routes)
}

#[tokio::test]
async fn files_with_texts_and_with_numbers_answer_alike() {
    let directory = tempfile::tempdir().unwrap();
    let rows =
        vec![of_route(1, "shop"), of_route(2, "1"), of_route(3, "shop"), of_route(4, &"x".repeat(300))];
    let mut answers = Vec::new();
    for before in ["", VERSION_7] {
        let place = directory.path().join(format!("{}", before.len()));
        let history = SqliteHistory::open(&place, SqliteOptions::default()).unwrap();
        history.append(batch(vec![summary(9, T0, 7)])).await.unwrap();
        drop(history);
        let file = Connection::open(hour_file(&place)).unwrap();
        file.execute_batch(&format!("DELETE FROM transactions; {before}")).unwrap();
        drop(file);
        let history = SqliteHistory::open(&place, SqliteOptions::default()).unwrap();
        history.append(batch(rows.clone())).await.unwrap();
        let mut all = Vec::new();
        for route in ["shop", "1", &"x".repeat(300), "nowhere"] {
            all.push(found(&history, route).await);
        }
        let trace = history.trace(rows[1].trace_id).await.unwrap().expect("a trace");
        assert_eq!(trace.summary.as_ref(), Some(&rows[1]));
        answers.push(all);
    }
    let [new, old] = &answers[..] else { unreachable!() };
    assert_eq!(new, old);
    assert_eq!(new[0], (vec!["shop".to_owned(); 2], Some(2), vec!["shop".to_owned()]));
    assert_eq!(
        new[1],
        (vec!["1".to_owned()], Some(1), vec!["1".to_owned()]),
        "a name that looks like a number"
    );
    assert_eq!((new[2].1, new[3].1), (Some(1), None));
}

#[test]
fn texts_are_bounded_and_known_again() {
    let file = schema::open_writer(Path::new(":memory:")).expect("a database");
    let mut texts = Texts::of(&file).unwrap();
    let value = texts.value(&file, "shop").unwrap();
    assert_eq!(value, 1_i64.into());
    assert_eq!(texts.value(&file, "shop").unwrap(), value);
    let long = "x".repeat(MAX_TEXT + 1);
    assert_eq!(texts.value(&file, &long).unwrap(), long.clone().into());
    for number in 0..MAX_TEXTS {
        texts.value(&file, &format!("host {number}")).unwrap();
    }
    assert_eq!(texts.value(&file, "one too many").unwrap(), "one too many".to_owned().into());
    let mut again = Texts::of(&file).unwrap();
    assert_eq!(again.value(&file, "shop").unwrap(), value);
    assert_eq!(again.value(&file, "one too many").unwrap(), "one too many".to_owned().into());
}
