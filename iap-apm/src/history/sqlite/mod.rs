//! The embedded history: SQLite files, one for each hour of arrival.
//!
//! A file holds what *arrived* in its hour, whatever times the data claims, so a sender with a wrong
//! clock can neither create files nor keep old ones alive. Retention removes whole files, by age
//! and by total size; within an hour a file that grows past an eighth of the size limit is closed
//! and a new one begun. Every file is in WAL mode and each batch is one committed transaction, so
//! an unclean stop loses at most what was not acknowledged.
//!
//! Where the disk is full, the oldest files give way to what is new; their figures are kept in room that was reserved for that.
//! Once there is only the file being written, batches are refused as [`HistoryErrorKind::Full`] until there is room again.
//!
//! Writes go through one thread with a bounded queue; reads run on tokio's blocking threads, a few
//! at a time.

mod aggregate;
mod blocks;
mod counts;
mod disk;
mod events;
mod files;
mod links;
mod long_term;
mod metrics;
mod options;
mod points;
mod read;
mod sample;
mod schema;
mod seam;
mod span_groups;
mod texts;
mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use iap_core::TraceId;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};

use self::files::Files;
use self::writer::Job;
use super::drill::{EdgeGather, ErrorGather, StatementGather};
use super::{
    Batch, ErrorAnswer, ErrorsQuery, EventQuery, History, HistoryResult, LogQuery, MetricAnswer, MetricInfo,
    MetricNamesQuery, MetricQuery, Points, SeriesQuery, ServiceMap, SpanGroups, SpanGroupsQuery,
    StatementAnswer, StatementsQuery, TransactionPage, TransactionQuery,
};
use crate::error::{HistoryError, HistoryErrorKind};
use crate::model::{LinkedFrom, LogLine, RouteCounts, RouteStats, SeriesPoint, TimelineEvent, Trace, Window};

pub use self::files::Evicted;
pub use self::long_term::Rollups;
pub use self::options::SqliteOptions;

/// Batches that may wait for the writer; beyond, [`HistoryErrorKind::Overloaded`].
const QUEUE: usize = 64;
/// How often a directory is looked at that another history owns.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Queries that run at the same time; the others wait.
const READERS: usize = 4;
/// Those of them that may read spans of many traces, so that there is room for short ones.
const DIGGERS: usize = 2;

/// The embedded [`History`]. Dropping it finishes what was accepted and closes the files.
///
/// A directory has one owner at a time; a lock file in it, which ends with the process, sees to that.
pub struct SqliteHistory {
    /// Set once the directory is ours.
    owned: Arc<OnceLock<Owned>>,
    jobs: std::sync::mpsc::SyncSender<Job>,
    readers: Arc<Semaphore>,
    diggers: Arc<Semaphore>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    /// Tells a thread that still waits for the directory to give up.
    stopped: Arc<AtomicBool>,
    temporary: Option<PathBuf>,
}

/// A directory that is ours.
struct Owned {
    files: Files,
    /// Held for as long as it is.
    _lock: File,
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
        let lock = lock_file(directory)?;
        lock.try_lock().map_err(unavailable("another history owns the directory"))?;
        let owned = Owned { files: Files::open(directory, options)?, _lock: lock };
        Self::start(None, move |_| Some(owned))
    }

    /// Opens a directory that another history may still own, as in a hand-over between two processes:
    /// it is taken over as soon as it is free. Until then some batches wait, more are refused as
    /// `Overloaded`, and queries are refused as `Unavailable`.
    ///
    /// # Errors
    /// [`HistoryErrorKind::Unavailable`] when the directory cannot be created.
    pub fn open_when_free(directory: impl AsRef<Path>, options: SqliteOptions) -> Result<Self, HistoryError> {
        let directory = directory.as_ref().to_owned();
        let lock = lock_file(&directory)?;
        Self::start(Some(LOOK_EVERY), move |stopped| {
            while lock.try_lock().is_err() {
                if stopped.load(Ordering::Relaxed) {
                    return None;
                }
                std::thread::sleep(LOOK_EVERY);
            }
            match Files::open(&directory, options) {
                Ok(files) => Some(Owned { files, _lock: lock }),
                Err(error) => {
                    tracing::error!(%error, "the history could not be taken over: nothing is recorded");
                    None
                }
            }
        })
    }

    /// Starts the writer, which gets the directory first, and waits until it has it; at most for so long.
    fn start(
        at_most: Option<Duration>,
        own: impl FnOnce(&AtomicBool) -> Option<Owned> + Send + 'static,
    ) -> Result<Self, HistoryError> {
        let (jobs, queue) = std::sync::mpsc::sync_channel(QUEUE);
        let (owned, stopped) = (Arc::new(OnceLock::new()), Arc::new(AtomicBool::new(false)));
        let (place, stop, (ready, started)) = (owned.clone(), stopped.clone(), std::sync::mpsc::channel());
        let thread = std::thread::Builder::new()
            .name("iap-history".into())
            .spawn(move || {
                let own = own(&stop).map(|own| place.get_or_init(|| own));
                let _ = ready.send(());
                if let Some(own) = own {
                    writer::run(&own.files, &queue);
                }
            })
            .map_err(unavailable("the writer cannot be started"))?;
        // What is free is there for whoever asks next, however busy the machine is.
        let _ = match at_most {
            Some(time) => started.recv_timeout(time).is_ok(),
            None => started.recv().is_ok(),
        };
        let [readers, diggers] = [READERS, DIGGERS].map(|number| Arc::new(Semaphore::new(number)));
        let thread = Mutex::new(Some(thread));
        Ok(Self { owned, jobs, readers, diggers, thread, stopped, temporary: None })
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

    /// Applies the limits of age and size now, and rolls up what is closed; otherwise done as files are begun and
    /// each minute.
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
        self.owned.get().map(|own| own.files.evicted()).unwrap_or_default()
    }

    /// How many files there are, and their bytes on disk.
    pub fn size(&self) -> (usize, u64) {
        self.owned.get().map(|own| own.files.size()).unwrap_or_default()
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
            let owned = self.owned.clone();
            let read = move || {
                let _permit = permit;
                let not_yet =
                    || HistoryError::new(HistoryErrorKind::Unavailable, "another history owns the directory");
                query(&owned.get().ok_or_else(not_yet)?.files)
            };
            tokio::task::spawn_blocking(read).await.map_err(unavailable("the query was broken off"))?
        })
    }

    /// The same for what takes long.
    fn dig<'a, T, F>(&'a self, query: F) -> HistoryResult<'a, T>
    where
        T: Send + 'static,
        F: FnOnce(&Files) -> Result<T, HistoryError> + Send + 'static,
    {
        Box::pin(async move {
            let turn = self.diggers.clone().acquire_owned().await.map_err(|_| closed())?;
            let query = move |files: &Files| {
                let _turn = turn;
                query(files)
            };
            self.read(query).await
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
        self.read(move |files| read::trace(files, trace_id, None))
    }

    fn trace_near(&self, trace_id: TraceId, near: Window) -> HistoryResult<'_, Option<Trace>> {
        self.read(move |files| read::trace(files, trace_id, Some(near)))
    }

    fn linked_from(&self, trace_id: TraceId, near: Option<Window>) -> HistoryResult<'_, Vec<LinkedFrom>> {
        self.read(move |files| links::to(files, trace_id, near))
    }

    fn route_stats(&self, window: Window) -> HistoryResult<'_, Vec<RouteStats>> {
        self.read(move |files| files.consistently(|| aggregate::route_stats(files, window)))
    }

    fn route_counts<'a>(
        &'a self,
        window: Window,
        limits_us: &'a [u64],
    ) -> HistoryResult<'a, Vec<RouteCounts>> {
        let limits_us = limits_us.to_vec();
        self.read(move |files| files.consistently(|| counts::route_counts(files, window, &limits_us)))
    }

    fn series<'a>(&'a self, query: &'a SeriesQuery) -> HistoryResult<'a, Vec<SeriesPoint>> {
        let query = query.clone();
        self.read(move |files| files.consistently(|| aggregate::series(files, &query)))
    }

    fn logs<'a>(&'a self, query: &'a LogQuery) -> HistoryResult<'a, Vec<LogLine>> {
        let query = query.clone();
        self.read(move |files| read::logs(files, &query))
    }

    fn events<'a>(&'a self, query: &'a EventQuery) -> HistoryResult<'a, Vec<TimelineEvent>> {
        let query = query.clone();
        self.read(move |files| events::list(files, &query))
    }

    fn metric_names<'a>(&'a self, query: &'a MetricNamesQuery) -> HistoryResult<'a, Vec<MetricInfo>> {
        let query = query.clone();
        self.read(move |files| metrics::names(files, &query))
    }

    fn metric<'a>(&'a self, query: &'a MetricQuery) -> HistoryResult<'a, MetricAnswer> {
        let query = query.clone();
        self.read(move |files| metrics::evaluate(files, &query))
    }

    fn points<'a>(&'a self, query: &'a TransactionQuery, limit: usize) -> HistoryResult<'a, Points> {
        let query = query.clone();
        self.dig(move |files| points::points(files, &query, limit))
    }

    fn statements<'a>(&'a self, query: &'a StatementsQuery) -> HistoryResult<'a, StatementAnswer> {
        let query = query.clone();
        self.dig(move |files| {
            let (window, route) = (query.window, query.route.clone());
            let mut gather = StatementGather::new(query);
            let basis = sample::read(files, window, route.as_deref(), &mut gather)?;
            Ok(gather.finish(basis))
        })
    }

    fn errors<'a>(&'a self, query: &'a ErrorsQuery) -> HistoryResult<'a, ErrorAnswer> {
        let query = query.clone();
        self.dig(move |files| {
            let (window, route) = (query.window, query.route.clone());
            let mut gather = ErrorGather::new(query.clone());
            sample::failed(files, &query, &mut gather)?;
            let basis = sample::read(files, window, route.as_deref(), &mut gather)?;
            Ok(gather.finish(basis))
        })
    }

    fn span_groups<'a>(&'a self, query: &'a SpanGroupsQuery) -> HistoryResult<'a, SpanGroups> {
        let query = query.clone();
        self.dig(move |files| span_groups::groups(files, &query))
    }

    fn edges(&self, window: Window) -> HistoryResult<'_, ServiceMap> {
        self.dig(move |files| {
            let mut gather = EdgeGather::default();
            let basis = sample::read(files, window, None, &mut gather)?;
            Ok(gather.finish(basis))
        })
    }
}

impl Drop for SqliteHistory {
    fn drop(&mut self) {
        // Closing the queue ends the writer once it has written what was accepted.
        let (closed, _) = std::sync::mpsc::sync_channel(0);
        self.jobs = closed;
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.get_mut().take() {
            let _ = thread.join();
        }
        if let Some(directory) = self.temporary.take() {
            if let Some(own) = self.owned.get() {
                own.files.close_readers();
            }
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

impl std::fmt::Debug for SqliteHistory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteHistory").field("files", &self.size().0).finish_non_exhaustive()
    }
}

/// The file that is locked by the owner of a directory.
fn lock_file(directory: &Path) -> Result<File, HistoryError> {
    create_private(directory).map_err(unavailable("the directory cannot be created"))?;
    File::create(directory.join("lock")).map_err(unavailable("the directory cannot be written"))
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

#[cfg(test)]
mod tests;
