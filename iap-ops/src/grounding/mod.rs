//! Whether a text claims anything that the findings do not say.
//!
//! Checked are: numbers with their units, dates and times (each must stand in the findings with the same digits as shown there;
//! in a sentence that names something of the findings, in a line about that), whatever stands in quotes, ids and other words with digits or
//! signs in them, names after "route", "server" and the like, and words for a state or an amount. Not checked is what is left: how
//! things hang together, said in other words. So a verdict is never given by a model.

mod claims;
mod tokens;
mod units;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use self::tokens::{Token, normal, read, unquoted};
use self::units::Unit;

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Mismatch {
    /// A number, date or time that the findings do not have, or not of what the sentence is about.
    Number,
    /// A name or an id that they do not have.
    Name,
    /// A state or an amount in words that they do not tell of.
    Claim,
}

impl Mismatch {
    /// The name, in metrics and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Name => "name",
            Self::Claim => "claim",
        }
    }
}

/// Words of the field that a Korean text may have in Latin letters.
const LATIN: &[&str] = &[
    "api", "apm", "cpu", "db", "dns", "gc", "http", "https", "id", "index", "io", "ip", "jvm", "log", "pool",
    "redis", "sql", "tcp", "timeout", "tls", "url", "vs",
];
/// After these an English text names something.
const BEFORE_NAMES: &[&str] =
    &["route", "service", "server", "node", "upstream", "table", "process", "host", "instance"];
/// What may stand there and is no name.
const NO_NAMES: &[&str] = &[
    "a",
    "above",
    "again",
    "and",
    "are",
    "as",
    "at",
    "because",
    "before",
    "behind",
    "but",
    "by",
    "can",
    "configuration",
    "could",
    "did",
    "does",
    "during",
    "failed",
    "fails",
    "for",
    "from",
    "had",
    "has",
    "have",
    "if",
    "in",
    "instance",
    "instances",
    "is",
    "it",
    "itself",
    "load",
    "logs",
    "may",
    "might",
    "most",
    "name",
    "named",
    "needs",
    "not",
    "now",
    "of",
    "on",
    "only",
    "or",
    "over",
    "response",
    "responses",
    "restart",
    "settings",
    "should",
    "side",
    "so",
    "spent",
    "states",
    "status",
    "such",
    "takes",
    "than",
    "that",
    "the",
    "then",
    "time",
    "times",
    "to",
    "under",
    "was",
    "were",
    "when",
    "where",
    "which",
    "while",
    "whose",
    "will",
    "with",
    "within",
    "without",
    "would",
];

/// Shorter texts from outside are not taken out of lines: they may be parts of numbers.
const MIN_OUTSIDE: usize = 4;

/// One line of the findings.
struct Line {
    text: String,
    tokens: BTreeSet<Token>,
}

/// What the findings say, line by line.
///
/// Lines hold text from outside: an error may say "all is healthy" or "99 %". Such a text may be quoted, unless it makes a
/// claim, but what it says is no finding: it is taken out before numbers and claims are read. So is all that stands in quotes.
#[derive(Default)]
pub struct Known {
    lines: Vec<Line>,
    /// Our own words in lower case.
    own: String,
    /// All words in lower case.
    lower: String,
    /// Names that lines are about.
    subjects: BTreeSet<String>,
    /// Texts from outside, the longest first.
    outside: Vec<String>,
}

impl Known {
    /// The findings, as they are shown; `outside` are texts in them that are not our own.
    pub fn new<S: AsRef<str>, T: AsRef<str>>(
        lines: impl IntoIterator<Item = S>,
        outside: impl IntoIterator<Item = T>,
    ) -> Self {
        let outside: BTreeSet<String> = outside.into_iter().map(|text| normal(text.as_ref())).collect();
        let mut outside: Vec<String> =
            outside.into_iter().filter(|text| text.chars().count() >= MIN_OUTSIDE).collect();
        outside.sort_by_key(|text| std::cmp::Reverse(text.len()));
        let mut known = Self { outside, ..Self::default() };
        for line in lines {
            let text = normal(line.as_ref());
            let own = known.outside.iter().fold(text.clone(), |own, outside| without(&own, outside));
            known.add(&own, text);
        }
        known
    }

    /// Takes in a row: what in it is ours, and all of it.
    pub fn add_row(&mut self, own: &str, all: &str) {
        self.add(&normal(own), normal(all));
    }

    fn add(&mut self, own: &str, text: String) {
        let mut tokens: BTreeSet<Token> = read(own).into_iter().collect();
        let more: Vec<Token> = tokens.iter().flat_map(parts).collect();
        tokens.extend(more);
        for (into, from) in [(&mut self.own, &*unquoted(own)), (&mut self.lower, &*text)] {
            into.push_str(&from.to_lowercase());
            into.push('\n');
        }
        self.lines.push(Line { text, tokens });
    }

    /// Names what lines are about, a route for example, so that its numbers are not told of another.
    pub fn subjects<S: Into<String>>(&mut self, names: impl IntoIterator<Item = S>) {
        let names = names.into_iter().map(|name| normal(&name.into()));
        self.subjects.extend(names.filter(|name| !name.is_empty()));
    }

    /// Whether a text says anything else.
    ///
    /// # Errors
    /// What the first thing is that the findings do not say.
    pub fn check(&self, text: &str) -> Result<(), Mismatch> {
        let text = normal(text);
        // A route may be called `broken`: its name in quotes is no claim.
        let claims =
            self.subjects.iter().fold(text.clone(), |text, name| text.replace(&format!("`{name}`"), "``"));
        if claims::unknown(&claims.to_lowercase(), &self.own).is_some() {
            return Err(Mismatch::Claim);
        }
        let korean = text.chars().any(|c| matches!(c, '가'..='힣'));
        // What each line is about is found out once, however many sentences there are.
        let lines: Vec<(&Line, BTreeSet<&String>)> =
            self.lines.iter().map(|line| (line, self.about(&line.text))).collect();
        sentences(&text).into_iter().try_for_each(|sentence| self.sentence(sentence, korean, &lines))
    }

    /// The subjects that a text names.
    fn about(&self, text: &str) -> BTreeSet<&String> {
        self.subjects.iter().filter(|name| holds(text, name)).collect()
    }

    fn sentence(
        &self,
        sentence: &str,
        korean: bool,
        lines: &[(&Line, BTreeSet<&String>)],
    ) -> Result<(), Mismatch> {
        let about = self.about(sentence);
        // Lines about something else do not count where a sentence is about something.
        let counts = |subjects: &BTreeSet<&String>| {
            about.is_empty() || subjects.is_empty() || !about.is_disjoint(subjects)
        };
        let lines: Vec<&Line> =
            lines.iter().filter(|(_, subjects)| counts(subjects)).map(|(line, _)| *line).collect();
        let mut before = String::new();
        for token in read(sentence) {
            match &token {
                Token::Number(..) | Token::Date(_) | Token::Time(_) => {
                    if !lines.iter().any(|line| line.tokens.contains(&token)) {
                        return Err(Mismatch::Number);
                    }
                }
                Token::Odd(_) => return Err(Mismatch::Number),
                Token::Name(name) => {
                    if !self.lines.iter().any(|line| holds(&line.text, name)) {
                        return Err(Mismatch::Name);
                    }
                }
                Token::Word(word) => {
                    let word = word.to_lowercase();
                    let named = BEFORE_NAMES.contains(&before.as_str()) && !NO_NAMES.contains(&word.as_str());
                    let foreign = korean && !LATIN.contains(&word.as_str());
                    if (named || foreign) && !holds(&self.lower, &word) {
                        return Err(Mismatch::Name);
                    }
                    before = word;
                    continue;
                }
            }
            before.clear();
        }
        Ok(())
    }
}

/// A text without all places of another one, where that is no part of a word.
fn without(text: &str, outside: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(outside) {
        let end = at + outside.len();
        let letter = |c: char| c.is_alphanumeric();
        let part = (outside.starts_with(letter) && rest[..at].ends_with(|c: char| c.is_ascii_alphanumeric()))
            || (outside.ends_with(letter) && rest[end..].starts_with(|c: char| c.is_ascii_alphanumeric()));
        out.push_str(&rest[..if part { end } else { at }]);
        rest = &rest[end..];
    }
    out + rest
}

/// What a date or a time says besides: a part of it may be told alone.
fn parts(token: &Token) -> Vec<Token> {
    let number = |text: &str, unit| {
        let text = text.trim_start_matches('0');
        Token::Number(if text.is_empty() { "0".to_owned() } else { text.to_owned() }, unit)
    };
    match token {
        Token::Date(date) => {
            let mut parts = date.split('-');
            let units = [Unit::Year, Unit::Month, Unit::Day];
            units.into_iter().filter_map(|unit| Some(number(parts.next()?, unit))).collect()
        }
        Token::Time(time) if time.len() == 8 => vec![Token::Time(time[..5].to_owned())],
        _ => Vec::new(),
    }
}

/// Whether a name stands in a text, not as a part of another one.
fn holds(text: &str, name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let (first, last) = (name.starts_with(letter), name.ends_with(letter));
    text.match_indices(name).any(|(at, _)| {
        let part =
            (first && text[..at].ends_with(letter)) || (last && text[at + name.len()..].starts_with(letter));
        !part
    })
}

/// The sentences of a text, roughly.
fn sentences(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut start = 0;
        for (at, c) in line.char_indices() {
            let end = at + c.len_utf8();
            let stops = matches!(c, '.' | '!' | '?' | ';') && line[end..].starts_with(' ');
            // `1. ` belongs to what comes after it.
            let bullet = line[start..at].trim().bytes().all(|byte| byte.is_ascii_digit());
            if stops && !bullet {
                found.push(&line[start..end]);
                start = end;
            }
        }
        found.push(&line[start..]);
    }
    found
}

#[cfg(test)]
mod tests;
