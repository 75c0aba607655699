//! From facts to text.

use super::{Advice, Facts, Sentence, Table, label, show, templates};
use crate::question::Language;
use crate::zone::Zone;

/// The sentences, tables and recommendations, one a line.
pub fn text(facts: &Facts, language: Language, zone: &Zone) -> String {
    lines(facts, language, zone).join("\n")
}

/// The same as lines.
pub(crate) fn lines(facts: &Facts, language: Language, zone: &Zone) -> Vec<String> {
    let mut lines: Vec<String> = facts.sentences.iter().map(|said| said.text.clone()).collect();
    for table in facts.tables.iter().filter(|table| !table.rows.is_empty()) {
        lines.extend(rows(table, language, zone));
    }
    lines.extend(facts.advice.iter().map(|given| given.text.clone()));
    lines
}

/// A sentence with its values.
pub(crate) fn sentence(sentence: &Sentence, language: Language, zone: &Zone) -> String {
    let mut rest = templates::template(language, sentence.says);
    let mut out = String::new();
    // In one pass: a value may hold braces.
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        out.push_str(before);
        match sentence.figures.iter().find(|figure| figure.name == name) {
            Some(figure) => out.push_str(&show(&figure.value, figure.unit, zone)),
            None => out.push('-'),
        }
        rest = after;
    }
    out + rest
}

/// What to do, the formula with its numbers, and the setting.
pub(crate) fn advice(advice: &Advice, language: Language, zone: &Zone) -> String {
    let inputs: Vec<String> = advice
        .inputs
        .iter()
        .map(|input| format!("{} = {}", input.name, show(&input.value, input.unit, zone)))
        .collect();
    let mut line = format!("→ {}", sentence(&advice.sentence, language, zone));
    if !advice.formula.is_empty() {
        line.push_str(&format!(" [{}; {}]", advice.formula, inputs.join(", ")));
    }
    if let Some(key) = advice.config_key {
        line.push_str(&format!(" {}: `{key}`", label(language, "setting")));
    }
    if !advice.evidence.is_empty() {
        line.push_str(&format!(" ({}: {})", label(language, "evidence"), advice.evidence.join(", ")));
    }
    line
}

fn rows(table: &Table, language: Language, zone: &Zone) -> Vec<String> {
    let mut lines = vec![format!("{}:", label(language, table.name))];
    for row in &table.rows {
        let cells = row.iter().zip(&table.columns).enumerate().map(|(at, (value, column))| {
            let shown = show(value, column.unit, zone);
            if at == 0 { shown } else { format!("{} {shown}", label(language, column.name)) }
        });
        lines.push(format!("- {}", cells.collect::<Vec<_>>().join(", ")));
    }
    if table.more > 0 {
        let figures = vec![super::figure("more", table.more, super::Unit::Count)];
        lines.push(sentence(&Sentence::new("more_rows", figures), language, zone));
    }
    lines
}
