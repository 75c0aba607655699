//! The templates, in Korean and English. Each fact has one sentence in both.

use super::{AnswerWindow, Outcome, pick};
use crate::blame::BlameKind;
use crate::findings::{Culprit, Finding, Findings, Problem};
use crate::question::Language;

pub(super) fn help(language: Language) -> String {
    pick(
        language,
        "이 질문은 아직 답할 수 없습니다. 이렇게 물어보세요: \"지금 문제의 원인을 알려줘\", \
         \"최근 30분 동안 뭐가 문제야?\", \"왜 느려?\"",
        "I cannot answer this yet. You can ask: \"what is wrong right now?\", \
         \"what is the problem in the last 30 minutes?\", \"why is it slow?\"",
    )
    .to_owned()
}

pub(super) fn answer(
    language: Language,
    outcome: Outcome,
    about: &AnswerWindow,
    findings: &Findings,
) -> String {
    let mut lines = vec![window(language, about)];
    match outcome {
        Outcome::NoData => lines.push(no_data(language)),
        Outcome::Healthy => lines.push(healthy(language, findings)),
        Outcome::Problems | Outcome::NotUnderstood => {
            lines.push(totals(language, findings));
            for (at, problem) in findings.problems.iter().enumerate() {
                lines.push(format!("{}. {}", at + 1, finding(language, problem)));
            }
        }
    }
    if let Some(sessions) = findings.sessions {
        let active = sessions.active;
        lines.push(pick(
            language,
            format!("현재 세션은 {active}개입니다."),
            format!("There are {active} sessions now."),
        ));
    }
    lines.join("\n")
}

fn window(language: Language, about: &AnswerWindow) -> String {
    let AnswerWindow { start, end, tz, .. } = about;
    pick(language, format!("조회 구간: {start} ~ {end} ({tz})"), format!("Window: {start} to {end} ({tz})"))
}

fn no_data(language: Language) -> String {
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
    pick(
        language,
        format!("[실패] {route}: {count}건 중 {errors}건 오류({error_percent:.1}%{before})."),
        format!("[failing] {route}: {errors} of {count} requests failed ({error_percent:.1}%{before})."),
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
