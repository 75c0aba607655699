//! Texts that come again and again: services, methods, hosts and routes are numbers in the rows, and each file has a table of
//! what they stand for. A text that is long, or one too many, stands in the row itself, as all do in files begun before version 8.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Row, params};

use crate::text::cut;

/// Texts of one file; hosts are what clients say.
pub(super) const MAX_TEXTS: usize = 16_384;
/// Bytes of one.
pub(super) const MAX_TEXT: usize = 200;

/// The numbers of the file that is written.
#[derive(Debug)]
pub(super) struct Texts {
    known: HashMap<Box<str>, i64>,
    /// Whether the rows of the file take numbers.
    takes: bool,
}

impl Texts {
    /// Those that a file has.
    pub(super) fn of(file: &Connection) -> rusqlite::Result<Self> {
        let sql = "SELECT type = '' FROM pragma_table_info('transactions') WHERE name = 'route'";
        let takes = file.query_row(sql, [], |row| row.get(0))?;
        let mut statement = file.prepare("SELECT text, id FROM texts")?;
        let known = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Self { known: known.collect::<rusqlite::Result<_>>()?, takes })
    }

    /// What a row has for a text. A new one is written, so what was learnt goes when the transaction is rolled back.
    pub(super) fn value(&mut self, file: &Connection, text: &str) -> rusqlite::Result<Value> {
        if let Some(id) = self.known.get(text) {
            return Ok(Value::Integer(*id));
        }
        if !self.takes || text.len() > MAX_TEXT || self.known.len() >= MAX_TEXTS {
            return Ok(Value::Text(text.to_owned()));
        }
        self.learn(file, text).map(Value::Integer)
    }

    /// The number of a text, which is cut where it is too long; 0 where it is one too many.
    pub(super) fn id(&mut self, file: &Connection, text: &str) -> rusqlite::Result<i64> {
        let text = cut(text, MAX_TEXT);
        match self.known.get(text) {
            Some(id) => Ok(*id),
            None if self.known.len() >= MAX_TEXTS / 2 => Ok(0),
            None => self.learn(file, text),
        }
    }

    fn learn(&mut self, file: &Connection, text: &str) -> rusqlite::Result<i64> {
        let id = self.known.len() as i64 + 1;
        file.prepare_cached("INSERT INTO texts (id, text) VALUES (?1, ?2)")?.execute(params![id, text])?;
        self.known.insert(text.into(), id);
        Ok(id)
    }
}

/// All texts of a file by their numbers.
pub(super) fn all(file: &Connection) -> rusqlite::Result<HashMap<i64, String>> {
    let mut statement = file.prepare_cached("SELECT id, text FROM texts")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Texts that were read of one file, so that each is read once.
pub(super) struct Names<'a> {
    file: &'a Connection,
    known: HashMap<i64, String>,
}

impl<'a> Names<'a> {
    pub(super) fn of(file: &'a Connection) -> Self {
        Self { file, known: HashMap::new() }
    }

    /// The text of a column that may have its number.
    pub(super) fn get<'b>(&'b mut self, row: &'b Row<'_>, column: usize) -> rusqlite::Result<&'b str> {
        let id = match row.get_ref(column)? {
            ValueRef::Integer(id) => id,
            text => return Ok(text.as_str()?),
        };
        match self.known.entry(id) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(new) => {
                let mut statement = self.file.prepare_cached("SELECT text FROM texts WHERE id = ?")?;
                Ok(new.insert(statement.query_row([id], |row| row.get(0))?))
            }
        }
    }
}

/// The condition that a column has a text, whichever way it has it; takes the text twice.
pub(super) fn is(column: &str) -> String {
    format!("{column}_key IN (?, (SELECT id FROM texts WHERE text = ?))")
}
