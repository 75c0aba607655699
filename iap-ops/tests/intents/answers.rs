//! What the answers say, by intent.

use std::sync::Arc;

use iap_apm::{History, SqliteHistory, SqliteOptions};
use iap_ops::{Live, Outcome};

use crate::load::{Load, MINUTE, MS, NOW_US, assistant, query};
use crate::shop::{HOUR, ask, shop};

#[tokio::test]
async fn the_bottleneck_comes_with_advice_and_its_formula() {
    let answer = ask(&shop().await, "bottleneck of the last hour and how to fix it").await;
    let facts = answer.facts.expect("facts");
    let advice =
        |says: &str| facts.advice.iter().find(|advice| advice.sentence.says == says).expect("advice");
    let index = advice("advise_index");
    assert!(answer.text.contains("table `orders` has an index on (`customer, created`)"), "{}", answer.text);
    assert_eq!(index.evidence.len(), 3);
    let pool = advice("advise_pool");
    let input = |name: &str| {
        let found = pool.inputs.iter().find(|input| input.name == name).expect("an input");
        serde_json::to_value(&found.value).expect("a number").as_f64().expect("a number")
    };
    assert!((input("λ") * input("W") / 1e6 - input("L")).abs() < 1e-3);
    assert!((input("limit") - (input("L") / 0.7).ceil()).abs() < 1e-9);
    assert_eq!(pool.config_key, Some("upstreams.<name>.limits.total"));
    assert_eq!(advice("advise_time_out").config_key, Some("routes[].limits.response"));
}

#[tokio::test]
async fn a_statement_without_columns_to_look_for_comes_with_advice_too() {
    let statements = [
        "WITH RECURSIVE n(i) AS (SELECT 1) SELECT name FROM product, n",
        "SELECT p.name FROM product p JOIN stock s ON s.product = p.id WHERE s.count = 0",
        "SELECT name FROM product",
        "INSERT INTO orders (user) VALUES (?)",
    ];
    for sql in statements {
        let mut load = Load::new();
        for n in 0..30 {
            let child = query(sql, MS, 90 * MS);
            load.add("search", NOW_US - 10 * MINUTE + n * 100 * MS, 100 * MS, 200, &[child]);
        }
        let history = SqliteHistory::temporary(SqliteOptions::default()).expect("a history");
        history.append(Arc::new(load.batch)).await.expect("kept");
        let assistant = assistant(Live::new(Arc::new(history)));
        for question in ["bottleneck of the last hour and how to fix it", "slowest sql of the last hour"] {
            let facts = ask(&assistant, question).await.facts;
            let given = facts.expect("facts").advice;
            assert_eq!(
                given.first().map(|advice| advice.sentence.says),
                Some("advise_plan"),
                "{sql}: {question}"
            );
            assert_eq!(given[0].evidence.len(), 3, "{sql}");
        }
    }
}

#[tokio::test]
async fn the_failures_of_last_month_are_its_incidents() {
    let answer = ask(&shop().await, "지난달 트랜잭션 장애 이력").await;
    assert_eq!(answer.outcome, Outcome::Problems);
    let table = &answer.facts.as_ref().expect("facts").tables[0];
    // Forty and thirty days before November 25th: of October the two.
    assert_eq!(table.rows.len(), 2, "{}", answer.text);
    assert!(
        answer.text.contains("2026-10-26 13:00") && answer.text.contains("10.0.0.9:8443"),
        "{}",
        answer.text
    );
    assert!(answer.text.contains("2026-10-01T00:00:00+09:00 ~ 2026-11-01T00:00:00+09:00"), "{}", answer.text);
}

#[tokio::test]
async fn a_forecast_needs_two_seasons() {
    let answer = ask(&shop().await, "capacity next month").await;
    assert_eq!(answer.outcome, Outcome::Answered);
    assert!(answer.text.contains("2026-12-01 00:00 to 2027-01-01 00:00"), "{}", answer.text);
    assert!(answer.text.contains("A season is 24 hours"), "{}", answer.text);
    let mut short = Load::new();
    for n in 0..40 {
        short.add("home", NOW_US - n * HOUR, MS, 200, &[]);
    }
    let history = SqliteHistory::temporary(SqliteOptions::default()).expect("a history");
    history.append(Arc::new(short.batch)).await.expect("kept");
    let answer = ask(&assistant(Live::new(Arc::new(history))), "capacity next month").await;
    assert!(answer.text.contains("Not enough history"), "{}", answer.text);
    assert_eq!(answer.outcome, Outcome::NoData);
}

#[tokio::test]
async fn errors_are_counted_by_kind_with_weights() {
    let mut load = Load::new();
    for n in 0..12 {
        load.add("pay", NOW_US - 10 * MINUTE + n * MS, MS, 502, &[]);
    }
    for (at, row) in load.batch.transactions.iter_mut().enumerate() {
        row.error = Some(if at < 10 { "refused" } else { "late" }.into());
        row.weight = 2;
    }
    let history = SqliteHistory::temporary(SqliteOptions::default()).expect("a history");
    history.append(Arc::new(load.batch)).await.expect("kept");
    let answer = ask(&assistant(Live::new(Arc::new(history))), "errors by kind").await;
    assert!(answer.text.contains("24 of 24 requests failed (100.0%), of 2 kinds."), "{}", answer.text);
    assert!(answer.text.contains("- refused, status 502, requests 20, share 83.3%"), "{}", answer.text);
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let history = SqliteHistory::temporary(SqliteOptions::default()).expect("a history");
    let empty = assistant(Live::new(Arc::new(history)));
    for (question, part) in [
        ("session server status", "Sessions are switched off"),
        ("concurrent users", "sessions.audience.by"),
        ("upstream health", "no upstreams"),
        ("slowest routes", "No requests were recorded"),
        ("show trace 4bf92f3577b34da6a3ce929d0e0e4736", "There is no such trace"),
        ("what did user nobody_here do", "No requests of nobody_here"),
        ("capacity next month", "No requests were recorded"),
    ] {
        let answer = ask(&empty, question).await;
        assert_eq!(answer.outcome, Outcome::NoData, "{question}: {}", answer.text);
        assert!(answer.text.contains(part), "{question}: {}", answer.text);
    }
    let changes = ask(&empty, "what has changed lately").await;
    assert!(changes.text.contains("Nothing has changed"), "{}", changes.text);
}
