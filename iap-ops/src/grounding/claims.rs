//! Words that say how things are, or how many: they may be used where the findings use them.

/// States, good or bad; the words of a line say the same.
const STATES: &[&[&str]] = &[
    &["healthy", "operational", "정상", "양호", "건강", "원활"],
    &[
        "no problem",
        "no issue",
        "nothing is wrong",
        "nothing wrong",
        "all good",
        "all clear",
        "is fine",
        "are fine",
    ],
    &["문제가 없", "문제 없", "문제없", "문제는 없", "이상이 없", "이상 없", "이상은 없"],
    &["normal", "normally", "stable", "안정적"],
    &["resolved", "recovered", "fixed", "해결됐", "해결되었", "해결된", "복구", "회복"],
    &["no errors", "no failures", "오류가 없", "오류는 없"],
    &["no incident", "no incidents", "장애가 없", "장애는 없"],
    &["failing", "failed", "fails", "failure", "failures", "실패"],
    &["outage", "장애"],
    &["is down", "are down", "went down", "crash", "crashed", "unavailable", "다운", "중단"],
    &["critical", "심각"],
    &["unhealthy", "broken"],
    &["corrupt", "corrupted", "data loss", "유실", "손상"],
    &["attack", "attacked", "hacked", "compromised", "공격", "해킹", "침해"],
    &["breach", "breached", "leak", "leaked", "유출"],
];

/// How many, in words.
const AMOUNTS: &[&str] = &[
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
    "zero",
    "twice",
    "double",
    "doubled",
    "triple",
    "tripled",
    "tenfold",
    "half",
    "halved",
    "quarter",
    "third of",
    "dozen",
    "dozens",
    "hundred",
    "hundreds",
    "thousand",
    "thousands",
    "million",
    "millions",
    "billion",
    "majority",
    "most of",
    "all requests",
    "every request",
    "절반",
    "대부분",
    "과반",
    "수십",
    "수백",
    "수천",
    "수만",
    "모든 요청",
    "전체 요청이",
    "영 건",
];

/// Korean numerals, where a counter comes after them.
const NUMERALS: &[&str] = &[
    "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉", "열", "스무", "스물", "서른", "마흔", "쉰",
    "예순", "일흔", "여든", "아흔", "십", "이십", "삼십", "사십", "오십", "육십", "칠십", "팔십", "구십",
    "백", "이백", "삼백", "오백", "천", "이천", "삼천", "오천", "만",
];
const COUNTERS: &[&str] =
    &["건", "개", "명", "번", "배", "초", "분", "시간", "대", "곳", "회", "퍼센트", "프로"];

/// The claims in a text that do not stand in `known`; both in lower case.
pub(super) fn unknown<'a>(text: &'a str, known: &str) -> Option<&'a str> {
    let told = |words: &&&[&str]| words.iter().any(|word| stands(known, word));
    let states = STATES.iter().filter(|words| !told(words)).flat_map(|words| words.iter());
    let amounts = AMOUNTS.iter().filter(|word| !stands(known, word));
    states.chain(amounts).find_map(|word| place(text, word)).or_else(|| numeral(text, known))
}

/// Whether a word stands in a text, not as a part of another one.
fn stands(text: &str, word: &str) -> bool {
    place(text, word).is_some()
}

fn place<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let latin = word.starts_with(|c: char| c.is_ascii_alphabetic());
    text.match_indices(word).map(|(at, _)| at).find_map(|at| {
        let end = at + word.len();
        let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let alone = !latin || (!text[..at].ends_with(letter) && !text[end..].starts_with(letter));
        alone.then(|| &text[at..end])
    })
}

/// `세 건`, `이십 초`.
fn numeral<'a>(text: &'a str, known: &str) -> Option<&'a str> {
    for numeral in NUMERALS {
        for (at, _) in text.match_indices(numeral) {
            if text[..at].ends_with(|c: char| c.is_alphanumeric()) {
                continue;
            }
            let rest = &text[at + numeral.len()..];
            let spaces = rest.len() - rest.trim_start_matches(' ').len();
            let counter = COUNTERS.iter().find(|counter| rest[spaces..].starts_with(**counter));
            if let Some(counter) = counter {
                let whole = &text[at..at + numeral.len() + spaces + counter.len()];
                if !known.contains(whole) {
                    return Some(whole);
                }
            }
        }
    }
    None
}
