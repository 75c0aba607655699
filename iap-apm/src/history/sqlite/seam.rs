//! Where two files meet: a trace may begin in one and go on in the next. Of its transactions both files are told, so
//! that each can be read on its own and none is listed or counted twice.

use rusqlite::{Connection, params};

use super::disk::FileId;
use crate::model::TransactionSummary;

/// How long after a file was closed parts of its traces may come.
pub(super) const SEAM_MS: u64 = 600_000;

/// The file before the one that is written.
pub(super) struct Seam {
    pub(super) id: FileId,
    connection: Connection,
    closed_ms: u64,
}

/// What the file before says about a transaction that comes in.
pub(super) enum Before {
    /// Nothing.
    Nothing,
    /// It is there.
    Same,
    /// It has others of the trace.
    Others {
        /// The lowest rank of them.
        lowest: u8,
        /// Whether one of them has a higher rank than the one that comes in.
        above: bool,
    },
}

impl Seam {
    pub(super) fn new(id: FileId, connection: Connection, closed_ms: u64) -> Self {
        Self { id, connection, closed_ms }
    }

    pub(super) fn is_over(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.closed_ms) >= SEAM_MS
    }

    pub(super) fn before(&self, row: &TransactionSummary) -> rusqlite::Result<Before> {
        let sql = "SELECT span_id, rank FROM transactions WHERE trace_id = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([row.trace_id.0])?;
        let (mut lowest, mut above) = (None, false);
        while let Some(other) = rows.next()? {
            if other.get::<_, [u8; 8]>(0)? == row.span_id.0 {
                return Ok(Before::Same);
            }
            let rank: u8 = other.get(1)?;
            lowest = Some(lowest.map_or(rank, |lowest: u8| lowest.min(rank)));
            above |= rank > row.source as u8;
        }
        Ok(lowest.map_or(Before::Nothing, |lowest| Before::Others { lowest, above }))
    }

    /// Tells the file before about a transaction that the next one has.
    pub(super) fn tell(&self, trace_id: &[u8; 16], rank: u8) -> rusqlite::Result<()> {
        note(&self.connection, trace_id, rank)
    }
}

/// Notes that another file has a transaction of a trace.
pub(super) fn note(connection: &Connection, trace_id: &[u8; 16], rank: u8) -> rusqlite::Result<()> {
    let sql = "INSERT INTO elsewhere VALUES (?1, ?2) ON CONFLICT DO UPDATE SET rank = min(rank, ?2)";
    connection.prepare_cached(sql)?.execute(params![trace_id, rank]).map(|_| ())
}
