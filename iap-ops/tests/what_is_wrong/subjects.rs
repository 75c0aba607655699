//! Questions about one route.

use iap_ops::Outcome;

use crate::load::{Load, MINUTE, MS, NOW_US, incident};

#[tokio::test]
async fn a_route_that_is_named_is_the_only_one_looked_at() {
    for (question, about, other) in [
        ("anything wrong with orders?", "orders", "pay"),
        ("orders가 왜 느려요", "orders", "pay"),
        ("what is wrong with pay?", "pay", "orders"),
        ("pay는 무슨 문제가 있어?", "pay", "orders"),
    ] {
        let answer = incident().0.ask(question).await;
        assert_eq!(answer.outcome, Outcome::Problems, "{question}: {}", answer.text);
        let findings = answer.findings.as_ref().expect("findings");
        let routes: Vec<_> = findings.problems.iter().map(|finding| finding.route.as_str()).collect();
        assert_eq!(routes, [about], "{question}");
        assert_eq!(findings.count, if about == "pay" { 20 } else { 30 });
        assert_eq!(findings.subjects.len(), 1);
        let said = [
            format!("Only about what the question names: {about}"),
            format!("질문에 나온 경로만 본 결과: {about}"),
        ];
        assert!(said.iter().any(|said| answer.text.contains(said)), "{}", answer.text);
        assert!(!answer.text.contains(other), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_named_route_with_nothing_wrong_has_its_numbers() {
    for (question, part) in [
        ("anything wrong with home?", "home is neither failing nor slow: 30 requests, 0 errors, p95 6.0 ms."),
        ("home에 문제 있어?", "home: 실패하거나 느리지 않습니다. 요청 30건, 오류 0건, p95 6.0 ms입니다."),
    ] {
        let answer = incident().0.ask(question).await;
        assert_eq!(answer.outcome, Outcome::Healthy, "{}", answer.text);
        let home = &answer.findings.as_ref().expect("findings").subjects[0];
        assert_eq!((home.route.as_str(), home.count, home.errors), ("home", 30, 0));
        assert!(answer.text.contains(part), "{}", answer.text);
    }
}

#[tokio::test]
async fn of_several_named_routes_the_good_ones_are_told_too() {
    let answer = incident().0.ask("what is wrong with home and pay?").await;
    assert_eq!(answer.outcome, Outcome::Problems);
    for part in [
        "names: home, pay\n",
        "1. [failing] pay: 5 of 20 requests failed",
        "home is neither failing nor slow: 30 requests, 0 errors",
    ] {
        assert!(answer.text.contains(part), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_named_route_without_requests_or_with_few_is_said_to_be_so() {
    let mut load = Load::new();
    load.add("search", NOW_US - 20 * MINUTE, 5 * MS, 200, &[]);
    load.add("home", NOW_US - 2 * MINUTE, 5 * MS, 200, &[]);
    let answer = load.ask("anything wrong with search?").await;
    assert_eq!(answer.outcome, Outcome::NoData, "{}", answer.text);
    assert!(answer.text.contains("names: search\nNo requests were recorded"), "{}", answer.text);

    let mut load = Load::new();
    load.add("search", NOW_US - 2 * MINUTE, 5 * MS, 200, &[]);
    let answer = load.ask("anything wrong with search?").await;
    assert_eq!(answer.outcome, Outcome::TooFew, "{}", answer.text);
    assert!(
        answer.text.contains("Too few requests to judge; failed there: search 0 of 1."),
        "{}",
        answer.text
    );
}
