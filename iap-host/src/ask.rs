//! `ask` and `report`: the assistant of a running host, over its admin API.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use iap_core::BoxError;
use iap_ops::llm::Events;
use serde_json::Value;

use crate::cli::{AskArgs, ReportArgs};
use crate::client::{Connection, MAX_ANSWER, bearer, encode, name, own_token, patiently, printable, problem};

/// There are problems.
const PROBLEMS: u8 = 1;
/// There is no answer.
const NO_ANSWER: u8 = 2;

/// Prints an answer; what went wrong goes to standard error.
#[allow(clippy::print_stdout)] // The answer of the command.
pub(crate) fn ask(args: &AskArgs) -> Result<ExitCode, BoxError> {
    let mut path = format!("/api/ask?q={}", encode(&args.question.join(" ")));
    if let Some(conversation) = &args.conversation {
        let _ = write!(path, "&conversation={}", encode(conversation));
    }
    if let Some(lang) = args.lang {
        let _ = write!(path, "&lang={}", name(lang));
    }
    let asked = match args.progress || std::io::stderr().is_terminal() {
        true => watch(&args.url, &path),
        false => get(&args.url, &path).and_then(|body| Ok(serde_json::from_slice(&body)?)),
    };
    Ok(or_no_answer(asked.and_then(|answer: Value| {
        if args.json {
            println!("{}", serde_json::to_string_pretty(&answer)?);
        } else {
            println!("{}", printable(answer["text"].as_str().unwrap_or_default()));
        }
        Ok(match answer["outcome"].as_str() {
            Some("problems") => ExitCode::from(PROBLEMS),
            Some("not_understood" | "time_not_understood") | None => ExitCode::from(NO_ANSWER),
            Some(_) => ExitCode::SUCCESS,
        })
    })))
}

/// Writes a report.
#[allow(clippy::print_stdout)] // The answer of the command.
pub(crate) fn report(args: &ReportArgs) -> Result<ExitCode, BoxError> {
    let (lang, format) = (name(args.lang), name(args.format));
    let mut path =
        format!("/api/reports/{}?lang={lang}&format={format}&base={}", name(args.kind), encode(&args.url));
    for (key, value) in [("from", &args.from), ("to", &args.to)] {
        if let Some(value) = value {
            let _ = write!(path, "&{key}={}", encode(value));
        }
    }
    Ok(or_no_answer(get(&args.url, &path).and_then(|body| {
        match &args.output {
            Some(file) => {
                std::fs::write(file, &body).map_err(|error| format!("{}: {error}", file.display()))?
            }
            None => print!("{}", String::from_utf8_lossy(&body)),
        }
        Ok(ExitCode::SUCCESS)
    })))
}

#[allow(clippy::print_stderr)] // Errors of the command line.
fn or_no_answer(result: Result<ExitCode, BoxError>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("iap-host: {error}");
        ExitCode::from(NO_ANSWER)
    })
}

/// Asks the admin API; the text of a problem is the error.
fn get(url: &str, path: &str) -> Result<Bytes, BoxError> {
    patiently(url, async {
        let response = fetch(url, path, "application/json").await?;
        Ok(Limited::new(response.into_body(), MAX_ANSWER).collect().await?.to_bytes())
    })
}

/// The same, with the steps on standard error as they come.
#[allow(clippy::print_stderr)] // The progress of the command.
fn watch(url: &str, path: &str) -> Result<Value, BoxError> {
    patiently(url, async {
        let mut body = Limited::new(fetch(url, path, "text/event-stream").await?.into_body(), MAX_ANSWER);
        let mut events = Events::default();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            for event in events.feed(&data) {
                let mut event: Value = serde_json::from_str(&event)?;
                if let Some(error) = event["error"].as_str() {
                    return Err(format!("{url}: {}", printable(error)).into());
                }
                if event["answer"].is_object() {
                    return Ok(event["answer"].take());
                }
                if let Some(step) = step(&event) {
                    eprintln!("· {}", printable(&step));
                }
            }
        }
        Err(format!("{url}: the answer broke off").into())
    })
}

/// A step in words.
fn step(event: &Value) -> Option<String> {
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    Some(match text("step") {
        "understood" if text("by") == "model" => format!("understood by a model: {}", text("intent")),
        "understood" => format!("understood: {}", text("intent")),
        "looked_at" => format!("looked at {}", text("what")),
        "asking" => format!("asking {} ({})", text("provider"), text("model")),
        "failed" => format!("{} gave no answer: {}", text("provider"), text("why")),
        _ => return None,
    })
}

async fn fetch(url: &str, path: &str, accept: &str) -> Result<Response<Incoming>, BoxError> {
    let mut host = Connection::open(url).await?;
    let mut request = host.request(Method::GET, path).header(header::ACCEPT, accept);
    if let Some(token) = own_token() {
        request = request.header(header::AUTHORIZATION, bearer(&token)?);
    }
    let response = host.sender.send_request(request.body(Full::default())?).await?;
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(response);
    }
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await?.to_bytes();
    Err(problem(url, status, &serde_json::from_slice(&body).unwrap_or_default()).into())
}
