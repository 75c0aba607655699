//! Parts of a configuration as a text again, one value a line, with where each line has come from: so the parser of settings reads
//! what layers make together, and its errors name the places in the file.

use super::Place;
use super::tree::{Node, Tree};

/// Columns of a level.
const INDENT: usize = 2;

/// A text that was made, and where its lines come from.
#[derive(Debug, Default)]
pub(crate) struct Emitted {
    pub(crate) text: String,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    key: Place,
    /// Where the value begins in the line, from 1.
    column: u64,
    value: Place,
}

impl Node {
    /// As a text of its own.
    pub(crate) fn emitted(&self) -> Emitted {
        let mut emitted = Emitted::default();
        emitted.below(self, 0);
        emitted
    }
}

impl Emitted {
    /// A key with what it has, below `indent` columns.
    pub(super) fn entry(name: &str, node: &Node, indent: usize) -> String {
        let mut emitted = Self::default();
        emitted.one(&format!("{}{}:", " ".repeat(indent), key(name)), (1, 1), node, indent);
        emitted.text
    }

    /// Where in the file a place of the text comes from.
    pub(crate) fn origin(&self, (line, column): Place) -> Option<Place> {
        let index = usize::try_from(line).ok()?.checked_sub(1)?;
        let line = self.lines.get(index).or(self.lines.last())?;
        Some(if column < line.column { line.key } else { line.value })
    }

    fn below(&mut self, node: &Node, indent: usize) {
        let lead = " ".repeat(indent);
        match &node.tree {
            Tree::Block(entries) => {
                for entry in entries {
                    self.one(&format!("{lead}{}:", key(&entry.name)), entry.place, &entry.node, indent);
                }
            }
            Tree::List(items) => {
                for item in items {
                    self.one(&format!("{lead}-"), item.place, item, indent);
                }
            }
            Tree::Value { .. } => {}
        }
    }

    fn one(&mut self, head: &str, key: Place, node: &Node, indent: usize) {
        let value = match &node.tree {
            Tree::Block(entries) if entries.is_empty() => Some("{}".to_owned()),
            Tree::List(items) if items.is_empty() => Some("[]".to_owned()),
            Tree::Value { text, plain } => Some(scalar(text, *plain)),
            Tree::Block(_) | Tree::List(_) => None,
        };
        self.text.push_str(head);
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            self.text.push(' ');
            self.text.push_str(value);
        }
        self.text.push('\n');
        self.lines.push(Line { key, column: head.chars().count() as u64 + 2, value: node.place });
        if value.is_none() {
            self.below(node, indent + INDENT);
        }
    }
}

/// A key, quoted where it is not plain.
fn key(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/');
    let is_word = ["null", "true", "false"].iter().any(|word| name.eq_ignore_ascii_case(word));
    let is_plain = name.bytes().all(plain) && name.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
    scalar(name, is_plain && !is_word)
}

/// JSON strings are YAML strings; what may be more than a string stays as it was written.
fn scalar(text: &str, plain: bool) -> String {
    match plain && !text.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
        true => text.to_owned(),
        false => serde_json::Value::from(text).to_string(),
    }
}
