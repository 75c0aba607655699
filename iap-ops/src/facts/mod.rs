//! What an answer knows, in types: sentences, tables and charts whose every number has a name, a unit and the
//! query that gives it. The text is made from these alone.

mod render;
mod show;
mod templates;
mod terms;

use schemars::JsonSchema;
use serde::Serialize;

pub(crate) use self::render::lines;
pub use self::render::text;
use self::render::{advice as advice_text, sentence as sentence_text};
pub use self::show::show;
use self::terms::label;
use crate::question::Language;
use crate::zone::Zone;

/// Rows of a table.
pub const MAX_ROWS: usize = 15;

/// What a number measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unit {
    /// A whole number of things.
    Count,
    /// Microseconds.
    Us,
    /// Hundredths.
    Percent,
    /// A rate.
    PerSecond,
    /// A factor.
    Times,
    /// Bytes.
    Bytes,
    /// A point in time, Unix microseconds.
    Time,
    /// No number. Untrusted text.
    Text,
    /// The name of a route. Untrusted text.
    Route,
    /// A trace id.
    Trace,
    /// A statement or other code. Untrusted text.
    Code,
}

/// A number or a text.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "FactValue")]
pub enum Value {
    /// In the unit beside it.
    Number(f64),
    /// A text.
    Text(String),
    /// Unknown.
    None,
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        if number.is_finite() { Self::Number(number) } else { Self::None }
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number as f64)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Number(number as f64)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.chars().filter(|c| !c.is_control()).take(300).collect())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Into::into)
    }
}

/// A named value with its unit.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Figure {
    /// The name, the same in all languages.
    pub name: &'static str,
    /// The value.
    pub value: Value,
    /// Its unit.
    pub unit: Unit,
}

/// Makes a [`Figure`].
pub(crate) fn figure(name: &'static str, value: impl Into<Value>, unit: Unit) -> Figure {
    Figure { name, value: value.into(), unit }
}

/// A statement: the name of a template, and what is put into it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Sentence {
    /// The template.
    pub says: &'static str,
    /// Its values.
    pub figures: Vec<Figure>,
    /// The sentence in the language of the answer.
    pub text: String,
}

impl Sentence {
    pub(crate) fn new(says: &'static str, figures: impl Into<Vec<Figure>>) -> Self {
        Self { says, figures: figures.into(), text: String::new() }
    }
}

/// A column of a [`Table`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Column {
    /// The name, the same in all languages.
    pub name: &'static str,
    /// The name in the language of the answer.
    pub label: String,
    /// The unit of its cells.
    pub unit: Unit,
}

/// Rows of values.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Table {
    /// The name, the same in all languages.
    pub name: &'static str,
    /// The name in the language of the answer.
    pub label: String,
    /// The columns.
    pub columns: Vec<Column>,
    /// At most [`MAX_ROWS`] of them.
    pub rows: Vec<Vec<Value>>,
    /// Rows that were left out.
    pub more: u64,
    /// The query of the admin API that gives the numbers.
    pub source: String,
}

impl Table {
    pub(crate) fn new(name: &'static str, columns: &[(&'static str, Unit)], source: String) -> Self {
        let column = |(name, unit): &(&'static str, Unit)| Column { name, label: String::new(), unit: *unit };
        let columns = columns.iter().map(column).collect();
        Self { name, label: String::new(), columns, rows: Vec::new(), more: 0, source }
    }

    /// Adds a row, or counts it where there are enough.
    pub(crate) fn push(&mut self, row: Vec<Value>) {
        if self.rows.len() < MAX_ROWS {
            self.rows.push(row);
        } else {
            self.more += 1;
        }
    }
}

/// A line over time.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Chart {
    /// The name, the same in all languages.
    pub name: &'static str,
    /// The name in the language of the answer.
    pub label: String,
    /// The unit of its values.
    pub unit: Unit,
    /// When (Unix microseconds), and how much.
    pub points: Vec<(u64, f64)>,
    /// The bounds of a forecast: when, the lower and the upper one.
    pub band: Vec<(u64, f64, f64)>,
    /// The query of the admin API that gives the numbers.
    pub source: String,
}

/// A recommendation with its formula.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Advice {
    /// What to do.
    pub sentence: Sentence,
    /// The formula, with the names of its inputs.
    pub formula: &'static str,
    /// The inputs and the result.
    pub inputs: Vec<Figure>,
    /// The setting to change, where there is one.
    pub config_key: Option<&'static str>,
    /// Traces that show why.
    pub evidence: Vec<String>,
    /// All of it in the language of the answer.
    pub text: String,
}

/// All that an answer knows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Facts {
    /// What can be said in a sentence, the most important first.
    pub sentences: Vec<Sentence>,
    /// Rows of numbers.
    pub tables: Vec<Table>,
    /// Numbers over time.
    pub charts: Vec<Chart>,
    /// What to do.
    pub advice: Vec<Advice>,
    /// Whether something is wrong.
    pub problem: bool,
    /// Whether there was anything to tell.
    pub empty: bool,
}

impl Facts {
    pub(crate) fn say(&mut self, says: &'static str, figures: impl Into<Vec<Figure>>) {
        self.sentences.push(Sentence::new(says, figures));
    }

    /// The trace ids in it, in order, each once.
    pub(crate) fn evidence(&self) -> Vec<String> {
        let mut ids: Vec<String> = Vec::new();
        let figures = self.sentences.iter().flat_map(|sentence| &sentence.figures);
        let single = figures.filter(|figure| figure.unit == Unit::Trace).map(|figure| &figure.value);
        let cells = self.tables.iter().flat_map(|table| {
            let at: Vec<usize> =
                (0..table.columns.len()).filter(|at| table.columns[*at].unit == Unit::Trace).collect();
            table.rows.iter().flat_map(move |row| at.clone().into_iter().filter_map(|at| row.get(at)))
        });
        let advice = self.advice.iter().flat_map(|advice| advice.evidence.iter().cloned());
        let text = |value: &Value| match value {
            Value::Text(id) => Some(id.clone()),
            Value::Number(_) | Value::None => None,
        };
        for id in single.chain(cells).filter_map(text).chain(advice) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }

    /// Fills in the labels and texts.
    pub(crate) fn worded(mut self, language: Language, zone: &Zone) -> Self {
        for said in &mut self.sentences {
            said.text = sentence_text(said, language, zone);
        }
        for given in &mut self.advice {
            given.text = advice_text(given, language, zone);
        }
        for table in &mut self.tables {
            label(language, table.name).clone_into(&mut table.label);
            for column in &mut table.columns {
                label(language, column.name).clone_into(&mut column.label);
            }
        }
        for chart in &mut self.charts {
            label(language, chart.name).clone_into(&mut chart.label);
        }
        self
    }
}

#[cfg(test)]
mod tests;
