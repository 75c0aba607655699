//! What is a problem, what is none, and what cannot be said.

use std::sync::Arc;

use iap_apm::{History, SqliteHistory, SqliteOptions};
use iap_ops::{Live, Outcome, Problem, Recent, SessionStats};

use crate::load::{Load, MINUTE, MS, NOW_US, Sessions, assistant};

const SECOND: u64 = 1_000 * MS;

/// `good` requests evenly over the five minutes up to `end_us`, then failures in the seconds after.
fn outage(good: u64, failed: u64, end_us: u64) -> Load {
    let mut load = Load::new();
    for n in 0..good {
        let start = NOW_US - 5 * MINUTE + n * (end_us + 5 * MINUTE - NOW_US) / good;
        load.add("shop", start.max(NOW_US - 5 * MINUTE + 2 * MS), 5 * MS, 200, &[]);
    }
    for n in 0..failed {
        load.add("shop", end_us + n * (NOW_US - end_us) / failed, 5 * MS, 502, &[]);
    }
    load
}

#[tokio::test]
async fn an_outage_that_has_just_begun_is_found() {
    // 3.5 % over all, and even the last minute has 17.2 %: the last seconds show it.
    for (question, part) in [
        (
            "What is wrong right now?",
            "[failing] shop: 41 of 1141 requests failed (3.6%). It is failing now: 41 of 42 (97.6%) in the \
             last 10 s.",
        ),
        (
            "지금 뭐가 문제야?",
            "[실패] shop: 1141건 중 41건 오류(3.6%). 지금 실패하고 있습니다: 최근 10초는 42건 중 41건(97.6%).",
        ),
    ] {
        let answer = outage(1_100, 41, NOW_US - 10 * SECOND + 500 * MS).ask(question).await;
        assert_eq!(answer.outcome, Outcome::Problems, "{}", answer.text);
        let findings = answer.findings.as_ref().expect("findings");
        let [shop] = findings.problems.as_slice() else { panic!("one problem: {findings:?}") };
        assert_eq!((shop.problem, shop.count, shop.errors), (Problem::Failing, 1_141, 41));
        assert!(shop.failing_now && shop.error_percent < 5.0, "{shop:?}");
        let error_percent = 4_100.0 / 42.0;
        let recent = Recent { length_us: 10 * SECOND, count: 42, errors: 41, error_percent };
        assert_eq!(shop.recent, Some(recent));
        assert_eq!((shop.evidence.len(), shop.culprit.is_some()), (3, true));
        assert!(answer.text.contains(part), "{}", answer.text);
    }
}

#[tokio::test]
async fn the_last_minute_tells_what_fails_now() {
    let mut load = Load::new();
    for n in 0..100 {
        load.add("shop", NOW_US - 4 * MINUTE + n * SECOND, 5 * MS, 200, &[]);
    }
    for (at, status) in [(50, 200), (40, 200), (35, 503), (30, 200), (20, 200)] {
        load.add("shop", NOW_US - at * SECOND, 5 * MS, status, &[]);
    }
    let answer = load.ask("what is wrong?").await;
    let shop = &answer.findings.as_ref().expect("findings").problems[0];
    assert_eq!((shop.count, shop.errors, shop.failing_now), (105, 1, true));
    let recent = Recent { length_us: MINUTE, count: 5, errors: 1, error_percent: 20.0 };
    assert_eq!(shop.recent, Some(recent));
    assert!(answer.text.contains("It is failing now: 1 of 5 (20.0%) in the last 60 s."), "{}", answer.text);
}

#[tokio::test]
async fn a_failure_that_is_over_is_told_with_the_last_minute() {
    let mut load = Load::new();
    for n in 0..10 {
        load.add("shop", NOW_US - 4 * MINUTE + n * SECOND, 5 * MS, 503, &[]);
        load.add("shop", NOW_US - 30 * SECOND + n * SECOND, 5 * MS, 200, &[]);
    }
    let answer = load.ask("what is wrong?").await;
    let shop = &answer.findings.as_ref().expect("findings").problems[0];
    let recent = Recent { length_us: MINUTE, count: 10, errors: 0, error_percent: 0.0 };
    assert_eq!((shop.failing_now, shop.recent), (false, Some(recent)));
    let part = "10 of 20 requests failed (50.0%). 0 of 10 (0.0%) in the last 60 s.";
    assert!(answer.text.contains(part), "{}", answer.text);
}

#[tokio::test]
async fn a_few_requests_with_errors_are_not_called_healthy() {
    for (question, part) in [
        ("what is wrong?", "Too few requests to judge; failed there: home 2 of 4."),
        ("뭐가 문제야?", "요청이 너무 적어 판단할 수 없는 경로의 오류: home 4건 중 2건."),
    ] {
        let mut load = Load::new();
        for n in 0..4 {
            let status = if n % 2 == 0 { 500 } else { 200 };
            load.add("home", NOW_US - 4 * MINUTE + n * 10 * SECOND, 5 * MS, status, &[]);
        }
        let answer = load.ask(question).await;
        assert_eq!(answer.outcome, Outcome::TooFew, "{}", answer.text);
        let findings = answer.findings.expect("findings");
        let [home] = findings.unjudged.as_slice() else { panic!("one route: {findings:?}") };
        assert_eq!((home.route.as_str(), home.count, home.errors, home.p95_us), ("home", 4, 2, 5 * MS));
        assert!(findings.problems.is_empty());
        assert!(answer.text.contains(part), "{}", answer.text);
    }
}

#[tokio::test]
async fn the_first_of_many_rare_routes_are_named() {
    let mut load = Load::new();
    for route in ["a1", "a2", "a3", "a4", "a5"] {
        load.add(route, NOW_US - 2 * MINUTE, 5 * MS, 500, &[]);
    }
    let answer = load.ask("what is wrong?").await;
    let part = "failed there: a1 1 of 1, a2 1 of 1, a3 1 of 1, and 2 more routes.";
    assert!(answer.text.contains(part), "{}", answer.text);
}

#[tokio::test]
async fn sessions_are_told_and_a_store_that_is_down_is_a_problem() {
    let stats = SessionStats { active: 12, ..SessionStats::default() };
    for (question, source, outcome, part) in [
        ("what's wrong?", Ok(stats), Outcome::Healthy, "There are 12 sessions now."),
        ("what's wrong?", Err("down"), Outcome::Problems, "The session store does not answer."),
        ("뭐가 문제야?", Err("down"), Outcome::Problems, "세션 저장소가 응답하지 않습니다."),
    ] {
        let mut load = Load::new();
        for n in 0..10 {
            load.add("home", NOW_US - 2 * MINUTE + n * SECOND, 5 * MS, 200, &[]);
        }
        let history = Arc::new(SqliteHistory::temporary(SqliteOptions::default()).expect("a history"));
        history.append(Arc::new(load.batch)).await.expect("kept");
        let live = Live::new(history).with_sessions(Arc::new(Sessions(source)));
        let answer = assistant(live).ask(question).await.expect("an answer");
        assert_eq!(answer.outcome, outcome);
        assert!(answer.text.contains(part), "{}", answer.text);
        let findings = answer.findings.expect("findings");
        assert_eq!((findings.sessions, findings.sessions_unavailable), (source.ok(), source.is_err()));
    }
}
