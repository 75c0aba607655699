//! The task that writes.

use std::sync::Arc;

use iap_core::TraceId;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::encode::{Insert, Known, Stamp, Tables, Told};
use super::failure::broken;
use super::{ClickHouseSettings, Shared};
use crate::error::HistoryError;
use crate::history::Batch;

/// Records from which on a write is large enough.
const ENOUGH: usize = 100_000;

pub(super) struct Job {
    pub(super) batch: Arc<Batch>,
    pub(super) done: oneshot::Sender<Result<(), HistoryError>>,
}

/// Writes until the other end of the queue is gone and what was accepted is written.
pub(super) async fn run(shared: Arc<Shared>, mut queue: mpsc::Receiver<Job>) {
    let mut writer = Writer { shared, known: Known::default(), away: false };
    let mut next = Instant::now();
    while let Some(first) = queue.recv().await {
        sleep_until(next).await;
        next = Instant::now() + writer.shared.settings.pace;
        let (mut records, mut jobs) = (first.batch.records(), vec![first]);
        while records < ENOUGH
            && let Ok(job) = queue.try_recv()
        {
            records += job.batch.records();
            jobs.push(job);
        }
        let ended = writer.write(&jobs).await;
        for job in jobs {
            // Whoever waited may have gone.
            let _ = job.done.send(match &ended {
                Ok(()) => Ok(()),
                Err(error) => Err(again(error)),
            });
        }
    }
}

/// The same error for each of those who wait.
fn again(error: &HistoryError) -> HistoryError {
    let same = HistoryError::new(error.kind(), error.message());
    match std::error::Error::source(error) {
        Some(cause) => same.with_source(cause.to_string()),
        None => same,
    }
}

struct Writer {
    shared: Arc<Shared>,
    known: Known,
    /// Whether the last write has failed: only the first one of a row is told in the log.
    away: bool,
}

impl Writer {
    async fn write(&mut self, jobs: &[Job]) -> Result<(), HistoryError> {
        let ended = self.try_write(jobs).await;
        match &ended {
            Ok(()) if std::mem::take(&mut self.away) => tracing::info!("ClickHouse is written to again"),
            Err(error) if !std::mem::replace(&mut self.away, true) => {
                let cause = std::error::Error::source(error).map(ToString::to_string);
                tracing::warn!(%error, cause, "ClickHouse could not be written to");
            }
            _ => {}
        }
        ended
    }

    async fn try_write(&mut self, jobs: &[Job]) -> Result<(), HistoryError> {
        let client = self.shared.client().await?;
        let (mut known, shared) = (std::mem::take(&mut self.known), self.shared.clone());
        let batches: Vec<_> = jobs.iter().map(|job| job.batch.clone()).collect();
        // Writing JSON and packing it is no work for a thread that others wait for.
        let encoded = tokio::task::spawn_blocking(move || {
            let packed = pack(&batches, &shared.settings, &mut known);
            (packed, known)
        });
        let (packed, known) = encoded.await.map_err(broken("a batch cannot be encoded"))?;
        self.known = known;
        let (inserts, told) = packed.map_err(broken("a batch cannot be encoded"))?;
        for insert in inserts {
            client.insert(insert, &TraceId::random().to_string()).await?;
        }
        self.known.note(told);
        Ok(())
    }
}

fn pack(
    batches: &[Arc<Batch>],
    settings: &ClickHouseSettings,
    known: &mut Known,
) -> std::io::Result<(Vec<Insert>, Told)> {
    let arrived = u32::try_from(settings.clock.now_ms() / 1_000).unwrap_or(u32::MAX);
    known.on(arrived);
    let stamp = Stamp { arrived, node: &settings.node };
    let mut tables = Tables::default();
    for batch in batches {
        tables.add(batch, stamp, known)?;
    }
    tables.pack()
}
