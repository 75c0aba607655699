//! From a text to what is asked. Tolerant of spaces, punctuation and case; knows a handful of phrasings.

mod subject;

use serde::Serialize;

pub(crate) use self::subject::named_routes;

/// Characters of a question that are read.
const MAX_CHARS: usize = 500;
const MINUTE_US: u64 = 60_000_000;
/// Without another one in the question.
const DEFAULT_WINDOW_US: u64 = 5 * MINUTE_US;
const MAX_WINDOW_US: u64 = 24 * 60 * MINUTE_US;

/// The language of a question, and so of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Language {
    /// Korean: there is Hangul in the question.
    Korean,
    /// English: anything else.
    English,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Intent {
    /// What is wrong, and because of what.
    WhatIsWrong,
    /// Nothing that is known.
    Unknown,
}

/// A question, understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Question {
    /// What is asked.
    pub intent: Intent,
    /// In which language to answer.
    pub language: Language,
    /// How far back to look: from the question (`최근 10분`, `last 2 hours`, at most a day), else five
    /// minutes.
    pub window_us: u64,
}

/// Compared without spaces and punctuation, in lower case.
const WHAT_IS_WRONG: [&str; 32] = [
    "문제의원인",
    "문제원인",
    "무엇이문제",
    "뭐가문제",
    "뭐가잘못",
    "무엇이잘못",
    "무슨문제",
    "문제가뭐",
    "문제가무엇",
    "문제있",
    "문제가있",
    "장애원인",
    "장애의원인",
    "오류원인",
    "오류의원인",
    "에러원인",
    "원인을알려",
    "원인이뭐",
    "왜느",
    "왜이렇게느",
    "왜에러",
    "왜오류",
    "whatiswrong",
    "whatswrong",
    "whatistheproblem",
    "whatstheproblem",
    "anythingwrong",
    "anyproblems",
    "rootcause",
    "whyisitslow",
    "whyiseverythingslow",
    "whatisfailing",
];

impl Question {
    /// Reads a question. Never fails: what is not understood is [`Intent::Unknown`].
    pub fn read(text: &str) -> Self {
        let text: String = text.chars().take(MAX_CHARS).collect::<String>().to_lowercase();
        let language = if text.chars().any(is_hangul) { Language::Korean } else { Language::English };
        let letters: String = text.chars().filter(|c| c.is_alphanumeric()).collect();
        let known = WHAT_IS_WRONG.iter().any(|phrase| letters.contains(phrase));
        let intent = if known { Intent::WhatIsWrong } else { Intent::Unknown };
        Self { intent, language, window_us: window_us(&letters).unwrap_or(DEFAULT_WINDOW_US) }
    }
}

/// The first number that is followed by a unit of time.
fn window_us(letters: &str) -> Option<u64> {
    let units = [("분", MINUTE_US), ("시간", 60 * MINUTE_US), ("min", MINUTE_US), ("hour", 60 * MINUTE_US)];
    let mut rest = letters;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        rest = &rest[at..];
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, tail) = rest.split_at(end);
        let unit = units.iter().find(|(unit, _)| tail.starts_with(unit));
        if let (Ok(number), Some((_, unit))) = (digits.parse::<u64>(), unit) {
            return Some(number.saturating_mul(*unit).clamp(MINUTE_US, MAX_WINDOW_US));
        }
        rest = tail;
    }
    None
}

fn is_hangul(c: char) -> bool {
    matches!(c, '가'..='힣' | '\u{1100}'..='\u{11ff}' | 'ㄱ'..='ㅣ')
}

#[cfg(test)]
mod tests {
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
        ];
        for text in known {
            assert_eq!(Question::read(text).intent, Intent::WhatIsWrong, "{text}");
        }
        for text in ["", "안녕하세요", "hello", "how many sessions are there?", "drop table transactions"]
        {
            assert_eq!(Question::read(text).intent, Intent::Unknown, "{text}");
        }
    }

    #[test]
    fn the_language_is_that_of_the_question() {
        assert_eq!(Question::read("문제 있어?").language, Language::Korean);
        assert_eq!(Question::read("what's wrong").language, Language::English);
    }

    #[test]
    fn a_window_is_read_within_bounds() {
        let minutes = |text: &str| Question::read(text).window_us / MINUTE_US;
        assert_eq!(minutes("뭐가 문제야"), 5);
        assert_eq!(minutes("최근 10분 문제 원인"), 10);
        assert_eq!(minutes("지난 2 시간 동안 뭐가 문제야"), 120);
        assert_eq!(minutes("what went wrong in the last 30 minutes"), 30);
        assert_eq!(minutes("status 503 in the last 1 hour"), 60);
        assert_eq!(minutes("last 0 minutes"), 1);
        assert_eq!(minutes("last 999999999999999999 hours"), 24 * 60);
        assert_eq!(minutes("last 99999999999999999999999 hours"), 5, "no number");
    }
}
