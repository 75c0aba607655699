//! `iap-host tx`: transactions, one a line; or one of them as a call tree.

mod tree;

use std::process::ExitCode;

use iap_core::BoxError;
use serde_json::Value;

use super::args::TxArgs;
use super::paint::Tone;
use super::table::{Cell, Kind, Table};
use super::write::{duration, moment};
use super::{Outcome, Query, Screen, items, number, read, run, word};

const COLUMNS: [(&str, Kind); 9] = [
    ("began", Kind::Text),
    ("code", Kind::Number),
    ("took", Kind::Number),
    ("method", Kind::Spare),
    ("route", Kind::Shrinking),
    ("path", Kind::Shrinking),
    ("trace", Kind::Text),
    ("error", Kind::Spare),
    ("user", Kind::Spare),
];

/// Prints what is asked for.
pub(crate) fn command(args: &TxArgs) -> Result<ExitCode, BoxError> {
    run(&args.host, async |screen| match &args.trace {
        Some(trace) => one(args, trace, screen).await,
        None => list(args, screen).await,
    })
}

async fn list(args: &TxArgs, screen: Screen) -> Result<Outcome, BoxError> {
    let micros = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let mut query = Query::default();
    query
        .add("last_s", Some(args.last.as_secs().max(1)))
        .add("route", args.route.as_ref())
        .add("service", args.service.as_ref())
        .add("status", args.status)
        .add("errors", args.failed.then_some(true))
        .add("min_us", args.slower.map(micros))
        .add("max_us", args.faster.map(micros))
        .add("user", args.user.as_ref())
        .add("session", args.session.as_ref())
        .add("order", args.slowest.then_some("slowest"))
        .add("limit", Some(args.limit))
        .add("cursor", args.cursor.as_ref());
    read(&args.host.url, &query.of("/api/transactions"), |page| listed(page, screen)).await
}

fn listed(page: &Value, screen: Screen) -> String {
    let mut table = Table::new(&COLUMNS);
    for tx in items(page, "items") {
        let error = tx["message"].as_str().or(tx["error"].as_str()).unwrap_or_default();
        table.row([
            Cell::toned(moment(number(tx, "start_us")), Tone::Faint),
            status(tx),
            duration(number(tx, "duration_us")).into(),
            word(tx, "method").into(),
            word(tx, "route").into(),
            word(tx, "path").into(),
            word(tx, "trace_id").into(),
            Cell::toned(error, Tone::Bad),
            word(tx, "user").into(),
        ]);
    }
    if table.is_empty() {
        return "no transactions".to_owned();
    }
    let mut text = table.show(screen);
    if let Some(next) = page["next"].as_str() {
        text += &screen.paint.text(Tone::Faint, &format!("more: --cursor {}", super::table::plain(next)));
    }
    text
}

/// The HTTP status, or `-` for what is not HTTP.
fn status(tx: &Value) -> Cell {
    let status = number(tx, "status");
    let tone = match status {
        _ if tx["failed"] == true => Tone::Bad,
        400..500 => Tone::Warning,
        _ => Tone::Good,
    };
    match status {
        0 => Cell::toned("-", tone),
        status => Cell::toned(status, tone),
    }
}

async fn one(args: &TxArgs, trace: &str, screen: Screen) -> Result<Outcome, BoxError> {
    let path = format!("/api/transactions/{}", crate::client::encode(trace));
    read(&args.host.url, &path, |answer| tree::show(answer, args.logs, screen)).await
}

#[cfg(test)]
mod tests;
