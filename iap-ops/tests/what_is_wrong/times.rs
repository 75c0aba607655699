//! Windows that a question asks for.

use iap_ops::{Answer, AskedTime, Outcome};

use crate::load::{Load, MINUTE, MS, NOW_US};

const SECOND: u64 = 1_000 * MS;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Ten requests at each of these times before now.
async fn ask(question: &str) -> Answer {
    let mut load = Load::new();
    for ago in [20 * SECOND, 10 * MINUTE, 12 * HOUR, 14 * HOUR, 30 * HOUR, 5 * DAY] {
        for n in 0..10 {
            load.add("home", NOW_US - ago + n * MS, 5 * MS, 200, &[]);
        }
    }
    load.ask(question).await
}

#[tokio::test]
async fn windows_are_those_asked_for_and_are_printed() {
    let today = ("2026-11-25T00:00:00+09:00", "2026-11-25T13:00:00+09:00");
    let yesterday = ("2026-11-24T00:00:00+09:00", "2026-11-25T00:00:00+09:00");
    let cases = [
        ("what is wrong in the last 30 seconds?", ("2026-11-25T12:59:30+09:00", today.1), 10),
        ("최근 30초 동안 뭐가 문제야?", ("2026-11-25T12:59:30+09:00", today.1), 10),
        ("what is wrong in the last 2 days?", ("2026-11-23T13:00:00+09:00", today.1), 50),
        ("이틀 동안 뭐가 문제야?", ("2026-11-23T13:00:00+09:00", today.1), 50),
        ("최근 2일 동안 뭐가 문제야?", ("2026-11-23T13:00:00+09:00", today.1), 50),
        ("what is wrong in the last 1 week?", ("2026-11-18T13:00:00+09:00", today.1), 60),
        ("what is wrong today?", today, 30),
        ("오늘 뭐가 문제야?", today, 30),
        ("anything wrong yesterday?", yesterday, 20),
        ("어제 무슨 문제가 있었어?", yesterday, 20),
    ];
    for (question, (start, end), count) in cases {
        let answer = ask(question).await;
        let window = answer.window.as_ref().expect("a window");
        assert_eq!((window.start.as_str(), window.end.as_str()), (start, end), "{question}");
        assert_eq!(answer.findings.as_ref().expect("findings").count, count, "{question}");
        assert!(answer.text.contains(start) && answer.text.contains(end), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_time_that_is_not_understood_is_not_replaced() {
    for (question, part) in [
        ("what was wrong at 3pm?", "I did not understand the time in this question"),
        ("오후 3시에 뭐가 문제였어?", "질문의 시간을 이해하지 못해서"),
        ("what is wrong in the last 40 days?", "at most 31 days"),
    ] {
        let answer = ask(question).await;
        assert_eq!(answer.outcome, Outcome::TimeNotUnderstood, "{question}");
        assert_eq!(answer.question.time, AskedTime::NotUnderstood);
        assert!(answer.window.is_none() && answer.findings.is_none());
        assert!(answer.text.contains(part), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_failure_at_the_end_of_yesterday_is_not_of_now() {
    let mut load = Load::new();
    let midnight = NOW_US - 13 * HOUR;
    for n in 0..100 {
        load.add("shop", midnight - 2 * HOUR + n * SECOND, 5 * MS, 200, &[]);
    }
    for n in 0..4 {
        load.add("shop", midnight - 5 * SECOND + n * MS, 5 * MS, 503, &[]);
    }
    let answer = load.ask("what was wrong yesterday? any problems?").await;
    assert_eq!(answer.outcome, Outcome::Healthy, "{}", answer.text);
}
