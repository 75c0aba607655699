//! `iap-host sessions`: found, looked at, ended.

use std::fmt::Write as _;
use std::process::ExitCode;

use http::Method;
use iap_core::BoxError;
use serde_json::{Value, json};

use super::args::{SessionListArgs, SessionSort, SessionsArgs, SessionsCommand};
use super::paint::Tone;
use super::table::{Cell, Kind, Table, fact, plain};
use super::write::{bytes, full_moment, moment};
use super::{Outcome, Query, Screen, ask, items, number, read, run, word};
use crate::cli::HostArgs;
use crate::client::encode;
use crate::run as runs;

const COLUMNS: [(&str, Kind); 9] = [
    ("user", Kind::Shrinking),
    ("created", Kind::Text),
    ("used", Kind::Text),
    ("ends", Kind::Text),
    ("size", Kind::Number),
    ("address", Kind::Spare),
    ("route", Kind::Spare),
    ("node", Kind::Spare),
    ("key", Kind::Text),
];
/// Columns from which on keys stand in the line: they are never cut, as they are what the other commands take.
const WIDE: usize = 160;

/// Does what is asked for.
pub(crate) fn command(args: &SessionsArgs) -> Result<ExitCode, BoxError> {
    match &args.command {
        None => list(&args.list),
        Some(SessionsCommand::List(args)) => list(args),
        Some(SessionsCommand::Show { host, key }) => run(host, async |screen| {
            let path = format!("/api/sessions/{}", encode(key));
            read(&host.url, &path, |session| shown(session, screen)).await
        }),
        Some(SessionsCommand::End { host, keys, reason }) => {
            run(host, async |_| end(host, keys, reason.as_deref()).await)
        }
        Some(SessionsCommand::Import(args)) => runs::import(args),
    }
}

fn list(args: &SessionListArgs) -> Result<ExitCode, BoxError> {
    let sort = args.sort.map(|sort| match sort {
        SessionSort::Newest => "-created",
        SessionSort::Oldest => "created",
        SessionSort::Active => "-accessed",
        SessionSort::Largest => "-bytes",
    });
    let mut query = Query::default();
    query
        .add("user", args.user.as_ref())
        .add("user_prefix", args.user_prefix.as_ref())
        .add("address", args.address.as_ref())
        .add("node", args.node.as_ref())
        .add("route", args.route.as_ref())
        .add("login", args.login)
        .add("min_idle", args.idle.map(|idle| idle.as_secs()))
        .add("sort", sort)
        .add("limit", Some(args.limit))
        .add("cursor", args.cursor.as_ref());
    run(&args.host, async |screen| {
        read(&args.host.url, &query.of("/api/sessions"), |page| listed(page, screen)).await
    })
}

fn listed(page: &Value, screen: Screen) -> String {
    let mut table = Table::new(&COLUMNS);
    let is_wide = screen.width.is_none_or(|width| width >= WIDE);
    for session in items(page, "sessions") {
        let key = word(session, "key");
        let address = session["login_address"].as_str().unwrap_or_else(|| word(session, "address"));
        table.row([
            Cell::toned(session["user"].as_str().unwrap_or("-"), Tone::Strong),
            moment(number(session, "created_ms") * 1_000).into(),
            moment(number(session, "accessed_ms") * 1_000).into(),
            moment(number(session, "deadline_ms") * 1_000).into(),
            bytes(number(session, "bytes")).into(),
            address.into(),
            word(session, "route").into(),
            word(session, "node").into(),
            if is_wide { key } else { "" }.into(),
        ]);
        if !is_wide {
            table.note(key);
        }
    }
    let mut text = if table.is_empty() { "no such sessions\n".to_owned() } else { table.show(screen) };
    let about = if page["stats"]["exact"] == true { "" } else { "about " };
    let counted =
        format!("{} listed, {about}{} alive", items(page, "sessions").len(), number(&page["stats"], "live"));
    text += &screen.paint.text(Tone::Faint, &counted);
    if page["complete"] == false {
        text += &screen.paint.text(Tone::Warning, "; not all were looked at");
    }
    if let Some(next) = page["next"].as_str() {
        text += &screen.paint.text(Tone::Faint, &format!("\nmore: --cursor {}", plain(next)));
    }
    text
}

fn shown(session: &Value, screen: Screen) -> String {
    let mut text = String::new();
    let mut fact = |name: &str, value: &str| fact(&mut text, screen.paint, name, (value, Tone::Plain));
    let at = |name: &str| full_moment(number(session, name) * 1_000);
    fact("key", word(session, "key"));
    fact("user", session["user"].as_str().unwrap_or("-"));
    fact("created", &at("created_ms"));
    fact("used", &at("accessed_ms"));
    fact("ends", &at("deadline_ms"));
    fact("commits", &number(session, "version").to_string());
    fact("address", word(session, "address"));
    fact("login", word(session, "login_address"));
    fact("node", word(session, "node"));
    fact("route", word(session, "route"));
    fact("size", &bytes(number(session, "bytes")));
    let mut table = Table::new(&[("attribute", Kind::Shrinking), ("size", Kind::Number)]);
    for entry in items(session, "entries") {
        table.row([word(entry, "name").into(), bytes(number(entry, "bytes")).into()]);
    }
    if !table.is_empty() {
        text.push('\n');
        text += &table.show(screen);
    }
    text
}

/// Ends sessions in one step. It is refused where one of them cannot be ended.
async fn end(host: &HostArgs, keys: &[String], reason: Option<&str>) -> Result<Outcome, BoxError> {
    let body = json!({ "keys": keys, "reason": reason, "dry_run": false });
    let answer = match ask(&host.url, Method::POST, "/api/sessions/revoke", Some(&body)).await? {
        Ok(answer) => answer,
        Err(refused) => return Ok(refused),
    };
    let (ended, failed) = (number(&answer, "ended"), number(&answer, "failed"));
    let missing = (keys.len() as u64).saturating_sub(ended + failed);
    let mut text = format!("{ended} ended");
    if missing > 0 {
        let _ = write!(text, ", {missing} not there (any more)");
    }
    if failed > 0 {
        let _ = write!(text, ", {failed} could not be ended: try again");
    }
    Ok(Outcome { answer, text, is_refused: missing + failed > 0 })
}
