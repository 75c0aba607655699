//! What a text claims that can be looked up: numbers with their units, dates, times, names.

use unicode_normalization::UnicodeNormalization;

use super::units::{self, Unit};

/// The longest name in quotes.
const MAX_QUOTED: usize = 400;

/// Something that a text claims.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Token {
    /// A number, without separators and zeros that say nothing, and its unit.
    Number(String, Unit),
    /// `2026-11-25`.
    Date(String),
    /// `13:05`, or with seconds.
    Time(String),
    /// An id, or whatever stands in quotes.
    Name(String),
    /// A word of Latin letters.
    Word(String),
    /// A number in a form that is not read: it stands nowhere.
    Odd(String),
}

/// A text in the form in which it is compared.
pub(super) fn normal(text: &str) -> String {
    text.nfkc().filter(|c| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')).collect()
}

/// A text without what stands in quotes.
pub(super) fn unquoted(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::new();
    let mut at = 0;
    while at < chars.len() {
        match quoted(&chars, at) {
            Some(length) => at += length + 2,
            None => {
                out.push(chars[at]);
                at += 1;
            }
        }
    }
    out
}

/// How many characters stand in the quotes that begin at a place.
fn quoted(chars: &[char], at: usize) -> Option<usize> {
    let close = match chars[at] {
        '`' => '`',
        '"' => '"',
        '“' => '”',
        '‘' => '’',
        '「' => '」',
        '『' => '』',
        _ => return None,
    };
    chars[at + 1..].iter().take(MAX_QUOTED).position(|other| *other == close)
}

/// The claims of a line, which is in its normal form.
pub(super) fn read(line: &str) -> Vec<Token> {
    let chars: Vec<char> = without_bullet(line).chars().collect();
    let mut scan = Scan { chars: &chars, at: 0, found: Vec::new() };
    while scan.at < chars.len() {
        scan.step();
    }
    scan.found
}

/// `1. ` at the beginning of a line counts lines, and claims nothing.
fn without_bullet(line: &str) -> &str {
    let line = line.trim_start();
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = line.len() - rest.len();
    match rest.strip_prefix(['.', ')']) {
        Some(rest) if (1..=2).contains(&digits) && rest.starts_with(' ') => rest,
        _ => line,
    }
}

struct Scan<'a> {
    chars: &'a [char],
    at: usize,
    found: Vec<Token>,
}

/// What a run of Latin letters and digits may hold.
fn is_run(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | ':' | '@' | '+' | '-' | ',')
}

impl Scan<'_> {
    fn step(&mut self) {
        let c = self.chars[self.at];
        if let Some(length) = quoted(self.chars, self.at) {
            let inner: String = self.chars[self.at + 1..self.at + 1 + length].iter().collect();
            self.at += length + 2;
            let inner = inner.trim().to_owned();
            if !inner.is_empty() {
                self.found.push(Token::Name(inner));
            }
            return;
        }
        let begins = c.is_ascii_alphanumeric() || c == '_' || (c == '/' && self.is_letter(self.at + 1));
        if begins {
            self.run();
        } else {
            if c.is_numeric() {
                self.found.push(Token::Odd(c.to_string()));
            }
            self.at += 1;
        }
    }

    fn is_letter(&self, at: usize) -> bool {
        self.chars.get(at).is_some_and(|c| c.is_ascii_alphabetic() || *c == '_')
    }

    /// A run of letters and digits, and what it is.
    fn run(&mut self) {
        let start = self.at;
        let length = self.chars[start..].iter().take_while(|c| is_run(**c)).count();
        let mut end = start + length;
        while end > start + 1 && !(self.chars[end - 1].is_ascii_alphanumeric() || self.chars[end - 1] == '_')
        {
            end -= 1;
        }
        // `20/s` is a number with its unit.
        let text: String = self.chars[start..end].iter().collect();
        let digits = text.chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ',')).count();
        let (number, rest) = text.split_at(digits);
        let number = number.trim_end_matches(['.', ',']);
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            if self.moment(&text) {
                self.at = end;
                return;
            }
            // An address or a version is none.
            let dotted = number.matches('.').count() > 1;
            if !dotted && (rest.is_empty() || units::is_joined(rest)) {
                self.at = start + number.len();
                self.number(number, start);
                return;
            }
            let parts: Vec<&str> = text.split(['-', '/', '+', ':']).collect();
            if parts.len() > 1 && parts.iter().all(|part| is_number(part)) && !text.contains(':') {
                self.at = start + parts[0].len();
                self.number(parts[0], start);
                // The rest is read as its own, without a sign before it.
                self.at = self.at.max(start + parts[0].len()) + 1;
                return;
            }
        }
        self.at = end;
        let name = text.chars().any(|c| c.is_ascii_digit() || matches!(c, '_' | '/' | '.' | ':' | '@' | '+'));
        self.found.push(if name { Token::Name(text) } else { Token::Word(text) });
    }

    /// A number that ends at `self.at`, with what comes after it as its unit.
    fn number(&mut self, text: &str, start: usize) {
        let Some(value) = value(text) else {
            // `5,20` are two, if anything.
            let parts: Vec<&str> = text.split(',').collect();
            for part in &parts {
                self.found.push(match value_of(part) {
                    Some(value) if parts.len() > 1 => Token::Number(value, Unit::Count),
                    _ => Token::Odd(text.to_owned()),
                });
            }
            return;
        };
        let before: String = self.chars[start.saturating_sub(8)..start].iter().collect();
        let negative = before.ends_with(['-', '−'])
            && !before.trim_end_matches(['-', '−']).ends_with(|c: char| c.is_alphanumeric());
        let value = if negative { format!("-{value}") } else { value };
        let after: String = self.chars[self.at..].iter().take(24).collect();
        let (unit, length) = units::after(&after);
        let unit = if before.trim_end().ends_with("초당") { Unit::PerSecond } else { unit };
        self.at += length;
        match unit {
            Unit::Hour12 | Unit::Large => self.found.push(Token::Odd(format!("{text}{after}"))),
            Unit::Clock => self.clock(&value, &before),
            _ => self.found.push(Token::Number(value, unit)),
        }
    }

    /// `오후 1시 5분`.
    fn clock(&mut self, hour: &str, before: &str) {
        let late = before.trim_end().ends_with("오후");
        let hour = hour.parse::<u32>().unwrap_or(99);
        let hour = if late && hour < 12 { hour + 12 } else { hour };
        let rest: String = self.chars[self.at..].iter().take(5).collect();
        let trimmed = rest.trim_start();
        let minute: String = trimmed.chars().take_while(char::is_ascii_digit).collect();
        let is_minute = !minute.is_empty() && trimmed[minute.len()..].starts_with('분');
        let minutes = if is_minute { minute.parse::<u32>().unwrap_or(99) } else { 0 };
        if is_minute {
            self.at += rest.chars().count() - trimmed.chars().count() + minute.len() + 1;
        }
        self.found.push(Token::Time(format!("{hour:02}:{minutes:02}")));
    }

    /// A date, a time, or both.
    fn moment(&mut self, text: &str) -> bool {
        let (date, time) = match text.split_once('T') {
            Some((date, time)) => (Some(date), Some(time)),
            None if text.contains(':') => (None, Some(text)),
            None => (Some(text), None),
        };
        let date_ok = date.is_none_or(|date| is_shape(date, "dddd-dd-dd"));
        // The offset says nothing that the zone does not.
        let clock = time.map(|time| time.split(['+', 'Z']).next().unwrap_or_default());
        let clock_ok = clock.is_none_or(|clock| {
            is_shape(clock, "dd:dd") || is_shape(clock, "dd:dd:dd") || is_shape(clock, "d:dd")
        });
        if !(date_ok && clock_ok) {
            return false;
        }
        self.found.extend(date.map(|date| Token::Date(date.to_owned())));
        let padded = |clock: &str| if clock.len() == 4 { format!("0{clock}") } else { clock.to_owned() };
        self.found.extend(clock.map(|clock| Token::Time(padded(clock))));
        true
    }
}

fn is_shape(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, shape)| match shape {
            b'd' => byte.is_ascii_digit(),
            other => byte == other,
        })
}

fn is_number(text: &str) -> bool {
    value(text).is_some()
}

/// A number in its plain form; thousands may be separated.
fn value(text: &str) -> Option<String> {
    let (whole, _) = text.split_once('.').unwrap_or((text, ""));
    let groups: Vec<&str> = whole.split(',').collect();
    let separated = groups.len() == 1
        || ((1..=3).contains(&groups[0].len()) && groups[1..].iter().all(|group| group.len() == 3));
    if separated { value_of(&text.replace(',', "")) } else { None }
}

fn value_of(text: &str) -> Option<String> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || text.ends_with('.') {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let (whole, part) = (if whole.is_empty() { "0" } else { whole }, part.trim_end_matches('0'));
    Some(if part.is_empty() { whole.to_owned() } else { format!("{whole}.{part}") })
}
