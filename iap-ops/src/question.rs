//! From a text to what is asked. Tolerant of spaces, punctuation, case, word order and single typing mistakes.

mod calendar;
mod concepts;
mod fuzzy;
mod intents;
mod named;
mod periods;
mod subject;
mod time;

use schemars::JsonSchema;
use serde::Serialize;

pub use self::named::Named;
pub(crate) use self::subject::named_routes;
pub use self::time::AskedTime;

/// Characters of a question that are read.
const MAX_CHARS: usize = 500;

/// The language of a question, and so of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Language {
    /// Korean: there is Hangul in the question.
    Korean,
    /// English: anything else.
    English,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Intent {
    /// What is wrong, and because of what.
    WhatIsWrong,
    /// How the platform has performed.
    PerformanceReport,
    /// The sessions and their store.
    SessionStatus,
    /// The failures of a period.
    PastFailures,
    /// Where the time goes, and what to do about it.
    Bottleneck,
    /// The traffic to come.
    Capacity,
    /// The routes by their p95.
    SlowestRoutes,
    /// The SQL statements by their time.
    SlowestSql,
    /// The failures by what they are.
    ErrorsByKind,
    /// Two periods beside each other.
    Compare,
    /// One transaction.
    Transaction,
    /// What a user or a session did.
    Activity,
    /// How many users there are at once.
    ConcurrentUsers,
    /// The upstreams and the processes.
    Health,
    /// What has changed.
    Changes,
    /// Nothing that is known.
    Unknown,
}

impl Intent {
    /// All that can be answered, in the order of the documentation.
    pub const ALL: [Self; 15] = [
        Self::WhatIsWrong,
        Self::PerformanceReport,
        Self::SessionStatus,
        Self::PastFailures,
        Self::Bottleneck,
        Self::Capacity,
        Self::SlowestRoutes,
        Self::SlowestSql,
        Self::ErrorsByKind,
        Self::Compare,
        Self::Transaction,
        Self::Activity,
        Self::ConcurrentUsers,
        Self::Health,
        Self::Changes,
    ];

    /// The time that a question is about when it names none.
    fn usual_time(self) -> AskedTime {
        let minutes = match self {
            Self::WhatIsWrong | Self::Health | Self::Unknown => 5,
            Self::PerformanceReport | Self::Changes | Self::Activity => 24 * 60,
            Self::PastFailures => 7 * 24 * 60,
            Self::Compare => return AskedTime::Today,
            Self::Capacity => return AskedTime::NextMonth,
            _ => 60,
        };
        AskedTime::Last { length_us: minutes * 60_000_000 }
    }
}

/// A question, understood.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Question {
    /// What is asked.
    pub intent: Intent,
    /// In which language to answer.
    pub language: Language,
    /// Which time it is about.
    pub time: AskedTime,
    /// Whether the question says so itself.
    pub timed: bool,
    /// The other time, where two are compared.
    pub other_time: Option<AskedTime>,
    /// What it names besides routes.
    pub named: Named,
}

impl Question {
    /// Reads a question. Never fails: what is not understood is [`Intent::Unknown`].
    pub fn read(text: &str) -> Self {
        let text: String = text.chars().take(MAX_CHARS).collect();
        let named = named::read(&text);
        let text = text.to_lowercase();
        let language = if text.chars().any(is_hangul) { Language::Korean } else { Language::English };
        let times = time::read(&text);
        let intent = intents::read(&text, intents::Hints { named: &named, times: &times });
        let (time, other_time) = match (times.as_slice(), intent) {
            ([], _) => (intent.usual_time(), None),
            ([time], _) => (*time, None),
            ([time, other], Intent::Compare) => (*time, Some(*other)),
            _ => (AskedTime::NotUnderstood, None),
        };
        Self { intent, language, time, timed: !times.is_empty(), other_time, named }
    }

    /// Means this instead, about the time that the question names, or else about `last_us` if there is such a time.
    pub(crate) fn understood_as(&mut self, intent: Intent, last_us: Option<u64>) {
        self.intent = intent;
        if !self.timed {
            self.time = match last_us.filter(|_| !matches!(intent, Intent::Capacity | Intent::Compare)) {
                Some(length_us) => AskedTime::Last { length_us },
                None => intent.usual_time(),
            };
            self.timed = last_us.is_some();
        }
    }

    /// A question that nobody has worded.
    pub(crate) fn about(intent: Intent, language: Language, length_us: u64) -> Self {
        let time = AskedTime::Last { length_us };
        Self { intent, language, time, timed: true, other_time: None, named: Named::default() }
    }
}

fn is_hangul(c: char) -> bool {
    matches!(c, '가'..='힣' | '\u{1100}'..='\u{11ff}' | 'ㄱ'..='ㅣ')
}

#[cfg(test)]
mod tests;
