//! Questions that go on from the one before.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::question::{Intent, Question};

/// Conversations that are kept, each for so long after its last question.
const MAX: usize = 1_000;
const AGE_MS: u64 = 30 * 60 * 1_000;
/// The longest name of a conversation.
const MAX_NAME: usize = 64;
/// Texts that are kept of one, as they may name what it is about.
const MAX_TEXTS: usize = 4;

/// What is kept of a conversation.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    pub(super) question: Question,
    /// The latest text first.
    pub(super) texts: Vec<String>,
    at_ms: u64,
}

/// The conversations.
#[derive(Debug, Default)]
pub(super) struct Conversations(Mutex<HashMap<String, Turn>>);

impl Conversations {
    /// The question, with what it takes over from the one before, and the texts that may name its subject.
    pub(super) fn follow(&self, id: Option<&str>, text: &str, now_ms: u64) -> (Question, Vec<String>) {
        let question = Question::read(text);
        let before = id.filter(|id| id.len() <= MAX_NAME).and_then(|id| self.0.lock().get(id).cloned());
        let fresh = before.filter(|turn| now_ms.saturating_sub(turn.at_ms) <= AGE_MS);
        let Some(before) = fresh.filter(|_| goes_on(&question, text)) else {
            return (question, vec![text.to_owned()]);
        };
        let mut texts = vec![text.to_owned()];
        texts.extend(before.texts.into_iter().take(MAX_TEXTS - 1));
        (merged(question, before.question, text), texts)
    }

    /// Keeps an understood question.
    pub(super) fn keep(&self, id: Option<&str>, question: &Question, texts: Vec<String>, now_ms: u64) {
        let Some(id) = id.filter(|id| !id.is_empty() && id.len() <= MAX_NAME) else { return };
        let mut turns = self.0.lock();
        if turns.len() >= MAX && !turns.contains_key(id) {
            turns.retain(|_, turn| now_ms.saturating_sub(turn.at_ms) <= AGE_MS);
            // Still full of young ones: the oldest goes.
            if turns.len() >= MAX
                && let Some(oldest) =
                    turns.iter().min_by_key(|(_, turn)| turn.at_ms).map(|(id, _)| id.clone())
            {
                turns.remove(&oldest);
            }
        }
        turns.insert(id.to_owned(), Turn { question: question.clone(), texts, at_ms: now_ms });
    }
}

/// What points back: `그건`, `and for`, `more detail`.
const BACK: [&str; 20] = [
    "그건",
    "그거",
    "그게",
    "그럼",
    "그러면",
    "거기",
    "더 자세",
    "자세히",
    "좀 더",
    "왜?",
    "왜요",
    "왜 그",
    "and ",
    "what about",
    "how about",
    "more detail",
    "more details",
    "why?",
    "then",
    "tell me more",
];
/// Letters of a question that is short enough to be about a time or a name alone.
const SHORT: usize = 14;

/// Whether a text goes on from what was asked before.
fn goes_on(question: &Question, text: &str) -> bool {
    let text = text.trim().to_lowercase();
    let back = BACK.iter().any(|word| text.starts_with(word) || (word.len() > 8 && text.contains(word)));
    let bare = text == "왜" || text == "why" || text == "more";
    let letters = text.chars().filter(|c| c.is_alphanumeric()).count();
    // `어제는?`, `last week?`: a time and nothing else.
    let only_time = question.intent == Intent::Unknown && (question.timed || letters <= SHORT);
    bare || back || only_time
}

/// The intent, time and names of the new question where it has them, else those of the one before.
fn merged(question: Question, before: Question, text: &str) -> Question {
    let lower = text.to_lowercase();
    let why = lower.contains('왜') || lower.contains("why");
    let mut named = question.named;
    named.trace = named.trace.or(before.named.trace);
    named.session = named.session.or(before.named.session);
    named.user = named.user.or(before.named.user);
    named.limit_per_second = named.limit_per_second.or(before.named.limit_per_second);
    // `and for broken?` names something, whatever the word means elsewhere.
    let names = lower.trim_start().starts_with("and for ");
    let intent = match question.intent {
        _ if names => before.intent,
        // Why something is slow, or has become worse, is what it waits for.
        Intent::Unknown | Intent::WhatIsWrong if why => match before.intent {
            Intent::SlowestRoutes | Intent::SlowestSql | Intent::PerformanceReport | Intent::Compare => {
                Intent::Bottleneck
            }
            Intent::WhatIsWrong | Intent::Bottleneck | Intent::Transaction | Intent::PastFailures => {
                before.intent
            }
            _ => Intent::WhatIsWrong,
        },
        Intent::Unknown => before.intent,
        known => known,
    };
    let (time, other_time) = match question.timed {
        true => (question.time, question.other_time),
        false => (before.time, before.other_time),
    };
    Question {
        intent,
        language: question.language,
        time,
        timed: question.timed || before.timed,
        other_time,
        named,
    }
}
