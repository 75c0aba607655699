//! Help for the assistant: a language model, and runbooks. Whatever they do, there is an answer.

use std::sync::Arc;

use iap_apm::Window;
use metrics::counter;
use tokio::time::Instant;

use super::progress::{By, Progress, Step};
use super::wording::Told;
use super::{Answer, Assistant, Outcome, wording};
use crate::detect::Incident;
use crate::facts::{Facts, Figure, Unit, Value};
use crate::findings::Findings;
use crate::grounding::Mismatch;
use crate::llm::{Llm, Scenario, Unworded, Wanted, Watched};
use crate::question::{Intent, Language, Question};
use crate::report::{Report, Summary};
use crate::runbooks::{self, Citation, Origin, Query, Runbooks};
use crate::tools::Tools;

/// Names that runbooks are looked for by.
const MAX_NAMES: usize = 24;
/// Rows of a table that runbooks are looked for by.
const ROWS: usize = 3;

/// What an assistant may use besides what it reads.
#[derive(Debug, Clone, Default)]
pub struct Help {
    /// A language model.
    pub llm: Option<Arc<Llm>>,
    /// Runbooks.
    pub runbooks: Option<Arc<Runbooks>>,
}

impl Assistant {
    /// Where steps are told, and until when models may take part in an answer that is begun now.
    pub(super) fn watched<'a>(&self, progress: Option<&'a Progress>) -> Watched<'a> {
        (progress, self.help.llm.as_ref().map_or_else(Instant::now, |llm| llm.until()))
    }

    /// What it uses besides what it reads.
    pub fn help(&self) -> &Help {
        &self.help
    }

    /// Asks a model what a question means. Whether that is known now; else why not, where one was asked.
    pub(super) async fn understand(
        &self,
        question: &mut Question,
        texts: &mut Vec<String>,
        watched: Watched<'_>,
    ) -> Result<(), Option<&'static str>> {
        let llm = self.help.llm.as_ref().filter(|llm| llm.serves(Scenario::Understand)).ok_or(None)?;
        let tools = Tools::new(self.clone(), llm.masker().clone());
        let text = texts.first().cloned().unwrap_or_default();
        let plan = match llm.understand(&text, &tools, watched).await {
            Ok(found) => found.ok_or(Some("unknown"))?,
            Err(error) => return Err(Some(error.kind.as_str())),
        };
        question.understood_as(plan.intent, plan.last_us);
        if let Some(route) = plan.route {
            // As a name in quotes, which counts if there is such a route.
            texts.insert(0, format!("\"{}\"", route.replace('"', "")));
        }
        Ok(())
    }

    /// An answer with passages of runbooks and, where a model is set up, in its words.
    pub(super) async fn helped(
        &self,
        answer: Answer,
        told: &Told,
        question: &str,
        watched: Watched<'_>,
    ) -> Answer {
        let mut answer = self.cited(answer, question, watched.0).await;
        self.word(&mut answer, told, question, watched).await;
        pointing_to_them(answer)
    }

    /// Adds the passages of runbooks, as data.
    async fn cited(&self, mut answer: Answer, question: &str, progress: Option<&Progress>) -> Answer {
        let wrong = answer.outcome == Outcome::Problems || answer.outcome == Outcome::TooFew;
        let wanted = match answer.question.intent {
            Intent::WhatIsWrong | Intent::PastFailures | Intent::Transaction => wrong,
            Intent::Bottleneck | Intent::ErrorsByKind | Intent::SlowestSql => {
                wrong || answer.outcome == Outcome::Answered
            }
            _ => false,
        };
        if wanted && let Some(runbooks) = &self.help.runbooks {
            let mut names = answer.findings.as_ref().map(of_findings).unwrap_or_default();
            names.extend(answer.facts.iter().flat_map(|facts| of_facts(facts, ROWS)));
            answer.runbooks = self.passages(runbooks, question, names, answer.question.language).await;
            Progress::tell(progress, Step::LookedAt { what: "runbooks" });
        }
        answer
    }

    /// The same, with a line about them in the text.
    pub(super) async fn with_citations(&self, answer: Answer) -> Answer {
        pointing_to_them(self.cited(answer, "", None).await)
    }

    /// Passages about one incident.
    pub(crate) async fn about_incident(&self, incident: &Incident) -> Vec<Citation> {
        let Some(runbooks) = &self.help.runbooks else { return Vec::new() };
        let mut found =
            self.passages(runbooks, "", runbooks::names(&incident.cause), Language::English).await;
        let own = format!("#{}", incident.id);
        found.retain(|citation| citation.origin != Origin::Incident || citation.file != own);
        found
    }

    async fn passages(
        &self,
        runbooks: &Arc<Runbooks>,
        question: &str,
        mut names: Vec<String>,
        language: Language,
    ) -> Vec<Citation> {
        let mut seen = std::collections::BTreeSet::new();
        names.retain(|name| !name.trim().is_empty() && seen.insert(name.clone()));
        names.truncate(MAX_NAMES);
        let all = Window::new(0, self.now().0);
        let past = self.telemetry.estate().and_then(|estate| estate.incidents(all)).unwrap_or_default();
        let past = past.into_iter().filter(|incident| !incident.is_active()).collect();
        let query = Query { text: question.to_owned(), names };
        runbooks.find(query, past, (language, self.zone.clone())).await
    }

    /// A report with a summary by a model, where one is set up for it and says nothing else than the report.
    pub async fn summed_up(&self, mut report: Report) -> Report {
        let Some(llm) = self.help.llm.as_ref().filter(|llm| llm.serves(Scenario::Report)) else {
            return report;
        };
        let lines = report.said();
        let facts = report.sections.iter().map(|section| &section.facts);
        let mut subjects: Vec<String> = facts.clone().flat_map(routes).collect();
        subjects.retain(|name| is_telling(name));
        let wanted = Wanted {
            question: report.kind.title(report.language),
            language: report.language,
            zone: &report.zone,
            verdict: &[],
            lines: &lines,
            outside: facts.flat_map(|facts| of_facts(facts, usize::MAX)).collect(),
            subjects,
            runbooks: Vec::new(),
        };
        let tools = Tools::new(self.clone(), llm.masker().clone());
        match llm.word(Scenario::Report, wanted, &tools, (None, llm.until())).await {
            Ok((text, provider)) => report.summary = Some(Summary { text, provider }),
            Err(Unworded::Mismatch(kind)) => mismatch(kind),
            Err(why) => tracing::info!(why = why.as_str(), "a report has no summary"),
        }
        report
    }

    /// Lets a model word what comes after the verdict. What it says has to stand in the findings.
    async fn word(&self, answer: &mut Answer, told: &Told, question: &str, watched: Watched<'_>) {
        let Some(llm) = self.help.llm.as_ref().filter(|llm| llm.serves(Scenario::Word)) else { return };
        let (head, body) = (told.head(), told.body());
        let nothing = matches!(answer.outcome, Outcome::NoData) || body.is_empty();
        if nothing {
            answer.wording_reason = Some("nothing_to_word");
            return;
        }
        let passages = answer.runbooks.iter().map(|one| (one.heading.clone(), one.excerpt.clone()));
        let wanted = Wanted {
            question,
            language: answer.question.language,
            zone: &self.zone,
            verdict: &head,
            lines: &body,
            outside: outside(answer),
            subjects: subjects(answer),
            runbooks: passages.collect(),
        };
        let tools = Tools::new(self.clone(), llm.masker().clone());
        let worded = llm.word(Scenario::Word, wanted, &tools, watched).await;
        match worded {
            Ok((text, provider)) => {
                answer.text = format!("{}\n{text}", head.join("\n"));
                answer.wording = By::Model;
                answer.model = Some(provider);
            }
            Err(why) => {
                if let Unworded::Mismatch(kind) = why {
                    mismatch(kind);
                }
                answer.wording_reason = Some(why.as_str());
            }
        }
        let by = if answer.wording == By::Model { "model" } else { "template" };
        counter!("iap_ops_llm_wordings_total", "by" => by).increment(1);
    }
}

/// The same with a line in the text about the passages that it cites.
fn pointing_to_them(mut answer: Answer) -> Answer {
    if let Some(line) = wording::citations(answer.question.language, &answer.runbooks) {
        answer.text = format!("{}\n{line}", answer.text);
    }
    answer
}

fn mismatch(kind: Mismatch) {
    tracing::warn!(
        kind = kind.as_str(),
        "a model has said what the findings do not say: its words are not taken"
    );
    counter!("iap_ops_llm_grounding_mismatches_total", "kind" => kind.as_str()).increment(1);
}

/// The names in what is wrong.
fn of_findings(findings: &Findings) -> Vec<String> {
    let mut names: Vec<String> =
        findings.incidents.iter().flat_map(|incident| runbooks::names(&incident.cause)).collect();
    for problem in &findings.problems {
        names.push(problem.route.clone());
        if let Some(culprit) = &problem.culprit {
            names.push(culprit.blame.name.clone());
            names.push(culprit.blame.service.clone());
            names.extend(culprit.error.clone());
        }
    }
    names
}

/// All texts in an answer that came from outside.
fn outside(answer: &Answer) -> Vec<String> {
    let mut found = answer.findings.as_ref().map(of_findings).unwrap_or_default();
    if let Some(findings) = &answer.findings {
        let changes = findings.incidents.iter().filter_map(|incident| incident.cause.change.as_ref());
        found.extend(changes.map(|(_, what)| what.clone()));
        found.extend(findings.subjects.iter().chain(&findings.unjudged).map(|one| one.route.clone()));
    }
    found.extend(answer.facts.iter().flat_map(|facts| of_facts(facts, usize::MAX)));
    found
}

/// The names in facts: of the sentences, of the advice, and of the first rows.
fn of_facts(facts: &Facts, rows: usize) -> Vec<String> {
    let said = facts.sentences.iter().flat_map(|said| &said.figures);
    let advised = facts.advice.iter().flat_map(|advice| advice.inputs.iter().chain(&advice.sentence.figures));
    let single = said.chain(advised).map(|Figure { value, unit, .. }| (value, *unit));
    let cells = facts.tables.iter().flat_map(|table| {
        let units = table.columns.iter().map(|column| column.unit);
        table.rows.iter().take(rows).flat_map(move |row| row.iter().zip(units.clone()))
    });
    let name = |(value, unit): (&Value, Unit)| match value {
        Value::Text(text) if matches!(unit, Unit::Route | Unit::Code | Unit::Text) => Some(text.clone()),
        _ => None,
    };
    single.chain(cells).filter_map(name).collect()
}

/// The routes that lines of an answer are about.
fn subjects(answer: &Answer) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(findings) = &answer.findings {
        found.extend(findings.problems.iter().map(|problem| problem.route.clone()));
        found.extend(findings.subjects.iter().chain(&findings.unjudged).map(|one| one.route.clone()));
    }
    found.extend(answer.facts.iter().flat_map(routes));
    found.retain(|name| is_telling(name));
    found
}

/// The routes in tables.
fn routes(facts: &Facts) -> Vec<String> {
    let mut found = Vec::new();
    for table in &facts.tables {
        let Some(at) = table.columns.iter().position(|column| column.unit == Unit::Route) else { continue };
        found.extend(table.rows.iter().filter_map(|row| match row.get(at) {
            Some(Value::Text(route)) => Some(route.clone()),
            _ => None,
        }));
    }
    found
}

/// A name of one sign is in everything.
fn is_telling(name: &str) -> bool {
    name.chars().filter(|c| c.is_alphanumeric()).count() >= 2
}
