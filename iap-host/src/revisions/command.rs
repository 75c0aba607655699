//! `iap-host config`: the configuration of a running host, over its admin API.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use http::{Method, StatusCode};
use iap_core::BoxError;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::{ConfigCommand, HostArgs};
use crate::client::{call, printable, problem};
use crate::run;
use crate::terminal::{self, Outcome};

/// How often a trial is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Does what is asked for, and prints what came of it.
pub(crate) fn command(command: &ConfigCommand) -> Result<ExitCode, BoxError> {
    terminal::run(host(command), async |_| {
        let outcome = run_command(command).await?;
        Ok(Outcome { text: printable(&outcome.text), ..outcome })
    })
}

fn host(command: &ConfigCommand) -> &HostArgs {
    match command {
        ConfigCommand::Show { host, .. }
        | ConfigCommand::Revisions { host, .. }
        | ConfigCommand::Diff { host, .. }
        | ConfigCommand::Validate { host, .. }
        | ConfigCommand::Apply { host, .. }
        | ConfigCommand::Rollback { host, .. } => host,
    }
}

async fn run_command(command: &ConfigCommand) -> Result<Outcome, BoxError> {
    let url = &host(command).url;
    match command {
        ConfigCommand::Show { settings, .. } => {
            let answer = get(url, "/api/config").await?;
            let text = if *settings { settings_of(&answer) } else { shown(&answer) };
            Ok(Outcome::good(answer, text))
        }
        ConfigCommand::Revisions { limit, .. } => {
            let answer = get(url, &format!("/api/config/revisions?limit={limit}")).await?;
            let text = listed(&answer);
            Ok(Outcome::good(answer, text))
        }
        ConfigCommand::Diff { from, to, .. } => {
            let to = to.map(|to| format!("&to={to}")).unwrap_or_default();
            let answer = get(url, &format!("/api/config/diff?from={from}{to}")).await?;
            let diff = answer["diff"].as_str().filter(|diff| !diff.is_empty());
            let text = diff.unwrap_or("nothing differs").to_owned();
            Ok(Outcome::good(answer, text))
        }
        ConfigCommand::Validate { file, .. } => validate(url, file).await,
        ConfigCommand::Apply { file, reason, if_match, overwrite, .. } => {
            let text = run::read(file)?;
            let seen = match if_match {
                Some(seen) => seen.clone(),
                None => get(url, "/api/config").await?["etag"].as_str().unwrap_or("*").to_owned(),
            };
            let body = json!({ "text": text, "reason": reason, "overwrite": overwrite });
            let asked = call(url, Method::POST, "/api/config", (Some(&seen), Some(&body))).await?;
            ended(url, asked, Some(file)).await
        }
        ConfigCommand::Rollback { to, reason, overwrite, .. } => {
            let body = json!({ "to": to, "reason": reason, "overwrite": overwrite });
            let asked = call(url, Method::POST, "/api/config/rollback", (None, Some(&body))).await?;
            ended(url, asked, None).await
        }
    }
}

async fn get(url: &str, path: &str) -> Result<Value, BoxError> {
    match call(url, Method::GET, path, (None, None)).await? {
        (StatusCode::OK, answer) => Ok(answer),
        (status, answer) => Err(problem(url, status, &answer).into()),
    }
}

async fn validate(url: &str, file: &Path) -> Result<Outcome, BoxError> {
    let body = json!({ "text": run::read(file)? });
    let (status, answer) = call(url, Method::POST, "/api/config/validate", (None, Some(&body))).await?;
    if status != StatusCode::OK {
        return Err(problem(url, status, &answer).into());
    }
    let is_refused = answer["valid"] != true;
    let mut text = errors(file, &answer);
    if !is_refused {
        let _ = writeln!(text, "{}: valid", file.display());
        for change in answer["changes"].as_array().into_iter().flatten() {
            let _ = writeln!(text, "  {:<8} {}", word(&change["kind"]), word(&change["path"]));
        }
        if let Some(setting) = answer["needs_hand_over"].as_str() {
            let _ = writeln!(text, "{setting}: this needs a new process (SIGUSR2, or a restart)");
        }
    }
    Ok(Outcome { answer, text, is_refused })
}

/// As compilers have them: an editor goes there.
fn errors(file: &Path, answer: &Value) -> String {
    let mut text = String::new();
    for error in answer["errors"].as_array().into_iter().flatten() {
        let place = error["line"].as_u64().zip(error["column"].as_u64());
        let place = place.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default();
        let _ = writeln!(text, "{}{place}: {}", file.display(), word(&error["message"]));
    }
    text
}

/// Waits until a trial is over.
async fn ended(
    url: &str,
    (status, mut answer): (StatusCode, Value),
    file: Option<&Path>,
) -> Result<Outcome, BoxError> {
    if !status.is_success() {
        let is_judged = matches!(status.as_u16(), 404 | 409 | 412 | 422);
        let place = file.map(|file| errors(file, &answer)).filter(|text| !text.is_empty());
        let text = place.unwrap_or_else(|| problem(url, status, &answer));
        return match is_judged {
            true => Ok(Outcome { answer, text, is_refused: true }),
            false => Err(text.into()),
        };
    }
    while answer["revision"]["state"] == "pending" {
        tokio::time::sleep(LOOK_EVERY).await;
        let number = &answer["revision"]["number"];
        let now = get(url, &format!("/api/config/revisions/{number}")).await?;
        answer["revision"] = now["revision"].clone();
    }
    let revision = &answer["revision"];
    let mut text = format!("revision {}: {}", revision["number"], word(&revision["state"]));
    if let Some(error) = revision["error"].as_str() {
        let _ = write!(text, ": {error}");
    }
    Ok(Outcome { is_refused: revision["state"] != "stable", text, answer })
}

fn shown(answer: &Value) -> String {
    let mut head = format!("# revision {}, {}\n", answer["revision"]["number"], word(&answer["etag"]));
    if let Some(trial) = answer["trial"].as_object() {
        let _ = writeln!(head, "# revision {} is being tried out", trial["revision"]);
    }
    if !answer["drift"].is_null() {
        let _ = writeln!(head, "# {} has something else: it was edited", word(&answer["file"]));
    }
    head + answer["text"].as_str().unwrap_or_default()
}

fn settings_of(answer: &Value) -> String {
    let mut text = String::new();
    for setting in answer["settings"].as_array().into_iter().flatten() {
        let _ = writeln!(
            text,
            "{:<12} {} = {}",
            word(&setting["source"]),
            word(&setting["path"]),
            setting["value"]
        );
    }
    text
}

fn listed(answer: &Value) -> String {
    let mut text = format!(
        "  {:>6}  {:<20} {:<11} {:<8} {:<16} {}\n",
        "number", "time", "state", "origin", "author", "reason"
    );
    for revision in answer["revisions"].as_array().into_iter().flatten() {
        let at = revision["at_ms"].as_i64().and_then(|ms| Timestamp::from_second(ms / 1_000).ok());
        let at = at.map(|at| at.to_string()).unwrap_or_default();
        let mark = if revision["number"] == answer["running"] { '*' } else { ' ' };
        let why = revision["error"].as_str().or(revision["reason"].as_str()).unwrap_or_default();
        let _ = writeln!(
            text,
            "{mark} {:>6}  {at:<20} {:<11} {:<8} {:<16} {why}",
            revision["number"].as_u64().unwrap_or_default(),
            word(&revision["state"]),
            word(&revision["origin"]),
            word(&revision["author"]),
        );
    }
    text
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
