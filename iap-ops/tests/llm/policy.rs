//! Who is asked, how often, and who is left alone.

use std::sync::Arc;
use std::time::Duration;

use iap_ops::By;
use iap_ops::llm::{
    Bounds, BreakerSettings, BudgetSettings, Llm, LlmSettings, ProviderKind, ProviderSettings,
};

use crate::server::{Act, Server, say};
use crate::stage::{self, KINDS, QUESTION, ask, falls_back, llm, provider, settings};

const KIND: ProviderKind = KINDS[0];
/// True whatever was found.
const TRUE: &str = "`pay` 경로부터 보십시오.";

fn change(mut settings: LlmSettings, with: impl FnOnce(&mut LlmSettings)) -> LlmSettings {
    with(&mut settings);
    settings
}

#[tokio::test]
async fn the_next_one_is_asked_in_the_order_of_the_settings() {
    let assistant = stage::assistant().await;
    let broken = Server::start(KIND, vec![Act::Status(500, "")]);
    let refusing = Server::start(ProviderKind::Anthropic, vec![Act::Status(401, "")]);
    let well = Server::start(ProviderKind::Gemini, vec![say(TRUE)]);
    let unused = Server::start(KIND, vec![say(TRUE)]);
    let providers = vec![
        provider("unused", KIND, &unused),
        provider("well", ProviderKind::Gemini, &well),
        provider("broken", KIND, &broken),
        provider("refusing", ProviderKind::Anthropic, &refusing),
    ];
    let order = ["broken", "refusing", "well", "unused"].map(String::from).to_vec();
    let (llm, _) = llm(change(settings(providers), |settings| settings.word = order));
    let answer = ask(&assistant, &llm, QUESTION).await;
    assert_eq!((answer.wording, answer.model.as_deref()), (By::Model, Some("well")), "{}", answer.text);
    let asked = [&broken, &refusing, &well, &unused].map(|server| server.got().len());
    assert_eq!(asked, [1, 1, 1, 0]);
}

#[tokio::test]
async fn who_fails_is_left_alone_and_tried_again() {
    let assistant = stage::assistant().await;
    let acts =
        vec![Act::Status(500, ""), Act::Status(500, ""), Act::Status(429, "retry-after: 120\r\n"), say(TRUE)];
    let server = Server::start(KIND, acts);
    let breaker = BreakerSettings { failures: 2, pause: Duration::from_secs(30) };
    let (llm, clock) =
        llm(change(settings(vec![provider("one", KIND, &server)]), |settings| settings.breaker = breaker));
    falls_back(&assistant, &llm, "server", "first").await;
    falls_back(&assistant, &llm, "server", "second").await;
    falls_back(&assistant, &llm, "resting", "third").await;
    assert!(llm.status().providers[0].resting);
    clock.advance(Duration::from_secs(31));
    falls_back(&assistant, &llm, "rate_limited", "tried").await;
    clock.advance(Duration::from_secs(31));
    falls_back(&assistant, &llm, "resting", "it has said how long").await;
    assert_eq!(server.got().len(), 3);
    clock.advance(Duration::from_secs(90));
    assert_eq!(ask(&assistant, &llm, QUESTION).await.wording, By::Model);
    assert!(!llm.status().providers[0].resting);
}

#[tokio::test]
async fn what_is_used_up_is_not_asked_for() {
    let assistant = stage::assistant().await;
    let server = Server::start(KIND, vec![say(TRUE)]);
    let one = || ProviderSettings { price: Some((1.0, 10.0)), ..provider("one", KIND, &server) };
    // A call has 100 tokens in and 20 out, and may have had 1,000 out.
    for (bounds, calls) in [
        (Bounds { requests: Some(2), ..Bounds::default() }, 2),
        (Bounds { tokens: Some(20_000), ..Bounds::default() }, usize::MAX),
        (Bounds { tokens: Some(1_000), ..Bounds::default() }, 0),
        (Bounds { cost: Some(0.001), ..Bounds::default() }, 0),
        (Bounds { cost: Some(1.0), ..Bounds::default() }, usize::MAX),
    ] {
        for hourly in [true, false] {
            let budget = match hourly {
                true => BudgetSettings { hour: bounds, day: Bounds::default() },
                false => BudgetSettings { hour: Bounds::default(), day: bounds },
            };
            let made = change(settings(vec![one()]), |settings| settings.budget = budget);
            let (llm, clock) = llm(made.clone());
            let before = server.got().len();
            for n in 0..3 {
                let answer = ask(&assistant, &llm, QUESTION).await;
                let right = if n < calls { None } else { Some("budget") };
                assert_eq!(answer.wording_reason, right, "{bounds:?} {n}: {}", answer.text);
            }
            assert_eq!(server.got().len() - before, calls.min(3), "{bounds:?}");
            // A change of the settings gives nothing back, another day does.
            let next = Llm::new(made, Arc::default(), clock.clone(), Some(&llm)).expect("settings");
            assert_eq!(next.status().day, llm.status().day);
            clock.advance(Duration::from_secs(24 * 3_600));
            assert_eq!(next.status().day.requests, 0);
        }
    }
}

#[tokio::test]
async fn data_goes_only_where_it_may() {
    let assistant = stage::assistant().await;
    let (abroad, at_home) = (Server::start(KIND, vec![say(TRUE)]), Server::start(KIND, vec![say(TRUE)]));
    let nowhere = provider("nowhere", KIND, &abroad);
    let far = ProviderSettings { residency: Some("us".into()), ..provider("far", KIND, &abroad) };
    let near = ProviderSettings { residency: Some("kr".into()), ..provider("near", KIND, &at_home) };
    let allow = |providers: Vec<ProviderSettings>| {
        change(settings(providers), |settings| settings.allow_residency = Some(vec!["kr".into()]))
    };
    let (both, _) = llm(allow(vec![nowhere.clone(), far.clone(), near]));
    assert_eq!(ask(&assistant, &both, QUESTION).await.model.as_deref(), Some("near"));
    let (none, _) = llm(allow(vec![nowhere, far]));
    falls_back(&assistant, &none, "residency", "abroad only").await;
    assert!(abroad.got().is_empty());
    assert!(none.status().providers.iter().all(|provider| !provider.allowed));
}

#[tokio::test]
async fn what_does_not_fit_a_small_model_is_not_sent() {
    let assistant = stage::assistant().await;
    let server = Server::start(KIND, vec![say(TRUE)]);
    let with = |context_tokens| ProviderSettings { context_tokens, ..provider("one", KIND, &server) };
    // Without the tools it fits.
    let (small, _) = llm(settings(vec![with(4_000)]));
    assert_eq!(ask(&assistant, &small, QUESTION).await.wording, By::Model);
    assert!(!server.got()[0].body.contains("list_fields"), "{}", server.got()[0].body);
    let (tiny, _) = llm(settings(vec![with(1_500)]));
    falls_back(&assistant, &tiny, "context", "tiny").await;
    assert_eq!(server.got().len(), 1);
}
