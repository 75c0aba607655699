//! An answer, as data and as text.

use iap_apm::Window;
use schemars::JsonSchema;
use serde::Serialize;

use super::progress::{By, Progress};
use super::{suggestions, wording};
use crate::facts::Facts;
use crate::findings::Findings;
use crate::question::{Language, Question};
use crate::runbooks::Citation;

/// How the answer came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// There are problems: with routes, or the session store does not answer.
    Problems,
    /// There was traffic, and nothing is wrong with it.
    Healthy,
    /// A question that is not about what is wrong is answered, and nothing in the answer is.
    Answered,
    /// No problem is known, but there are [`Findings::unjudged`] routes.
    TooFew,
    /// Nothing was recorded in the window.
    NoData,
    /// The time in the question was not understood; the text says which forms are.
    TimeNotUnderstood,
    /// The question was not understood; the text says what can be asked.
    NotUnderstood,
}

impl Outcome {
    pub(super) fn of(findings: &Findings) -> Self {
        let known = !findings.problems.is_empty() || !findings.incidents.is_empty();
        if findings.sessions_unavailable || known {
            return Self::Problems;
        }
        match (findings.count, findings.unjudged.is_empty()) {
            (0, _) => Self::NoData,
            (_, false) => Self::TooFew,
            (_, true) => Self::Healthy,
        }
    }
}

/// The time that an answer is about, as a calendar shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AnswerWindow {
    /// The window in Unix microseconds.
    #[serde(flatten)]
    pub window: Window,
    /// The first second, with the offset: `2026-11-25T13:00:00+09:00`.
    pub start: String,
    /// The second that it ends with.
    pub end: String,
    /// The zone.
    pub tz: String,
}

/// An answer: the same as data and as text.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Answer {
    /// How the question was understood.
    pub question: Question,
    /// How it came out.
    pub outcome: Outcome,
    /// What it is about; `None` for a question, or a time, that was not understood.
    pub window: Option<AnswerWindow>,
    /// What is wrong, of a question about that.
    pub findings: Option<Findings>,
    /// What was found, of any other question.
    pub facts: Option<Facts>,
    /// The trace ids of all findings.
    pub evidence: Vec<String>,
    /// Questions that may come next, in the language of this one.
    pub suggestions: Vec<&'static str>,
    /// The wording, in the question's language. Every number in it is in the findings or facts.
    pub text: String,
    /// Who has found out what the question means: the rules, or a model where they did not know.
    pub understood: By,
    /// Whose words the text has. The verdict in it is always by template.
    pub wording: By,
    /// Why it has not those of a model, where one is set up.
    pub wording_reason: Option<&'static str>,
    /// The provider whose words it has.
    pub model: Option<String>,
    /// Passages of runbooks and incidents of the past that are about the same.
    pub runbooks: Vec<Citation>,
}

impl Answer {
    pub(super) fn without_findings(question: Question, outcome: Outcome) -> Self {
        let text = match outcome {
            Outcome::TimeNotUnderstood => wording::times(question.language),
            _ => wording::help(question.language),
        };
        let suggestions = suggestions::after(question.intent, question.language);
        Self {
            question,
            outcome,
            window: None,
            findings: None,
            facts: None,
            evidence: Vec::new(),
            suggestions,
            text,
            understood: By::Template,
            wording: By::Template,
            wording_reason: None,
            model: None,
            runbooks: Vec::new(),
        }
    }
}

/// What an answer depends on besides the question.
#[derive(Debug, Clone, Copy, Default)]
pub struct AskOptions<'a> {
    /// The conversation that the question belongs to: at most 64 bytes, chosen by whoever asks. The latest
    /// question of the latest 1,000 conversations is remembered for 30 minutes.
    pub conversation: Option<&'a str>,
    /// The language of the answer; that of the question by default.
    pub language: Option<Language>,
    /// Where the steps on the way are told.
    pub progress: Option<&'a Progress>,
}
