//! Reports: the answers to several questions about one window, as Markdown or as one HTML file.

mod html;
mod markdown;
mod schedule;
mod svg;

use std::fmt;
use std::str::FromStr;

use iap_apm::Window;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::html::html;
pub use self::markdown::markdown;
pub use self::schedule::{Due, Period, Schedule};
use crate::facts::{self, Facts};
use crate::question::{Intent, Language};
use crate::zone::Zone;

/// What a report is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ReportKind {
    /// The state of the service for those who answer for it.
    Executive,
    /// What failed, and because of what.
    Incident,
    /// What is used, and what will be needed.
    Capacity,
    /// A regular inspection.
    Inspection,
}

impl ReportKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Executive, Self::Incident, Self::Capacity, Self::Inspection];

    /// The name in addresses and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Executive => "executive",
            Self::Incident => "incident",
            Self::Capacity => "capacity",
            Self::Inspection => "inspection",
        }
    }

    /// The title of such a report.
    pub fn title(self, language: Language) -> &'static str {
        let (korean, english) = match self {
            Self::Executive => ("운영 현황 보고서", "Executive report"),
            Self::Incident => ("장애 보고서", "Incident report"),
            Self::Capacity => ("용량 보고서", "Capacity report"),
            Self::Inspection => ("정기 점검 보고서", "Inspection report"),
        };
        pick(language, korean, english)
    }

    /// The questions that it answers, in this order.
    pub(crate) fn sections(self) -> &'static [Intent] {
        use Intent as I;
        match self {
            Self::Executive => &[
                I::PerformanceReport,
                I::Compare,
                I::PastFailures,
                I::SlowestRoutes,
                I::ConcurrentUsers,
                I::Capacity,
            ],
            Self::Incident => &[I::PastFailures, I::ErrorsByKind, I::Bottleneck, I::Changes, I::Health],
            Self::Capacity => {
                &[I::Capacity, I::PerformanceReport, I::Bottleneck, I::ConcurrentUsers, I::SessionStatus]
            }
            Self::Inspection => &[
                I::Health,
                I::SessionStatus,
                I::Changes,
                I::PerformanceReport,
                I::SlowestRoutes,
                I::SlowestSql,
                I::ErrorsByKind,
                I::PastFailures,
            ],
        }
    }
}

impl fmt::Display for ReportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ReportKind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or("a report is one of executive, incident, capacity, inspection")
    }
}

/// A part of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// The question that it answers.
    pub intent: Intent,
    /// What was found.
    pub facts: Facts,
}

/// A report.
#[derive(Debug, Clone)]
pub struct Report {
    /// What it is for.
    pub kind: ReportKind,
    /// Its language.
    pub language: Language,
    /// What it is about.
    pub window: Window,
    /// When it was made, Unix microseconds.
    pub made_us: u64,
    /// How times are printed.
    pub zone: Zone,
    /// In a few sentences, where a model has written some that say nothing else than the parts.
    pub summary: Option<Summary>,
    /// Its parts.
    pub sections: Vec<Section>,
}

/// A report in a few sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The sentences.
    pub text: String,
    /// The provider of the model that wrote them.
    pub provider: String,
}

impl Report {
    /// What its parts say, line by line.
    pub(crate) fn said(&self) -> Vec<String> {
        let section = |section: &Section| {
            let heading = format!("[{}]", self.heading(section.intent));
            std::iter::once(heading)
                .chain(facts::lines(&section.facts, self.language, &self.zone))
                .collect::<Vec<_>>()
        };
        self.sections.iter().flat_map(section).collect()
    }

    /// Whose words the summary has.
    fn summary_note(&self, summary: &Summary) -> String {
        let provider = &summary.provider;
        pick(
            self.language,
            format!("{provider} 모델이 쓴 요약입니다. 숫자는 모두 아래 내용에서 확인했습니다."),
            format!("Summed up by the model {provider}; each number was found in what follows."),
        )
    }

    fn title(&self) -> &'static str {
        self.kind.title(self.language)
    }

    fn lines(&self) -> [String; 2] {
        let (from, to) = (self.zone.print(self.window.from_us), self.zone.print(self.window.to_us));
        let (tz, made) = (self.zone.name(), self.zone.print(self.made_us));
        [
            pick(
                self.language,
                format!("구간: {from} ~ {to} ({tz})"),
                format!("Window: {from} to {to} ({tz})"),
            ),
            pick(self.language, format!("작성: {made}"), format!("Made: {made}")),
        ]
    }

    fn heading(&self, intent: Intent) -> &'static str {
        let (korean, english) = match intent {
            Intent::WhatIsWrong | Intent::Unknown => ("문제", "Problems"),
            Intent::PerformanceReport => ("성능", "Performance"),
            Intent::SessionStatus => ("세션 (작성 시각 기준)", "Sessions, at the time of writing"),
            Intent::PastFailures => ("장애 이력", "Incidents"),
            Intent::Bottleneck => ("병목과 권고", "Bottlenecks and recommendations"),
            Intent::Capacity => ("다음 달 예측", "Forecast for next month"),
            Intent::SlowestRoutes => ("느린 경로", "Slowest routes"),
            Intent::SlowestSql => ("느린 SQL", "Slowest SQL"),
            Intent::ErrorsByKind => ("오류 종류", "Errors by kind"),
            Intent::Compare => ("직전 같은 길이의 구간과 비교", "Compared with as long a time before"),
            Intent::Transaction => ("트랜잭션", "Transaction"),
            Intent::Activity => ("사용자 활동", "Activity"),
            Intent::ConcurrentUsers => {
                ("동시 사용자 (작성 시각까지)", "Users at once, up to the time of writing")
            }
            Intent::Health => {
                ("업스트림과 프로세스 (작성 시각 기준)", "Upstreams and processes, at the time of writing")
            }
            Intent::Changes => ("변경", "Changes"),
        };
        pick(self.language, korean, english)
    }

    fn word(&self, korean: &'static str, english: &'static str) -> &'static str {
        pick(self.language, korean, english)
    }
}

fn pick<T>(language: Language, korean: T, english: T) -> T {
    match language {
        Language::Korean => korean,
        Language::English => english,
    }
}
