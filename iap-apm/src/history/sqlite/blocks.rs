//! Spans as they are stored: packed, those of many traces compressed together.
//!
//! What spans say repeats from trace to trace, so a block of many takes a third of what each takes alone. A trace is
//! found by its parts, each a place in a block, which is read whole.

use iap_core::TraceId;
use rusqlite::{Connection, params};
use zstd::bulk::Compressor;

use super::read::damaged_part;
use super::span_groups::Counting;
use super::texts::Texts;
use super::writer::{conversion, hash_of};
use crate::history::TraceSpans;

/// Uncompressed bytes after which a block is closed.
const BLOCK: usize = 512 << 10;

/// The block that is being filled, of one commit.
pub(super) struct Blocks<'a> {
    connection: &'a Connection,
    compressor: &'a mut Compressor<'static>,
    id: i64,
    buffer: Vec<u8>,
    counting: Counting,
}

impl<'a> Blocks<'a> {
    pub(super) fn begin(
        connection: &'a Connection,
        compressor: &'a mut Compressor<'static>,
    ) -> rusqlite::Result<Self> {
        let sql = "SELECT coalesce(max(id), 0) + 1 FROM blocks";
        let id = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        Ok(Self { connection, compressor, id, buffer: Vec::new(), counting: Counting::default() })
    }

    /// Adds spans, unless the same came before.
    pub(super) fn add(&mut self, texts: &mut Texts, trace: &TraceSpans) -> rusqlite::Result<()> {
        for part in trace.parts() {
            let (start, length) = (self.buffer.len() as i64, part.len() as i64);
            let row = params![trace.trace_id.0, hash_of(part), self.id, start, length];
            let sql = "INSERT OR IGNORE INTO places VALUES (?1, ?2, ?3, ?4, ?5)";
            if self.connection.prepare_cached(sql)?.execute(row)? > 0 {
                self.buffer.extend_from_slice(part);
                self.counting.add(self.connection, texts, part)?;
            }
            if self.buffer.len() >= BLOCK {
                self.close_block()?;
            }
        }
        Ok(())
    }

    fn close_block(&mut self) -> rusqlite::Result<()> {
        let data = self.compressor.compress(&self.buffer).map_err(conversion)?;
        let sql = "INSERT INTO blocks VALUES (?1, ?2, ?3)";
        self.connection.prepare_cached(sql)?.execute(params![self.id, self.buffer.len() as i64, data])?;
        self.id += 1;
        self.buffer.clear();
        Ok(())
    }

    /// Writes what is left.
    /// Says when the spans began, to the minute.
    pub(super) fn finish(mut self) -> rusqlite::Result<Option<(u64, u64)>> {
        if !self.buffer.is_empty() {
            self.close_block()?;
        }
        self.counting.write(self.connection, self.compressor)
    }
}

/// The stored parts of a trace, unpacked up to `room` bytes, and whether some were left out.
pub(super) fn parts(
    connection: &Connection,
    id: TraceId,
    room: usize,
) -> rusqlite::Result<(Vec<Vec<u8>>, bool)> {
    let (mut parts, mut truncated) = (Vec::new(), false);
    parts_of(connection, &[id], room, |_, part| match part {
        Some(part) => parts.push(part.to_vec()),
        None => truncated = true,
    })?;
    Ok((parts, truncated))
}

/// The same of some traces: calls `each` with the place of a trace in `ids` and a part of it, or with `None` where one is left
/// out or damaged. A block is unpacked once, however many of them are in it.
pub(super) fn parts_of(
    connection: &Connection,
    ids: &[TraceId],
    mut room: usize,
    mut each: impl FnMut(usize, Option<&[u8]>),
) -> rusqlite::Result<()> {
    let mut fits = |length: u32| {
        let left = room.checked_sub(length as usize);
        room = left.unwrap_or(room);
        left.is_some()
    };
    // Of files that an older version has begun.
    let mut statement = connection.prepare_cached("SELECT length, data FROM chunks WHERE trace_id = ?")?;
    for (at, id) in ids.iter().enumerate() {
        let mut rows = statement.query([id.0])?;
        while let Some(row) = rows.next()? {
            let length: u32 = row.get(0)?;
            match fits(length) {
                true => {
                    let bytes = unpack(row.get_ref(1)?.as_blob()?, length);
                    each(at, Some(bytes.as_slice()).filter(|bytes| !bytes.is_empty()));
                }
                false => each(at, None),
            }
        }
    }
    let mut statement = connection.prepare_cached(
        "SELECT block, start, length FROM places WHERE trace_id = ?1
            UNION ALL SELECT block, start, length FROM parts WHERE trace_id = ?1",
    )?;
    let mut places: Vec<(i64, u32, u32, usize)> = Vec::new();
    for (at, id) in ids.iter().enumerate() {
        let mut rows = statement.query([id.0])?;
        while let Some(row) = rows.next()? {
            places.push((row.get(0)?, row.get(1)?, row.get(2)?, at));
        }
    }
    places.sort_unstable();
    let mut statement = connection.prepare_cached("SELECT length, data FROM blocks WHERE id = ?")?;
    let mut open: Option<(i64, Vec<u8>)> = None;
    for (block, start, length, at) in places {
        if !fits(length) {
            each(at, None);
            continue;
        }
        let bytes = match open.take() {
            Some((id, bytes)) if id == block => bytes,
            _ => statement.query_row([block], |row| Ok(unpack(row.get_ref(1)?.as_blob()?, row.get(0)?)))?,
        };
        // Of a block that is damaged there are no bytes: the next part in it is no better.
        let part = bytes.get(start as usize..).and_then(|bytes| bytes.get(..length as usize));
        if part.is_none() && !bytes.is_empty() {
            damaged_part(&std::io::Error::other("it lies outside of its block"));
        }
        each(at, part);
        open = Some((block, bytes));
    }
    Ok(())
}

/// No bytes when it is damaged.
fn unpack(data: &[u8], length: u32) -> Vec<u8> {
    zstd::bulk::decompress(data, length as usize).unwrap_or_else(|error| {
        damaged_part(&error);
        Vec::new()
    })
}
