use super::*;

#[test]
fn phrasings_are_recognised() {
    let known = [
        "지금 문제의 원인을 알려줘",
        "지금 뭐가 문제야?",
        "왜 느린 거야",
        "최근 10분 동안 장애 원인이 뭐야?",
        "What is wrong right now?",
        "what's wrong",
        "WHAT IS   THE PROBLEM",
        "find the root cause, please",
        "is everything fine",
        "Is everything OK?",
        "status",
        "show me the status",
        "any errors?",
        "search is slow, why?",
        "anything wrong with search?",
        "why did checkout fail",
        "why is checkout failing?",
        "is there an outage",
        "search가 왜 느려요",
        "checkout 에러 알려줘",
        "checkout 오류 보여줘",
        "느려요",
        "장애",
        "상태 알려줘",
        "결제가 실패해요",
        "괜찮아?",
    ];
    for text in known {
        assert_eq!(Question::read(text).intent, Intent::WhatIsWrong, "{text}");
    }
    for text in [
        "",
        "안녕하세요",
        "hello",
        "drop table transactions",
        "statusquo",
        "slowly",
        "order status report",
        "find downtown",
    ] {
        assert_eq!(Question::read(text).intent, Intent::Unknown, "{text}");
    }
}

#[test]
fn the_language_is_that_of_the_question() {
    assert_eq!(Question::read("문제 있어?").language, Language::Korean);
    assert_eq!(Question::read("what's wrong").language, Language::English);
}

#[test]
fn the_time_is_read() {
    let minute = 60_000_000;
    let last = |length_us: u64| AskedTime::Last { length_us };
    let (hour, day) = (60 * minute, 24 * 60 * minute);
    let cases = [
        ("뭐가 문제야", last(5 * minute)),
        ("최근 10분 문제 원인", last(10 * minute)),
        ("최근10분동안뭐가문제야", last(10 * minute)),
        ("지난 2 시간 동안 뭐가 문제야", last(2 * hour)),
        ("1시간 30분 동안", last(90 * minute)),
        ("한 시간 동안", last(hour)),
        ("최근 두시간", last(2 * hour)),
        ("30초", last(minute / 2)),
        ("최근 30초 동안 뭐가 문제야", last(minute / 2)),
        ("2일 동안", last(2 * day)),
        ("이틀 동안 무슨 문제가 있었어", last(2 * day)),
        ("하루 동안", last(day)),
        ("지난 1주", last(7 * day)),
        ("최근 일주일 동안", last(7 * day)),
        ("2주간", last(14 * day)),
        ("10분 전부터", last(10 * minute)),
        ("what went wrong in the last 30 minutes", last(30 * minute)),
        ("the last 30 seconds", last(minute / 2)),
        ("last 45s", last(45_000_000)),
        ("last 1h30m", last(90 * minute)),
        ("1 hour and 30 minutes", last(90 * minute)),
        ("in the last hour", last(hour)),
        ("an hour", last(hour)),
        ("last 2 days", last(2 * day)),
        ("two weeks", last(14 * day)),
        ("since 10 minutes ago", last(10 * minute)),
        ("status 503 in the last 1 hour", last(hour)),
        ("is /v2/minutes slow, p95 minutes", last(5 * minute)),
        ("past week", last(7 * day)),
        ("a 30-minute window", last(30 * minute)),
        ("today-deals is slow", last(5 * minute)),
        ("/last/hour is slow", last(5 * minute)),
        ("monday_report is slow today", AskedTime::Today),
        ("세 시간 동안", last(3 * hour)),
        ("두 주 동안", last(14 * day)),
        ("세일 페이지가 느려요", last(5 * minute)),
        ("일시적인 장애", last(5 * minute)),
        ("일시 장애", last(5 * minute)),
        ("네 주세요", last(5 * minute)),
        ("장애 원인을 알려 주세요", last(5 * minute)),
        ("3분기 보고서가 느려요", last(5 * minute)),
        ("give me a second: what is wrong", last(5 * minute)),
        ("it may be slow", last(5 * minute)),
        ("10.0.0.9:8443 is failing", last(5 * minute)),
        ("what's wrong today?", AskedTime::Today),
        ("오늘 뭐가 문제야", AskedTime::Today),
        ("오늘은?", AskedTime::Today),
        ("what was wrong yesterday", AskedTime::Yesterday),
        ("어제 장애 원인", AskedTime::Yesterday),
    ];
    for (text, expected) in cases {
        assert_eq!(Question::read(text).time, expected, "{text}");
    }
}

#[test]
fn a_time_that_is_not_understood_is_known_to_be_one() {
    let unknown = [
        "Nov 24",
        "24 Nov",
        "3 o'clock",
        "두 시에",
        "13시 30분",
        "1초 이상 걸리는 요청",
        "slower than 2 seconds",
        "at 3pm",
        "at 13:00",
        "2026-11-24",
        "11/24",
        "11월 24일",
        "24일에",
        "3시에",
        "오후 3시",
        "어젯밤",
        "어제부터",
        "오늘 아침",
        "yesterday morning",
        "since the deploy",
        "since yesterday",
        "10 minutes ago",
        "10분 전에",
        "10분전",
        "2 months",
        "3개월",
        "몇 분 동안",
        "a few minutes",
        "couple of hours",
        "half an hour",
        "2.5 hours",
        "last 0 minutes",
        "last 32 days",
        "last 999999999999999999 hours",
        "last 99999999999999999999999 hours",
        "over 10 seconds in the last 5 minutes",
    ];
    for text in unknown {
        assert_eq!(Question::read(text).time, AskedTime::NotUnderstood, "{text}");
    }
}

#[test]
fn weeks_months_and_days_of_the_week_are_read() {
    let day = |weekday: u8, weeks_back: Option<u8>| AskedTime::Weekday { weekday, weeks_back };
    let cases = [
        ("지난달 장애", AskedTime::LastMonth),
        ("지난 달 장애", AskedTime::LastMonth),
        ("저번달에", AskedTime::LastMonth),
        ("last month", AskedTime::LastMonth),
        ("이번 달 보고서", AskedTime::ThisMonth),
        ("지난주", AskedTime::LastWeek),
        ("지난 주에", AskedTime::LastWeek),
        ("last week", AskedTime::LastWeek),
        ("this week", AskedTime::ThisWeek),
        ("금주", AskedTime::ThisWeek),
        ("이번 주 월요일", day(1, Some(0))),
        ("이번주월요일에", day(1, Some(0))),
        ("지난주 화요일", day(2, Some(1))),
        ("지난주 화요일에 뭐가 문제였어", day(2, Some(1))),
        ("last week's monday", day(1, Some(1))),
        ("last tuesday", day(2, None)),
        ("last tue", day(2, None)),
        ("on sat", day(6, None)),
        ("지난 금요일", day(5, None)),
        ("일요일에", day(7, None)),
        ("last business day", AskedTime::LastBusinessDay),
        ("지난 영업일", AskedTime::LastBusinessDay),
        ("마지막 영업일 장애", AskedTime::LastBusinessDay),
        ("the day before yesterday", AskedTime::DayBeforeYesterday),
        ("그저께", AskedTime::DayBeforeYesterday),
        ("다음 달 용량", AskedTime::NextMonth),
        ("next month", AskedTime::NextMonth),
    ];
    for (text, expected) in cases {
        assert_eq!(Question::read(text).time, expected, "{text}");
    }
    for text in ["since last week", "지난주부터", "지난 주문이 느려요", "엊그제", "지난주와 지난달 장애"]
    {
        let time = Question::read(text).time;
        assert!(!matches!(time, AskedTime::LastWeek | AskedTime::LastMonth), "{text}: {time:?}");
    }
}
