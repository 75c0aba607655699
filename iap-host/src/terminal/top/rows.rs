//! The lines of each view.

use std::cmp::Ordering;

use serde_json::Value;

use super::super::args::View;
use super::super::incidents::severity_tone;
use super::super::paint::Tone;
use super::super::table::plain;
use super::super::write::{digits, duration, moment};
use super::super::{items, number, word};
use super::feed::{Part, Snapshot};
use super::state::Sort;

/// How wide a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// So many places, text at the left.
    Left(u16),
    /// So many places, text at the right: numbers.
    Right(u16),
    /// A share of what is left.
    Rest(u16),
}

use Room::{Left, Rest, Right};

type Columns = &'static [(&'static str, Room)];

/// A cell: its text, what it is ordered by, and what it means.
pub(super) struct Item {
    pub(super) text: String,
    value: Option<f64>,
    pub(super) tone: Tone,
}

/// The lines of a view.
pub(super) struct Grid {
    pub(super) rows: Vec<Vec<Item>>,
    /// What is said where there are none.
    pub(super) note: String,
}

const REQUESTS: Columns = &[
    ("elapsed", Right(9)),
    ("stage", Left(12)),
    ("in it", Right(9)),
    ("method", Left(6)),
    ("route", Rest(2)),
    ("path", Rest(3)),
    ("server", Rest(2)),
    ("user", Rest(1)),
];
const ROUTES: Columns = &[
    ("route", Rest(1)),
    ("rate", Right(8)),
    ("errors", Right(7)),
    ("failed", Right(7)),
    ("p50", Right(9)),
    ("p95", Right(9)),
    ("p99", Right(9)),
    ("apdex", Right(6)),
];
const SERVERS: Columns = &[
    ("upstream", Rest(2)),
    ("server", Rest(2)),
    ("state", Left(11)),
    ("running", Right(8)),
    ("open", Right(6)),
    ("idle", Right(6)),
    ("failed", Right(7)),
    ("last error", Rest(3)),
];
const INCIDENTS: Columns =
    &[("began", Left(14)), ("no", Right(5)), ("severity", Left(9)), ("state", Left(13)), ("title", Rest(1))];

/// The columns of a view.
pub(super) fn columns(view: View) -> Columns {
    match view {
        View::Requests => REQUESTS,
        View::Routes => ROUTES,
        View::Servers => SERVERS,
        View::Incidents => INCIDENTS,
    }
}

/// The lines of a view.
pub(super) fn of(view: View, snapshot: Option<&Snapshot>) -> Grid {
    let Some(snapshot) = snapshot else {
        return Grid { rows: Vec::new(), note: "waiting for the host".to_owned() };
    };
    match view {
        View::Requests => requests(&snapshot.live),
        View::Routes => grid(&snapshot.routes, "no requests in the last minute", |routes| {
            items(routes, "routes").iter().map(route).collect()
        }),
        View::Servers => grid(&snapshot.upstreams, "no upstreams", |upstreams| {
            let upstreams = items(upstreams, "upstreams").iter();
            upstreams
                .flat_map(|upstream| items(upstream, "servers").iter().map(|one| server(upstream, one)))
                .collect()
        }),
        View::Incidents => grid(&snapshot.incidents, "no open incidents", |page| {
            items(page, "incidents").iter().map(incident).collect()
        }),
    }
}

fn grid(part: &Part, empty: &str, rows: impl Fn(&Value) -> Vec<Vec<Item>>) -> Grid {
    match part {
        Ok(answer) => Grid { rows: rows(answer), note: empty.to_owned() },
        Err(why) => Grid { rows: Vec::new(), note: plain(why) },
    }
}

/// Requests that run. Who may not know them one by one gets none, though some run.
fn requests(live: &Part) -> Grid {
    let running = live.as_ref().map_or(0, |live| number(&live["live"], "active_count"));
    let empty = match running {
        0 => "nothing runs",
        _ => "requests run; to see them one by one needs the role developer",
    };
    grid(live, empty, |live| items(&live["live"], "active").iter().map(request).collect())
}

fn request(request: &Value) -> Vec<Item> {
    let running_us = number(request, "running_us");
    let tone = match running_us {
        8_000_000.. => Tone::Bad,
        3_000_000.. => Tone::Warning,
        _ => Tone::Plain,
    };
    let server = request["server"].as_str().or(request["upstream"].as_str()).unwrap_or_default();
    vec![
        Item::number(duration(running_us), running_us as f64).toned(tone),
        Item::text(word(request, "stage")),
        Item::number(duration(number(request, "stage_us")), number(request, "stage_us") as f64),
        Item::text(word(request, "method")),
        Item::text(word(request, "route")),
        Item::text(word(request, "path")),
        Item::text(server),
        Item::text(word(request, "user")),
    ]
}

fn route(route: &Value) -> Vec<Item> {
    let (count, errors) = (number(route, "count"), number(route, "errors"));
    let share = if count == 0 { 0.0 } else { errors as f64 * 100.0 / count as f64 };
    let tone = match share {
        share if share >= 5.0 => Tone::Bad,
        share if share > 0.0 => Tone::Warning,
        _ => Tone::Plain,
    };
    let time = |name: &str| Item::number(duration(number(route, name)), number(route, name) as f64);
    let apdex = route["apdex"].as_f64();
    let rate = count as f64 / 60.0;
    vec![
        Item::text(word(route, "route")),
        Item::number(format!("{}/s", digits(rate)), rate),
        Item::number(errors.to_string(), errors as f64).toned(tone),
        Item::number(format!("{} %", digits(share)), share).toned(tone),
        time("p50_us"),
        time("p95_us"),
        time("p99_us"),
        apdex.map_or_else(|| Item::text(""), |apdex| Item::number(format!("{apdex:.2}"), apdex)),
    ]
}

fn server(upstream: &Value, server: &Value) -> Vec<Item> {
    let state = word(server, "state");
    let tone = match state {
        "up" => Tone::Good,
        "draining" | "probing" | "absent" => Tone::Warning,
        _ => Tone::Bad,
    };
    let count = |name: &str| Item::number(number(server, name).to_string(), number(server, name) as f64);
    let address = word(server, "address");
    let name =
        server["name"].as_str().map_or_else(|| address.to_owned(), |name| format!("{name} ({address})"));
    vec![
        Item::text(word(upstream, "name")),
        Item::text(&name),
        Item::text(state).toned(tone),
        count("in_flight"),
        count("connections"),
        count("idle"),
        count("failed"),
        Item::text(word(server, "last_error")),
    ]
}

fn incident(incident: &Value) -> Vec<Item> {
    let (began_s, id) = (number(incident, "began_s"), number(incident, "id"));
    let severity = word(incident, "severity");
    vec![
        Item::number(moment(began_s * 1_000_000), began_s as f64),
        Item::number(id.to_string(), id as f64),
        Item::text(severity).toned(severity_tone(severity)),
        Item::text(word(incident, "state")),
        Item::text(word(&incident["story"], "title")),
    ]
}

impl Item {
    fn text(text: &str) -> Self {
        Self { text: plain(text), value: None, tone: Tone::Plain }
    }

    fn number(text: String, value: f64) -> Self {
        Self { text, value: Some(value), tone: Tone::Plain }
    }

    fn toned(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self.value, other.value) {
            (Some(one), Some(other)) => one.total_cmp(&other),
            _ => self.text.cmp(&other.text),
        }
    }
}

impl Grid {
    /// Puts lines into an order; those that are equal stay as they were.
    pub(super) fn sort(&mut self, sort: Sort) {
        self.rows.sort_by(|one, other| {
            let order = match (one.get(sort.column), other.get(sort.column)) {
                (Some(one), Some(other)) => one.compare(other),
                _ => Ordering::Equal,
            };
            if sort.is_falling { order.reverse() } else { order }
        });
    }
}
