//! Words of the calendar: two days are understood, of the others it is known that they are times.

use super::time::AskedTime;

/// Times by themselves.
const ENGLISH: [&str; 38] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "mondays",
    "tuesdays",
    "january",
    "february",
    "april",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "tomorrow",
    "tonight",
    "morning",
    "afternoon",
    "evening",
    "noon",
    "midnight",
    "night",
    "weekend",
    "overnight",
    "fortnight",
    "o'clock",
    "tue",
    "tues",
    "wed",
    "thu",
    "thurs",
    "fri",
    "earlier",
];

/// Dates with a number next to them.
const MONTHS: [&str; 14] =
    ["jan", "feb", "mar", "march", "apr", "may", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec"];

/// Days after `last`, `on`, `this`, `next` or `since`; they are other words too.
const SHORT_DAYS: [&str; 3] = ["mon", "sat", "sun"];

/// Times when `this`, `next` or `previous` comes before.
const PERIODS: [&str; 8] = ["minute", "hour", "day", "week", "month", "quarter", "year", "time"];

/// Times by themselves, with whatever follows in the word.
const KOREAN: [&str; 36] = [
    "월요일",
    "화요일",
    "수요일",
    "목요일",
    "금요일",
    "토요일",
    "일요일",
    "그저께",
    "그제",
    "엊그제",
    "엊그저께",
    "내일",
    "모레",
    "새벽",
    "아침",
    "점심",
    "저녁",
    "오전",
    "오후",
    "정오",
    "자정",
    "밤에",
    "밤새",
    "어젯밤",
    "간밤",
    "주말",
    "반나절",
    "지난주",
    "지난달",
    "이번주",
    "이번달",
    "저번",
    "작년",
    "올해",
    "아까",
    "금주",
];

/// Times after `지난` or `이번`.
const KOREAN_PERIODS: [&str; 6] = ["주", "달", "해", "분기", "학기", "년"];

/// What the word at a place says of the time; an empty word is a number.
pub(super) fn read(words: &[&str], at: usize) -> Option<AskedTime> {
    let word = words[at];
    let back = |by: usize| at.checked_sub(by).map_or("", |at| words[at]);
    let next = words.get(at + 1).copied().unwrap_or("");
    let unknown = Some(AskedTime::NotUnderstood);
    match word.trim_end_matches("'s") {
        "today" => return Some(AskedTime::Today),
        "yesterday" if matches!(back(1), "before" | "since") => return unknown,
        "yesterday" => return Some(AskedTime::Yesterday),
        // `earlier today` is a part of today, which it is answered with.
        "earlier" if next == "today" => return None,
        // A length or a day has its own rules.
        "since" if !(at + 1 < words.len() && known_after_since(words, at + 1)) => return unknown,
        _ => {}
    }
    if ENGLISH.contains(&word) || word.strip_suffix("'s").is_some_and(|word| ENGLISH.contains(&word)) {
        return unknown;
    }
    let numbered = (at > 0 && back(1).is_empty()) || words.get(at + 1).is_some_and(|next| next.is_empty());
    let dated = matches!(back(1), "last" | "on" | "this" | "next" | "since");
    if (MONTHS.contains(&word) && numbered) || (SHORT_DAYS.contains(&word) && dated) {
        return unknown;
    }
    // With a number or `last` before it, it is a length.
    if PERIODS.contains(&word.trim_end_matches('s')) && word != "times" && word != "time" {
        let vague = matches!(back(1), "this" | "next" | "previous" | "few" | "several");
        let vague = vague || (back(1) == "of" && matches!(back(2), "couple" | "number"));
        return vague.then_some(AskedTime::NotUnderstood);
    }
    korean(word, next)
}

/// Whether `since` is followed by a length (`since 10 minutes ago`) or today, which are told by those.
fn known_after_since(words: &[&str], at: usize) -> bool {
    matches!(words[at], "" | "today" | "yesterday" | "a" | "an" | "one" | "two" | "three")
}

fn korean(word: &str, next: &str) -> Option<AskedTime> {
    let unknown = Some(AskedTime::NotUnderstood);
    if KOREAN.iter().any(|time| word.starts_with(time)) {
        return unknown;
    }
    if matches!(word, "지난" | "이번") && KOREAN_PERIODS.iter().any(|period| next.starts_with(period)) {
        return unknown;
    }
    if word.starts_with("오늘") {
        return Some(AskedTime::Today);
    }
    match word.strip_prefix("어제") {
        Some(rest) if rest.starts_with("부터") => unknown,
        Some(_) => Some(AskedTime::Yesterday),
        None => None,
    }
}
