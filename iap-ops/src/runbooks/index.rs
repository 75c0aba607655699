//! The index of passages.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use rusqlite::Connection;

use super::{Citation, Origin, grams};

/// Grams of a query.
const MAX_GRAMS: usize = 200;
/// Passages that are looked at closely.
const CANDIDATES: usize = 30;
/// Characters of an excerpt.
const MAX_EXCERPT: usize = 280;
/// A passage is about a question from this share of the question's grams on.
const COVERED: f64 = 0.5;
/// The same for a longer name, such as the text of an error.
const NAMED: f64 = 0.7;
/// A name that is in this share of many passages says nothing of one.
const EVERYWHERE: f64 = 0.5;
const MANY: usize = 6;

/// A part of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Passage {
    pub(super) origin: Origin,
    pub(super) file: String,
    pub(super) heading: String,
    /// The headings above it.
    pub(super) above: String,
    pub(super) text: String,
}

/// What is looked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query {
    /// The question.
    pub(crate) text: String,
    /// Names of what was found: routes, services, statements, errors.
    pub(crate) names: Vec<String>,
}

/// Passages that can be looked for.
#[derive(Default)]
pub(super) struct Index {
    passages: Vec<Passage>,
    /// `None` where there is nothing to look for.
    table: Option<Mutex<Connection>>,
}

impl Index {
    pub(super) fn new(passages: Vec<Passage>) -> Self {
        match table(&passages) {
            Ok(table) => Self { table: (!passages.is_empty()).then(|| Mutex::new(table)), passages },
            Err(error) => {
                tracing::warn!(%error, "runbooks could not be indexed");
                Self::default()
            }
        }
    }

    /// The passages about what is looked for, the best first.
    pub(super) fn find(&self, query: &Query, most: usize) -> Vec<Citation> {
        let Some(table) = &self.table else { return Vec::new() };
        let candidates = candidates(&table.lock(), query).unwrap_or_else(|error| {
            tracing::warn!(%error, "runbooks could not be searched");
            Vec::new()
        });
        let passages: Vec<Close<'_>> =
            candidates.iter().filter_map(|at| self.passages.get(*at)).map(Close::new).collect();
        let names: Vec<&String> = query.names.iter().filter(|name| self.says(name, &passages)).collect();
        let asked = grams::basic(&query.text);
        let mut about: Vec<(usize, &Close<'_>)> = passages
            .iter()
            .map(|passage| (names.iter().filter(|name| passage.has(name)).count(), passage))
            .filter(|(named, passage)| *named > 0 || passage.covers(&asked, COVERED, 2))
            .collect();
        // The order of the candidates decides among those that name as much.
        about.sort_by_key(|(named, _)| std::cmp::Reverse(*named));
        about.into_iter().take(most).map(|(_, passage)| passage.cite(&names, &asked)).collect()
    }

    /// Whether a name says anything: not if it stands in most of what there is.
    fn says(&self, name: &str, passages: &[Close<'_>]) -> bool {
        let with = passages.iter().filter(|passage| passage.has(name)).count();
        self.passages.len() < MANY || (with as f64) < self.passages.len() as f64 * EVERYWHERE
    }
}

/// A passage that is looked at closely.
struct Close<'a> {
    passage: &'a Passage,
    lower: String,
    grams: BTreeSet<String>,
}

impl<'a> Close<'a> {
    fn new(passage: &'a Passage) -> Self {
        let whole = format!("{}\n{}\n{}", passage.above, passage.heading, passage.text);
        let grams = grams::basic(&whole);
        Self { passage, lower: whole.to_lowercase(), grams }
    }

    /// Whether it names something: as a word, or most of a longer text.
    fn has(&self, name: &str) -> bool {
        let name = name.trim().to_lowercase();
        let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let stands = self.lower.match_indices(&name).any(|(at, _)| {
            !self.lower[..at].ends_with(letter) && !self.lower[at + name.len()..].starts_with(letter)
        });
        let enough = name.chars().filter(|c| c.is_alphanumeric()).count() >= 2;
        enough && (stands || self.covers(&grams::basic(&name), NAMED, 2))
    }

    fn covers(&self, wanted: &BTreeSet<String>, share: f64, least: usize) -> bool {
        let there = wanted.iter().filter(|gram| self.grams.contains(*gram)).count();
        there >= least && there as f64 >= wanted.len() as f64 * share
    }

    fn cite(&self, names: &[&String], asked: &BTreeSet<String>) -> Citation {
        let Passage { origin, file, heading, text, .. } = self.passage;
        let line = |line: &&str| {
            let lower = line.to_lowercase();
            names.iter().any(|name| lower.contains(&name.to_lowercase()))
                || asked.iter().any(|gram| lower.contains(gram.as_str()))
        };
        let start = text.lines().find(line).and_then(|line| text.find(line)).unwrap_or(0);
        // What fits is told from its beginning.
        let start = if text.chars().count() <= MAX_EXCERPT { 0 } else { start };
        let shown: String = text[start..].split_whitespace().collect::<Vec<_>>().join(" ");
        let mut excerpt: String = shown.chars().filter(|c| !c.is_control()).take(MAX_EXCERPT).collect();
        if shown.chars().count() > MAX_EXCERPT {
            excerpt.push('…');
        }
        Citation { origin: *origin, file: file.clone(), heading: heading.clone(), excerpt }
    }
}

/// A table in memory whose rows are the passages, by their places.
fn table(passages: &[Passage]) -> rusqlite::Result<Connection> {
    let table = Connection::open_in_memory()?;
    table.execute_batch(
        "CREATE VIRTUAL TABLE passages USING fts5(heading, text, content='', tokenize='unicode61 remove_diacritics 0');
         BEGIN;",
    )?;
    {
        let mut insert = table.prepare("INSERT INTO passages(rowid, heading, text) VALUES (?1, ?2, ?3)")?;
        for (at, passage) in passages.iter().enumerate() {
            let heading = grams::of(&format!("{} {} {}", passage.file, passage.above, passage.heading));
            insert.execute((at as i64, heading.join(" "), grams::of(&passage.text).join(" ")))?;
        }
    }
    table.execute_batch("COMMIT;")?;
    Ok(table)
}

/// The places of the passages that are nearest by BM25; a heading counts three times.
fn candidates(table: &Connection, query: &Query) -> rusqlite::Result<Vec<usize>> {
    let mut seen = BTreeSet::new();
    let texts = query.names.iter().chain([&query.text]);
    let wanted: Vec<String> = texts
        .flat_map(|text| grams::of(text))
        .filter(|gram| seen.insert(gram.clone()))
        .take(MAX_GRAMS)
        // Grams are letters and digits: nothing in them is syntax within quotes.
        .map(|gram| format!("\"{gram}\""))
        .collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut select = table.prepare_cached(
        "SELECT rowid FROM passages WHERE passages MATCH ?1 ORDER BY bm25(passages, 3.0, 1.0), rowid LIMIT ?2",
    )?;
    let rows = select.query_map((wanted.join(" OR "), CANDIDATES as i64), |row| row.get::<_, i64>(0))?;
    rows.map(|row| row.map(|at| usize::try_from(at).unwrap_or(usize::MAX))).collect()
}
