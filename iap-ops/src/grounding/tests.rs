use proptest::prelude::*;

use super::{Known, Mismatch};

const FINDINGS: &[&str] = &[
    "조회 구간: 2026-11-25T12:55:00+09:00 ~ 2026-11-25T13:00:00+09:00 (Asia/Seoul)",
    "Window: 2026-11-25T12:55:00+09:00 to 2026-11-25T13:00:00+09:00 (Asia/Seoul)",
    "80 requests, 5 errors; problems found: 2.",
    "1. [failing] pay: 5 of 20 requests failed (25.0%, against 0.5% in the hour before). Cause: upstream `10.0.0.9:8443` (shop): failed first in 5 of 5 traces. \"connection refused\" Evidence, traces: 0000000000000000000000000000007b",
    "2. [slow] orders: the p95 of 1,030 requests is 1.50 s (against 40.2 ms in the hour before). Cause in the 30 slowest: SQL `SELECT * FROM orders WHERE customer = ?` (shop): 1.40 s on average, 93.3% of their time.",
    "요청 80건 중 오류 5건, 문제 2개를 찾았습니다. 실패 지연",
];

const NOTHING: [&str; 0] = [];

fn known() -> Known {
    let mut known = Known::new(FINDINGS, NOTHING);
    known.subjects(["pay", "orders"]);
    known
}

#[test]
fn what_the_findings_say_may_be_said_in_other_words() {
    let known = known();
    for text in [
        "`pay` gets 25% errors, 5 of 20 requests; the hour before it was 0.5 percent.",
        "Of orders the p95 is 1.5 s, up from 40.2 milliseconds, and 93.3 % of it goes to `SELECT * FROM orders WHERE customer = ?`.",
        "Between 12:55 and 13:00 on 2026-11-25, look at trace 0000000000000000000000000000007b first.",
        "`pay` 경로의 오류율은 25퍼센트입니다(20건 중 5건). 업스트림 `10.0.0.9:8443` 연결을 확인하십시오.",
        "orders 경로의 p95는 1.5초이며, 직전 1시간".split_once("이며").unwrap().0,
        "11월 25일 12시 55분부터 오후 1시까지 요청 1030건의 p95입니다.",
        "1. Look at `10.0.0.9:8443`.\n2. Then look at the query plan of the SQL of orders.",
        "Look at 10.0.0.9 first.",
        "The route pay is the one to look at; the route that waits is orders.",
    ] {
        assert_eq!(known.check(text), Ok(()), "{text}");
    }
}

#[test]
fn what_they_do_not_say_may_not() {
    let known = known();
    for (text, why) in [
        ("pay fails in 26% of cases.", Mismatch::Number),
        ("pay failed 25.0 times.", Mismatch::Number),
        ("The p95 of orders is 1.50 ms.", Mismatch::Number),
        ("orders has 25.0% errors.", Mismatch::Number),
        ("The p95 of pay is 1.50 s.", Mismatch::Number),
        ("pay 경로에서 2５건이 실패", Mismatch::Number),
        ("약 3천 건", Mismatch::Number),
        ("1.2k requests", Mismatch::Number),
        ("at 1 pm", Mismatch::Number),
        ("오전 1시부터", Mismatch::Number),
        ("on 2026-11-24", Mismatch::Number),
        ("12월 25일", Mismatch::Number),
        ("-5 requests", Mismatch::Number),
        ("5-21 requests of pay", Mismatch::Number),
        ("① pay", Mismatch::Number),
        ("٢٠ requests", Mismatch::Number),
        ("see trace 0000000000000000000000000000007c", Mismatch::Name),
        ("see `billing`", Mismatch::Name),
        ("route billing waits", Mismatch::Name),
        ("billing 경로를 보십시오", Mismatch::Name),
        ("node db-7 waits", Mismatch::Name),
        ("at 10.0.0.8 it waits", Mismatch::Name),
        ("version 1.2.3", Mismatch::Name),
        ("run `rm -rf /`", Mismatch::Name),
        ("see https://example.com/fix", Mismatch::Name),
        ("Everything is healthy.", Mismatch::Claim),
        ("There is no problem now.", Mismatch::Claim),
        ("지금은 정상입니다.", Mismatch::Claim),
        ("문제가 없습니다.", Mismatch::Claim),
        ("The database is down.", Mismatch::Claim),
        ("데이터가 유출되었습니다.", Mismatch::Claim),
        ("Twice as many as before.", Mismatch::Claim),
        ("twelve requests", Mismatch::Claim),
        ("요청 세 건", Mismatch::Claim),
        ("절반이 그렇습니다", Mismatch::Claim),
    ] {
        assert_eq!(known.check(text), Err(why), "{text}");
    }
}

#[test]
fn what_others_have_written_is_no_finding() {
    let errors = ["all is healthy, 99.9% are \"fine\" \" and nothing is wrong", "no problem at 77 s"];
    let lines: Vec<String> = errors.iter().map(|error| format!("pay failed 5 times: \"{error}\"")).collect();
    let known = Known::new(&lines, errors);
    assert_eq!(known.check("pay failed 5 times, and said \"at 77 s\"."), Ok(()), "it may be quoted");
    for (text, why) in [
        ("All is healthy.", Mismatch::Claim),
        ("They are fine, nothing is wrong.", Mismatch::Claim),
        ("There is no problem.", Mismatch::Claim),
        ("99.9% of pay", Mismatch::Number),
        ("it takes 77 s", Mismatch::Number),
        ("it said \"no problem at 77 s\"", Mismatch::Claim),
    ] {
        assert_eq!(known.check(text), Err(why), "{text}");
    }
    let mut known = Known::new(["broken: 5 requests"], ["broken"]);
    assert_eq!(known.check("`broken` has 5 requests"), Err(Mismatch::Claim));
    known.subjects(["broken"]);
    assert_eq!(known.check("`broken` has 5 requests"), Ok(()), "it is called so");
    let mut known = Known::new(&lines, errors);
    known.add_row("count 12", "count 12, message everything is stable after 500 ms");
    assert_eq!(known.check("12 requests, see \"after 500 ms\""), Ok(()));
    assert_eq!(known.check("it is stable"), Err(Mismatch::Claim));
    assert_eq!(known.check("after 500 ms"), Err(Mismatch::Number));
}

/// A line of findings about one thing.
fn line() -> impl Strategy<Value = String> {
    let unit = prop::sample::select(vec![
        " ms",
        " s",
        "%",
        " requests",
        "건",
        "/s",
        " MiB",
        "×",
        "초",
        "명",
        " min",
    ]);
    let number = prop_oneof![
        (0_u32..100_000).prop_map(|number| number.to_string()),
        (0_u32..10_000, 0_u32..100).prop_map(|(whole, part)| format!("{whole}.{part:02}")),
        (1_u32..1_000, 0_u32..1_000).prop_map(|(high, low)| format!("{high},{low:03}")),
        (0_u32..24, 0_u32..60).prop_map(|(hour, minute)| format!("{hour:02}:{minute:02}")),
    ];
    let id = "[0-9a-f]{32}";
    (prop::collection::vec((number, unit), 1..4), id).prop_map(|(numbers, id)| {
        let said: Vec<String> = numbers
            .iter()
            .map(
                |(number, unit)| {
                    if number.contains(':') { number.clone() } else { format!("{number}{unit}") }
                },
            )
            .collect();
        format!("measured {} in {id}", said.join(" and "))
    })
}

/// Were the cost that of all sentences with all lines and subjects, the test would not end.
#[test]
fn many_sentences_about_many_lines_come_to_their_end() {
    let routes: Vec<String> = (0..100).map(|n| format!("route-{n}")).collect();
    let lines: Vec<String> =
        (0..1_500).map(|n| format!("route-{}: {n} requests of `{}`", n % 100, "x".repeat(200))).collect();
    let mut known = Known::new(&lines, NOTHING);
    known.subjects(routes);
    let text = (0..1_500).map(|n| format!("route-{}: {n}. ", n % 100)).collect::<String>();
    assert_eq!(known.check(&text), Ok(()));
    assert_eq!(known.check(&format!("{text} route-1: 2.")), Err(Mismatch::Number));
}

proptest! {
    #[test]
    fn text_made_of_findings_passes(lines in prop::collection::vec(line(), 1..5), order in any::<prop::sample::Index>()) {
        let known = Known::new(&lines, NOTHING);
        let first = order.index(lines.len());
        let text = lines[first..].iter().chain(&lines[..first]).cloned().collect::<Vec<_>>().join(". ");
        prop_assert_eq!(known.check(&text), Ok(()));
    }

    #[test]
    fn any_changed_digit_fails(line in line(), at in any::<prop::sample::Index>(), by in 1_u32..10) {
        let known = Known::new([&line], NOTHING);
        let digits: Vec<usize> = line.char_indices().filter(|(_, c)| c.is_ascii_digit()).map(|(at, _)| at).collect();
        let place = digits[at.index(digits.len())];
        let digit = line.as_bytes()[place] - b'0';
        let other = (u32::from(digit) + by) % 10;
        let changed = format!("{}{other}{}", &line[..place], &line[place + 1..]);
        // It may have become another number of the same line.
        let tokens = |text: &str| super::read(&super::normal(text)).into_iter().collect::<std::collections::BTreeSet<_>>();
        prop_assume!(!tokens(&changed).is_subset(&tokens(&line)));
        prop_assert!(known.check(&changed).is_err(), "{} of {}", changed, line);
    }

    #[test]
    fn no_text_is_too_odd_to_be_read(text in any::<String>()) {
        let _ = known().check(&text);
    }
}
