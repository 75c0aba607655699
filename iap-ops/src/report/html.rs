//! A report as one HTML file: no scripts, nothing from elsewhere, good on paper.

use std::fmt::Write as _;

use iap_core::html::escape;

use super::markdown::is_number;
use super::svg::svg;
use super::{Report, Section};
use crate::facts::{Table, Unit, Value, show};
use crate::question::Language;

const STYLE: &str = "
:root{color-scheme:light}
*{box-sizing:border-box}
body{margin:0 auto;max-width:960px;padding:24px 16px;color:#1b1f24;background:#fff;line-height:1.55;
font:15px/1.55 system-ui,'Noto Sans KR','Noto Sans CJK KR','Apple SD Gothic Neo','Malgun Gothic',sans-serif}
h1{margin:0 0 4px;font-size:26px}h2{margin:32px 0 8px;padding-top:8px;border-top:2px solid #1f6feb;font-size:19px}
h3{margin:16px 0 4px;font-size:15px}.about{margin:0;color:#57606a;font-size:13px}
ul{margin:8px 0;padding-left:20px}li{overflow-wrap:anywhere}.advice{list-style:none;padding:0}
.advice li{margin:8px 0;padding:8px 12px;border-left:4px solid #bf8700;background:#fff8e5}
.bad li:first-child{font-weight:600;color:#a40e26}
.scroll{overflow-x:auto}table{width:100%;border-collapse:collapse;font-size:13px}
th,td{padding:4px 8px;border-bottom:1px solid #d8dee4;text-align:left;vertical-align:top}
th{color:#57606a;font-weight:600;white-space:nowrap}.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
td.t{white-space:nowrap}td.code{min-width:220px;overflow-wrap:anywhere}
code{font-family:ui-monospace,'D2Coding',monospace;font-size:12px}
a{color:#0a58ca}.query{font-weight:400;font-size:12px}
svg{display:block;width:100%;min-width:520px;height:auto}svg text{font-size:11px;fill:#57606a}.grid{stroke:#d8dee4;stroke-width:1}
.line{fill:none;stroke:#1f6feb;stroke-width:1.5}.band{fill:#1f6feb;opacity:.16}
@page{size:A4;margin:14mm}
@media print{body{max-width:none;padding:0;font-size:11px}h2{break-after:avoid}h3{break-after:avoid}
tr,svg,.advice li{break-inside:avoid}thead{display:table-header-group}.scroll{overflow:visible}table{font-size:9.5px}
th,td{padding:2px 4px}td.code,svg{min-width:0}th{white-space:normal}a{color:inherit;text-decoration:none}}
";

/// One file. `base` comes before the addresses of queries, such as `http://127.0.0.1:9900`.
pub fn html(report: &Report, base: &str) -> String {
    let language = match report.language {
        Language::Korean => "ko",
        Language::English => "en",
    };
    let title = report.title();
    let mut out = format!(
        "<!doctype html>\n<html lang=\"{language}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><title>{title}</title><style>{STYLE}</style></head><body>\n\
         <h1>{title}</h1>\n"
    );
    for line in report.lines() {
        let _ = writeln!(out, "<p class=\"about\">{}</p>", escape(&line));
    }
    if let Some(summary) = &report.summary {
        let _ = writeln!(out, "<section><h2>{}</h2>", report.word("요약", "Summary"));
        for line in summary.text.lines().filter(|line| !line.trim().is_empty()) {
            let _ = writeln!(out, "<p>{}</p>", code(line));
        }
        let _ = writeln!(out, "<p class=\"about\">{}</p></section>", escape(&report.summary_note(summary)));
    }
    let base = escape(base);
    for part in &report.sections {
        section(&mut out, report, part, &base);
    }
    out.push_str("</body></html>\n");
    out
}

fn section(out: &mut String, report: &Report, section: &Section, base: &str) {
    let facts = &section.facts;
    let _ = writeln!(out, "<section><h2>{}</h2>", report.heading(section.intent));
    if facts.sentences.is_empty() {
        let _ = writeln!(out, "<p>{}</p>", report.word("기록이 없습니다.", "Nothing was recorded."));
    } else {
        let _ = writeln!(out, "<ul{}>", if facts.problem { " class=\"bad\"" } else { "" });
        for said in &facts.sentences {
            let _ = writeln!(out, "<li>{}</li>", code(&said.text));
        }
        out.push_str("</ul>\n");
    }
    if !facts.advice.is_empty() {
        out.push_str("<ul class=\"advice\">\n");
        for given in &facts.advice {
            let _ = writeln!(out, "<li>{}</li>", code(&given.text));
        }
        out.push_str("</ul>\n");
    }
    let query = report.word("조회", "query");
    for chart in facts.charts.iter().filter(|chart| !chart.points.is_empty()) {
        let (label, source) = (escape(&chart.label), escape(&chart.source));
        let _ = writeln!(
            out,
            "<h3>{label} <a class=\"query\" href=\"{base}{source}\">{query}</a></h3><div class=\"scroll\">{}</div>",
            svg(chart, &report.zone)
        );
    }
    for rows in facts.tables.iter().filter(|table| !table.rows.is_empty()) {
        let (label, source) = (escape(&rows.label), escape(&rows.source));
        let _ = writeln!(out, "<h3>{label} <a class=\"query\" href=\"{base}{source}\">{query}</a></h3>");
        table(out, report, rows, base);
    }
    out.push_str("</section>\n");
}

fn table(out: &mut String, report: &Report, table: &Table, base: &str) {
    out.push_str("<div class=\"scroll\"><table><thead><tr>");
    for column in &table.columns {
        let class = if is_number(column.unit) { " class=\"n\"" } else { "" };
        let _ = write!(out, "<th{class}>{}</th>", escape(&column.label));
    }
    out.push_str("</tr></thead><tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for (value, column) in row.iter().zip(&table.columns) {
            let class = match column.unit {
                Unit::Code => " class=\"code\"",
                Unit::Time => " class=\"t\"",
                unit if is_number(unit) => " class=\"n\"",
                _ => "",
            };
            let _ = write!(out, "<td{class}>{}</td>", cell(value, column.unit, report, base));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
    if table.more > 0 {
        let more = table.more;
        let text = super::pick(report.language, format!("그 밖에 {more}개."), format!("and {more} more."));
        let _ = writeln!(out, "<p class=\"about\">{text}</p>");
    }
}

fn cell(value: &Value, unit: Unit, report: &Report, base: &str) -> String {
    match (value, unit) {
        (Value::Text(id), Unit::Trace) => {
            let (id, short) = (escape(id), escape(id.get(..8).unwrap_or(id)));
            format!("<a href=\"{base}/transactions/{id}\"><code>{short}…</code></a>")
        }
        _ => code(&show(value, unit, &report.zone)),
    }
}

/// Escaped, with what stands in back-quotes as code.
fn code(text: &str) -> String {
    let mut out = String::new();
    for (at, part) in text.split('`').enumerate() {
        let part = escape(part);
        out.push_str(&if at % 2 == 1 { format!("<code>{part}</code>") } else { part });
    }
    out
}
