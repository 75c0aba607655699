//! `iap-host incidents`: found, told, acknowledged.

use std::process::ExitCode;

use http::Method;
use iap_core::BoxError;
use serde_json::{Value, json};

use super::args::{IncidentListArgs, IncidentsArgs, IncidentsCommand};
use super::paint::Tone;
use super::table::{Cell, Kind, Table, fact, plain};
use super::write::{full_moment, moment, span};
use super::{Outcome, Query, Screen, ask, items, number, read, run, word};
use crate::client::name;

const COLUMNS: [(&str, Kind); 7] = [
    ("no", Kind::Number),
    ("state", Kind::Text),
    ("severity", Kind::Text),
    ("began", Kind::Text),
    ("lasted", Kind::Number),
    ("cause", Kind::Shrinking),
    ("title", Kind::Shrinking),
];

/// Does what is asked for.
pub(crate) fn command(args: &IncidentsArgs) -> Result<ExitCode, BoxError> {
    match &args.command {
        None => list(&args.list),
        Some(IncidentsCommand::List(args)) => list(args),
        Some(IncidentsCommand::Show { host, id, lang }) => run(host, async |screen| {
            let path = format!("/api/incidents/{id}?lang={}", name(*lang));
            read(&host.url, &path, |incident| told(incident, screen)).await
        }),
        Some(IncidentsCommand::Ack { host, id, who, note }) => run(host, async |_| {
            let own = || std::env::var("USER").ok().filter(|name| !name.is_empty());
            let who = who.clone().or_else(own).unwrap_or_else(|| "operator".to_owned());
            let body = json!({ "who": who, "note": note });
            let path = format!("/api/incidents/{id}/ack");
            Ok(match ask(&host.url, Method::POST, &path, Some(&body)).await? {
                Ok(incident) => {
                    let title = plain(word(&incident["story"], "title"));
                    let text = format!("incident {id} is {}: {title}", word(&incident, "state"));
                    Outcome::good(incident, text)
                }
                Err(refused) => refused,
            })
        }),
    }
}

fn list(args: &IncidentListArgs) -> Result<ExitCode, BoxError> {
    let mut query = Query::default();
    query
        .add("state", args.state.map(name))
        .add("last_s", args.last.map(|last| last.as_secs().max(1)))
        .add("limit", Some(args.limit))
        .add("cursor", args.cursor)
        .add("lang", Some(name(args.lang)));
    run(&args.host, async |screen| {
        read(&args.host.url, &query.of("/api/incidents"), |page| listed(page, screen)).await
    })
}

fn listed(page: &Value, screen: Screen) -> String {
    let mut table = Table::new(&COLUMNS);
    for incident in items(page, "incidents") {
        let began_s = number(incident, "began_s");
        let ended_s = incident["resolved_s"].as_u64();
        let lasted = ended_s.map(|ended_s| span(ended_s.saturating_sub(began_s)));
        table.row([
            number(incident, "id").into(),
            Cell::toned(word(incident, "state"), state_tone(word(incident, "state"))),
            Cell::toned(word(incident, "severity"), severity_tone(word(incident, "severity"))),
            moment(began_s * 1_000_000).into(),
            lasted.unwrap_or_default().into(),
            word(&incident["cause"], "kind").into(),
            word(&incident["story"], "title").into(),
        ]);
    }
    if table.is_empty() {
        return "no incidents".to_owned();
    }
    let mut text = table.show(screen);
    if let Some(next) = page["next"].as_u64() {
        text += &screen.paint.text(Tone::Faint, &format!("{} more: --cursor {next}", number(page, "more")));
    }
    text
}

pub(super) fn severity_tone(severity: &str) -> Tone {
    match severity {
        "critical" => Tone::Bad,
        "warning" => Tone::Warning,
        _ => Tone::Plain,
    }
}

fn state_tone(state: &str) -> Tone {
    match state {
        "open" => Tone::Strong,
        "resolved" => Tone::Faint,
        _ => Tone::Plain,
    }
}

/// An incident as a story.
fn told(incident: &Value, screen: Screen) -> String {
    let story = &incident["story"];
    let severity = word(incident, "severity");
    let paint = screen.paint;
    let mut text = format!(
        "{}\n{} · {}\n",
        paint.text(Tone::Strong, &plain(word(story, "title"))),
        paint.text(severity_tone(severity), severity),
        word(incident, "state"),
    );
    let mut part = |name: &str, value: &str| fact(&mut text, paint, name, (value, Tone::Plain));
    for name in ["when", "impact", "cause", "advice", "disproof"] {
        part(name, word(story, name));
    }
    for (at, signal) in items(story, "signals").iter().enumerate() {
        part(if at == 0 { "signals" } else { "" }, signal.as_str().unwrap_or_default());
    }
    for ack in items(incident, "acks") {
        let said = format!(
            "{} {} {}",
            full_moment(number(ack, "at_s") * 1_000_000),
            word(ack, "who"),
            word(ack, "note")
        );
        part("known", said.trim_end());
    }
    for evidence in items(&incident["cause"], "evidence").iter().take(5) {
        part("evidence", &format!("{} {}", word(evidence, "kind"), word(evidence, "id")));
    }
    text
}
