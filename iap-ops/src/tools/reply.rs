//! Answers: rows with what they belong to, within a size.

use serde_json::{Map, Value, json};

use super::arguments::Arguments;
use crate::assistant::AnswerWindow;
use crate::masking::{Masker, is_unseen};

/// The largest answer, in bytes of JSON.
pub const MAX_REPLY: usize = 16_000;
/// What is kept of it for what is no row.
const RESERVED: usize = 2_500;
/// Bytes of one text from outside, and items of a list of them.
const MAX_TEXT: usize = 600;
const MAX_ITEMS: usize = 30;
/// Ids that are named as evidence.
const MAX_EVIDENCE: usize = 20;

/// Rows of an answer, in order; those that do not fit are for the next one.
pub(super) struct Rows {
    /// What is said besides the rows.
    pub(super) head: Map<String, Value>,
    /// All rows, from the first one of the query on.
    pub(super) rows: Vec<Value>,
    /// Ids of traces.
    pub(super) evidence: Vec<String>,
    /// The time it is about.
    pub(super) window: Option<AnswerWindow>,
    /// Rows that were given before.
    pub(super) skip: usize,
    /// What a search of the history needs to give the same rows again.
    pub(super) inner: Option<String>,
    /// What it needs to give those after them, if there are more.
    pub(super) inner_next: Option<String>,
}

impl Rows {
    pub(super) fn new(given: &Arguments, window: Option<AnswerWindow>, rows: Vec<Value>) -> Self {
        let (skip, inner) = (given.skip, given.inner.clone());
        Self { head: Map::new(), rows, evidence: Vec::new(), window, skip, inner, inner_next: None }
    }

    /// Says something besides the rows.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.head.insert(name.to_owned(), value.into());
        self
    }

    /// The answer. Rows are masked before they are counted, since that may make them longer.
    pub(super) fn into_reply(self, units: &[(&str, &str)], masker: &Masker) -> Value {
        let masked = |value| masker.mask_json(separate(value)).into_value();
        let head = masked(Value::Object(self.head));
        let mut left = (MAX_REPLY - RESERVED).saturating_sub(size(&head));
        let total = self.rows.len();
        let mut rows = Vec::new();
        for row in self.rows.into_iter().skip(self.skip) {
            let row = masked(row);
            let bytes = size(&row) + 1;
            if bytes > left && !rows.is_empty() {
                break;
            }
            left = left.saturating_sub(bytes);
            rows.push(row);
        }
        let next = self.skip + rows.len();
        let (skip, inner) = match (next < total, &self.inner_next) {
            (true, _) => (Some(next), self.inner),
            (false, Some(inner)) => (Some(0), Some(inner.clone())),
            (false, None) => (None, None),
        };
        let bounds = self.window.as_ref().map_or((0, 0), |about| (about.window.from_us, about.window.to_us));
        let cursor =
            skip.map(|skip| format!("{}.{}.{skip}.{}", bounds.0, bounds.1, inner.unwrap_or_default()));
        let mut evidence = self.evidence;
        for row in &rows {
            evidence.extend(row["trace_id"].as_str().map(str::to_owned));
        }
        let mut seen = std::collections::BTreeSet::new();
        evidence.retain(|id| is_word(id) && seen.insert(id.clone()));
        evidence.truncate(MAX_EVIDENCE);
        let mut data = head;
        data["rows"] = Value::Array(rows);
        let unit: Map<String, Value> =
            units.iter().map(|(name, unit)| ((*name).to_owned(), json!(unit))).collect();
        let window =
            self.window.map(|about| json!({ "start": about.start, "end": about.end, "tz": about.tz }));
        json!({ "data": data, "unit": unit, "window": window, "evidence": evidence,
                "truncated": cursor.is_some(), "next_cursor": cursor })
    }
}

fn size(value: &Value) -> usize {
    value.to_string().len()
}

/// Fields whose texts are our own words, or ids.
const OWN: [&str; 38] = [
    "kind",
    "state",
    "severity",
    "outcome",
    "trace_id",
    "span_id",
    "parent_id",
    "id",
    "says",
    "unit",
    "measure",
    "level",
    "backend",
    "source",
    "status_text",
    "problem",
    "fn",
    "view",
    "began",
    "resolved",
    "detected",
    "time",
    "start",
    "formula",
    "config_key",
    "name",
    "method",
    "table",
    "metric_kind",
    "by",
    "store",
    "change_kind",
    "intent",
    "at",
    "from",
    "to",
    "signal",
    "status",
];

/// Puts texts that are not our own into `untrusted` beside what they belong to.
///
/// A text is our own when its field is one of a list and it is one word, so that no sentence gets through.
pub(super) fn separate(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let (mut own, mut untrusted) = (Map::new(), Map::new());
            for (name, value) in fields {
                match value {
                    Value::String(text) if OWN.contains(&name.as_str()) && is_word(&text) => {
                        own.insert(name, Value::String(text));
                    }
                    Value::String(text) => {
                        untrusted.insert(name, Value::String(clean(&text)));
                    }
                    Value::Array(items) if items.iter().any(Value::is_string) => {
                        let texts = items.into_iter().take(MAX_ITEMS).map(|item| match item {
                            Value::String(text) => Value::String(clean(&text)),
                            other => separate(other),
                        });
                        untrusted.insert(name, texts.collect());
                    }
                    other => {
                        own.insert(name, separate(other));
                    }
                }
            }
            if !untrusted.is_empty() {
                own.insert("untrusted".to_owned(), Value::Object(untrusted));
            }
            Value::Object(own)
        }
        Value::Array(items) => items.into_iter().take(200).map(separate).collect(),
        other => other,
    }
}

/// Whether a text is a name or an id: one word of ASCII, short.
fn is_word(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':' | b'+');
    text.len() <= 64 && text.bytes().all(plain)
}

/// A text from outside: without control characters and those that turn the direction of writing, cut.
fn clean(text: &str) -> String {
    let shown = |c: &char| !(c.is_control() || is_unseen(*c));
    let mut out = String::new();
    for c in text.chars().map(|c| if matches!(c, '\n' | '\t') { ' ' } else { c }).filter(shown) {
        if out.len() + c.len_utf8() > MAX_TEXT {
            out.push('…');
            break;
        }
        out.push(c);
    }
    out
}
