//! The templates, in Korean and English. Each fact has one sentence in both.

use super::{AnswerWindow, pick, suggestions};
use crate::blame::BlameKind;
use crate::detect::{Incident, story};
use crate::findings::{Culprit, Finding, Findings, Problem, Recent, RouteNumbers};
use crate::question::{Intent, Language};
use crate::runbooks::{Citation, Origin};
use crate::zone::Zone;

/// Routes that are named of those with too few requests.
const MAX_UNJUDGED: usize = 3;

pub(super) fn help(language: Language) -> String {
    let known = suggestions::after(Intent::Unknown, language);
    let known: Vec<String> = known.iter().map(|question| format!("\"{question}\"")).collect();
    let known = known.join(", ");
    pick(
        language,
        format!(
            "이 질문에는 답할 수 없습니다. 이런 질문에 답할 수 있습니다: {known}. 경로 이름을 넣으면 그 경로만 봅니다."
        ),
        format!(
            "I cannot answer that; I can answer these: {known}. With the name of a route in it, the answer is about that route."
        ),
    )
}

pub(super) fn times(language: Language) -> String {
    pick(
        language,
        "질문의 시간을 이해하지 못해서 답하지 않았습니다. 이렇게 쓸 수 있습니다: \"최근 30초\", \"최근 10분\", \
         \"1시간 30분 동안\", \"2일\", \"이틀\", \"1주\"(최대 31일), \"오늘\", \"어제\", \"그저께\", \"이번 주\", \"지난주\", \
         \"지난달\", \"이번 주 월요일\", \"지난 영업일\". 시간이 없으면 질문에 맞는 구간을 봅니다.",
        "I did not understand the time in this question, so it is not answered. These are understood: \
         \"last 30 seconds\", \"last 10 minutes\", \"1 hour 30 minutes\", \"2 days\", \"1 week\" (at most 31 \
         days), \"today\", \"yesterday\", \"the day before yesterday\", \"this week\", \"last week\", \"last month\", \
         \"last monday\", \"last business day\". Without a time it is what fits the question.",
    )
    .to_owned()
}

/// A text in its parts. A model words only what comes after the verdict.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The window, and what the answer is about.
    pub(super) before: Vec<String>,
    /// Incidents that were detected: what they are called, and all there is to tell.
    pub(super) incidents: Vec<(String, String)>,
    /// How things are, in a sentence.
    pub(super) verdict: Option<String>,
    /// All else.
    pub(super) rest: Vec<String>,
}

impl Told {
    /// The whole text.
    pub(super) fn text(&self) -> String {
        let incidents = self.incidents.iter().map(|(_, whole)| whole);
        let lines = self.before.iter().chain(incidents).chain(&self.verdict).chain(&self.rest);
        lines.map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// What a model does not word.
    pub(super) fn head(&self) -> Vec<String> {
        let incidents = self.incidents.iter().map(|(title, _)| title);
        self.before.iter().chain(incidents).chain(&self.verdict).cloned().collect()
    }

    /// What it does.
    pub(super) fn body(&self) -> Vec<String> {
        self.incidents.iter().map(|(_, whole)| whole).chain(&self.rest).cloned().collect()
    }
}

pub(super) fn answer(language: Language, zone: &Zone, about: &AnswerWindow, findings: &Findings) -> Told {
    let mut told = Told { before: vec![window(language, about)], ..Told::default() };
    told.before.extend(subject(language, findings));
    told.incidents.extend(findings.incidents.iter().map(|incident| detected(language, zone, incident)));
    if findings.count == 0 {
        told.verdict = Some(no_data(language));
    } else {
        told.verdict = match (&*findings.problems, &*findings.unjudged, &*findings.subjects) {
            ([], [], []) => Some(healthy(language, findings)),
            ([], [], _) => None,
            _ => Some(totals(language, findings)),
        };
        for (at, problem) in findings.problems.iter().enumerate() {
            told.rest.push(format!("{}. {}", at + 1, finding(language, problem)));
        }
        told.rest.extend(good(language, findings));
    }
    told.rest.extend(unjudged(language, findings));
    told.rest.extend(sessions(language, findings));
    if told.verdict.is_none() && !told.rest.is_empty() {
        told.verdict = Some(told.rest.remove(0));
    }
    told
}

/// Where else to look.
pub(super) fn citations(language: Language, found: &[Citation]) -> Option<String> {
    let one = |citation: &Citation| match citation.origin {
        Origin::Runbook => format!("{} — {}", citation.file, citation.heading),
        Origin::Incident => {
            let name = pick(language, "지난 장애", "past incident");
            format!("{name} {}: {}", citation.file, citation.heading)
        }
    };
    let listed: Vec<String> = found.iter().map(one).collect();
    let name = pick(language, "참고 문서", "See runbook");
    (!listed.is_empty()).then(|| format!("{name}: {}", listed.join("; ")))
}

/// An incident that was detected before anybody asked.
fn detected(language: Language, zone: &Zone, incident: &Incident) -> (String, String) {
    let told = story(incident, language, zone);
    let head = pick(language, "[진행 중인 장애", "[incident");
    let id = incident.id;
    let cause = pick(language, "원인", "Cause");
    let parts =
        [&*told.when, &*told.impact, &*format!("{cause}: {}", told.cause), &*told.advice, &*told.disproof];
    let title = format!("{head} #{id}] {}.", told.title);
    let whole = format!("{title} {}", parts.join(" "));
    (title, whole)
}

fn subject(language: Language, findings: &Findings) -> Option<String> {
    let names: Vec<&str> = findings.subjects.iter().map(|subject| subject.route.as_str()).collect();
    let names = names.join(", ");
    let line = pick(
        language,
        format!("질문에 나온 경로만 본 결과: {names}"),
        format!("Only about what the question names: {names}"),
    );
    (!names.is_empty()).then_some(line)
}

fn sessions(language: Language, findings: &Findings) -> Option<String> {
    if findings.sessions_unavailable {
        let text = pick(language, "세션 저장소가 응답하지 않습니다.", "The session store does not answer.");
        return Some(text.to_owned());
    }
    let active = findings.sessions?.active;
    Some(pick(
        language,
        format!("현재 세션은 {active}개입니다."),
        format!("There are {active} sessions now."),
    ))
}

pub(super) fn window(language: Language, about: &AnswerWindow) -> String {
    let AnswerWindow { start, end, tz, .. } = about;
    pick(language, format!("조회 구간: {start} ~ {end} ({tz})"), format!("Window: {start} to {end} ({tz})"))
}

pub(super) fn no_data(language: Language) -> String {
    pick(
        language,
        "이 구간에 기록된 요청이 없습니다. 트래픽이 게이트웨이를 지나는지 확인하거나, \
         \"최근 60분 동안 뭐가 문제야?\"처럼 더 긴 구간으로 물어보세요.",
        "No requests were recorded in this window. Check that traffic passes the gateway, or ask about a \
         longer one: \"what is wrong in the last 60 minutes?\"",
    )
    .to_owned()
}

fn healthy(language: Language, findings: &Findings) -> String {
    let Findings { count, errors, .. } = findings;
    pick(
        language,
        format!("실패하거나 느린 경로가 없습니다. 요청 {count}건, 오류 {errors}건입니다."),
        format!("No route is failing or slow: {count} requests, {errors} errors."),
    )
}

/// The routes that were asked about and have no other line.
fn good(language: Language, findings: &Findings) -> Vec<String> {
    let line = |RouteNumbers { route, count, errors, p95_us }: &RouteNumbers| {
        let p95 = duration(*p95_us);
        match count {
            0 => pick(
                language,
                format!("{route}: 이 구간에 요청이 없습니다."),
                format!("{route}: no requests in this window."),
            ),
            _ => pick(
                language,
                format!(
                    "{route}: 실패하거나 느리지 않습니다. 요청 {count}건, 오류 {errors}건, p95 {p95}입니다."
                ),
                format!("{route} is neither failing nor slow: {count} requests, {errors} errors, p95 {p95}."),
            ),
        }
    };
    let told = |subject: &&RouteNumbers| {
        findings.problems.iter().any(|problem| problem.route == subject.route)
            || findings.unjudged.contains(subject)
    };
    findings.subjects.iter().filter(|subject| !told(subject)).map(line).collect()
}

/// Names the first ones only.
fn unjudged(language: Language, findings: &Findings) -> Option<String> {
    let routes = &findings.unjudged;
    let one = |RouteNumbers { route, count, errors, .. }: &RouteNumbers| {
        pick(language, format!("{route} {count}건 중 {errors}건"), format!("{route} {errors} of {count}"))
    };
    let mut listed: Vec<_> = routes.iter().take(MAX_UNJUDGED).map(one).collect();
    let more = routes.len().saturating_sub(MAX_UNJUDGED);
    if more > 0 {
        listed.push(pick(language, format!("외 경로 {more}개"), format!("and {more} more routes")));
    }
    let listed = listed.join(", ");
    let line = pick(
        language,
        format!("요청이 너무 적어 판단할 수 없는 경로의 오류: {listed}."),
        format!("Too few requests to judge; failed there: {listed}."),
    );
    (!routes.is_empty()).then_some(line)
}

fn totals(language: Language, findings: &Findings) -> String {
    let (count, errors, problems) = (findings.count, findings.errors, findings.problems.len());
    pick(
        language,
        format!("요청 {count}건 중 오류 {errors}건, 문제 {problems}개를 찾았습니다."),
        format!("{count} requests, {errors} errors; problems found: {problems}."),
    )
}

fn finding(language: Language, finding: &Finding) -> String {
    let mut parts = vec![match finding.problem {
        Problem::Failing => failing(language, finding),
        Problem::Slow => slow(language, finding),
    }];
    if let Some(found) = &finding.culprit {
        parts.push(culprit(language, finding, found));
    }
    if finding.sessions > 0 {
        let sessions = finding.sessions;
        parts.push(pick(
            language,
            format!("살펴본 요청의 세션: {sessions}개."),
            format!("Sessions in the examined requests: {sessions}."),
        ));
    }
    let evidence = finding.evidence.join(", ");
    parts.push(pick(language, format!("근거 트레이스: {evidence}"), format!("Evidence, traces: {evidence}")));
    parts.join(" ")
}

fn failing(language: Language, finding: &Finding) -> String {
    let Finding { route, count, errors, error_percent, baseline_error_percent, .. } = finding;
    let before = baseline_error_percent.map(|percent| {
        pick(
            language,
            format!(", 직전 1시간은 {percent:.1}%"),
            format!(", against {percent:.1}% in the hour before"),
        )
    });
    let before = before.unwrap_or_default();
    let recent = finding.recent.map(|end| recent(language, finding.failing_now, end)).unwrap_or_default();
    pick(
        language,
        format!("[실패] {route}: {count}건 중 {errors}건 오류({error_percent:.1}%{before}).{recent}"),
        format!(
            "[failing] {route}: {errors} of {count} requests failed ({error_percent:.1}%{before}).{recent}"
        ),
    )
}

fn recent(language: Language, failing_now: bool, recent: Recent) -> String {
    let Recent { count, errors, error_percent, .. } = recent;
    let seconds = recent.length_us.div_ceil(1_000_000);
    let now = if failing_now {
        pick(language, " 지금 실패하고 있습니다:", " It is failing now:")
    } else {
        ""
    };
    pick(
        language,
        format!("{now} 최근 {seconds}초는 {count}건 중 {errors}건({error_percent:.1}%)."),
        format!("{now} {errors} of {count} ({error_percent:.1}%) in the last {seconds} s."),
    )
}

fn slow(language: Language, finding: &Finding) -> String {
    let (route, count, p95) = (&finding.route, finding.count, duration(finding.p95_us));
    let before = finding.baseline_p95_us.map(duration).map(|before| {
        pick(language, format!(" (직전 1시간은 {before})"), format!(" (against {before} in the hour before)"))
    });
    let before = before.unwrap_or_default();
    pick(
        language,
        format!("[지연] {route}: {count}건의 p95가 {p95}{before}."),
        format!("[slow] {route}: the p95 of {count} requests is {p95}{before}."),
    )
}

fn culprit(language: Language, finding: &Finding, culprit: &Culprit) -> String {
    let thing = thing(language, culprit);
    let Culprit { traces, examined, time_percent, .. } = culprit;
    match finding.problem {
        Problem::Slow => {
            // The slowest are examined first, so only all of them stand for the route.
            let picked = match (*examined as u64) < finding.count {
                true => pick(language, format!("가장 느린 {examined}건"), format!("the {examined} slowest")),
                false => pick(language, format!("전체 {examined}건"), format!("all {examined}")),
            };
            let mean = duration(culprit.mean_self_us);
            pick(
                language,
                format!("원인({picked}): {thing} — 평균 {mean}, 그 시간의 {time_percent:.1}%."),
                format!("Cause in {picked}: {thing}: {mean} on average, {time_percent:.1}% of their time."),
            )
        }
        Problem::Failing => {
            let error = culprit.error.as_ref().map(|error| format!(" \"{error}\"")).unwrap_or_default();
            pick(
                language,
                format!("원인: {thing} — 살펴본 {examined}건 중 {traces}건에서 먼저 실패.{error}"),
                format!("Cause: {thing}: failed first in {traces} of {examined} traces.{error}"),
            )
        }
    }
}

fn thing(language: Language, culprit: &Culprit) -> String {
    let (name, service) = (&culprit.blame.name, &culprit.blame.service);
    let kind = match culprit.blame.kind {
        BlameKind::Sql => "SQL",
        BlameKind::Upstream => pick(language, "업스트림", "upstream"),
        BlameKind::Code => pick(language, "코드 구간", "code"),
    };
    format!("{kind} `{name}` ({service})")
}

/// Three digits and a unit.
fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_have_units() {
        let shown = [999, 1_500, 999_000, 1_250_000].map(duration);
        assert_eq!(shown, ["999 µs", "1.5 ms", "999.0 ms", "1.25 s"]);
    }
}
