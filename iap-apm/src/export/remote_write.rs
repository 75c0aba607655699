//! The metrics of the process to a Prometheus, or whatever takes its remote write.
//!
//! Source: remote write 1.0, <https://prometheus.io/docs/specs/prw/remote_write_spec/>. What `/metrics` shows is sent as
//! samples, each interval, by one request after the other, so that the samples of a series come in the order of
//! their times. A series that is not there any more gets a stale marker, at a clean stop all do.

mod message;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use iap_core::upstream::UpstreamTls;
use iap_core::{Clock, SystemClock};
use prost::Message;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use self::message::{Label, MetricMetadata, Sample, TimeSeries, WriteRequest};
use super::answer::{self, Outcome};
use super::ledger::{Book, Ledger};
use super::queue::Parcel;
use super::sender::Sender;
use super::transport::{self, Endpoint, Wire};
use super::{LEAST_INTERVAL, Running, Signal};
use crate::apm::Apm;
use crate::error::{Error, ErrorKind};

/// Samples of one request.
const MAX_SAMPLES: usize = 2_000;

/// What says that a series has ended: a NaN of its own, which no computation makes.
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Where to and how often.
#[derive(Clone)]
pub struct RemoteWriteSettings {
    /// `http://` or `https://`, a host, perhaps a port, a path and a query: `http://prometheus:9090/api/v1/write`.
    pub url: String,
    /// Fields of each request, such as `authorization`. They are never shown.
    pub headers: HeaderMap,
    /// How often metrics are taken; at least a second.
    pub interval: Duration,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// Labels that each series gets, unless it has one of that name.
    pub labels: BTreeMap<String, String>,
    /// For an `https://` URL.
    pub tls: Option<UpstreamTls>,
}

impl RemoteWriteSettings {
    /// Each 15 s, 10 s an attempt.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            headers: HeaderMap::new(),
            interval: Duration::from_secs(15),
            timeout: Duration::from_secs(10),
            labels: BTreeMap::new(),
            tls: None,
        }
    }
}

impl fmt::Debug for RemoteWriteSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A query may be all that somebody needs to write there.
        f.debug_struct("RemoteWriteSettings").field("labels", &self.labels).finish_non_exhaustive()
    }
}

/// A running remote write. Dropping it ends it without a last attempt.
pub struct RemoteWriter {
    book: Arc<Book>,
    running: Running,
}

impl RemoteWriter {
    pub(crate) fn start(apm: Apm, settings: RemoteWriteSettings, runtime: &Handle) -> Result<Self, Error> {
        let failed = |why: &'static str| Error::with_source(ErrorKind::Export, why);
        if let Some(name) = settings.labels.keys().find(|name| !is_label(name)) {
            return Err(Error::with_source(ErrorKind::Export, format!("`{name}` is no name of a label")));
        }
        let endpoint = Endpoint::parse(&settings.url, None).map_err(failed)?;
        let upstream = transport::upstream(settings.timeout, settings.tls.clone());
        let wire = Wire::open("apm.remote_write", &endpoint, settings.headers.clone(), upstream)?;
        let path = endpoint.path;
        let attempt = move |parcel: Parcel| {
            let (wire, path) = (wire.clone(), path.clone());
            Box::pin(async move { attempt(&wire, &path, &parcel).await }) as _
        };
        let sender = Sender::new("remote write", Box::new(attempt));
        let book = Arc::new(Book::new(Signal::RemoteWrite));
        let task = Task { apm, settings, sender, book: book.clone(), known: HashSet::new(), last_ms: 0 };
        Ok(Self { book, running: Running::start(runtime, |stopped| task.run(stopped)) })
    }

    /// What became of all samples until now.
    pub fn samples(&self) -> Ledger {
        self.book.read()
    }

    /// Takes the metrics once more, marks all series as ended, sends what waits as long as that works and there is time,
    /// and ends. What is left is counted as dropped.
    pub async fn stop(&self, at_most: Duration) {
        self.running.stop(at_most).await;
    }
}

impl fmt::Debug for RemoteWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteWriter").field("samples", &self.samples()).finish()
    }
}

/// Whether a URL can be used, without asking it anything.
///
/// # Errors
/// What is wrong with it.
pub fn check_remote_write(url: &str) -> Result<(), &'static str> {
    Endpoint::parse(url, None).map(|_| ())
}

/// Whether it can be the name of a label that is not reserved.
pub fn is_label(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    name.as_bytes().first().is_some_and(|first| letter(*first))
        && name.bytes().all(|byte| letter(byte) || byte.is_ascii_digit())
        && !name.starts_with("__")
}

async fn attempt(wire: &Wire, path: &str, parcel: &Parcel) -> Outcome {
    let fields = [
        (header::CONTENT_TYPE, "application/x-protobuf"),
        (header::CONTENT_ENCODING, "snappy"),
        (HeaderName::from_static("x-prometheus-remote-write-version"), "0.1.0"),
    ];
    let fields = fields.map(|(name, value)| (name, HeaderValue::from_static(value)));
    wire.ask(path, fields, parcel.body.clone(), |answer| {
        answer::remote_write(answer.status, &answer.headers, answer.now)
    })
    .await
}

/// The labels of a series, sorted, its name among them.
type Series = Vec<Label>;

struct Task {
    apm: Apm,
    settings: RemoteWriteSettings,
    sender: Sender,
    book: Arc<Book>,
    /// What was sent last, and has not ended.
    known: HashSet<Series>,
    last_ms: i64,
}

impl Task {
    async fn run(mut self, mut stopped: oneshot::Receiver<Duration>) {
        let every = self.settings.interval.max(LEAST_INTERVAL);
        let mut tick = interval_at(Instant::now() + every, every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let at_most = loop {
            tokio::select! {
                // Whoever could have stopped it may have gone.
                at_most = &mut stopped => break at_most.unwrap_or_default(),
                _ = tick.tick() => self.take(),
                () = self.sender.step() => {}
            }
        };
        if !at_most.is_zero() {
            self.take();
            let (ended, now_ms) = (std::mem::take(&mut self.known), self.now_ms());
            self.push(ended.into_iter().map(|series| (series, STALE)), now_ms, Vec::new());
        }
        self.sender.end(at_most).await;
    }

    /// The time of the next samples: after those before, whatever the clock does.
    fn now_ms(&mut self) -> i64 {
        let now_ms = i64::try_from(SystemClock.now_ms()).unwrap_or(i64::MAX);
        self.last_ms = now_ms.max(self.last_ms + 1);
        self.last_ms
    }

    fn take(&mut self) {
        let Some(text) = self.apm.prometheus() else { return };
        let (samples, about) = message::read(&text, &self.settings.labels);
        let now: HashSet<Series> = samples.iter().map(|(series, _)| series.clone()).collect();
        let before = std::mem::take(&mut self.known);
        let ended = before.into_iter().filter(|series| !now.contains(series)).map(|series| (series, STALE));
        let ended: Vec<_> = ended.collect();
        self.known = now;
        let now_ms = self.now_ms();
        self.push(samples.into_iter().chain(ended), now_ms, about);
    }

    fn push(
        &mut self,
        samples: impl Iterator<Item = (Series, f64)>,
        timestamp: i64,
        mut metadata: Vec<MetricMetadata>,
    ) {
        let series = |(labels, value)| TimeSeries { labels, samples: vec![Sample { value, timestamp }] };
        let all: Vec<TimeSeries> = samples.map(series).collect();
        for some in all.chunks(MAX_SAMPLES) {
            let request = WriteRequest { timeseries: some.to_vec(), metadata: std::mem::take(&mut metadata) };
            // It fails only for what is too long for a message, which so many samples are not.
            let packed = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec());
            let (records, body) = (some.len() as u64, Bytes::from(packed.unwrap_or_default()));
            let book = self.book.clone();
            book.made(records);
            self.sender.push(Parcel { signal: Signal::RemoteWrite, records, body, book });
        }
    }
}

#[cfg(test)]
mod tests;
