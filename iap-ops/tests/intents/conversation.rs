//! Questions that go on from the one before.

use iap_ops::{Answer, AskOptions, AskedTime, Assistant, Intent, Language, Outcome};

use crate::shop::{ask, shop};

async fn say(shop: &Assistant, conversation: &str, text: &str) -> Answer {
    let options = AskOptions { conversation: Some(conversation), ..AskOptions::default() };
    shop.ask_with(text, options).await.expect("an answer")
}

#[tokio::test]
async fn time_subject_and_intent_are_kept_until_they_are_changed() {
    let shop = shop().await;
    let first = say(&shop, "a", "가장 느린 경로").await;
    assert_eq!(first.question.intent, Intent::SlowestRoutes);
    let yesterday = say(&shop, "a", "어제는?").await;
    assert_eq!(
        (yesterday.question.intent, yesterday.question.time),
        (Intent::SlowestRoutes, AskedTime::Yesterday)
    );
    let why = say(&shop, "a", "그건 왜?").await;
    assert_eq!((why.question.intent, why.question.time), (Intent::Bottleneck, AskedTime::Yesterday));

    let first = say(&shop, "b", "performance report of the last 2 hours").await;
    let routes = |answer: &Answer| answer.facts.as_ref().expect("facts").tables[0].rows.len();
    assert_eq!(routes(&first), 3);
    let pay = say(&shop, "b", "and for pay?").await;
    assert_eq!((pay.question.intent, routes(&pay)), (Intent::PerformanceReport, 1));
    assert_eq!(pay.question.time, first.question.time);
    let longer = say(&shop, "b", "last 3 hours?").await;
    assert_eq!(routes(&longer), 1, "still about pay: {}", longer.text);
    let orders = say(&shop, "b", "what about orders").await;
    assert!(orders.text.contains("orders") && !orders.text.contains("- pay"), "{}", orders.text);
}

#[tokio::test]
async fn conversations_are_apart_and_a_new_question_begins_anew() {
    let shop = shop().await;
    say(&shop, "a", "slowest SQL").await;
    assert_eq!(say(&shop, "b", "yesterday?").await.outcome, Outcome::NotUnderstood);
    assert_eq!(ask(&shop, "어제는?").await.outcome, Outcome::NotUnderstood);
    let other = say(&shop, "a", "session server status").await;
    assert_eq!(other.question.intent, Intent::SessionStatus);
    let long = "x".repeat(65);
    say(&shop, &long, "slowest SQL").await;
    assert_eq!(
        say(&shop, &long, "yesterday?").await.outcome,
        Outcome::NotUnderstood,
        "no such long name is kept"
    );
}

#[tokio::test]
async fn the_language_may_be_asked_for() {
    let options = AskOptions { language: Some(Language::Korean), ..AskOptions::default() };
    let answer = shop().await.ask_with("slowest routes", options).await.expect("an answer");
    assert!(answer.text.contains("가장 느린 경로"), "{}", answer.text);
}
