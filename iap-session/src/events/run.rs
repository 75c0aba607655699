//! The tasks behind [`Events`](super::Events).

use std::sync::Arc;
use std::time::{Duration, Instant};

use iap_core::{Clock, SystemClock};
use metrics::{Counter, counter};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::id::OpId;

use super::listen::Shared;
use super::{Batch, Due, Emitter, Event, EventId, EventKind, EventLog, Item, Told};

/// Events of one batch.
const BATCH: usize = 256;
/// How long a batch is sent again. The log must know its name for longer.
const GIVE_UP: Duration = Duration::from_secs(30);
/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(5);
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// How often it is looked at what others have told.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);
/// Events that are taken over at a time.
const PAGE: usize = 500;
/// How often it is looked at what is due.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Keeps events in the process.
pub(super) async fn keep_here(mut items: mpsc::Receiver<Item>, shared: Arc<Shared>) {
    let mut some = Vec::new();
    while items.recv_many(&mut some, BATCH).await > 0 {
        let mut last = shared.latest();
        let (told, flushes) = sort(&mut some);
        count(&told);
        let now_ms = SystemClock.now_ms();
        shared.add(told.into_iter().map(|told| {
            last = if now_ms > last.ms {
                EventId { ms: now_ms, seq: 0 }
            } else {
                EventId { seq: last.seq + 1, ..last }
            };
            (last, told.event)
        }));
        // Who has stopped waiting need not be told.
        flushes.into_iter().for_each(|flush| flush.send(()).unwrap_or_default());
    }
}

/// Puts events into the log.
pub(super) async fn append(
    mut items: mpsc::Receiver<Item>,
    log: Arc<dyn EventLog>,
    keep: usize,
    dropped: Counter,
    shared: Arc<Shared>,
) {
    let (mut some, mut trouble) = (Vec::new(), Trouble::default());
    while items.recv_many(&mut some, BATCH).await > 0 {
        let (told, flushes) = sort(&mut some);
        if !told.is_empty() {
            let batch = Batch { op: OpId::random(), told };
            if append_one(&*log, &batch, keep, &mut trouble).await {
                count(&batch.told);
                shared.appended.notify_one();
            } else {
                dropped.increment(batch.told.len() as u64);
            }
        }
        // Who has stopped waiting need not be told.
        flushes.into_iter().for_each(|flush| flush.send(()).unwrap_or_default());
    }
}

/// Sends a batch again until it is kept; `false` if that takes too long.
async fn append_one(log: &dyn EventLog, batch: &Batch, keep: usize, trouble: &mut Trouble) -> bool {
    let begun = Instant::now();
    let mut wait = BACKOFF.0;
    loop {
        match timeout(ATTEMPT, log.append(batch, keep)).await {
            Ok(Ok(())) => {
                trouble.is_over();
                return true;
            }
            Ok(Err(error)) => trouble.note("events of sessions cannot be kept", &error),
            Err(error) => trouble.note("events of sessions cannot be kept", &error),
        }
        if begun.elapsed() + wait + ATTEMPT > GIVE_UP {
            return false;
        }
        sleep(wait).await;
        wait = (wait * 2).min(BACKOFF.1);
    }
}

/// Takes over what all gateways have told.
pub(super) async fn follow(log: Arc<dyn EventLog>, shared: Arc<Shared>) {
    // What was told before is read from the log by whoever asks for it.
    let begin = loop {
        match log.last_events(1).await {
            Ok(last) => break last.last().map(|(id, _)| *id).unwrap_or_default(),
            Err(_) => sleep(FOLLOW_EVERY).await,
        }
    };
    shared.begin(begin);
    let mut trouble = Trouble::default();
    loop {
        match log.events_after(shared.latest(), PAGE).await {
            Ok(events) if !events.is_empty() => {
                trouble.is_over();
                let is_full = events.len() == PAGE;
                shared.add(events);
                if is_full {
                    continue;
                }
            }
            Ok(_) => trouble.is_over(),
            Err(error) => trouble.note("events of sessions cannot be read", &error),
        }
        let _ = timeout(FOLLOW_EVERY, shared.appended.notified()).await;
    }
}

/// Tells of sessions that have expired.
pub(super) async fn sweep(log: Arc<dyn EventLog>, keep: usize, emitter: Emitter) {
    let expired = |due: &Due| -> Event { emitter.event(EventKind::Expired, Some(due.key), due.user.clone()) };
    let (told, seen) =
        (counter!("iap_session_events_total", "kind" => "expired"), counter!("iap_session_expired_total"));
    let mut trouble = Trouble::default();
    loop {
        // Gateways that were started together look one after the other.
        let jitter = Duration::from_millis(u64::from(crate::id::random::<1>()[0]));
        sleep(SWEEP_EVERY + jitter).await;
        loop {
            match log.sweep(keep, &expired).await {
                Ok(swept) if swept.looked_at > 0 => {
                    told.increment(swept.expired as u64);
                    seen.increment(swept.expired as u64);
                }
                Ok(_) => {
                    trouble.is_over();
                    break;
                }
                Err(error) => {
                    trouble.note("nobody can look which sessions have expired", &error);
                    break;
                }
            }
        }
    }
}

/// Is logged when it begins, not each time.
#[derive(Default)]
struct Trouble {
    is_told: bool,
}

impl Trouble {
    fn note(&mut self, what: &str, error: &dyn std::error::Error) {
        if !std::mem::replace(&mut self.is_told, true) {
            tracing::warn!(%error, "{what}: it is tried again and again");
        }
    }

    fn is_over(&mut self) {
        self.is_told = false;
    }
}

fn sort(some: &mut Vec<Item>) -> (Vec<Told>, Vec<tokio::sync::oneshot::Sender<()>>) {
    let (mut told, mut flushes) = (Vec::with_capacity(some.len()), Vec::new());
    for item in some.drain(..) {
        match item {
            Item::Told(one) => told.push(*one),
            Item::Flush(done) => flushes.push(done),
        }
    }
    (told, flushes)
}

fn count(told: &[Told]) {
    for one in told {
        counter!("iap_session_events_total", "kind" => one.event.kind.as_str()).increment(1);
    }
}
