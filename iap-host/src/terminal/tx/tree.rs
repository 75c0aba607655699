//! One transaction: who it was, and its call tree with durations, own time, and what the end of it waited for.

use std::fmt::Write as _;

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use super::super::paint::Tone;
use super::super::table::{cut, fact, padded, plain};
use super::super::write::{bytes, duration, full_moment};
use super::super::{Screen, items, number, word};

/// Columns of a duration, of three of them, and of what marks the critical path.
const TIME: usize = 9;
const TIMES: usize = 3 * (TIME + 1) + 2;
/// A name has as much room where lines may have any length.
const USUAL_WIDTH: usize = 110;
const NARROWEST: usize = 24;

/// Spans of a tree, one line each.
struct Lines {
    screen: Screen,
    name_width: usize,
    with_logs: bool,
    text: String,
}

/// Tells of a transaction.
pub(super) fn show(answer: &Value, with_logs: bool, screen: Screen) -> String {
    let width = screen.width.unwrap_or(USUAL_WIDTH).max(NARROWEST + TIMES);
    let mut lines = Lines { screen, name_width: width - TIMES, with_logs, text: head(answer, screen) };
    lines.heading();
    for root in items(&answer["tree"], "roots") {
        lines.node(root, "", "");
    }
    if with_logs {
        let unplaced = items(&answer["tree"], "logs");
        unplaced.iter().for_each(|line| lines.log(line, ""));
    }
    if answer["truncated"] == true {
        lines.text += "the transaction has more spans than are listed\n";
    }
    for event in items(answer, "events") {
        let text = plain(word(event, "text"));
        let elsewhere = match event["elsewhere"] == true {
            true => format!(", on {}", plain(word(event, "node"))),
            false => String::new(),
        };
        let _ = writeln!(lines.text, "met: {text} ({}{elsewhere})", duration(number(event, "overlap_us")));
    }
    lines.text
}

/// What is known of it as a whole.
fn head(answer: &Value, screen: Screen) -> String {
    let summary = &answer["summary"];
    let mut text = String::new();
    let mut fact = |name: &str, value: String, tone| fact(&mut text, screen.paint, name, (&value, tone));
    fact("trace", word(answer, "trace_id").to_owned(), Tone::Plain);
    if summary.is_object() {
        let tone = if summary["failed"] == true { Tone::Bad } else { Tone::Strong };
        let status = Some(number(summary, "status")).filter(|status| *status > 0);
        let status = status.map(|status| format!(" → {status}")).unwrap_or_default();
        fact("request", format!("{} {}{status}", word(summary, "method"), word(summary, "path")), tone);
        fact("began", full_moment(number(summary, "start_us")), Tone::Plain);
        fact("took", duration(number(summary, "duration_us")), Tone::Plain);
        fact("route", word(summary, "route").to_owned(), Tone::Plain);
        fact("service", word(summary, "service").to_owned(), Tone::Plain);
        for name in ["user", "session", "client"] {
            fact(name, word(summary, name).to_owned(), Tone::Plain);
        }
        fact("sent", bytes(number(summary, "bytes_out")), Tone::Plain);
        let error = summary["message"].as_str().or(summary["error"].as_str()).unwrap_or_default();
        fact("error", error.to_owned(), Tone::Bad);
    }
    fact("spans", number(answer, "span_count").to_string(), Tone::Plain);
    text.push('\n');
    text
}

impl Lines {
    fn heading(&mut self) {
        let line = format!(
            "{} {:>TIME$} {:>TIME$} {:>TIME$}",
            padded("SPAN", self.name_width),
            "TOOK",
            "SELF",
            "CRITICAL"
        );
        let _ = writeln!(self.text, "{}", self.screen.paint.text(Tone::Strong, &line));
    }

    /// A span and what is below it. The host lets no tree be deeper than a hundred levels.
    fn node(&mut self, node: &Value, before: &str, below: &str) {
        let span = &node["span"];
        let critical_us = number(node, "critical_us");
        let tone = match (word(span, "status"), critical_us) {
            ("error", _) => Tone::Bad,
            (_, 0) => Tone::Faint,
            _ => Tone::Plain,
        };
        let name = padded(&format!("{before}{}", plain(word(span, "name"))), self.name_width);
        let mark = if critical_us > 0 { " *" } else { "" };
        let critical = if critical_us > 0 { duration(critical_us) } else { String::new() };
        let times = format!(
            "{} {} {}{mark}",
            right(&duration(number(span, "duration_us"))),
            right(&duration(number(node, "self_us"))),
            right(&critical),
        );
        let _ = writeln!(self.text, "{} {}", self.screen.paint.text(tone, &name), times.trim_end());
        let children = items(node, "children");
        let beside = if children.is_empty() { format!("{below}   ") } else { format!("{below}│  ") };
        self.about(span, &beside);
        if self.with_logs {
            items(node, "logs").iter().for_each(|line| self.log(line, &beside));
        }
        for (at, child) in children.iter().enumerate() {
            let (fork, line) =
                if at + 1 == children.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            self.node(child, &format!("{below}{fork}"), &format!("{below}{line}"));
        }
    }

    /// The statement of a span, and what it failed with.
    fn about(&mut self, span: &Value, beside: &str) {
        let attributes = &span["attributes"];
        let sql = attributes["db.query.text"].as_str().or(attributes["db.statement"].as_str());
        if let Some(sql) = sql {
            self.note(beside, sql, Tone::Faint);
        }
        if let Some(error) = span["error"].as_str() {
            self.note(beside, error, Tone::Bad);
        }
    }

    fn log(&mut self, line: &Value, beside: &str) {
        let level = word(line, "level");
        let tone = match level {
            "error" => Tone::Bad,
            "warn" => Tone::Warning,
            _ => Tone::Faint,
        };
        self.note(beside, &format!("[{level}] {}", word(line, "message")), tone);
    }

    /// A line below a span.
    fn note(&mut self, beside: &str, text: &str, tone: Tone) {
        let room = (self.name_width + TIMES).saturating_sub(beside.width());
        let text = match self.screen.width {
            Some(_) => cut(&plain(text), room),
            None => plain(text),
        };
        let _ = writeln!(self.text, "{beside}{}", self.screen.paint.text(tone, &text));
    }
}

/// A text at the right side; `µ` counts as one column, as it is.
fn right(text: &str) -> String {
    format!("{}{text}", " ".repeat(TIME.saturating_sub(text.width())))
}
