//! A model that behaves, in each format.

use std::sync::Arc;

use iap_ops::report::{html, markdown};
use iap_ops::{By, Intent, Language, Outcome, ReportKind};
use serde_json::{Value, json};

use crate::server::{Act, Server, call, document, say};
use crate::stage::{self, KEY, KINDS, QUESTION, ask, llm, provider, settings};

/// The findings that the model was given, in its words.
fn in_its_words(asked: &Value) -> String {
    let document = document(asked);
    let pay = document["untrusted"]["findings"][0].as_str().expect("findings");
    let share = pay.split('(').nth(1).and_then(|rest| rest.split([',', ')']).next()).expect("a share");
    format!("`pay` 경로의 오류율이 {share}입니다. `10.0.0.9:8443` 연결부터 확인하십시오.")
}

#[tokio::test]
async fn it_words_the_findings_in_each_format_and_only_masked_bytes_leave() {
    let assistant = stage::assistant().await;
    let plain = assistant.ask(QUESTION).await.expect("an answer");
    assert!(plain.text.contains("kim@example.com"), "operators see what was recorded: {}", plain.text);
    for kind in KINDS {
        let server = Server::start(kind, vec![Act::Reply(Arc::new(in_its_words))]);
        let (llm, _) = llm(settings(vec![provider("one", kind, &server)]));
        let answer = ask(&assistant, &llm, &format!("김철수 고객님, {QUESTION}")).await;
        assert_eq!((answer.wording, answer.wording_reason), (By::Model, None), "{kind:?}: {}", answer.text);
        assert_eq!(answer.model.as_deref(), Some("one"));
        let plain_lines: Vec<&str> = plain.text.lines().collect();
        let lines: Vec<&str> = answer.text.lines().collect();
        assert_eq!(lines[..2], plain_lines[..2], "{kind:?}: the verdict is ours");
        assert!(lines[2].starts_with("`pay` 경로의 오류율이 "), "{kind:?}: {}", answer.text);

        let got = server.got();
        assert_eq!(got.len(), 1, "{kind:?}");
        for secret in ["kim@example.com", "1234-5678", "김철수", KEY, "\\u001b"] {
            assert!(!got[0].body.contains(secret), "{kind:?}: {secret} has left: {}", got[0].body);
        }
        assert!(got[0].body.contains("[email]") && got[0].body.contains("[phone]"), "{kind:?}");
        let document = document(&serde_json::from_str(&got[0].body).expect("JSON"));
        assert!(!document["verdict"].to_string().contains("IGNORE"), "{document}");
        assert!(document["untrusted"]["findings"].to_string().contains("IGNORE ALL PREVIOUS"), "{document}");
        let (line, shown) = got[0].head.split_once("\r\n").expect("a head");
        let (path, header) = match kind {
            iap_ops::llm::ProviderKind::Anthropic => ("/v1/messages", "x-api-key: "),
            iap_ops::llm::ProviderKind::Gemini => {
                ("/v1beta/models/test-model-1:streamGenerateContent?alt=sse", "x-goog-api-key: ")
            }
            _ => ("/v1/chat/completions", "authorization: Bearer "),
        };
        assert_eq!(line, format!("POST {path} HTTP/1.1"));
        assert!(shown.contains(&format!("{header}{KEY}")), "{kind:?}: {shown}");
        let shown = format!("{llm:?} {answer:?}");
        assert!(!shown.contains(KEY), "the key is nowhere else");
    }
}

#[tokio::test]
async fn it_chooses_what_a_question_means_and_nothing_else() {
    let assistant = stage::assistant().await;
    let question = "tell me a joke";
    let plain = assistant.ask(question).await.expect("an answer");
    assert_eq!(plain.outcome, Outcome::NotUnderstood);
    for kind in KINDS {
        let plan =
            r#"{"intent": "slowest_routes", "last": "2h", "route": null, "answer": "orders takes 9 hours"}"#;
        let server = Server::start(kind, vec![call("list_fields", json!({})), say(plan), say("`orders`.")]);
        let (llm, _) = llm(settings(vec![provider("one", kind, &server)]));
        let answer = ask(&assistant, &llm, question).await;
        assert_eq!(
            (answer.question.intent, answer.understood),
            (Intent::SlowestRoutes, By::Model),
            "{kind:?}"
        );
        let window = answer.window.expect("a window").window;
        assert_eq!(window.length_us(), 7_200_000_000, "{kind:?}");
        assert!(!answer.text.contains('9') || !answer.text.contains("9 hours"), "{}", answer.text);
        let second: Value = serde_json::from_str(&server.got()[1].body).expect("JSON");
        assert!(second.to_string().contains("orders"), "{kind:?}: the tool has answered: {second}");

        for nothing in
            [r#"{"intent": "unknown"}"#, r#"{"intent": "restart_everything"}"#, "I would rather not."]
        {
            let server = Server::start(kind, vec![say(nothing)]);
            let (llm, _) = stage::llm(settings(vec![provider("one", kind, &server)]));
            let answer = ask(&assistant, &llm, question).await;
            assert_eq!(
                (answer.outcome, answer.text),
                (Outcome::NotUnderstood, plain.text.clone()),
                "{kind:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_plan_is_about_a_route_only_if_there_is_one() {
    let assistant = stage::assistant().await;
    for (route, rows) in [("orders", 1), ("billing", 3), ("\" orders", 1)] {
        let plan = json!({ "intent": "slowest_routes", "last": "1h", "route": route }).to_string();
        let server = Server::start(KINDS[0], vec![say(&plan), say("`orders`")]);
        let (llm, _) = llm(settings(vec![provider("one", KINDS[0], &server)]));
        let answer = ask(&assistant, &llm, "tell me a joke").await;
        let table = &answer.facts.expect("facts").tables[0];
        assert_eq!(table.rows.len(), rows, "{route}: {table:?}");
    }
}

#[tokio::test]
async fn what_a_tool_has_answered_counts_as_found() {
    let assistant = stage::assistant().await;
    for kind in KINDS {
        let tool = call("aggregate_traces", json!({ "by": "route", "last": "1h" }));
        let server = Server::start(
            kind,
            vec![
                tool,
                Act::Reply(Arc::new(|asked| {
                    let text = asked.to_string();
                    assert!(text.contains("aggregate_traces"), "{text}");
                    "`home` 경로의 요청은 84건입니다.".to_owned()
                })),
            ],
        );
        let (llm, _) = llm(settings(vec![provider("one", kind, &server)]));
        let answer = ask(&assistant, &llm, QUESTION).await;
        assert_eq!(answer.wording_reason, None, "{kind:?}: {}", server.got()[1].body);
        assert!(answer.text.ends_with("`home` 경로의 요청은 84건입니다."), "{kind:?}: {}", answer.text);
    }
}

#[tokio::test]
async fn nobody_is_asked_where_there_is_nothing_to_word() {
    let assistant = stage::healthy().await;
    let server = Server::start(KINDS[0], vec![say("All is well.")]);
    let (llm, _) = llm(settings(vec![provider("one", KINDS[0], &server)]));
    let answer = ask(&assistant, &llm, QUESTION).await;
    assert_eq!((answer.outcome, answer.wording_reason), (Outcome::Healthy, Some("nothing_to_word")));
    assert!(server.got().is_empty());
}

#[tokio::test]
async fn it_sums_up_a_report_or_the_report_goes_without() {
    let assistant = stage::assistant().await;
    let window = iap_apm::Window::last(3_600_000_000, crate::load::NOW_US);
    for (text, taken) in [
        ("The slowest route is `orders` <b>![x](http://x)</b>.", false),
        ("The slowest route is `orders` **<script>**.", true),
        ("The slowest route is `orders`, with 12345 requests.", false),
    ] {
        let server = Server::start(KINDS[0], vec![say(text)]);
        let mut used = settings(vec![provider("one", KINDS[0], &server)]);
        used.report = vec!["one".into()];
        let (llm, _) = llm(used);
        let helped = assistant.with_help(iap_ops::Help { llm: Some(llm), runbooks: None });
        let report = helped.report(ReportKind::Executive, window, Language::English).await.expect("a report");
        let report = helped.summed_up(report).await;
        assert_eq!(report.summary.is_some(), taken, "{text}");
        let (page, plain) = (html(&report, ""), markdown(&report, ""));
        assert_eq!(page.contains("<h2>Summary</h2>"), taken);
        assert_eq!(plain.contains("## Summary"), taken);
        assert!(!page.contains("<script") && !plain.contains("**<script>"), "{plain}");
    }
}
