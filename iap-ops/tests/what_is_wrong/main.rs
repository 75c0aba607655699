//! "What is wrong?" over a real history with a made-up load.

mod judging;
mod load;
mod subjects;
mod times;

use iap_apm::{TraceSpans, UNROUTED};
use iap_ops::{BlameKind, Outcome, Problem};
use serde_json::json;

use load::{Child, Load, MINUTE, MS, NOW_US, incident, query};

#[tokio::test]
async fn the_statement_and_the_upstream_are_found() {
    let (load, failed) = incident();
    let answer = load.ask("지금 문제의 원인을 알려줘").await;
    assert_eq!(answer.outcome, Outcome::Problems);
    let findings = answer.findings.as_ref().expect("findings");
    assert_eq!((findings.count, findings.errors), (80, 5));
    let [pay, orders] = findings.problems.as_slice() else { panic!("two problems: {findings:?}") };

    assert_eq!((pay.problem, pay.route.as_str()), (Problem::Failing, "pay"));
    assert_eq!((pay.count, pay.errors, pay.error_percent), (20, 5, 25.0));
    assert_eq!(pay.baseline_error_percent, Some(0.0));
    let culprit = pay.culprit.as_ref().expect("a culprit");
    assert_eq!((culprit.blame.kind, culprit.blame.name.as_str()), (BlameKind::Upstream, "10.0.0.9:8443"));
    assert_eq!((culprit.traces, culprit.examined), (5, 5));
    assert_eq!(culprit.error.as_deref(), Some("connection refused"));
    assert_eq!(pay.evidence.len(), 3);
    assert!(pay.evidence.iter().all(|id| failed.contains(id)), "evidence is of failed requests");

    assert_eq!((orders.problem, orders.route.as_str()), (Problem::Slow, "orders"));
    assert!(orders.p95_us.abs_diff(1_500 * MS) <= 24 * MS, "{}", orders.p95_us);
    assert!(orders.baseline_p95_us.expect("a baseline").abs_diff(40 * MS) <= MS);
    assert_eq!(orders.sessions, 2);
    let culprit = orders.culprit.as_ref().expect("a culprit");
    assert_eq!(culprit.blame.kind, BlameKind::Sql);
    assert_eq!(culprit.blame.name, "SELECT * FROM orders WHERE customer = ? AND note = ?");
    assert_eq!((culprit.mean_self_us, culprit.traces, culprit.examined), (1_400 * MS, 20, 20));
    assert!((culprit.time_percent - 1_400.0 / 15.0).abs() < 1e-9);
    assert_eq!(answer.evidence, [pay.evidence.clone(), orders.evidence.clone()].concat());
}

#[tokio::test]
async fn both_languages_say_the_same() {
    let korean = incident().0.ask("지금 문제의 원인을 알려줘").await;
    let english = incident().0.ask("What is wrong right now?").await;
    assert_eq!(korean.findings, english.findings);
    let ids = korean.findings.as_ref().expect("findings").problems[1].evidence.join(", ");
    let window = "2026-11-25T12:55:00+09:00";
    for (answer, parts) in [
        (
            &korean,
            [
                "(Asia/Seoul)",
                "요청 80건 중 오류 5건, 문제 2개",
                "[실패] pay: 20건 중 5건 오류(25.0%, 직전 1시간은 0.0%)",
                "원인: 업스트림 `10.0.0.9:8443` (shop) — 살펴본 5건 중 5건에서 먼저 실패. \"connection refused\"",
                "[지연] orders: 30건의 p95가 1.49 s (직전 1시간은 40.0 ms)",
                "원인(가장 느린 20건): SQL `SELECT * FROM orders WHERE customer = ? AND note = ?` (shop) — 평균 1.40 s, 그 시간의 93.3%.",
            ],
        ),
        (
            &english,
            [
                "(Asia/Seoul)",
                "80 requests, 5 errors; problems found: 2.",
                "[failing] pay: 5 of 20 requests failed (25.0%, against 0.0% in the hour before).",
                "Cause: upstream `10.0.0.9:8443` (shop): failed first in 5 of 5 traces. \"connection refused\"",
                "[slow] orders: the p95 of 30 requests is 1.49 s (against 40.0 ms in the hour before)",
                "Cause in the 20 slowest: SQL `SELECT * FROM orders WHERE customer = ? AND note = ?` (shop): 1.40 s on average, 93.3% of their time.",
            ],
        ),
    ] {
        for part in parts.into_iter().chain([window, ids.as_str()]) {
            assert!(answer.text.contains(part), "{part}\nis not in\n{}", answer.text);
        }
        assert!(!answer.text.contains("secret"), "no literals of statements");
        assert!(serde_json::to_value(answer).expect("serializable")["window"]["tz"] == "Asia/Seoul");
    }
}

#[tokio::test]
async fn the_one_question_has_many_phrasings() {
    for question in [
        "is everything fine",
        "status",
        "pay is slow, why?",
        "why did pay fail",
        "pay 에러 알려줘",
        "느려요",
        "장애",
    ] {
        let answer = incident().0.ask(question).await;
        let problems = answer.findings.as_ref().map(|findings| findings.problems.len());
        let expected = if question.contains("pay") { 1 } else { 2 };
        assert_eq!((answer.outcome, problems), (Outcome::Problems, Some(expected)), "{question}");
    }
}

#[tokio::test]
async fn a_longer_window_is_taken_from_the_question() {
    let (load, _) = incident();
    let answer = load.ask("what is wrong in the last 2 hours?").await;
    assert_eq!(answer.findings.expect("findings").count, 180 + 80);
}

#[tokio::test]
async fn without_traffic_the_answer_says_so_and_what_to_do() {
    let mut load = Load::new();
    load.add("home", NOW_US - 10 * MINUTE, 5 * MS, 200, &[]);
    let answer = load.ask("뭐가 문제야?").await;
    assert_eq!((answer.outcome, answer.evidence.len()), (Outcome::NoData, 0));
    assert!(
        answer.text.contains("기록된 요청이 없습니다") && answer.text.contains("최근 60분"),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn good_and_rare_requests_are_no_problem() {
    let mut load = Load::new();
    for n in 0..50 {
        load.add("home", NOW_US - MINUTE - n * MS, 80 * MS, 200, &[]);
        load.add(UNROUTED, NOW_US - MINUTE - n * MS, MS, 404, &[]);
    }
    load.add("admin", NOW_US - MINUTE, 9_000 * MS, 500, &[]);
    let answer = load.ask("any problems?").await;
    assert_eq!(answer.outcome, Outcome::TooFew, "{}", answer.text);
    assert!(answer.text.contains("101 requests, 1 errors; problems found: 0."), "{}", answer.text);
    assert!(
        answer.text.contains("Too few requests to judge; failed there: admin 1 of 1."),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn an_unknown_question_is_answered_with_what_can_be_asked() {
    for (question, part) in
        [("로또 번호 알려줘", "지금 문제의 원인을 알려줘"), ("tell me a joke", "what is wrong right now?")]
    {
        let answer = Load::new().ask(question).await;
        assert_eq!((answer.outcome, answer.findings.is_none()), (Outcome::NotUnderstood, true));
        assert!(answer.text.contains(part));
        // What it offers is understood.
        let offered = Load::new().ask(part).await;
        assert_eq!(offered.outcome, Outcome::NoData);
    }
}

#[tokio::test]
async fn a_failure_that_no_span_explains_is_explained_by_its_log() {
    let mut load = Load::new();
    for n in 0..10 {
        let start = NOW_US - 2 * MINUTE + n * 1_000 * MS;
        let handler = Child {
            name: "handler",
            kind: "internal",
            at_us: 0,
            duration_us: 10 * MS,
            attributes: json!({}),
            error: (n % 2 == 0).then_some(""),
        };
        load.add("checkout", start, 11 * MS, if n % 2 == 0 { 500 } else { 200 }, &[handler]);
        let trace = load.batch.spans.last_mut().expect("just added");
        let (trace_id, mut spans) = (trace.trace_id, trace.spans());
        spans[1].error = None;
        *trace = TraceSpans::of(trace_id, &spans);
        for (level, message) in
            [("info", "ordered"), ("warn", "slow payment"), ("error", "the payment service is down")]
        {
            let line = json!({
                "time_us": start, "level": level, "target": "shop", "message": message, "service": "shop",
                "trace_id": trace_id.to_string(), "span_id": spans[1].span_id.to_string(),
            });
            load.batch.logs.push(serde_json::from_value(line).expect("a line"));
        }
    }
    let answer = load.ask("what is wrong right now?").await;
    let findings = answer.findings.expect("findings");
    let culprit = findings.problems[0].culprit.as_ref().expect("a culprit");
    assert_eq!(culprit.error.as_deref(), Some("the payment service is down"));
    assert!(answer.text.contains("the payment service is down"), "{}", answer.text);
}

#[tokio::test]
async fn a_cause_in_all_requests_is_not_said_to_be_of_the_slowest() {
    for (question, part) in [
        (
            "what is wrong?",
            "Cause in all 6: SQL `SELECT * FROM carts` (shop): 1.20 s on average, 80.0% of their time.",
        ),
        ("뭐가 문제야?", "원인(전체 6건): SQL `SELECT * FROM carts` (shop) — 평균 1.20 s, 그 시간의 80.0%."),
    ] {
        let mut load = Load::new();
        for n in 0..6 {
            let sql = query("SELECT * FROM carts", 0, 1_200 * MS);
            load.add("cart", NOW_US - 2 * MINUTE + n * MS, 1_500 * MS, 200, &[sql]);
        }
        let answer = load.ask(question).await;
        assert!(answer.text.contains(part), "{}", answer.text);
    }
}
