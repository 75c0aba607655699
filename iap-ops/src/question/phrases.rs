//! The phrasings of the one question.

/// Compared without spaces and punctuation, in lower case.
const PHRASES: [&str; 50] = [
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
    "장애",
    "오류원인",
    "오류의원인",
    "에러원인",
    "원인을알려",
    "원인이뭐",
    "느려",
    "느리",
    "느린",
    "왜이렇게느",
    "왜에러",
    "왜오류",
    "왜실패",
    "에러알려",
    "오류알려",
    "에러를알려",
    "오류를알려",
    "에러보여",
    "오류보여",
    "에러있",
    "오류있",
    "에러가",
    "오류가",
    "실패해",
    "실패하",
    "상태알려",
    "상태는",
    "상태어때",
    "괜찮아",
    "이상있",
    "이상없",
    "whatiswrong",
    "whatswrong",
    "whatistheproblem",
    "whatstheproblem",
    "anythingwrong",
    "anyproblem",
    "rootcause",
    "whatisfailing",
];

/// English words that ask by themselves.
const WORDS: [&str; 10] =
    ["slow", "slowness", "failing", "failed", "fails", "outage", "incident", "broken", "unhealthy", "wrong"];

/// English words, all of which are in the question.
const TOGETHER: [&[&str]; 16] = [
    &["why", "fail"],
    &["did", "fail"],
    &["why", "errors"],
    &["why", "error"],
    &["why", "down"],
    &["any", "errors"],
    &["show", "errors"],
    &["tell", "errors"],
    &["any", "issues"],
    &["everything", "fine"],
    &["everything", "ok"],
    &["everything", "okay"],
    &["all", "ok"],
    &["show", "status"],
    &["what", "status"],
    &["is", "healthy"],
];

/// Questions that are nothing else.
const WHOLE: [&str; 6] = ["status", "health", "errors", "상태", "에러", "오류"];

/// Reads lower-case text.
pub(super) fn ask_what_is_wrong(text: &str) -> bool {
    let letters: String = text.chars().filter(|c| c.is_alphanumeric()).collect();
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
    PHRASES.iter().any(|phrase| letters.contains(phrase))
        || WORDS.iter().any(|word| words.contains(word))
        || TOGETHER.iter().any(|all| all.iter().all(|word| words.contains(word)))
        || WHOLE.contains(&letters.as_str())
}
