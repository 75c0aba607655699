//! The collector: one thread that empties the rings (each 50 ms, or when one is half full), feeds the live view and the metrics, and
//! writes to the history in batches.

mod assemble;
mod budget;
mod held;
mod http_metrics;
mod intake;
mod keeper;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rtrb::Consumer;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use self::assemble::Pending;
use self::held::{HELD_FOR, Held};
use self::http_metrics::HttpMetrics;
use self::intake::Done;
use self::keeper::Keeper;
use crate::error::{Error, ErrorKind, HistoryError, HistoryErrorKind};
use crate::history::{Batch, History};
use crate::in_flight::{Found, Notes, recover};
use crate::keeping::Keeping;
use crate::ledger::Counts;
use crate::record::{Record, count};
use crate::shared::Shared;
use crate::ticks::Anchor;

const WAKE_EVERY: Duration = Duration::from_millis(50);
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// The length of the keeper's intervals.
const ROLL_EVERY: Duration = Duration::from_secs(1);
/// Records that are written without waiting for the flush interval.
const LARGE_BATCH: usize = 1_000;
/// Records that wait for the history before newer ones are dropped.
const MAX_PENDING: usize = 50_000;
/// The same for log lines, so that those who say much leave room for transactions and spans.
const MAX_PENDING_LINES: usize = 40_000;

/// What the collector can be told.
pub(crate) enum Command {
    /// Write everything that was recorded before.
    Flush(oneshot::Sender<Result<(), Error>>),
    /// The same, then end.
    Stop(oneshot::Sender<Result<(), Error>>),
}

type Write = JoinHandle<Result<(), HistoryError>>;

/// How a collector is set up.
pub(crate) struct Settings {
    pub(crate) flush_interval: Duration,
    pub(crate) max_routes: usize,
    pub(crate) keeping: Keeping,
    /// Where requests in flight are written down.
    pub(crate) notes: Option<Notes>,
    /// What earlier processes have left there.
    pub(crate) found: Vec<Found>,
}

pub(crate) struct Collector {
    shared: Arc<Shared>,
    history: Arc<dyn History>,
    flush_interval: Duration,
    rings: Vec<Consumer<Record>>,
    pending: Pending,
    metrics: HttpMetrics,
    keeper: Keeper<Done>,
    /// Of transactions that are not decided on.
    held: Held,
    anchor: Anchor,
    /// The batch on its way, and what is in it; kept to be sent again when the history is overloaded.
    batch: Option<(Arc<Batch>, Counts)>,
    writing: Option<Write>,
    last_write: Instant,
    last_upkeep: Instant,
    last_roll: Instant,
    notes: Option<Notes>,
    found: Vec<Found>,
}

impl Collector {
    pub(crate) fn new(shared: Arc<Shared>, history: Arc<dyn History>, settings: Settings) -> Self {
        let now = Instant::now();
        Self {
            anchor: shared.ticks.anchor(),
            shared,
            history,
            flush_interval: settings.flush_interval,
            rings: Vec::new(),
            pending: Pending::default(),
            metrics: HttpMetrics::new(settings.max_routes),
            keeper: Keeper::new(settings.keeping),
            held: Held::default(),
            batch: None,
            writing: None,
            last_write: now,
            last_upkeep: now,
            last_roll: now,
            notes: settings.notes,
            found: settings.found,
        }
    }

    /// Runs until told to stop, or until nobody is left who could record or ask.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let found = std::mem::take(&mut self.found);
        if !found.is_empty() {
            tokio::spawn(recover(self.shared.clone(), self.history.clone(), found));
        }
        let shared = self.shared.clone();
        let mut wake = interval(WAKE_EVERY);
        wake.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Flush(done)) => drop(done.send(self.flush().await)),
                    Some(Command::Stop(done)) => {
                        self.shared.rings.stop();
                        let flushed = self.flush().await;
                        self.upkeep();
                        self.close_notes();
                        drop(done.send(flushed));
                        return;
                    }
                    None => {
                        if let Err(error) = self.flush().await {
                            tracing::warn!(%error, "telemetry was lost at the end");
                        }
                        self.close_notes();
                        return;
                    }
                },
                result = finished(&mut self.writing) => self.written(result),
                _ = wake.tick() => self.tick(),
                () = shared.rings.hurry() => self.drain(),
            }
        }
    }

    fn close_notes(&mut self) {
        if let Some(notes) = self.notes.take() {
            notes.close();
        }
    }

    fn tick(&mut self) {
        self.drain();
        if let Some(notes) = &mut self.notes {
            notes.look(&self.shared);
        }
        if self.last_roll.elapsed() >= ROLL_EVERY {
            self.roll();
        }
        let due = self.pending.len() >= LARGE_BATCH || self.last_write.elapsed() >= self.flush_interval;
        if due && self.writing.is_none() {
            self.write();
        }
        if self.last_upkeep.elapsed() >= UPKEEP_EVERY {
            self.upkeep();
        }
    }

    fn upkeep(&mut self) {
        self.last_upkeep = Instant::now();
        self.shared.ticks.follow_wall_clock();
        self.anchor = self.shared.ticks.anchor();
        self.write_running(HELD_FOR);
        crate::metrics::publish(&self.shared);
        crate::metrics::run_upkeep();
    }

    fn drain(&mut self) {
        self.rings.extend(self.shared.rings.take_fresh());
        let mut rings = std::mem::take(&mut self.rings);
        rings.retain_mut(|ring| {
            // Looked at first: what an ended thread pushed before it ended is drained below.
            let abandoned = ring.is_abandoned();
            // At most what is there now, so that a busy thread cannot hold the collector.
            for _ in 0..ring.slots() {
                if let Ok(record) = ring.pop() {
                    self.take(record);
                }
            }
            if abandoned {
                self.shared.rings.released();
            }
            !abandoned
        });
        self.rings = rings;
        self.events();
        count(&self.shared.rings.dropped.important, std::mem::take(&mut self.keeper.refused));
    }

    /// Starts to write what waits; a batch that was refused goes first.
    fn write(&mut self) {
        self.last_write = Instant::now();
        if self.batch.is_none() {
            self.batch = self.pending.take().map(|(batch, counts)| (Arc::new(batch), counts));
            if let Some((batch, _)) = &self.batch {
                self.shared.outlet.offer(batch);
            }
        }
        if let Some((batch, _)) = self.batch.clone() {
            let history = self.history.clone();
            self.writing = Some(tokio::spawn(async move { history.append(batch).await }));
        }
    }

    fn written(&mut self, result: Result<(), HistoryError>) {
        let _ = self.settle(result);
    }

    fn settle(&mut self, result: Result<(), HistoryError>) -> Result<(), Error> {
        self.writing = None;
        match &result {
            Err(error) if error.is_retryable() => {}
            result => {
                if let Some((batch, counts)) = self.batch.take() {
                    self.book(&batch, counts, result.is_ok());
                }
            }
        }
        result.map_err(|error| Error::with_source(ErrorKind::History, error))
    }

    /// Writes down what became of a batch.
    fn book(&self, batch: &Batch, counts: Counts, is_kept: bool) {
        let Shared { books, rings, .. } = &*self.shared;
        if is_kept {
            return books.kept(counts);
        }
        books.dropped(counts);
        count(&rings.dropped.history, batch.records() as u64);
    }

    async fn flush(&mut self) -> Result<(), Error> {
        self.drain();
        self.pay();
        self.write_all_held();
        self.write_running(Duration::ZERO);
        loop {
            if self.writing.is_none() {
                self.write();
            }
            if self.writing.is_none() {
                return Ok(());
            }
            let result = finished(&mut self.writing).await;
            self.settle(result)?;
        }
    }
}

/// Waits for the write on its way; forever when there is none. May be dropped and called again.
async fn finished(writing: &mut Option<Write>) -> Result<(), HistoryError> {
    match writing {
        Some(write) => write.await.unwrap_or_else(|error| {
            let failed = HistoryError::new(HistoryErrorKind::Unavailable, "the engine broke off");
            Err(failed.with_source(error))
        }),
        None => std::future::pending().await,
    }
}
