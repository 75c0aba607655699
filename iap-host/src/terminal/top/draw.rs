//! The picture: a line about the host, figures of the last two minutes, and the lines of one view. What does not fit is left
//! out from the figures first.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Clear, Paragraph, Row, Sparkline, Table, TableState};
use serde_json::Value;

use super::super::args::View;
use super::super::paint::{Paint, Tone};
use super::super::table::plain;
use super::super::write::{digits, duration, span};
use super::super::{items, number, word};
use super::feed::Snapshot;
use super::rows::{self, Room};
use super::state::{State, VIEWS};

/// Places of a figure's name and value.
const LABEL: u16 = 28;
/// Lines from which on there is room for the figures, one a line; and for all of them in one.
const TALL: u16 = 16;
const LOW: u16 = 8;
/// Seconds that the rate is of.
const RATE_S: usize = 10;

const HELP: &str = "\
 q, Esc, Ctrl-C    end
 Tab, ← →, 1 – 4   another view
 ↑ ↓, PgUp, PgDn   another line
 s                 order by the next column
 r                 the other way round
 p, space          pause
 ?                 this help";

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State) {
    let height = frame.area().height;
    let figures = match height {
        TALL.. => 5,
        LOW.. => 1,
        _ => 0,
    };
    let footer = u16::from(height >= LOW);
    let parts = [
        Constraint::Length(1),
        Constraint::Length(figures),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(footer),
    ];
    let [title, upper, tabs, lower, last] = Layout::vertical(parts).areas(frame.area());
    frame.render_widget(head(state), title);
    if let Some(Ok(live)) = state.snapshot.as_ref().map(|snapshot| &snapshot.live) {
        match figures {
            5 => draw_figures(frame, upper, &live["live"], state.paint),
            _ => frame.render_widget(Paragraph::new(in_one_line(&live["live"])), upper),
        }
    }
    frame.render_widget(tab_line(state), tabs);
    draw_grid(frame, lower, state);
    let keys = "q end  Tab view  ↑↓ line  s sort  r reverse  p pause  ? help";
    frame.render_widget(Paragraph::new(Line::styled(keys, style(state.paint, Tone::Faint))), last);
    if state.shows_help {
        draw_help(frame);
    }
}

/// Who it is about, and whether it answers.
fn head(state: &State) -> Paragraph<'static> {
    let mut parts = vec![Span::styled("iap-host top", style(state.paint, Tone::Strong))];
    if let Some((since, why)) = &state.trouble {
        let text = format!("  no answer for {}: {}", span(since.elapsed().as_secs()), plain(why));
        parts.push(Span::styled(text, style(state.paint, Tone::Bad)));
        return Paragraph::new(Line::from(parts));
    }
    if state.is_paused {
        parts.push(Span::styled("  paused", style(state.paint, Tone::Warning)));
    }
    parts.push(Span::raw(format!("  {}", state.url)));
    if let Some(snapshot) = &state.snapshot {
        parts.extend(about(snapshot).into_iter().map(|text| Span::raw(format!("  {text}"))));
    }
    Paragraph::new(Line::from(parts))
}

/// What there is to say in a few words each.
fn about(snapshot: &Snapshot) -> Vec<String> {
    let mut said = Vec::new();
    if let Ok(status) = &snapshot.status {
        let up_s = now_ms().saturating_sub(number(&status["facts"], "started_ms")) / 1_000;
        said.push(format!("{} up {}", word(&status["facts"], "version"), span(up_s)));
        if status["ready"] == false {
            said.push("draining".to_owned());
        }
    }
    if let Ok(live) = &snapshot.live {
        if live["sessions"].is_object() {
            said.push(format!("sessions {}", number(&live["sessions"], "live")));
        }
        for users in items(live, "users") {
            said.push(format!("users by {} {}", plain(word(users, "by")), number(users, "now")));
        }
    }
    said
}

fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap_or_default().as_millis() as u64
}

/// The seconds that are over, the oldest first.
fn seconds(live: &Value) -> &[Value] {
    let seconds = items(live, "seconds");
    &seconds[..seconds.len().saturating_sub(1)]
}

/// What the figures say.
struct Figures {
    rate: String,
    errors: String,
    /// Of the last second in which a request has ended: half, 95 % and 99 % took no longer.
    took: [String; 3],
}

impl Figures {
    fn of(live: &Value) -> Self {
        let seconds = seconds(live);
        let sum = |last: usize, name: &str| -> u64 {
            seconds.iter().rev().take(last).map(|second| number(second, name)).sum()
        };
        let rate = sum(RATE_S, "count") as f64 / RATE_S as f64;
        let (count, errors) = (sum(60, "count"), sum(60, "errors"));
        let share = if count == 0 { 0.0 } else { errors as f64 * 100.0 / count as f64 };
        let latest = seconds.iter().rev().find(|second| number(second, "count") > 0);
        let took =
            |name: &str| latest.map_or_else(|| "-".to_owned(), |second| duration(number(second, name)));
        Self {
            rate: format!("{}/s", digits(rate)),
            errors: format!("{errors} ({} %)", digits(share)),
            took: [took("p50_us"), took("p95_us"), took("p99_us")],
        }
    }
}

fn in_one_line(live: &Value) -> String {
    let figures = Figures::of(live);
    let [p50, p95, p99] = figures.took;
    format!("rate {}  errors {}  p50 {p50}  p95 {p95}  p99 {p99}", figures.rate, figures.errors)
}

/// A line for each figure, with how it went.
fn draw_figures(frame: &mut Frame<'_>, area: Rect, live: &Value, paint: Paint) {
    let figures = Figures::of(live);
    let [p50, p95, p99] = figures.took;
    let lines = [
        ("rate, 10 s", figures.rate, "count", Tone::Good),
        ("errors, 1 min", figures.errors, "errors", Tone::Bad),
        ("p50", p50, "p50_us", Tone::Plain),
        ("p95", p95, "p95_us", Tone::Plain),
        ("p99", p99, "p99_us", Tone::Warning),
    ];
    for (at, (name, value, member, tone)) in (0..).zip(lines) {
        let line = Rect { y: area.y + at, height: 1, ..area };
        let [label, chart] = Layout::horizontal([Constraint::Length(LABEL), Constraint::Fill(1)]).areas(line);
        frame.render_widget(Paragraph::new(format!("{name:<13} {value:>13}")), label);
        let seconds = seconds(live);
        let shown = &seconds[seconds.len().saturating_sub(chart.width.into())..];
        let values: Vec<u64> = shown.iter().map(|second| number(second, member)).collect();
        frame.render_widget(Sparkline::default().data(values).style(style(paint, tone)), chart);
    }
}

/// The views, each with how much there is of it.
fn tab_line(state: &State) -> Paragraph<'static> {
    let mut parts = Vec::new();
    for (at, view) in VIEWS.iter().enumerate() {
        let text = format!(" {} {} ", at + 1, name(*view, state.snapshot.as_ref()));
        let chosen = Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD);
        parts.push(Span::styled(text, if *view == state.view { chosen } else { Style::new() }));
    }
    Paragraph::new(Line::from(parts))
}

fn name(view: View, snapshot: Option<&Snapshot>) -> String {
    let name = match view {
        View::Requests => "requests",
        View::Routes => "routes",
        View::Servers => "servers",
        View::Incidents => "incidents",
    };
    let count = match (view, snapshot) {
        (_, None) => return name.to_owned(),
        (View::Requests, Some(Snapshot { live: Ok(live), .. })) => number(&live["live"], "active_count"),
        (_, snapshot) => rows::of(view, snapshot).rows.len() as u64,
    };
    format!("{name} {count}")
}

fn draw_grid(frame: &mut Frame<'_>, area: Rect, state: &mut State) {
    let (grid, sort, paint) = (state.grid(), state.sort(), state.paint);
    if grid.rows.is_empty() {
        let note = Paragraph::new(Line::styled(grid.note, style(paint, Tone::Faint)));
        frame.render_widget(note, area);
        return;
    }
    let columns = rows::columns(state.view);
    let widths = columns.iter().map(|(_, room)| match room {
        Room::Left(places) | Room::Right(places) => Constraint::Length(*places),
        Room::Rest(share) => Constraint::Fill(*share),
    });
    let aligned = |at: usize, text: String| match columns[at].1 {
        Room::Right(_) => Text::from(text).alignment(Alignment::Right),
        _ => Text::from(text),
    };
    let heads = columns.iter().enumerate().map(|(at, (name, _))| {
        let mark = match (at == sort.column, sort.is_falling) {
            (true, true) => "↓",
            (true, false) => "↑",
            _ => "",
        };
        aligned(at, format!("{name}{mark}"))
    });
    let lines = grid.rows.into_iter().map(|row| {
        let cells = row.into_iter().enumerate();
        Row::new(cells.map(|(at, item)| aligned(at, item.text).style(style(paint, item.tone))))
    });
    let table = Table::new(lines, widths)
        .header(Row::new(heads).style(style(paint, Tone::Strong)))
        .column_spacing(1)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut place = TableState::new().with_selected(Some(state.selected()));
    frame.render_stateful_widget(table, area, &mut place);
}

fn draw_help(frame: &mut Frame<'_>) {
    let area = frame.area();
    let (width, height) = (48.min(area.width), 9.min(area.height));
    let place = Rect { x: (area.width - width) / 2, y: (area.height - height) / 2, width, height };
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(HELP).block(Block::bordered().title(" keys ")), place);
}

/// How a text looks that means something.
fn style(paint: Paint, tone: Tone) -> Style {
    let plain = Style::new();
    let coloured = |color| if paint == Paint::On { plain.fg(color) } else { plain };
    match tone {
        Tone::Plain => plain,
        Tone::Strong => plain.add_modifier(Modifier::BOLD),
        Tone::Faint => plain.add_modifier(Modifier::DIM),
        Tone::Good => coloured(Color::Green),
        Tone::Warning => coloured(Color::Yellow),
        Tone::Bad => coloured(Color::Red),
    }
}
