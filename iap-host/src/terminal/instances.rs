//! `iap-host instances`: the hosts of one file: how they are, a new one, one that goes, all of them to read it again.

use std::process::ExitCode;

use http::{Method, StatusCode};
use iap_core::BoxError;
use serde_json::{Map, Value, json};

use super::args::{ChangeArgs, InstancesArgs, InstancesCommand};
use super::paint::Tone;
use super::table::{Cell, Kind, Table};
use super::{Outcome, Screen, ask, items, read, run, word};
use crate::client::{call, printable, problem};
use crate::instances::set as set_at;

const COLUMNS: [(&str, Kind); 9] = [
    ("", Kind::Text),
    ("name", Kind::Text),
    ("state", Kind::Text),
    ("file", Kind::Text),
    ("revision", Kind::Number),
    ("version", Kind::Text),
    ("listens", Kind::Text),
    ("profiles", Kind::Spare),
    ("id", Kind::Spare),
];

/// Does what is asked for.
pub(crate) fn command(args: &InstancesArgs) -> Result<ExitCode, BoxError> {
    match &args.command {
        None => run(&args.host, async |screen| list(&args.host.url, screen).await),
        Some(InstancesCommand::List { host }) => run(host, async |screen| list(&host.url, screen).await),
        Some(InstancesCommand::Add { change, name, set, admin_url }) => run(&change.host, async |_| {
            let body = new(name, set, admin_url.as_deref())?;
            changed((Method::POST, "/api/instances"), body, change).await
        }),
        Some(InstancesCommand::Clone { change, like, name, set, admin_url }) => {
            run(&change.host, async |_| {
                let body = new(name, set, admin_url.as_deref())?;
                changed((Method::POST, &format!("/api/instances/{like}/clone")), body, change).await
            })
        }
        Some(InstancesCommand::Delete { change, name, destroy }) => run(&change.host, async |_| {
            let how = if *destroy { "destroy" } else { "unregister" };
            let body = Map::from_iter([("how".to_owned(), how.into())]);
            changed((Method::DELETE, &format!("/api/instances/{name}")), body, change).await
        }),
        Some(InstancesCommand::Reload { host }) => run(host, async |_| {
            Ok(match ask(&host.url, Method::POST, "/api/instances/reload", None).await? {
                Err(refused) => refused,
                Ok(answer) => {
                    let is_refused = items(&answer, "instances").iter().any(|one| one["done"] != true);
                    Outcome { text: reloaded(&answer), is_refused, answer }
                }
            })
        }),
    }
}

async fn list(url: &str, screen: Screen) -> Result<Outcome, BoxError> {
    read(url, "/api/instances", |answer| listed(answer, screen)).await
}

fn listed(answer: &Value, screen: Screen) -> String {
    let mut table = Table::new(&COLUMNS);
    for one in items(answer, "instances") {
        let state = word(one, "state");
        let tone = match state {
            "running" => Tone::Plain,
            "unreachable" => Tone::Bad,
            _ => Tone::Warning,
        };
        let file = match one["in_sync"].as_bool() {
            Some(true) => Cell::from("in sync"),
            Some(false) => Cell::toned("behind", Tone::Warning),
            None => "".into(),
        };
        let profiles: Vec<&str> = items(one, "profiles").iter().filter_map(Value::as_str).collect();
        table.row([
            if one["own"] == true { "*" } else { "" }.into(),
            word(one, "name").into(),
            Cell::toned(state, tone),
            file,
            one["revision"].as_u64().map(|number| number.to_string()).unwrap_or_default().into(),
            word(one, "version").into(),
            word(&one["listen"], "server.listen").into(),
            profiles.join(" ").into(),
            word(one, "id").into(),
        ]);
        if let Some(detail) = one["detail"].as_str() {
            table.note(detail);
        }
    }
    let mut text = match table.is_empty() {
        true => "the configuration has no instances: docs/instances.md says how to begin\n".to_owned(),
        false => table.show(screen),
    };
    if let Some(error) = answer["error"].as_str() {
        text += &format!("the file cannot be taken up as it is: {}\n", printable(error));
    }
    text
}

fn new(name: &str, set: &[String], url: Option<&str>) -> Result<Map<String, Value>, BoxError> {
    let mut settings = json!({});
    for one in set {
        let wrong = || format!("--set {one}: write it as PATH=VALUE, like server.listen=0.0.0.0:8080");
        let (path, text) = one.split_once('=').ok_or_else(wrong)?;
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
        if !set_at(&mut settings, path, value) {
            return Err(wrong().into());
        }
    }
    let mut body = Map::from_iter([("name".to_owned(), name.into()), ("settings".to_owned(), settings)]);
    if let Some(url) = url {
        body.insert("url".to_owned(), url.into());
    }
    Ok(body)
}

/// Sends a change, or asks what it would do.
async fn changed(
    (method, path): (Method, &str),
    mut body: Map<String, Value>,
    change: &ChangeArgs,
) -> Result<Outcome, BoxError> {
    let url = &change.host.url;
    body.insert("dry_run".to_owned(), change.dry_run.into());
    body.insert("overwrite".to_owned(), change.overwrite.into());
    body.insert("reason".to_owned(), change.reason.clone().unwrap_or_default().into());
    let seen = match ask(url, Method::GET, "/api/config", None).await? {
        Ok(config) => word(&config, "etag").to_owned(),
        Err(refused) => return Ok(refused),
    };
    let sent = (Some(seen.as_str()), Some(&Value::Object(body)));
    let (status, answer) = call(url, method, path, sent).await?;
    let is_judged = matches!(status.as_u16(), 400 | 403 | 404 | 409 | 412 | 422);
    if !status.is_success() {
        let text = problem(url, status, &answer);
        return if is_judged { Ok(Outcome { answer, text, is_refused: true }) } else { Err(text.into()) };
    }
    let text = if change.dry_run { planned(&answer) } else { done(status, &answer) };
    Ok(Outcome::good(answer, text))
}

fn planned(answer: &Value) -> String {
    let mut text = printable(word(answer, "diff"));
    for directory in items(answer, "directories").iter().filter_map(Value::as_str) {
        text += &format!("would be removed: {}\n", printable(directory));
    }
    text
}

fn done(status: StatusCode, answer: &Value) -> String {
    let revision = &answer["revision"];
    let trial = if status == StatusCode::ACCEPTED { ", tried out" } else { "" };
    let mut text = format!("revision {}: {}{trial}\n", revision["number"], word(revision, "state"));
    for (name, what) in [("removed", "removed"), ("left", "could not be removed:")] {
        for directory in items(&answer["cleared"], name).iter().filter_map(Value::as_str) {
            text += &format!("{what} {}\n", printable(directory));
        }
    }
    text
}

fn reloaded(answer: &Value) -> String {
    let mut text = String::new();
    for one in items(answer, "instances") {
        let changed: Vec<&str> = items(one, "changed").iter().filter_map(Value::as_str).collect();
        let told = match (one["detail"].as_str(), changed.is_empty()) {
            (Some(detail), _) => format!("not done: {}", printable(detail)),
            (None, true) => "nothing has changed".to_owned(),
            (None, false) => format!("runs: {}", changed.join(", ")),
        };
        text += &format!("{}: {told}\n", word(one, "name"));
    }
    text
}
