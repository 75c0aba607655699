//! The embedded history: SQLite files, one for each hour of arrival.
//!
//! A file holds what *arrived* in its hour, whatever times the data claims, so a sender with a wrong
//! clock can neither create files nor keep old ones alive. Retention removes whole files, by age
//! and by total size; within an hour a file that grows past an eighth of the size limit is closed
//! and a new one begun. Every file is in WAL mode and each batch is one committed transaction, so
//! an unclean stop loses at most what was not acknowledged.
//!
//! Writes go through one thread with a bounded queue; reads run on tokio's blocking threads, a few
//! at a time.

mod files;
mod read;
mod schema;
mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use iap_core::{Clock, SystemClock, TraceId};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};

use self::files::Files;
use self::writer::Job;
use super::{Batch, History, HistoryResult, LogQuery, SeriesQuery, TransactionPage, TransactionQuery};
use crate::error::{HistoryError, HistoryErrorKind};
use crate::model::{LogLine, RouteStats, SeriesPoint, Trace, Window};

pub use self::files::Evicted;

/// Batches that may wait for the writer; beyond, [`HistoryErrorKind::Overloaded`].
const QUEUE: usize = 64;
/// Queries that run at the same time; the others wait.
const READERS: usize = 4;

/// How long and how much the embedded history keeps.
#[derive(Clone)]
pub struct SqliteOptions {
    /// Files whose hour ended longer ago are removed.
    pub max_age: Duration,
    /// The oldest files are removed while all of them are larger than this.
    pub max_bytes: u64,
    /// Decides the hour of arrival and the age.
    pub clock: Arc<dyn Clock>,
}

impl Default for SqliteOptions {
    /// Seven days, 4 GiB, the system's clock.
    fn default() -> Self {
        Self { max_age: Duration::from_secs(7 * 86_400), max_bytes: 4 << 30, clock: Arc::new(SystemClock) }
    }
}

impl std::fmt::Debug for SqliteOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteOptions")
            .field("max_age", &self.max_age)
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}

/// The embedded [`History`]. Dropping it finishes what was accepted and closes the files.
///
/// A directory has one owner at a time; a lock file in it, which ends with the process, sees to that.
pub struct SqliteHistory {
    files: Arc<Files>,
    jobs: std::sync::mpsc::SyncSender<Job>,
    readers: Arc<Semaphore>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    /// Held for as long as the directory is owned.
    _lock: File,
    temporary: Option<PathBuf>,
}

impl SqliteHistory {
    /// Opens a directory; one that is created here is readable by its owner only. A file that is damaged beyond reading is set aside
    /// (renamed to `*.damaged`), so opening works after any unclean stop.
    ///
    /// # Errors
    /// [`HistoryErrorKind::Unavailable`] when the directory cannot be created or listed, or when another
    /// history owns it.
    pub fn open(directory: impl AsRef<Path>, options: SqliteOptions) -> Result<Self, HistoryError> {
        let directory = directory.as_ref();
        create_private(directory).map_err(unavailable("the directory cannot be created"))?;
        let lock =
            File::create(directory.join("lock")).map_err(unavailable("the directory cannot be written"))?;
        lock.try_lock().map_err(unavailable("another history owns the directory"))?;
        let files = Arc::new(Files::open(directory, options)?);
        let (jobs, queue) = std::sync::mpsc::sync_channel(QUEUE);
        let worker = files.clone();
        let thread = std::thread::Builder::new()
            .name("iap-history".into())
            .spawn(move || writer::run(&worker, &queue))
            .map_err(unavailable("the writer cannot be started"))?;
        Ok(Self {
            files,
            jobs,
            readers: Arc::new(Semaphore::new(READERS)),
            thread: Mutex::new(Some(thread)),
            _lock: lock,
            temporary: None,
        })
    }

    /// A history in a fresh directory below the system's temporary one, removed again on drop: for
    /// tests and demonstrations.
    ///
    /// # Errors
    /// As [`SqliteHistory::open`].
    pub fn temporary(options: SqliteOptions) -> Result<Self, HistoryError> {
        let name = format!("iap-history-{}-{}", std::process::id(), iap_core::SpanId::random());
        let directory = std::env::temp_dir().join(name);
        let mut history = Self::open(&directory, options)?;
        history.temporary = Some(directory);
        Ok(history)
    }

    /// Applies the limits of age and size now; otherwise done as files are begun and each minute.
    ///
    /// # Errors
    /// [`HistoryErrorKind::Overloaded`] when too many writes wait, `Closed` after shutdown.
    pub async fn retain(&self) -> Result<(), HistoryError> {
        let (done, wait) = oneshot::channel();
        self.send(Job::Retain(done))?;
        wait.await.map_err(|_| closed())
    }

    /// How many files were removed and why, since the start.
    pub fn evicted(&self) -> Evicted {
        self.files.evicted()
    }

    /// How many files there are, and their bytes on disk.
    pub fn size(&self) -> (usize, u64) {
        self.files.size()
    }

    fn send(&self, job: Job) -> Result<(), HistoryError> {
        self.jobs.try_send(job).map_err(|error| match error {
            std::sync::mpsc::TrySendError::Full(_) => {
                HistoryError::new(HistoryErrorKind::Overloaded, "too many batches wait to be written")
            }
            std::sync::mpsc::TrySendError::Disconnected(_) => closed(),
        })
    }

    fn read<'a, T, F>(&'a self, query: F) -> HistoryResult<'a, T>
    where
        T: Send + 'static,
        F: FnOnce(&Files) -> Result<T, HistoryError> + Send + 'static,
    {
        Box::pin(async move {
            let permit = self.readers.clone().acquire_owned().await.map_err(|_| closed())?;
            let files = self.files.clone();
            let read = move || {
                let _permit = permit;
                query(&files)
            };
            tokio::task::spawn_blocking(read).await.map_err(unavailable("the query was broken off"))?
        })
    }
}

impl History for SqliteHistory {
    fn append(&self, batch: Arc<Batch>) -> HistoryResult<'_, ()> {
        Box::pin(async move {
            if batch.is_empty() {
                return Ok(());
            }
            let (done, wait) = oneshot::channel();
            self.send(Job::Append(batch, done))?;
            wait.await.map_err(|_| closed())?
        })
    }

    fn transactions<'a>(&'a self, query: &'a TransactionQuery) -> HistoryResult<'a, TransactionPage> {
        let query = query.clone();
        self.read(move |files| read::transactions(files, &query))
    }

    fn trace(&self, trace_id: TraceId) -> HistoryResult<'_, Option<Trace>> {
        self.read(move |files| read::trace(files, trace_id))
    }

    fn route_stats(&self, window: Window) -> HistoryResult<'_, Vec<RouteStats>> {
        self.read(move |files| read::route_stats(files, window))
    }

    fn series<'a>(&'a self, query: &'a SeriesQuery) -> HistoryResult<'a, Vec<SeriesPoint>> {
        let query = query.clone();
        self.read(move |files| read::series(files, &query))
    }

    fn logs<'a>(&'a self, query: &'a LogQuery) -> HistoryResult<'a, Vec<LogLine>> {
        let query = query.clone();
        self.read(move |files| read::logs(files, &query))
    }
}

impl Drop for SqliteHistory {
    fn drop(&mut self) {
        // Closing the queue ends the writer once it has written what was accepted.
        let (closed, _) = std::sync::mpsc::sync_channel(0);
        self.jobs = closed;
        if let Some(thread) = self.thread.get_mut().take() {
            let _ = thread.join();
        }
        if let Some(directory) = self.temporary.take() {
            self.files.close_readers();
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

impl std::fmt::Debug for SqliteHistory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteHistory").field("files", &self.files.size().0).finish_non_exhaustive()
    }
}

/// What users did is in it, so others on the machine must not read it.
fn create_private(directory: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

fn closed() -> HistoryError {
    HistoryError::new(HistoryErrorKind::Closed, "the history was shut down")
}

fn unavailable<E: Into<iap_core::BoxError>>(message: &'static str) -> impl FnOnce(E) -> HistoryError {
    move |error| HistoryError::new(HistoryErrorKind::Unavailable, message).with_source(error)
}

/// Tells a full disk from other failures.
fn sqlite_error(error: rusqlite::Error) -> HistoryError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => {
            HistoryError::new(HistoryErrorKind::Full, "the disk is full").with_source(error)
        }
        _ => HistoryError::new(HistoryErrorKind::Unavailable, "the database failed").with_source(error),
    }
}

#[cfg(test)]
mod tests;
