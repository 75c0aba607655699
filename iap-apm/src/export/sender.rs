//! What sends the requests that wait, one after the other, and again when it may.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::answer::{Backoff, Outcome};
use super::queue::{Parcel, Queue};
use crate::history::BoxFuture;

/// One attempt to send a request.
pub(super) type Attempt = Box<dyn Fn(Parcel) -> BoxFuture<'static, Outcome> + Send>;

pub(super) struct Sender {
    /// Who takes what is sent, for the log.
    receiver: &'static str,
    attempt: Attempt,
    queue: Queue,
    backoff: Backoff,
    /// When the next attempt may be.
    next: Instant,
    sending: Option<BoxFuture<'static, Outcome>>,
    /// Whether the last attempt has failed: only the first one of a row is told in the log.
    away: bool,
}

impl Sender {
    pub(super) fn new(receiver: &'static str, attempt: Attempt) -> Self {
        let (queue, backoff, next) = (Queue::default(), Backoff::default(), Instant::now());
        Self { receiver, attempt, queue, backoff, next, sending: None, away: false }
    }

    /// Adds a request; the oldest ones go when there are too many.
    pub(super) fn push(&mut self, parcel: Parcel) {
        self.queue.push(parcel).into_iter().for_each(drop_parcel);
    }

    /// The next step: begins an attempt, or waits for the end of the one on its way. For ever when nothing is to be sent.
    /// It may be dropped at any time.
    pub(super) async fn step(&mut self) {
        match &mut self.sending {
            Some(sending) => {
                let outcome = sending.await;
                self.sending = None;
                self.ended(outcome);
            }
            None if self.queue.is_empty() => std::future::pending().await,
            None => {
                sleep_until(self.next).await;
                self.sending = self.begin();
            }
        }
    }

    /// The last attempts, as long as they work and there is time. What is left then is dropped.
    pub(super) async fn end(&mut self, at_most: Duration) {
        let deadline = Instant::now() + at_most;
        while let Some(sending) = self.sending.take().or_else(|| self.begin()) {
            let Ok(outcome) = timeout_at(deadline, sending).await else { break };
            if !self.ended(outcome) {
                break;
            }
        }
        self.queue.clear().into_iter().for_each(drop_parcel);
    }

    fn begin(&mut self) -> Option<BoxFuture<'static, Outcome>> {
        self.queue.begin().map(|parcel| (self.attempt)(parcel))
    }

    /// Takes note of how an attempt has ended; whether the next one may follow at once.
    fn ended(&mut self, outcome: Outcome) -> bool {
        let receiver = self.receiver;
        match outcome {
            Outcome::Kept { rejected, why } => {
                if let Some(parcel) = self.queue.end(false) {
                    parcel.book.sent(parcel.records, rejected);
                }
                if rejected > 0 {
                    tracing::warn!(receiver, rejected, why, "a part of what was exported was refused");
                }
            }
            Outcome::Refused { why } => {
                if let Some(parcel) = self.queue.end(false) {
                    parcel.book.sent(parcel.records, parcel.records);
                }
                tracing::warn!(receiver, why, "what was exported was refused");
            }
            Outcome::Again { pause, why } => {
                self.queue.end(true);
                let own = self.backoff.next(RandomState::new().hash_one(()));
                self.next = Instant::now() + pause.unwrap_or_default().max(own);
                if !std::mem::replace(&mut self.away, true) {
                    tracing::warn!(receiver, why, "the export waits for its receiver");
                }
                return false;
            }
        }
        self.backoff.reset();
        self.next = Instant::now();
        if std::mem::take(&mut self.away) {
            tracing::info!(receiver, "what is exported is taken again");
        }
        true
    }
}

fn drop_parcel(parcel: Parcel) {
    parcel.book.dropped(parcel.records);
}
