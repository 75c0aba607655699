//! From a question to an answer.

mod answer;
mod conversation;
mod helped;
mod progress;
mod suggestions;
mod wording;

use std::fmt;
use std::sync::Arc;

use iap_apm::Window;
use iap_core::{Clock, SystemClock};

pub use self::answer::{Answer, AnswerWindow, AskOptions, Outcome};
use self::conversation::Conversations;
pub use self::helped::Help;
pub use self::progress::{By, Progress, Step};
pub(crate) use self::suggestions::example;
use self::wording::Told;
use crate::answers::{self, Asked};
use crate::facts;
use crate::findings::{Scope, look_into};
use crate::question::{AskedTime, Intent, Language, Question};
use crate::report::{Report, ReportKind, Section};
use crate::telemetry::{Telemetry, TelemetryError};
use crate::zone::Zone;

const HOUR_US: u64 = 3_600_000_000;

/// Answers questions.
#[derive(Clone)]
pub struct Assistant {
    telemetry: Arc<dyn Telemetry>,
    clock: Arc<dyn Clock>,
    zone: Zone,
    conversations: Arc<Conversations>,
    help: Help,
}

impl Assistant {
    /// An assistant that reads `telemetry`; with the system's clock, in Korean time.
    pub fn new(telemetry: Arc<dyn Telemetry>) -> Self {
        Self {
            telemetry,
            clock: Arc::new(SystemClock),
            zone: Zone::default(),
            conversations: Arc::default(),
            help: Help::default(),
        }
    }

    /// Takes the time from another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Prints windows in another zone of the IANA database; `None` when the name is not in it.
    pub fn with_zone(mut self, name: &str) -> Option<Self> {
        self.zone = Zone::named(name)?;
        Some(self)
    }

    /// The same assistant with other help, or none. Conversations go on.
    #[must_use]
    pub fn with_help(&self, help: Help) -> Self {
        Self { help, ..self.clone() }
    }

    /// Answers a question; one that is not understood is answered with what can be asked.
    ///
    /// # Errors
    /// When telemetry cannot be read.
    pub async fn ask(&self, text: &str) -> Result<Answer, TelemetryError> {
        self.ask_with(text, AskOptions::default()).await
    }

    /// The same, as a part of a conversation or in another language.
    ///
    /// # Errors
    /// When telemetry cannot be read.
    pub async fn ask_with(&self, text: &str, options: AskOptions<'_>) -> Result<Answer, TelemetryError> {
        let now_ms = self.clock.now_ms();
        let (mut question, mut texts) = self.conversations.follow(options.conversation, text, now_ms);
        question.language = options.language.unwrap_or(question.language);
        let (mut understood, watched) = (By::Template, self.watched(options.progress));
        if question.intent == Intent::Unknown {
            match self.understand(&mut question, &mut texts, watched).await {
                Ok(()) => understood = By::Model,
                Err(wording_reason) => {
                    let nothing = Answer::without_findings(question, Outcome::NotUnderstood);
                    return Ok(Answer { wording_reason, ..nothing });
                }
            }
        }
        let Some(windows) = self.windows(&question, now_ms) else {
            return Ok(Answer::without_findings(question, Outcome::TimeNotUnderstood));
        };
        Progress::tell(options.progress, Step::Understood { intent: question.intent, by: understood });
        let (mut answer, told) = match question.intent {
            Intent::WhatIsWrong => self.what_is_wrong(&question, windows, &texts).await?,
            _ => self.by_facts(&question, windows, &texts, now_ms).await?,
        };
        Progress::tell(options.progress, Step::LookedAt { what: "telemetry" });
        answer.understood = understood;
        let answer = self.helped(answer, &told, text, watched).await;
        self.conversations.keep(options.conversation, &question, texts, now_ms);
        Ok(answer)
    }

    async fn what_is_wrong(
        &self,
        question: &Question,
        (window, until_now, _): Windows,
        texts: &[String],
    ) -> Result<(Answer, Told), TelemetryError> {
        let baseline = Window::last(HOUR_US, window.from_us);
        let scope = Scope { window, baseline, until_now, subject: texts };
        let findings = look_into(&*self.telemetry, scope).await?;
        let about = self.answer_window(window);
        let told = wording::answer(question.language, &self.zone, &about, &findings);
        let evidence = findings.problems.iter().flat_map(|finding| finding.evidence.clone()).collect();
        let answer = Answer {
            outcome: Outcome::of(&findings),
            window: Some(about),
            findings: Some(findings),
            evidence,
            text: told.text(),
            ..Answer::without_findings(question.clone(), Outcome::Answered)
        };
        Ok((answer, told))
    }

    async fn by_facts(
        &self,
        question: &Question,
        (window, _, other): Windows,
        texts: &[String],
        now_ms: u64,
    ) -> Result<(Answer, Told), TelemetryError> {
        let now_us = (now_ms + 1) * 1_000;
        let telemetry = &*self.telemetry;
        let facts = answers::facts(Asked {
            telemetry,
            window,
            other,
            now_us,
            zone: &self.zone,
            question,
            subject: texts,
        })
        .await?;
        let facts = facts.worded(question.language, &self.zone);
        let about = self.answer_window(window);
        let mut lines = facts::lines(&facts, question.language, &self.zone);
        if lines.is_empty() {
            lines.push(wording::no_data(question.language));
        }
        let rest = lines.split_off(1);
        let told = Told {
            before: vec![wording::window(question.language, &about)],
            verdict: lines.pop(),
            rest,
            ..Told::default()
        };
        let outcome = match (facts.problem, facts.empty) {
            (true, _) => Outcome::Problems,
            (_, true) => Outcome::NoData,
            _ => Outcome::Answered,
        };
        let evidence = facts.evidence();
        let answer = Answer {
            outcome,
            window: Some(about),
            facts: Some(facts),
            evidence,
            text: told.text(),
            ..Answer::without_findings(question.clone(), Outcome::Answered)
        };
        Ok((answer, told))
    }

    /// Answers what nobody has worded: an intent about a window, and about one route if `route` names one; of a forecast
    /// the length of the window is how far it goes, and `limit` the requests a second that may be exceeded.
    ///
    /// # Errors
    /// When telemetry cannot be read.
    pub async fn about(
        &self,
        intent: Intent,
        window: Window,
        route: Option<&str>,
        limit: Option<f64>,
    ) -> Result<Answer, TelemetryError> {
        let now_ms = self.clock.now_ms();
        let mut question = Question::about(intent, Language::English, window.length_us());
        question.named.limit_per_second = limit;
        let texts: Vec<String> = route.map(str::to_owned).into_iter().collect();
        let until_now = window.to_us.saturating_add(5_000_000) >= now_ms * 1_000;
        let (answer, _) = match intent {
            Intent::WhatIsWrong => self.what_is_wrong(&question, (window, until_now, None), &texts).await?,
            _ => self.by_facts(&question, (window, until_now, None), &texts, now_ms).await?,
        };
        Ok(self.with_citations(answer).await)
    }

    /// What it reads.
    pub(crate) fn telemetry(&self) -> &dyn Telemetry {
        &*self.telemetry
    }

    /// The clock's time in Unix microseconds, and the zone.
    pub(crate) fn now(&self) -> (u64, &Zone) {
        ((self.clock.now_ms() + 1) * 1_000, &self.zone)
    }

    /// Makes a report about a window; what is told of this moment is so by its heading.
    ///
    /// # Errors
    /// When telemetry cannot be read.
    pub async fn report(
        &self,
        kind: ReportKind,
        window: Window,
        language: Language,
    ) -> Result<Report, TelemetryError> {
        let now_ms = self.clock.now_ms();
        let now_us = (now_ms + 1) * 1_000;
        let mut sections = Vec::new();
        for intent in kind.sections().iter().copied() {
            let mut question = Question::about(intent, language, window.length_us());
            let mut asked = window;
            let mut other = None;
            match intent {
                Intent::Capacity => {
                    question.time = AskedTime::NextMonth;
                    asked =
                        self.zone.window(AskedTime::NextMonth, now_ms).map_or(window, |(window, _)| window);
                }
                Intent::Compare => other = Some(Window::last(window.length_us(), window.from_us)),
                _ => {}
            }
            let telemetry = &*self.telemetry;
            let asked = Asked {
                telemetry,
                window: asked,
                other,
                now_us,
                zone: &self.zone,
                question: &question,
                subject: &[],
            };
            let facts = answers::facts(asked).await?.worded(language, &self.zone);
            sections.push(Section { intent, facts });
        }
        let zone = self.zone.clone();
        Ok(Report { kind, language, window, made_us: now_us, zone, summary: None, sections })
    }

    /// The window from one time to another, each a date (`2026-11-01`, its beginning) or a time with an offset;
    /// `None` for what is neither, or no window.
    pub fn between(&self, from: &str, to: Option<&str>) -> Option<Window> {
        let now_us = (self.clock.now_ms() + 1) * 1_000;
        let to_us = to.map_or(Some(now_us), |to| self.zone.parse(to))?;
        let window = Window::new(self.zone.parse(from)?, to_us);
        (window.length_us() > 0).then_some(window)
    }

    /// The window, whether it ends now, and what is compared with; `None` for a time that is not understood,
    /// and for one to come unless it is to be forecast.
    fn windows(&self, question: &Question, now_ms: u64) -> Option<Windows> {
        if question.intent == Intent::Compare {
            let (later, earlier) = self.zone.two(question.time, question.other_time, now_ms)?;
            return Some((later, false, Some(earlier)));
        }
        let ahead = matches!(question.time, AskedTime::NextMonth | AskedTime::NextWeek);
        if ahead && question.intent != Intent::Capacity {
            return None;
        }
        let (window, until_now) = self.zone.window(question.time, now_ms)?;
        Some((window, until_now, None))
    }

    pub(crate) fn answer_window(&self, window: Window) -> AnswerWindow {
        let (start, end) = (self.zone.print(window.from_us), self.zone.print(window.to_us));
        AnswerWindow { window, start, end, tz: self.zone.name().to_owned() }
    }
}

/// The window, whether it ends now, and what is compared with.
type Windows = (Window, bool, Option<Window>);

impl fmt::Debug for Assistant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assistant").field("zone", &self.zone.name()).finish_non_exhaustive()
    }
}

/// Used by the wording to choose a text.
fn pick<T>(language: Language, korean: T, english: T) -> T {
    match language {
        Language::Korean => korean,
        Language::English => english,
    }
}
