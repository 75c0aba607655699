//! The task of an export: takes, packs, sends.

use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use iap_core::{Clock, SystemClock, TraceId};
use prost::Message;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout_at};

use super::answer::{Backoff, Outcome};
use super::outbox::Outbox;
use super::own::{self, Reporter};
use super::queue::{Parcel, Queue};
use super::transport::Transport;
use super::{ExportSettings, Signal, spans};
use crate::apm::Apm;
use crate::history::BoxFuture;

/// The shortest time between two takings of metrics.
const LEAST_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct Task {
    apm: Apm,
    settings: ExportSettings,
    transport: Transport,
    outbox: Arc<Outbox>,
    reporter: Reporter,
    queue: Queue,
    backoff: Backoff,
    /// When the next attempt may be.
    next: Instant,
    /// Whether the last attempt has failed: only the first one of a row is told in the log.
    away: bool,
}

impl Task {
    pub(super) fn new(apm: Apm, settings: ExportSettings, transport: Transport, outbox: Arc<Outbox>) -> Self {
        let reporter = Reporter {
            service: apm.service().to_owned(),
            instance: TraceId::random().to_string(),
            start_ns: now_ns(),
        };
        let (queue, backoff, next) = (Queue::default(), Backoff::default(), Instant::now());
        Self { apm, settings, transport, outbox, reporter, queue, backoff, next, away: false }
    }

    pub(super) async fn run(mut self, mut stopped: oneshot::Receiver<Duration>) {
        let every = self.settings.interval.max(LEAST_INTERVAL);
        let mut tick = interval_at(Instant::now() + every, every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let outbox = self.outbox.clone();
        let mut sending: Option<BoxFuture<'static, Outcome>> = None;
        let at_most = loop {
            let may_send = sending.is_none() && !self.queue.is_empty();
            tokio::select! {
                at_most = &mut stopped => match at_most {
                    Ok(at_most) => break at_most,
                    // Whoever could have stopped it has gone.
                    Err(_) => break Duration::ZERO,
                },
                _ = tick.tick(), if self.settings.metrics => self.take_metrics(),
                () = outbox.more.notified(), if self.settings.traces => self.take_spans(),
                outcome = finished(&mut sending) => {
                    sending = None;
                    self.ended(outcome);
                }
                () = sleep_until(self.next), if may_send => sending = self.begin(),
            }
        };
        self.end(sending, at_most).await;
    }

    fn begin(&mut self) -> Option<BoxFuture<'static, Outcome>> {
        let (parcel, transport) = (self.queue.begin()?, self.transport.clone());
        Some(Box::pin(async move { transport.send(&parcel).await }))
    }

    /// The last attempts, as long as they work.
    async fn end(&mut self, sending: Option<BoxFuture<'static, Outcome>>, at_most: Duration) {
        let deadline = Instant::now() + at_most;
        if self.settings.metrics && !at_most.is_zero() {
            self.take_metrics();
        }
        self.take_spans();
        let mut sending = sending.or_else(|| self.begin());
        while let Some(attempt) = sending.take() {
            match timeout_at(deadline, attempt).await {
                Ok(outcome) => {
                    if self.ended(outcome) {
                        sending = self.begin();
                    }
                }
                Err(_) => break,
            }
        }
        let left = self.queue.clear();
        self.drop_all(left);
    }

    fn take_metrics(&mut self) {
        let Some(text) = self.apm.prometheus() else { return };
        let (request, points) = own::request(&text, &self.reporter, now_ns());
        if points > 0 {
            self.outbox.books.metrics.made(points);
            self.push(Signal::Metrics, points, &request.encode_to_vec());
        }
    }

    fn take_spans(&mut self) {
        while let Some((_, batch)) = self.outbox.take() {
            for (request, number) in spans::requests(&batch, &self.reporter) {
                self.push(Signal::Traces, number, &request.encode_to_vec());
            }
        }
    }

    fn push(&mut self, signal: Signal, records: u64, message: &[u8]) {
        let mut encoder = GzEncoder::new(Vec::with_capacity(message.len() / 4), Compression::fast());
        // Writing to memory does not fail.
        let written = encoder.write_all(message).and_then(|()| encoder.finish());
        let body = Bytes::from(written.unwrap_or_default());
        let dropped = self.queue.push(Parcel { signal, records, body });
        self.drop_all(dropped);
    }

    fn drop_all(&self, parcels: Vec<Parcel>) {
        for parcel in parcels {
            self.outbox.books.of(parcel.signal).dropped(parcel.records);
        }
    }

    /// Takes note of how an attempt has ended; whether the next one may follow at once.
    fn ended(&mut self, outcome: Outcome) -> bool {
        let books = self.outbox.books.clone();
        match outcome {
            Outcome::Kept { rejected, why } => {
                if let Some(parcel) = self.queue.end(false) {
                    books.of(parcel.signal).sent(parcel.records, rejected);
                }
                if rejected > 0 {
                    tracing::warn!(rejected, why, "the collector has refused a part of what was exported");
                }
            }
            Outcome::Refused { why } => {
                if let Some(parcel) = self.queue.end(false) {
                    books.of(parcel.signal).sent(parcel.records, parcel.records);
                }
                tracing::warn!(why, "the collector has refused what was exported");
            }
            Outcome::Again { pause, why } => {
                self.queue.end(true);
                let own = self.backoff.next(RandomState::new().hash_one(()));
                self.next = Instant::now() + pause.unwrap_or_default().max(own);
                if !std::mem::replace(&mut self.away, true) {
                    tracing::warn!(why, "the export waits for the collector");
                }
                return false;
            }
        }
        self.backoff.reset();
        self.next = Instant::now();
        if std::mem::take(&mut self.away) {
            tracing::info!("the collector takes what is exported again");
        }
        true
    }
}

/// Waits for the attempt on its way; forever when there is none.
async fn finished(sending: &mut Option<BoxFuture<'static, Outcome>>) -> Outcome {
    match sending {
        Some(attempt) => attempt.await,
        None => std::future::pending().await,
    }
}

fn now_ns() -> u64 {
    SystemClock.now_ms().saturating_mul(1_000_000)
}
