//! The task of an export by OTLP: takes and packs.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use iap_core::{Clock, SystemClock, TraceId};
use prost::Message;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::outbox::Outbox;
use super::own::{self, Reporter};
use super::queue::Parcel;
use super::sender::Sender;
use super::transport::Transport;
use super::{ExportSettings, LEAST_INTERVAL, Signal, logs, spans};
use crate::apm::Apm;

pub(super) struct Task {
    apm: Apm,
    settings: ExportSettings,
    outbox: Arc<Outbox>,
    reporter: Reporter,
    sender: Sender,
}

impl Task {
    pub(super) fn new(apm: Apm, settings: ExportSettings, transport: Transport, outbox: Arc<Outbox>) -> Self {
        let reporter = Reporter {
            service: apm.service().to_owned(),
            instance: TraceId::random().to_string(),
            start_ns: now_ns(),
        };
        let attempt = move |parcel: Parcel| {
            let transport = transport.clone();
            Box::pin(async move { transport.send(&parcel).await }) as _
        };
        let sender = Sender::new("the collector", Box::new(attempt));
        Self { apm, settings, outbox, reporter, sender }
    }

    pub(super) async fn run(mut self, mut stopped: oneshot::Receiver<Duration>) {
        let every = self.settings.interval.max(LEAST_INTERVAL);
        let mut tick = interval_at(Instant::now() + every, every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let outbox = self.outbox.clone();
        let at_most = loop {
            tokio::select! {
                // Whoever could have stopped it may have gone.
                at_most = &mut stopped => break at_most.unwrap_or_default(),
                _ = tick.tick(), if self.settings.metrics => self.take_metrics(),
                () = outbox.more.notified() => self.take_records(),
                () = self.sender.step() => {}
            }
        };
        if self.settings.metrics && !at_most.is_zero() {
            self.take_metrics();
        }
        self.take_records();
        self.sender.end(at_most).await;
    }

    fn take_metrics(&mut self) {
        let Some(text) = self.apm.prometheus() else { return };
        let (request, points) = own::request(&text, &self.reporter, now_ns());
        if points > 0 {
            self.outbox.books.metrics.made(points);
            self.push(Signal::Metrics, points, &request.encode_to_vec());
        }
    }

    fn take_records(&mut self) {
        let reporter = self.reporter.clone();
        while let Some(batch) = self.outbox.take() {
            if self.settings.logs {
                for (request, number) in logs::requests(&batch, &reporter) {
                    self.push(Signal::Logs, number, &request.encode_to_vec());
                }
            }
            if !self.settings.traces {
                continue;
            }
            for (request, number) in spans::requests(&batch, &reporter) {
                self.push(Signal::Traces, number, &request.encode_to_vec());
            }
        }
    }

    fn push(&mut self, signal: Signal, records: u64, message: &[u8]) {
        let mut encoder = GzEncoder::new(Vec::with_capacity(message.len() / 4), Compression::fast());
        // Writing to memory does not fail.
        let written = encoder.write_all(message).and_then(|()| encoder.finish());
        let body = Bytes::from(written.unwrap_or_default());
        let book = self.outbox.books.of(signal).clone();
        self.sender.push(Parcel { signal, records, body, book });
    }
}

fn now_ns() -> u64 {
    SystemClock.now_ms().saturating_mul(1_000_000)
}
