//! Alerts in words.

use super::rule::{Bound, Measure, Rule, Signal};
use super::state::{AlertEvent, Edge};
use crate::question::Language;
use crate::zone::Zone;

/// An alert in a sentence or two.
pub fn describe(event: &AlertEvent, rule: &Rule, language: Language, zone: &Zone) -> String {
    let about: Vec<String> = event.group.iter().map(|(label, value)| format!("{label}={value}")).collect();
    let about = if about.is_empty() { String::new() } else { format!(" ({})", about.join(", ")) };
    let unit = unit(&rule.signal);
    let value = event.value.map(|value| format!("{}{unit}", number(value)));
    let since = zone.print(event.since_us);
    let condition = condition(rule, language);
    match (language, event.edge) {
        (Language::Korean, Edge::Firing) => {
            let value = value.map_or_else(|| "값이 없습니다".to_owned(), |value| format!("현재 {value}"));
            format!("{}{about}: {value}. 조건: {condition}. 시작: {since}.", event.rule)
        }
        (Language::Korean, Edge::Resolved) => {
            format!("{}{about}: 해소되었습니다. 조건: {condition}. 시작: {since}.", event.rule)
        }
        (_, Edge::Firing) => {
            let value = value.map_or_else(|| "there is no value".to_owned(), |value| format!("now {value}"));
            format!("{}{about}: {value}. Rule: {condition}. Since {since}.", event.rule)
        }
        (_, Edge::Resolved) => {
            format!("{}{about}: resolved. Rule: {condition}. It began {since}.", event.rule)
        }
    }
}

/// A rule in words.
pub(super) fn condition(rule: &Rule, language: Language) -> String {
    let korean = language == Language::Korean;
    let what = match &rule.signal {
        Signal::Route { measure, .. } => {
            let (english, korean_name) = match measure {
                Measure::Rate => ("requests a second", "초당 요청"),
                Measure::ErrorPercent => ("failed requests", "오류율"),
                Measure::P50 => ("median time", "중앙값 응답 시간"),
                Measure::P95 => ("p95 time", "p95 응답 시간"),
                Measure::P99 => ("p99 time", "p99 응답 시간"),
                Measure::Apdex(_) => ("Apdex", "Apdex"),
            };
            (if korean { korean_name } else { english }).to_owned()
        }
        Signal::Burn { objective, .. } if korean => format!("목표 {objective}%의 예산 소진 속도"),
        Signal::Burn { objective, .. } => format!("burn rate of the {objective} % objective"),
        Signal::Metric { name, function, .. } => match function {
            Some(function) => format!("{function:?}({name})").to_lowercase(),
            None => name.clone(),
        },
    };
    let (over, unit) = (span(rule.over), unit(&rule.signal));
    match (rule.bound, korean) {
        (Bound::Above(bound), false) => format!("{what} above {}{unit} over {over}", number(bound)),
        (Bound::Below(bound), false) => format!("{what} below {}{unit} over {over}", number(bound)),
        (Bound::Absent, false) => format!("no {what} for {over}"),
        (Bound::Above(bound), true) => format!("{over} 동안 {what} {}{unit} 초과", number(bound)),
        (Bound::Below(bound), true) => format!("{over} 동안 {what} {}{unit} 미만", number(bound)),
        (Bound::Absent, true) => format!("{over} 동안 {what} 없음"),
    }
}

fn unit(signal: &Signal) -> &'static str {
    match signal {
        Signal::Route { measure: Measure::ErrorPercent, .. } => " %",
        Signal::Route { measure: Measure::Rate, .. } => "/s",
        Signal::Route { measure: Measure::P50 | Measure::P95 | Measure::P99, .. } => " ms",
        Signal::Burn { .. } => "x",
        Signal::Route { .. } | Signal::Metric { .. } => "",
    }
}

/// At most three digits behind the point, and none that say nothing.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn span(duration: std::time::Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        s if s > 0 && s % 3600 == 0 => format!("{}h", s / 3600),
        s if s > 0 && s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}
