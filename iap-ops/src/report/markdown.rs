//! A report as Markdown.

use std::fmt::Write as _;

use super::Report;
use crate::facts::{Table, Unit, Value, show};

/// CommonMark with tables. `base` comes before the addresses of queries, such as `http://127.0.0.1:9900`.
pub fn markdown(report: &Report, base: &str) -> String {
    let mut out = format!("# {}\n\n", report.title());
    for line in report.lines() {
        let _ = writeln!(out, "{line}  ");
    }
    if let Some(summary) = &report.summary {
        let _ = writeln!(out, "\n## {}\n", report.word("요약", "Summary"));
        for line in summary.text.lines().filter(|line| !line.trim().is_empty()) {
            let _ = writeln!(out, "{}\n", plain(line));
        }
        let _ = writeln!(out, "*{}*", plain(&report.summary_note(summary)));
    }
    for section in &report.sections {
        let _ = write!(out, "\n## {}\n\n", report.heading(section.intent));
        if section.facts.sentences.is_empty() {
            let _ = writeln!(out, "{}", report.word("기록이 없습니다.", "Nothing was recorded."));
        }
        for said in &section.facts.sentences {
            let _ = writeln!(out, "- {}", plain(&said.text));
        }
        for given in &section.facts.advice {
            let _ = writeln!(out, "- {}", plain(&given.text));
        }
        for rows in section.facts.tables.iter().filter(|table| !table.rows.is_empty()) {
            table(&mut out, report, rows, base);
        }
        for chart in section.facts.charts.iter().filter(|chart| !chart.points.is_empty()) {
            let _ = writeln!(
                out,
                "\n{} ([{}]({base}{}))",
                chart.label,
                report.word("조회", "query"),
                chart.source
            );
        }
    }
    out
}

fn table(out: &mut String, report: &Report, table: &Table, base: &str) {
    let query = report.word("조회", "query");
    let _ = write!(out, "\n**{}** ([{query}]({base}{}))\n\n|", table.label, table.source);
    for column in &table.columns {
        let _ = write!(out, " {} |", column.label);
    }
    out.push_str("\n|");
    for column in &table.columns {
        out.push_str(if is_number(column.unit) { "---:|" } else { "---|" });
    }
    out.push('\n');
    for row in &table.rows {
        out.push('|');
        for (value, column) in row.iter().zip(&table.columns) {
            let _ = write!(out, " {} |", cell(value, column.unit, report, base));
        }
        out.push('\n');
    }
    if table.more > 0 {
        let more = table.more;
        let _ = writeln!(
            out,
            "\n{}",
            super::pick(report.language, format!("그 밖에 {more}개."), format!("and {more} more."))
        );
    }
}

fn cell(value: &Value, unit: Unit, report: &Report, base: &str) -> String {
    match (value, unit) {
        (Value::Text(id), Unit::Trace) => {
            format!("[{}…]({base}/transactions/{id})", id.get(..8).unwrap_or(id))
        }
        (Value::Text(code), Unit::Code) => {
            format!("`{}`", code.replace('`', "'").replace('|', "\\|"))
        }
        _ => plain(&show(value, unit, &report.zone)),
    }
}

/// What came from outside makes no markup.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut code = false;
    for c in text.chars() {
        match c {
            '`' => code = !code,
            '|' => out.push('\\'),
            '*' | '_' | '[' | ']' | '<' | '>' | '#' | '\\' if !code => out.push('\\'),
            _ => {}
        }
        out.push(c);
    }
    out
}

pub(super) fn is_number(unit: Unit) -> bool {
    !matches!(unit, Unit::Text | Unit::Route | Unit::Trace | Unit::Code | Unit::Time)
}
