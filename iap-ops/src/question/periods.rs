//! Weeks, months, days of the week and business days.

use super::time::AskedTime;

const DAY_US: u64 = 24 * 3_600_000_000;

const ENGLISH_DAYS: [&[&str]; 7] = [
    &["monday", "mondays", "mon"],
    &["tuesday", "tuesdays", "tue", "tues"],
    &["wednesday", "wed"],
    &["thursday", "thu", "thurs"],
    &["friday", "fri"],
    &["saturday", "sat"],
    &["sunday", "sun"],
];

const KOREAN_DAYS: [&str; 7] = ["월요일", "화요일", "수요일", "목요일", "금요일", "토요일", "일요일"];

/// Words that begin with `주` or `달` and are no week or month.
const OTHER: [&str; 12] =
    ["주문", "주소", "주세", "주는", "주고", "주의", "주요", "주식", "주기", "달라", "달러", "달성"];

/// What begins at a word, and how many words it takes; an empty word is a number.
pub(super) fn read(words: &[&str], at: usize) -> Option<(AskedTime, usize)> {
    let word = |ahead: usize| words.get(at + ahead).copied().unwrap_or("").trim_end_matches("'s");
    let before = at.checked_sub(1).map_or("", |at| words[at]);
    if matches!(before, "since" | "until" | "before") {
        return None;
    }
    english([word(0), word(1), word(2)]).or_else(|| korean(word(0), word(1), word(2)))
}

fn english(words: [&str; 3]) -> Option<(AskedTime, usize)> {
    let day =
        |word: &str| ENGLISH_DAYS.iter().position(|names| names.contains(&word)).map(|day| day as u8 + 1);
    let weekday = |weekday, weeks_back| AskedTime::Weekday { weekday, weeks_back };
    Some(match words {
        ["last" | "previous", "week", third] => match day(third) {
            Some(day) => (weekday(day, Some(1)), 3),
            None => (AskedTime::LastWeek, 2),
        },
        ["this", "week", third] => match day(third) {
            Some(day) => (weekday(day, Some(0)), 3),
            None => (AskedTime::ThisWeek, 2),
        },
        ["week", "over", "week"] => (AskedTime::LastWeek, 3),
        ["last" | "previous", "month", _] => (AskedTime::LastMonth, 2),
        ["this", "month", _] => (AskedTime::ThisMonth, 2),
        ["past", "month", _] => (AskedTime::Last { length_us: 30 * DAY_US }, 2),
        ["next", "month", _] => (AskedTime::NextMonth, 2),
        ["next", "week", _] => (AskedTime::NextWeek, 2),
        ["last" | "previous", "business" | "working", "day"] => (AskedTime::LastBusinessDay, 3),
        ["day", "before", "yesterday"] => (AskedTime::DayBeforeYesterday, 3),
        ["last" | "on", name, _] => (weekday(day(name)?, None), 2),
        ["this", name, _] => (weekday(day(name)?, Some(0)), 2),
        [name, _, _] if name.len() > 4 => (weekday(day(name)?, None), 1),
        _ => return None,
    })
}

fn korean(first: &str, second: &str, third: &str) -> Option<(AskedTime, usize)> {
    let other = |word: &str| OTHER.iter().any(|other| word.starts_with(other));
    for (names, week, month) in [
        (&["지난", "저번"][..], AskedTime::LastWeek, AskedTime::LastMonth),
        (&["이번"][..], AskedTime::ThisWeek, AskedTime::ThisMonth),
        (&["다음"][..], AskedTime::NextWeek, AskedTime::NextMonth),
    ] {
        let Some(rest) = names.iter().find_map(|name| first.strip_prefix(name)) else { continue };
        let (period, after, used) = if rest.is_empty() { (second, third, 2) } else { (rest, second, 1) };
        if let Some(weekday) = korean_day(period) {
            let back = matches!(week, AskedTime::ThisWeek).then_some(0);
            return Some((AskedTime::Weekday { weekday, weeks_back: back }, used));
        }
        if period.starts_with("영업일") {
            return Some((AskedTime::LastBusinessDay, used));
        }
        if other(period) || period.contains("부터") {
            return None;
        }
        if let Some(tail) = period.strip_prefix('주') {
            return week_or_day(week, tail, after, used);
        }
        return period.starts_with('달').then_some((month, used));
    }
    one_word(first, second)
}

/// `지난주`, or `지난주 화요일`, with the day in the same word or the next.
fn week_or_day(week: AskedTime, tail: &str, next: &str, used: usize) -> Option<(AskedTime, usize)> {
    let weeks_back = match week {
        AskedTime::LastWeek => 1,
        AskedTime::ThisWeek => 0,
        other => return Some((other, used)),
    };
    let (day, used) = match korean_day(tail.trim_start_matches('의')) {
        Some(day) => (Some(day), used),
        None => (korean_day(next), used + usize::from(korean_day(next).is_some())),
    };
    Some(match day {
        Some(weekday) => (AskedTime::Weekday { weekday, weeks_back: Some(weeks_back) }, used),
        None => (week, used),
    })
}

fn one_word(first: &str, second: &str) -> Option<(AskedTime, usize)> {
    if first.contains("부터") || first.contains("까지") {
        return None;
    }
    let business = second.starts_with("영업일") && matches!(first, "마지막" | "직전" | "전" | "최근");
    let before = first.starts_with("전주") && (second.starts_with("대비") || first.len() > "전주".len());
    let names = [
        ("금주", AskedTime::ThisWeek),
        ("내달", AskedTime::NextMonth),
        ("전월", AskedTime::LastMonth),
        ("그저께", AskedTime::DayBeforeYesterday),
        ("그제", AskedTime::DayBeforeYesterday),
        ("전일", AskedTime::Yesterday),
        ("전날", AskedTime::Yesterday),
    ];
    let named = || names.iter().find(|(name, _)| first.starts_with(name)).map(|(_, time)| (*time, 1));
    let day = || korean_day(first).map(|weekday| (AskedTime::Weekday { weekday, weeks_back: None }, 1));
    match (business, before) {
        (true, _) => Some((AskedTime::LastBusinessDay, 2)),
        (_, true) => Some((AskedTime::LastWeek, 1)),
        _ => named().or_else(day),
    }
}

fn korean_day(word: &str) -> Option<u8> {
    KOREAN_DAYS.iter().position(|day| word.starts_with(day)).map(|day| day as u8 + 1)
}
