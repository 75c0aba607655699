//! What a running host knows, in the terminal: over its admin API, as everything that the command line asks a host.
//!
//! | module | what it has |
//! |---|---|
//! | [`args`] | the commands and their arguments |
//! | [`mod@tx`] | `iap-host tx`: transactions, and the call tree of one |
//! | [`mod@sessions`] | `iap-host sessions`: found, looked at, ended |
//! | [`mod@incidents`] | `iap-host incidents`: found, told, acknowledged |
//! | [`mod@instances`] | `iap-host instances`: the hosts of one file |
//! | [`mod@top`] | `iap-host top`: what happens now, live |
//! | [`shell`] | `iap-host completion` and `iap-host man` |
//! | [`table`] | tables that fit the terminal |
//! | [`paint`] | colours, where they are wanted |
//! | [`mod@write`] | times, durations and sizes as people read them |

pub(crate) mod args;
mod incidents;
mod instances;
mod paint;
mod sessions;
mod shell;
mod table;
mod top;
mod tx;
mod write;

use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::process::ExitCode;

use http::{Method, StatusCode};
use iap_core::BoxError;
use serde_json::Value;

pub(crate) use self::incidents::command as incidents;
pub(crate) use self::instances::command as instances;
use self::paint::Paint;
pub(crate) use self::sessions::command as sessions;
pub(crate) use self::shell::{completion, man};
pub(crate) use self::top::command as top;
pub(crate) use self::tx::command as tx;
use crate::cli::HostArgs;
use crate::client::{call, encode, patiently, problem};

/// There is no such thing, or it was refused, or taken back.
const REFUSED: u8 = 1;
/// There is no answer.
const NO_ANSWER: u8 = 2;

/// Columns that tables have at least.
const NARROWEST: u16 = 20;
/// Columns and lines that are believed: more than any screen has is a mistake.
const MOST: u16 = 1_000;

/// What a command ends with.
pub(crate) struct Outcome {
    pub(crate) answer: Value,
    pub(crate) text: String,
    pub(crate) is_refused: bool,
}

impl Outcome {
    pub(crate) fn good(answer: Value, text: String) -> Self {
        Self { answer, text, is_refused: false }
    }
}

/// Where an answer is written to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    paint: Paint,
    /// Columns of the terminal; `None` where it is none, and lines may have any length.
    width: Option<usize>,
}

impl Screen {
    fn of_output() -> Self {
        let (columns, _) = size();
        Self {
            paint: Paint::wanted(std::io::stdout().is_terminal()),
            width: columns.map(|columns| columns.max(NARROWEST).into()),
        }
    }
}

/// Columns and lines: those of `COLUMNS` and `LINES`, else those of the terminal, if it is one.
fn size() -> (Option<u16>, Option<u16>) {
    let told = |name| std::env::var(name).ok()?.parse().ok().filter(|size| (1..=MOST).contains(size));
    let is_terminal = std::io::stdout().is_terminal();
    let (columns, lines) = ratatui::crossterm::terminal::size().ok().filter(|_| is_terminal).unzip();
    (told("COLUMNS").or(columns), told("LINES").or(lines))
}

/// Asks a host, and prints what came of it. Texts of the outcome hold nothing that the terminal would act on, but colours.
#[allow(clippy::print_stderr)] // Errors of the command line.
pub(crate) fn run(
    host: &HostArgs,
    asked: impl AsyncFnOnce(Screen) -> Result<Outcome, BoxError>,
) -> Result<ExitCode, BoxError> {
    Ok(match patiently(&host.url, asked(Screen::of_output())) {
        Ok(outcome) => {
            let text = match host.json {
                true => serde_json::to_string_pretty(&outcome.answer)?,
                false => outcome.text.trim_end().to_owned(),
            };
            print(format!("{text}\n").as_bytes())?;
            if outcome.is_refused { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            eprintln!("iap-host: {error}");
            ExitCode::from(NO_ANSWER)
        }
    })
}

/// Writes to standard output. Whoever reads it may have seen enough: `iap-host tx | head`.
fn print(text: &[u8]) -> std::io::Result<()> {
    let mut output = std::io::stdout();
    match output.write_all(text).and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Sends one request: what the host answers, or what it says against it.
async fn ask(
    url: &str,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Result<Value, Outcome>, BoxError> {
    let (status, answer) = call(url, method, path, (None, body)).await?;
    if status.is_success() {
        return Ok(Ok(answer));
    }
    let text = problem(url, status, &answer);
    match status {
        StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::CONFLICT => {
            Ok(Err(Outcome { answer, text, is_refused: true }))
        }
        _ => Err(text.into()),
    }
}

/// Reads something, and makes a text of it.
async fn read(url: &str, path: &str, told: impl FnOnce(&Value) -> String) -> Result<Outcome, BoxError> {
    Ok(match ask(url, Method::GET, path, None).await? {
        Ok(answer) => Outcome::good(answer.clone(), told(&answer)),
        Err(refused) => refused,
    })
}

/// The query of a path: parameters that have a value.
#[derive(Default)]
struct Query(Vec<String>);

impl Query {
    fn add(&mut self, name: &str, value: Option<impl ToString>) -> &mut Self {
        self.0.extend(value.map(|value| format!("{name}={}", encode(&value.to_string()))));
        self
    }

    fn of(&self, path: &str) -> String {
        match self.0.is_empty() {
            true => path.to_owned(),
            false => format!("{path}?{}", self.0.join("&")),
        }
    }
}

/// A member that is a text; empty where it is none.
fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// A member that is a number from 0 on.
fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_default()
}

/// The items of a member that is a list.
fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map(Vec::as_slice).unwrap_or_default()
}
