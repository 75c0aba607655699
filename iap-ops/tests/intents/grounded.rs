//! Every number in a text stands in the findings or facts of the answer.

use std::collections::BTreeSet;

use iap_ops::grounding::Known;
use iap_ops::{Answer, Intent, Outcome};
use serde_json::Value;

use crate::shop::{ask, shop};

/// All numbers that a text holds, signs and units left out.
fn numbers(text: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut before = ' ';
    for c in text.chars() {
        let point = c == '.' && before.is_ascii_digit();
        if c.is_ascii_digit() || point {
            found.last_mut().expect("one").push(c);
        } else if !found.last().expect("one").is_empty() {
            found.push(String::new());
        }
        before = c;
    }
    found
        .iter()
        .map(|number| number.trim_end_matches('.').to_owned())
        .filter(|number| !number.is_empty())
        .collect()
}

/// All that a number may be printed as: as it is, in thousands and millions, with up to four digits behind.
fn printed(number: f64, into: &mut BTreeSet<String>) {
    for scale in [1.0, 1e3, 1e6, 60e6, 3_600e6, 1024.0, 1024.0 * 1024.0] {
        let value = (number / scale).abs();
        into.extend([
            format!("{value:.0}"),
            format!("{value:.1}"),
            format!("{value:.2}"),
            format!("{value:.4}"),
        ]);
    }
}

fn known(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Number(number) => {
            let number = number.as_f64().expect("a number");
            printed(number, into);
            // A point in time, as the calendar in Seoul shows it.
            if number > 1e15 {
                let time = jiff::Timestamp::from_microsecond(number as i64).expect("a time");
                let zoned = time.in_tz("Asia/Seoul").expect("the zone");
                into.extend(numbers(&zoned.strftime("%Y-%m-%d %H:%M").to_string()));
            }
        }
        Value::String(text) => into.extend(numbers(text)),
        Value::Array(items) => items.iter().for_each(|item| known(item, into)),
        Value::Object(fields) => fields.values().for_each(|field| known(field, into)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// The names of measures that hold digits, and those of intervals.
fn names(text: &str) -> String {
    ["p99.9", "p99", "p95", "p50", "80%", "95%", "최근 1분"]
        .iter()
        .fold(text.to_owned(), |text, name| text.replace(name, ""))
}

fn unknown(answer: &Answer) -> Vec<String> {
    let mut have = BTreeSet::new();
    let mut whole = serde_json::to_value(answer).expect("serializable");
    // The wording itself proves nothing.
    for part in ["sentences", "advice"] {
        for said in whole["facts"][part].as_array_mut().into_iter().flatten() {
            said["text"] = Value::Null;
        }
    }
    for part in ["findings", "facts", "window"] {
        known(&whole[part], &mut have);
    }
    numbers(&names(&answer.text)).into_iter().filter(|number| !have.contains(number)).collect()
}

#[tokio::test]
async fn every_number_of_every_intent_is_in_its_facts_in_both_languages() {
    let shop = shop().await;
    let pairs = [
        ("최근 1시간 문제의 원인을 알려줘", "what is wrong in the last hour?"),
        ("최근 2시간 성능 보고서", "performance report of the last 2 hours"),
        ("세션 서버 상태", "session server status"),
        ("지난달 트랜잭션 장애 이력", "failure history of last month"),
        ("최근 1시간 병목 원인과 해결 방안", "bottleneck of the last hour and how to fix it"),
        ("다음 달에 0.5 rps를 넘을 확률", "probability of exceeding 0.5 rps next month"),
        ("가장 느린 경로", "slowest routes"),
        ("가장 느린 SQL", "slowest SQL"),
        ("오류 종류별", "errors by kind"),
        ("어제와 비교", "compare with yesterday"),
        ("가장 느린 트랜잭션", "the slowest transaction"),
        ("사용자 alice 활동", "what did user alice do"),
        ("동시 사용자", "concurrent users"),
        ("업스트림 상태", "upstream health"),
        ("최근 변경 사항", "what has changed lately"),
    ];
    for ((korean, english), intent) in pairs.into_iter().zip(Intent::ALL) {
        let (korean, english) = (ask(&shop, korean).await, ask(&shop, english).await);
        for answer in [&korean, &english] {
            assert_eq!(answer.question.intent, intent, "{}", answer.text);
            assert!(
                matches!(answer.outcome, Outcome::Answered | Outcome::Problems),
                "{intent:?}: {}",
                answer.text
            );
            let unknown = unknown(answer);
            assert!(unknown.is_empty(), "{intent:?}: {unknown:?} in\n{}", answer.text);
            assert!(!answer.text.contains(['{', '}']), "{}", answer.text);
            assert!(numbers(&answer.text).len() > 8, "there are numbers in it: {}", answer.text);
            known_again(answer);
        }
        assert_eq!(korean.evidence, english.evidence, "{intent:?}");
        if let Some(facts) = &korean.facts {
            let columns = facts.tables.iter().flat_map(|table| &table.columns);
            let names = columns.map(|column| (column.name, column.label.as_str()));
            let names = names.chain(facts.tables.iter().map(|table| (table.name, table.label.as_str())));
            for (name, label) in
                names.chain(facts.charts.iter().map(|chart| (chart.name, chart.label.as_str())))
            {
                assert!(
                    name != label || ["p50", "p95", "p99"].contains(&name),
                    "{name} has a name in Korean"
                );
            }
        }
        let numbers = |answer: &Answer| {
            answer.facts.as_ref().map(|facts| {
                let said = facts.sentences.iter().map(|sentence| (sentence.says, sentence.figures.clone()));
                let rows = facts.tables.iter().map(|table| table.rows.clone());
                (said.collect::<Vec<_>>(), rows.collect::<Vec<_>>())
            })
        };
        assert_eq!(numbers(&korean), numbers(&english), "{intent:?}");
    }
}

/// What is checked of a model's words takes our own, line by line and as a whole, and none of them with another number.
fn known_again(answer: &Answer) {
    let known = Known::new(answer.text.lines(), [""; 0]);
    for text in answer.text.lines().chain([answer.text.as_str()]) {
        assert_eq!(known.check(text), Ok(()), "{text}");
    }
    for number in numbers(&names(&answer.text)).into_iter().filter(|number| number.len() > 2) {
        // No number of a text has so many digits behind its point.
        let other = answer.text.replace(&number, &format!("{}.98765", number.replace('.', "")));
        assert!(other == answer.text || known.check(&other).is_err(), "{number} in {other}");
    }
}

#[test]
fn a_number_that_is_not_known_is_found() {
    let mut have = BTreeSet::new();
    known(&serde_json::json!({ "p95_us": 1_234_567, "ids": ["a7"] }), &mut have);
    let wrong =
        numbers("1.23 s, a7, 1.24 s").into_iter().filter(|number| !have.contains(number)).collect::<Vec<_>>();
    assert_eq!(wrong, ["1.24"]);
}
