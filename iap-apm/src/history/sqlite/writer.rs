//! The thread that writes.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rusqlite::{Connection, params};
use tokio::sync::oneshot;
use zstd::bulk::Compressor;

use super::blocks::Blocks;
use super::disk::{self, FileId, is_full};
use super::files::{Files, HOUR_MS};
use super::seam::{self, Before, Seam};
use super::texts::Texts;
use super::{events, links, metrics, schema};
use crate::error::HistoryError;
use crate::history::Batch;
use crate::model::{LogLine, TransactionSummary};

/// Batches that are committed together.
const GROUP: usize = 32;
const RETAIN_EVERY: Duration = Duration::from_secs(60);
/// Files that give way to a write while the disk is full.
const MAKE_ROOM: usize = 8;
/// Files are closed at this part of the size limit, so that removing one does not remove much.
const FILE_SHARE: u64 = 8;
pub(super) const ZSTD_LEVEL: i32 = 3;

pub(super) enum Job {
    Append(Arc<Batch>, oneshot::Sender<Result<(), HistoryError>>),
    Retain(oneshot::Sender<()>),
}

pub(super) fn run(files: &Files, queue: &Receiver<Job>) {
    let compressor = Compressor::new(ZSTD_LEVEL).expect("a compressor of a fixed, valid level");
    let mut writer = Writer { files, open: None, seam: None, to_roll: true, is_full: false, compressor };
    files.retain(None);
    loop {
        let first = match queue.recv_timeout(RETAIN_EVERY) {
            Ok(job) => Some(job),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if first.is_none() {
            writer.retain();
            continue;
        }
        let (mut batches, mut acks, mut retained) = (Vec::new(), Vec::new(), Vec::new());
        for job in first.into_iter().chain(std::iter::from_fn(|| queue.try_recv().ok())).take(GROUP) {
            match job {
                Job::Append(batch, ack) => {
                    batches.push(batch);
                    acks.push(ack);
                }
                Job::Retain(done) => retained.push(done),
            }
        }
        if !batches.is_empty() {
            writer.write_all(&batches, acks);
            writer.roll();
        }
        if !retained.is_empty() {
            writer.retain();
            for done in retained {
                // Whoever asked may have gone.
                let _ = done.send(());
            }
        }
    }
}

/// The file that is written.
struct Open {
    id: FileId,
    file: Connection,
    texts: Texts,
}

impl Open {
    fn new(id: FileId, path: &Path) -> rusqlite::Result<Self> {
        let file = schema::open_writer(path)?;
        Ok(Self { id, texts: Texts::of(&file)?, file })
    }
}

struct Writer<'a> {
    files: &'a Files,
    open: Option<Open>,
    /// The file before, while traces may go on from it.
    seam: Option<Seam>,
    /// Whether there may be closed files without their minutes.
    to_roll: bool,
    /// Whether the disk had no room for the last write.
    is_full: bool,
    /// Kept, since making one costs more than compressing a small chunk.
    compressor: Compressor<'static>,
}

impl Writer<'_> {
    fn write_all(&mut self, batches: &[Arc<Batch>], acks: Vec<oneshot::Sender<Result<(), HistoryError>>>) {
        let mut result = self.write(batches);
        for _ in 0..MAKE_ROOM {
            let is_full = result.as_ref().is_err_and(is_full);
            self.tell(is_full);
            if !is_full || !self.make_room() {
                break;
            }
            result = self.write(batches);
        }
        match result {
            Ok(()) => acks.into_iter().for_each(|ack| drop(ack.send(Ok(())))),
            Err(error) => {
                // A connection that failed is opened anew next time: its file may have been removed.
                self.open = None;
                tracing::warn!(%error, "the history could not be written");
                let kind = disk::kind(&error);
                for ack in acks {
                    drop(ack.send(Err(HistoryError::new(kind, "the batch could not be written"))));
                }
            }
        }
    }

    /// Removes an old file; whether there was one.
    fn make_room(&mut self) -> bool {
        (self.open, self.seam) = (None, None);
        self.files.make_room()
    }

    /// Says aloud when the disk gets full, and when it has room again.
    fn tell(&mut self, is_full: bool) {
        if is_full == self.is_full {
            return;
        }
        self.is_full = is_full;
        ::metrics::gauge!("iap_apm_history_disk_full").set(f64::from(u8::from(is_full)));
        if is_full {
            tracing::error!("the disk is full: the oldest of the history gives way to what is new");
        } else {
            tracing::info!("the disk has room for the history again");
        }
    }

    fn write(&mut self, batches: &[Arc<Batch>]) -> rusqlite::Result<()> {
        let files = self.files;
        self.open_current()?;
        let Self { open: Some(Open { id, file, texts }), seam, compressor, .. } = self else { return Ok(()) };
        let transaction = file.transaction()?;
        let mut range: Option<(u64, u64)> = None;
        let (mut told, mut blocks) = (Vec::new(), Blocks::begin(&transaction, compressor)?);
        for batch in batches {
            let times = batch.transactions.iter().map(|row| row.start_us);
            let points = batch.metrics.iter().flat_map(|series| &series.points).map(|point| point.time_us);
            let events = batch.events.iter().map(|event| event.time_us);
            for time in times.chain(batch.logs.iter().map(|line| line.time_us)).chain(points).chain(events) {
                range = Some(range.map_or((time, time), |(low, high)| (low.min(time), high.max(time))));
            }
            for row in &batch.transactions {
                insert_at_seam((&transaction, texts), seam.as_ref(), row, &mut told)?;
            }
            for trace in &batch.spans {
                blocks.add(texts, trace)?;
                links::insert(&transaction, trace)?;
            }
            batch.logs.iter().try_for_each(|line| insert_log(&transaction, line))?;
            metrics::insert(&transaction, &batch.metrics)?;
            metrics::insert_exemplars(&transaction, &batch.exemplars)?;
            events::insert(&transaction, &batch.events)?;
        }
        if let Some((low, high)) = blocks.finish()? {
            range = Some(range.map_or((low, high), |range| (range.0.min(low), range.1.max(high))));
        }
        transaction.commit()?;
        if let Some((low, high)) = range {
            files.widen(*id, low, high);
        }
        // Only now: what is not written must hide nothing.
        if let Some(seam) = seam
            && let Err(error) = told.iter().try_for_each(|(id, rank)| seam.tell(id, *rank))
        {
            tracing::warn!(%error, "transactions may be listed in two hours");
        }
        Ok(())
    }

    /// Makes the current hour's file the open one.
    fn open_current(&mut self) -> rusqlite::Result<()> {
        let limit = self.files.options.max_bytes / FILE_SHARE;
        let full = self.open.as_ref().is_some_and(|open| self.files.bytes(open.id) > limit);
        let id = self.files.current(full);
        let open = match self.open.take() {
            Some(open) if open.id == id => open,
            before => {
                let (now_ms, path) = (self.files.options.clock.now_ms(), |id| self.files.path(id));
                self.seam = match before {
                    Some(before) => Some(Seam::new(before.id, before.file, now_ms)),
                    // After a start: the file that another process has written.
                    None => match self.files.before(id) {
                        Some(before) => {
                            Some(Seam::new(before, schema::open_writer(&path(before))?, id.hour * HOUR_MS))
                        }
                        None => None,
                    },
                };
                self.to_roll = true;
                let open = Open::new(id, &path(id))?;
                self.files.began(id);
                self.files.retain(Some(id));
                open
            }
        };
        self.open = Some(open);
        Ok(())
    }

    fn retain(&mut self) {
        self.files.retain(self.open.as_ref().map(|open| open.id));
        while self.roll() {}
    }

    /// Rolls one closed file up, if there is one.
    fn roll(&mut self) -> bool {
        let now_ms = self.files.options.clock.now_ms();
        if self.seam.as_ref().is_some_and(|seam| seam.is_over(now_ms)) {
            // Closing the last connection folds the log into the file.
            self.seam = None;
            self.to_roll = true;
        }
        if !self.to_roll {
            return false;
        }
        let open = self.open.as_ref().map(|open| open.id);
        let kept: Vec<FileId> = open.into_iter().chain(self.seam.as_ref().map(|seam| seam.id)).collect();
        self.to_roll = self.files.roll_next(&kept);
        self.to_roll
    }
}

/// Writes a transaction, unless the file before has it; notes what that file has of its trace, and in `told` what that
/// file is to be told.
fn insert_at_seam(
    (connection, texts): (&Connection, &mut Texts),
    seam: Option<&Seam>,
    row: &TransactionSummary,
    told: &mut Vec<([u8; 16], u8)>,
) -> rusqlite::Result<()> {
    match seam.map_or(Ok(Before::Nothing), |seam| seam.before(row))? {
        Before::Same => return Ok(()),
        Before::Nothing => {}
        Before::Others { lowest, above } => {
            seam::note(connection, &row.trace_id.0, lowest)?;
            if above {
                told.push((row.trace_id.0, row.source as u8));
            }
        }
    }
    insert_transaction(connection, texts, row)
}

fn insert_transaction(
    connection: &Connection,
    texts: &mut Texts,
    row: &TransactionSummary,
) -> rusqlite::Result<()> {
    let mut text = |text: &str| texts.value(connection, text);
    let (service, method) = (text(&row.service)?, text(&row.method)?);
    let (host, route) = (text(&row.host)?, text(&row.route)?);
    let sql = "INSERT OR IGNORE INTO transactions VALUES
        (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)";
    connection.prepare_cached(sql)?.execute(params![
        row.trace_id.0,
        row.span_id.0,
        row.parent_id.map(|id| id.0),
        row.source as u8,
        service,
        clamp(row.start_us),
        clamp(row.duration_us),
        method,
        row.path,
        host,
        route,
        row.status,
        row.failed,
        row.error,
        row.message,
        row.user,
        row.session,
        row.client,
        clamp(row.bytes_out),
        clamp(row.weight),
    ])?;
    Ok(())
}

fn insert_log(connection: &Connection, line: &LogLine) -> rusqlite::Result<()> {
    let json =
        serde_json::to_string(line).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let sql = "INSERT OR IGNORE INTO logs VALUES (?1, ?2, ?3, ?4, ?5)";
    let trace_id = line.trace_id.map(|id| id.0);
    let hash = hash_of(json.as_bytes());
    connection.prepare_cached(sql)?.execute(params![
        clamp(line.time_us),
        hash,
        trace_id,
        line.level as u8,
        json
    ])?;
    Ok(())
}

/// Only tells a resent piece from a new one of the same trace and time.
pub(super) fn hash_of(bytes: &[u8]) -> i64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish() as i64
}

pub(super) fn conversion(error: impl Into<iap_core::BoxError>) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(error.into())
}

pub(super) fn clamp(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
