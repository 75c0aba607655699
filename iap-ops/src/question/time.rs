//! The time that a question is about.

use schemars::JsonSchema;
use serde::Serialize;

use super::is_hangul;

const SECOND_US: u64 = 1_000_000;
const MINUTE_US: u64 = 60 * SECOND_US;
const HOUR_US: u64 = 60 * MINUTE_US;
const DAY_US: u64 = 24 * HOUR_US;
const WEEK_US: u64 = 7 * DAY_US;
/// The longest time that is answered about.
const MAX_US: u64 = 31 * DAY_US;

/// The time that a question is about. Days are calendar days in the assistant's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AskedTime {
    /// Up to now: a second to 31 days; five minutes for a question without a time.
    Last {
        /// How far back.
        length_us: u64,
    },
    /// Since midnight.
    Today,
    /// The day before today.
    Yesterday,
    /// The day before that.
    DayBeforeYesterday,
    /// Since Monday.
    ThisWeek,
    /// From Monday to Sunday.
    LastWeek,
    /// Since the first of the month.
    ThisMonth,
    /// The month before this one.
    LastMonth,
    /// A day of the week.
    Weekday {
        /// 1 is Monday, 7 is Sunday.
        weekday: u8,
        /// Of this week (0) or the one before (1); `None`: the latest that is over.
        weeks_back: Option<u8>,
    },
    /// The latest day from Monday to Friday that is over. In Korea public holidays do not count.
    LastBusinessDay,
    /// The seven days from next Monday: only for forecasts.
    NextWeek,
    /// The month after this one: only for forecasts.
    NextMonth,
    /// There is a time in the question, but not one that is understood.
    NotUnderstood,
}

impl AskedTime {
    /// Whether it is a day, week or month of the calendar.
    pub(super) fn is_calendar(self) -> bool {
        !matches!(self, Self::Last { .. } | Self::NotUnderstood)
    }

    /// Whether it is over, or as long as a week.
    pub(super) fn is_long(self) -> bool {
        match self {
            Self::Last { length_us } => length_us >= WEEK_US,
            Self::Today | Self::Yesterday | Self::NextWeek | Self::NextMonth | Self::NotUnderstood => false,
            _ => true,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// `None` is a number that is not a whole one, or too large.
    Number(Option<u64>),
    /// A date or a time of day, such as `13:00` or `2026-11-24`.
    Clock,
    Word(String),
    Hangul(String),
}

/// The times in lower-case text, in order; the same one once.
pub(super) fn read(text: &str) -> Vec<AskedTime> {
    let tokens = tokens(text);
    let mut found: Vec<AskedTime> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let (time, used) = one(&tokens, at);
        // Two that differ are no window.
        if let Some(time) = time.filter(|time| found.last() != Some(time)) {
            found.push(time);
        }
        at += used.max(1);
    }
    found
}

/// What begins at a token, and how many tokens it takes.
fn one(tokens: &[Token], at: usize) -> (Option<AskedTime>, usize) {
    if tokens[at] == Token::Clock {
        return (Some(AskedTime::NotUnderstood), 1);
    }
    if let Some((time, used)) = super::periods::read(&words(tokens), at) {
        return (Some(time), used);
    }
    let (mut sum, mut used) = (Some(0_u64), 0);
    // `1 hour and 30 minutes` is one time.
    while let Some((length_us, taken)) = length(tokens, at + used) {
        sum = sum.zip(length_us).and_then(|(sum, length)| sum.checked_add(length));
        used += taken;
        let and = matches!(tokens.get(at + used), Some(Token::Word(word)) if word == "and");
        if and && length(tokens, at + used + 1).is_some() {
            used += 1;
        }
    }
    if used > 0 {
        let known = sum.filter(|us| (SECOND_US..=MAX_US).contains(us) && !is_a_point(tokens, at, at + used));
        let time = known.map_or(AskedTime::NotUnderstood, |length_us| AskedTime::Last { length_us });
        return (Some(time), used);
    }
    (super::calendar::read(&words(tokens), at), 1)
}

/// Whether `10 minutes` from `at` to `end` are such as in `10 minutes ago`, a point, or in `over 10
/// seconds`, a duration of requests.
fn is_a_point(tokens: &[Token], at: usize, end: usize) -> bool {
    let before = |back: usize, words: &[&str]| {
        let token = at.checked_sub(back).and_then(|at| tokens.get(at));
        matches!(token, Some(Token::Word(word)) if words.contains(&word.as_str()))
    };
    const LONGER: [&str; 5] = ["over", "than", "above", "takes", "took"];
    let longer = |word: &str| ["이상", "넘", "초과", "걸"].iter().any(|more| word.starts_with(more));
    if before(1, &LONGER) {
        return true;
    }
    match tokens.get(end) {
        Some(Token::Word(word)) if word == "ago" => !before(1, &["since"]),
        Some(Token::Hangul(word)) if longer(word) => true,
        Some(Token::Hangul(word)) if word.starts_with('전') => !word.starts_with("전부터"),
        _ => match tokens.get(end.saturating_sub(1)) {
            // `10분전`: in the word of the unit.
            Some(Token::Hangul(word)) => {
                let tail = korean_unit(word).map_or("", |(_, tail)| tail);
                // `11월 24일에`, `3일에`
                let day = word.starts_with("일에") || word.starts_with("일의") || word.starts_with("일날");
                let month = matches!(
                    at.checked_sub(1).and_then(|at| tokens.get(at)),
                    Some(Token::Hangul(word)) if word.ends_with('월')
                );
                (tail.starts_with('전') && !tail.starts_with("전부터")) || longer(tail) || day || month
            }
            _ => before(1, &["half", "every", "first"]) || before(2, &["half"]),
        },
    }
}

/// A number and a unit: how long, `None` when that is not understood; and how many tokens.
fn length(tokens: &[Token], at: usize) -> Option<(Option<u64>, usize)> {
    let times = |number: u64, unit: Option<u64>| unit.and_then(|unit| number.checked_mul(unit));
    match (tokens.get(at)?, tokens.get(at + 1)) {
        (Token::Number(number), Some(Token::Hangul(word))) => {
            let unit = korean_unit(word)?.0;
            Some((number.and_then(|number| times(number, unit)), 2))
        }
        (Token::Number(number), Some(Token::Word(word))) => {
            let unit = english_unit(word)?;
            Some((number.and_then(|number| times(number, unit)), 2))
        }
        (Token::Word(number), Some(Token::Word(word))) if word.len() > 2 => {
            let unit = english_unit(word)?;
            // `give me a second` is no time, and a last week may be one of the calendar.
            let short = unit.is_some_and(|unit| unit < HOUR_US);
            match number.as_str() {
                "a" | "an" if short => return None,
                "last" if unit == Some(WEEK_US) => return Some((None, 2)),
                _ => {}
            }
            Some((english_number(number)?.and_then(|number| times(number, unit)), 2))
        }
        (Token::Hangul(word), next) => {
            if let Some(days) = korean_days(word) {
                return Some((times(days, Some(DAY_US)), 1));
            }
            let (number, tail) = korean_number(word)?;
            let (unit, used) = match (tail, next) {
                ("", Some(Token::Hangul(word))) => (counted_unit(word)?, 2),
                _ => (counted_unit(tail)?, 1),
            };
            Some((number.and_then(|number| times(number, unit)), used))
        }
        _ => None,
    }
}

/// The unit that a word begins with, `None` for one that is not understood, and the rest of it.
fn korean_unit(word: &str) -> Option<(Option<u64>, &str)> {
    const OTHER: [&str; 18] = [
        "분기", "분류", "분석", "분의", "주문", "주소", "주는", "주세", "주고", "주어", "주의", "일반",
        "일때", "초과", "초당", "초기", "시도", "월드",
    ];
    let units = [
        ("초", Some(SECOND_US)),
        ("분", Some(MINUTE_US)),
        ("시간", Some(HOUR_US)),
        ("일", Some(DAY_US)),
        ("주", Some(WEEK_US)),
        ("개월", None),
        ("달", None),
        ("년", None),
    ];
    if OTHER.iter().any(|other| word.starts_with(other)) {
        return None;
    }
    // `3시에`: a time of day.
    let clock = ["시에", "시부터", "시까지", "시쯤", "시경", "시반", "시이"];
    if word == "시" || clock.iter().any(|clock| word.starts_with(clock)) {
        return Some((None, ""));
    }
    units.iter().find_map(|(name, unit)| Some((*unit, word.strip_prefix(name)?)))
}

/// The unit after a number in letters: whole words only, since `세일` and `네 주세요` are no times.
fn counted_unit(word: &str) -> Option<Option<u64>> {
    const AFTER: [&str; 14] =
        ["동안", "간", "전", "이내", "내", "안", "부터", "치", "정도", "쯤", "사이", "에", "의", "째"];
    let (unit, tail) = korean_unit(word).filter(|_| !word.starts_with('일'))?;
    (tail.is_empty() || AFTER.iter().any(|after| tail.starts_with(after))).then_some(unit)
}

fn english_unit(word: &str) -> Option<Option<u64>> {
    Some(match word {
        "s" | "sec" | "secs" | "second" | "seconds" => Some(SECOND_US),
        "m" | "min" | "mins" | "minute" | "minutes" => Some(MINUTE_US),
        "h" | "hr" | "hrs" | "hour" | "hours" => Some(HOUR_US),
        "d" | "day" | "days" => Some(DAY_US),
        "w" | "wk" | "week" | "weeks" => Some(WEEK_US),
        "am" | "pm" | "month" | "months" | "quarter" | "quarters" | "year" | "years" => None,
        _ => return None,
    })
}

/// `last hour` is one; `few hours` is no number that is understood.
fn english_number(word: &str) -> Option<Option<u64>> {
    const NUMBERS: [&str; 12] =
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
    if let Some(at) = NUMBERS.iter().position(|number| *number == word) {
        return Some(Some(at as u64 + 1));
    }
    match word {
        "a" | "an" | "last" | "past" => Some(Some(1)),
        "few" | "several" | "some" | "couple" | "half" | "many" => Some(None),
        _ => None,
    }
}

fn korean_number(word: &str) -> Option<(Option<u64>, &str)> {
    let numbers = [
        ("한", Some(1)),
        ("두", Some(2)),
        ("세", Some(3)),
        ("네", Some(4)),
        ("다섯", Some(5)),
        ("여섯", Some(6)),
        ("일곱", Some(7)),
        ("여덟", Some(8)),
        ("아홉", Some(9)),
        ("열", Some(10)),
        ("삼십", Some(30)),
        ("십", Some(10)),
        ("반", None),
        ("몇", None),
    ];
    numbers.iter().find_map(|(name, number)| Some((*number, word.strip_prefix(name)?)))
}

fn korean_days(word: &str) -> Option<u64> {
    let days = [("하루", 1), ("이틀", 2), ("사흘", 3), ("나흘", 4), ("닷새", 5), ("일주일", 7), ("열흘", 10)];
    days.iter().find(|(name, _)| word.starts_with(name)).map(|(_, days)| *days)
}

fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let run =
            |from: usize, of: fn(char) -> bool| from + chars[from..].iter().take_while(|c| of(**c)).count();
        let c = chars[at];
        let end = match c {
            _ if c.is_ascii_digit() => {
                run(at, |c| c.is_ascii_digit() || matches!(c, '.' | ':' | '-' | '/' | ','))
            }
            _ if is_hangul(c) => run(at, is_hangul),
            // The apostrophe of `what's` stays in the word.
            _ if c.is_alphabetic() => run(at, |c| (c.is_alphabetic() && !is_hangul(c)) || c == '\''),
            _ => at + 1,
        };
        let piece: String = chars[at..end].iter().collect();
        // `p95` and `/v2` are names.
        let part_of_a_name = at > 0 && (chars[at - 1].is_ascii_alphabetic() && !unit_before(&tokens));
        let part_of_a_name = part_of_a_name || (at > 0 && matches!(chars[at - 1], '/' | '_' | '-'));
        match c {
            _ if c.is_ascii_digit() => tokens.extend((!part_of_a_name).then(|| number(&piece)).flatten()),
            _ if is_hangul(c) => tokens.push(Token::Hangul(piece)),
            // A part of a name says nothing; it keeps its place.
            _ if c.is_alphabetic() && in_a_name(&chars, at, end) => tokens.push(Token::Word("-".to_owned())),
            _ if c.is_alphabetic() => tokens.push(Token::Word(piece)),
            _ => {}
        }
        at = end;
    }
    tokens
}

/// Whether a word is a part of one such as `today-deals` or `/last/hour`.
fn in_a_name(chars: &[char], at: usize, end: usize) -> bool {
    let joint = |c: Option<&char>| matches!(c, Some('-' | '_' | '/'));
    let letter = |c: Option<&char>| c.is_some_and(|c| c.is_alphabetic());
    let back = |by: usize| at.checked_sub(by).and_then(|at| chars.get(at));
    let after_a_part = joint(back(1)) && (letter(back(2)) || back(1) == Some(&'/'));
    after_a_part || (joint(chars.get(end)) && letter(chars.get(end + 1)))
}

/// `1h30m`, `last5minutes`: a number may follow.
fn unit_before(tokens: &[Token]) -> bool {
    let (Some(Token::Word(word)), before) = (tokens.last(), tokens.iter().nth_back(1)) else { return false };
    word == "last"
        || word == "past"
        || (english_unit(word).is_some() && matches!(before, Some(Token::Number(_))))
}

/// A number, or a date or time of day; an address is neither.
fn number(piece: &str) -> Option<Token> {
    let piece = piece.trim_end_matches(['.', ':', '-', '/', ',']);
    if piece.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Token::Number(piece.parse().ok()));
    }
    match piece.matches('.').count() {
        0 if piece.contains([':', '-', '/']) => Some(Token::Clock),
        0 | 1 if !piece.contains([':', '-', '/']) => Some(Token::Number(None)),
        _ => None,
    }
}

fn words(tokens: &[Token]) -> Vec<&str> {
    tokens.iter().map(Token::word).collect()
}

impl Token {
    fn word(&self) -> &str {
        match self {
            Self::Word(word) | Self::Hangul(word) => word,
            Self::Number(_) | Self::Clock => "",
        }
    }
}
