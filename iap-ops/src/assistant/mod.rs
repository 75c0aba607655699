//! From a question to an answer.

mod wording;

use std::fmt;
use std::sync::Arc;

use iap_apm::Window;
use iap_core::{Clock, SystemClock};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};
use serde::Serialize;

use crate::findings::{Findings, Scope, look_into};
use crate::question::{AskedTime, Intent, Language, Question};
use crate::telemetry::{Telemetry, TelemetryError};

/// The zone that windows are printed in unless another one is set.
const SEOUL: &str = "Asia/Seoul";
const HOUR_US: u64 = 3_600_000_000;

/// How the answer came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// There are problems: with routes, or the session store does not answer.
    Problems,
    /// There was traffic, and nothing is wrong with it.
    Healthy,
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
    fn of(findings: &Findings) -> Self {
        if findings.sessions_unavailable || !findings.problems.is_empty() {
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// How the question was understood.
    pub question: Question,
    /// How it came out.
    pub outcome: Outcome,
    /// What it is about; `None` for a question, or a time, that was not understood.
    pub window: Option<AnswerWindow>,
    /// What was found.
    pub findings: Option<Findings>,
    /// The trace ids of all findings.
    pub evidence: Vec<String>,
    /// The wording, in the question's language. Every number in it is in the findings.
    pub text: String,
}

impl Answer {
    fn without_findings(question: Question, outcome: Outcome) -> Self {
        let text = match outcome {
            Outcome::TimeNotUnderstood => wording::times(question.language),
            _ => wording::help(question.language),
        };
        Self { question, outcome, window: None, findings: None, evidence: Vec::new(), text }
    }
}

/// Answers questions.
#[derive(Clone)]
pub struct Assistant {
    telemetry: Arc<dyn Telemetry>,
    clock: Arc<dyn Clock>,
    zone: TimeZone,
    zone_name: String,
}

impl Assistant {
    /// An assistant that reads `telemetry`; with the system's clock, in Korean time.
    pub fn new(telemetry: Arc<dyn Telemetry>) -> Self {
        // Korea has had no summer time since 1988, so the offset serves where no zone data is installed.
        let zone = TimeZone::get(SEOUL).unwrap_or_else(|_| TimeZone::fixed(Offset::constant(9)));
        Self { telemetry, clock: Arc::new(SystemClock), zone, zone_name: SEOUL.to_owned() }
    }

    /// Takes the time from another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Prints windows in another zone of the IANA database; `None` when the name is not in it.
    pub fn with_zone(mut self, name: &str) -> Option<Self> {
        self.zone = TimeZone::get(name).ok()?;
        self.zone_name = name.to_owned();
        Some(self)
    }

    /// Answers a question; one that is not understood is answered with what can be asked.
    ///
    /// # Errors
    /// When telemetry cannot be read.
    pub async fn ask(&self, text: &str) -> Result<Answer, TelemetryError> {
        let question = Question::read(text);
        if question.intent == Intent::Unknown {
            return Ok(Answer::without_findings(question, Outcome::NotUnderstood));
        }
        let Some((window, until_now)) = self.window(question.time) else {
            return Ok(Answer::without_findings(question, Outcome::TimeNotUnderstood));
        };
        let baseline = Window::last(HOUR_US, window.from_us);
        let scope = Scope { window, baseline, until_now, question: text };
        let findings = look_into(&*self.telemetry, scope).await?;
        let outcome = Outcome::of(&findings);
        let window = self.answer_window(window);
        let text = wording::answer(question.language, &window, &findings);
        let evidence = findings.problems.iter().flat_map(|finding| finding.evidence.clone()).collect();
        Ok(Answer { question, outcome, window: Some(window), findings: Some(findings), evidence, text })
    }

    /// The window, and whether it ends now; `None` for a time that is not understood.
    fn window(&self, time: AskedTime) -> Option<(Window, bool)> {
        let now_ms = self.clock.now_ms();
        // One more millisecond, so that what just began is in it.
        let end_us = (now_ms + 1) * 1_000;
        let now = Timestamp::from_millisecond(i64::try_from(now_ms).ok()?).ok()?.to_zoned(self.zone.clone());
        let midnight_us = |day: Zoned| {
            let midnight = day.start_of_day().ok()?.timestamp().as_microsecond();
            Some(u64::try_from(midnight).unwrap_or(0))
        };
        match time {
            AskedTime::Last { length_us } => Some((Window::last(length_us, end_us), true)),
            AskedTime::Today => Some((Window::new(midnight_us(now)?, end_us), true)),
            AskedTime::Yesterday => {
                let from_us = midnight_us(now.yesterday().ok()?)?;
                Some((Window::new(from_us, midnight_us(now)?), false))
            }
            _ => None,
        }
    }

    fn answer_window(&self, window: Window) -> AnswerWindow {
        let print = |us: u64| {
            let second = Timestamp::from_second((us / 1_000_000) as i64).unwrap_or(Timestamp::MAX);
            second.to_zoned(self.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
        };
        let (start, end) = (print(window.from_us), print(window.to_us));
        AnswerWindow { window, start, end, tz: self.zone_name.clone() }
    }
}

impl fmt::Debug for Assistant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assistant").field("zone", &self.zone_name).finish_non_exhaustive()
    }
}

/// Used by the wording to choose a text.
fn pick<T>(language: Language, korean: T, english: T) -> T {
    match language {
        Language::Korean => korean,
        Language::English => english,
    }
}
