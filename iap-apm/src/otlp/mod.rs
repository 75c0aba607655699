//! The OTLP receiver: spans, log lines and metrics of applications behind the gateway, or without one.
//!
//! Source: OTLP 1.11, <https://opentelemetry.io/docs/specs/otlp/>. On the same listener, by `Content-Type`:
//!
//! - OTLP/HTTP: `POST /v1/traces`, `/v1/logs` and `/v1/metrics`, protobuf or JSON and answered in the same, `gzip`
//!   or plain. Errors carry a `google.rpc.Status`.
//! - OTLP/gRPC, over HTTP/2: `Export` of `opentelemetry.proto.collector.trace.v1.TraceService`,
//!   `…logs.v1.LogsService` and `…metrics.v1.MetricsService`, one protobuf message, `gzip` or plain.
//!
//! | HTTP | gRPC | when |
//! |---|---|---|
//! | 200 | `OK` | everything was kept, or the request was empty |
//! | 200 with `partial_success` | `OK` with `partial_success` | some records were refused; their exact number is in it |
//! | 400 | `INVALID_ARGUMENT` | the body cannot be inflated or decoded |
//! | 401 | `UNAUTHENTICATED` | there are tokens, and the sender showed none of them |
//! | 404 | `UNIMPLEMENTED` | no such signal, service or method |
//! | 408 | `DEADLINE_EXCEEDED` | the body did not come in time |
//! | 413 | `RESOURCE_EXHAUSTED` | larger than the limit, before or after inflating; do not send it again |
//! | 415 | `UNIMPLEMENTED` | another content type or encoding |
//! | 429 with `Retry-After` | `RESOURCE_EXHAUSTED` with `RetryInfo` | all records were over the quota of their service |
//! | | `INTERNAL` | the message is not framed as it should be |
//! | | `UNIMPLEMENTED` | no message, or more than one |
//! | 503 with `Retry-After` | `UNAVAILABLE` with `RetryInfo` | too much at once, or the history is full or failing; nothing was kept |
//! | 505 | | gRPC over HTTP/1.1 |
//!
//! Success is told after the history has committed.
//!
//! A log record that another node of ours tells an event of its time line by (`export.logs`) comes onto ours, from a sender who
//! may report for every service: 10,000 an hour of each of a hundred nodes, the rest is refused. From others it is a log line.
//!
//! What belongs to a transaction of ours that was not kept (see [`Keeping`](crate::Keeping)) is left out,
//! but for failures, slow spans and error lines; such an answer is a success still, since nothing went wrong.
//! The [`Ledger`](crate::Ledger) counts it. A transaction of which something comes first is kept, up to the same
//! number a second.
//!
//! Which received spans are listed as transactions: one without a parent, and one of kind `SERVER` or
//! `CONSUMER` with a parent. Of one trace, listings take our own transaction if there is one, else the
//! spans without a parent, else the others; so an application without the gateway in front is found,
//! and one behind it is not listed twice. The choice is made when reading, since spans may come in any
//! order. Of a trace whose spans arrived in different hours both may be listed.

mod access;
mod convert;
mod decode;
mod follow;
mod grpc;
mod parameters;
mod points;
mod quota;
mod series;
mod signal;
pub(crate) mod status;
pub(crate) mod timeline;
mod traces;
pub(crate) mod values;
mod view;
pub(crate) mod wire;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use iap_core::{Body, BoxError, Clock, Kind, SystemClock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service;

use self::access::Sender;
use self::decode::Decoded;
use self::follow::Follow;
use self::quota::{Gate, Quotas};
use self::series::SeriesLimits;
use self::signal::Signal;
use self::status::{Encoding, Refusal};
use self::timeline::Events;
use crate::bursts::Bursts;
use crate::error::{HistoryError, HistoryErrorKind};
use crate::history::{BoxFuture, History};
use crate::ledger::{Account, OnTheWay, ReceivedBooks};
use crate::marks::Marks;
use crate::record::count;

pub use self::access::OtlpToken;
pub use self::parameters::SqlParameters;
pub use self::quota::OtlpQuota;

/// Bytes of a body, before and after inflating.
const MAX_BYTES: usize = 64 << 20;
/// Bytes of all bodies that are held at the same time.
const MAX_PENDING_BYTES: usize = 2 * MAX_BYTES;
/// Bodies that are decoded at the same time, since that multiplies what one takes; the others wait.
const DECODERS: usize = 2;
/// What bodies are accounted in.
const UNIT: usize = 1_024;
/// Series of metrics that are taken of one service, and of all, unless changed.
const MAX_SERIES_OF_SERVICE: usize = 10_000;
const MAX_SERIES: usize = 100_000;
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The receiver as a service: mount it on a listener that only your applications reach. See the
/// [module page](self) for its answers.
#[derive(Clone)]
pub struct OtlpService {
    history: Arc<dyn History>,
    clock: Arc<dyn Clock>,
    /// Room for bodies, in `UNIT`s.
    room: Arc<Semaphore>,
    decoders: Arc<Semaphore>,
    max_bytes: usize,
    follow: Option<Follow>,
    series: Arc<SeriesLimits>,
    tokens: Arc<[OtlpToken]>,
    quotas: Arc<Quotas>,
    events: Arc<Events>,
    books: Arc<ReceivedBooks>,
    bursts: Option<Arc<Bursts>>,
    parameters: SqlParameters,
}

impl OtlpService {
    /// A receiver that writes to a history; 64 MiB a request, 128 MiB for all at the same time.
    pub fn new(history: Arc<dyn History>) -> Self {
        Self {
            history,
            clock: Arc::new(SystemClock),
            room: Arc::new(Semaphore::new(MAX_PENDING_BYTES / UNIT)),
            decoders: Arc::new(Semaphore::new(DECODERS)),
            max_bytes: MAX_BYTES,
            follow: None,
            series: Arc::new(SeriesLimits::new(MAX_SERIES_OF_SERVICE, MAX_SERIES)),
            tokens: Arc::default(),
            quotas: Arc::default(),
            events: Arc::default(),
            books: Arc::default(),
            bursts: None,
            parameters: SqlParameters::default(),
        }
    }

    /// Heeds what was decided about transactions of this process.
    pub(crate) fn following(mut self, marks: Arc<Marks>, slow: Duration) -> Self {
        self.follow = Some(Follow::new(marks, slow));
        self
    }

    /// Counts warnings and errors among the lines.
    pub(crate) fn counting(mut self, bursts: Arc<Bursts>) -> Self {
        self.bursts = Some(bursts);
        self
    }

    /// Changes the limit of a request's bytes, before and after inflating.
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Changes how many bytes of bodies are held at the same time; what goes beyond is answered with 503
    /// or `UNAVAILABLE`.
    #[must_use]
    pub fn max_pending_bytes(mut self, bytes: usize) -> Self {
        self.room = Arc::new(Semaphore::new(bytes / UNIT));
        self
    }

    /// Changes how many series of metrics are taken of one service, and of all together; by default 10,000
    /// and 100,000. A series that was not reported for an hour does not count. Points of others are refused.
    #[must_use]
    pub fn max_series(mut self, of_one_service: usize, of_all: usize) -> Self {
        self.series = Arc::new(SeriesLimits::new(of_one_service, of_all));
        self
    }

    /// Takes only what comes with one of these tokens, each for its own services; by default anybody may send.
    #[must_use]
    pub fn tokens(mut self, tokens: impl IntoIterator<Item = OtlpToken>) -> Self {
        self.tokens = tokens.into_iter().collect();
        self
    }

    /// Changes how many records are taken of each service; by default there is no limit. Of a request that is partly
    /// over it the rest is kept; one that is so as a whole is answered with 429 or `RESOURCE_EXHAUSTED`.
    #[must_use]
    pub fn quota(mut self, quota: OtlpQuota) -> Self {
        self.quotas = Arc::new(Quotas::new(quota));
        self
    }

    /// Changes what is kept of the values that statements were given; by default nothing.
    #[must_use]
    pub fn sql_parameters(mut self, parameters: SqlParameters) -> Self {
        self.parameters = parameters;
        self
    }

    /// What became of all that was received: spans, log records and points.
    pub(crate) fn accounts(&self) -> [Account; 3] {
        [&self.books.spans, &self.books.logs, &self.books.points].map(|book| book.read(0))
    }

    async fn answer(self, request: Request<Body>) -> Response<Body> {
        // Without HTTP/2 there is no way to end a call.
        if grpc::is_call(&request) && request.version() == Version::HTTP_2 {
            return self.answer_call(request).await;
        }
        let encoding = Encoding::of(request.headers());
        match self.take(request, encoding).await {
            Ok((signal, decoded)) => {
                status::success(encoding.unwrap_or(Encoding::Json), signal, decoded.rejected, decoded.reason)
            }
            Err(refusal) => {
                metrics::counter!("iap_apm_otlp_rejected_total", "what" => "request").increment(1);
                refusal.into_response(encoding.unwrap_or(Encoding::Json))
            }
        }
    }

    async fn take(
        &self,
        request: Request<Body>,
        encoding: Option<Encoding>,
    ) -> Result<(Signal, Decoded), Refusal> {
        if grpc::is_call(&request) {
            return Err(Refusal::new(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "gRPC needs HTTP/2"));
        }
        let sender = access::sender(&self.tokens, request.headers())?;
        let signal = match request.uri().path() {
            "/v1/traces" => Signal::Traces,
            "/v1/logs" => Signal::Logs,
            "/v1/metrics" => Signal::Metrics,
            _ => return Err(Refusal::new(StatusCode::NOT_FOUND, "no such signal")),
        };
        if request.method() != Method::POST {
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "OTLP is sent by POST"));
        }
        let unknown_type = "the content type must be application/x-protobuf or application/json";
        let encoding = encoding.ok_or(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, unknown_type))?;
        let gzip = is_gzip(request.headers())?;
        let (body, _room) = self.read_in_time(request.into_body(), self.max_bytes, |_| Ok(())).await?;
        Ok((signal, self.keep(signal, (encoding, gzip), body, sender).await?))
    }

    /// Decodes a body and writes what is in it to the history.
    async fn keep(
        &self,
        signal: Signal,
        (encoding, gzip): (Encoding, bool),
        body: Bytes,
        sender: Sender,
    ) -> Result<Decoded, Refusal> {
        let broke_off = "the request could not be worked on";
        let decoder = self.decoders.clone().acquire_owned().await;
        let decoder = decoder.map_err(|_| Refusal::overloaded(broke_off))?;
        let (max_bytes, now_us) = (self.max_bytes, self.clock.now_ms() * 1_000);
        // Decoding megabytes would hold up the other tasks of this thread.
        let series = self.series.clone();
        let trusted = sender.may_report_all();
        let gate = Gate::new(signal, sender, self.quotas.clone(), self.parameters, now_us);
        let work = move || {
            let _decoder = decoder;
            let bytes = decode::inflated(gzip, &body, max_bytes)?;
            decode::decode(signal, encoding, &bytes, &series, gate, now_us)
        };
        let worked = tokio::task::spawn_blocking(work).await;
        let mut decoded = worked.map_err(|_| Refusal::overloaded(broke_off))??;
        self.quotas.count(signal, decoded.gate.over());
        let admitted = self.events.settle(&mut decoded, trusted, now_us);
        let book = signal.book(&self.books);
        let taken = signal.records(&decoded.batch);
        count(&book.made, taken + decoded.rejected);
        count(&book.dropped, decoded.rejected);
        if decoded.is_over_quota() {
            return Err(Refusal::over_quota());
        }
        if let Some(follow) = &self.follow {
            follow.leave_out(&mut decoded.batch);
        }
        let kept = signal.records(&decoded.batch);
        count(&book.sampled_out, taken - kept);
        let on_the_way = OnTheWay::new(book, kept);
        let batch = Arc::new(std::mem::take(&mut decoded.batch));
        // What was refused may come again.
        self.history.append(batch.clone()).await.map_err(refused)?;
        on_the_way.kept();
        admitted.kept();
        if let Some(bursts) = &self.bursts {
            batch.logs.iter().for_each(|line| bursts.count(&line.service, line.level));
        }
        decoded.gate.kept();
        if decoded.rejected > 0 {
            let what = signal.record();
            metrics::counter!("iap_apm_otlp_rejected_total", "what" => what).increment(decoded.rejected);
        }
        Ok(decoded)
    }

    async fn read_in_time(
        &self,
        body: Body,
        max_bytes: usize,
        fits: impl Fn(&[u8]) -> Result<(), Refusal>,
    ) -> Result<(Bytes, OwnedSemaphorePermit), Refusal> {
        let read = tokio::time::timeout(READ_TIMEOUT, self.read(body, max_bytes, fits)).await;
        read.unwrap_or_else(|_| Err(too_slow()))
    }

    /// The body, with the room that it takes. A slow sender holds no more than it has sent. Ends early when
    /// what has come so far does not fit.
    async fn read(
        &self,
        mut body: Body,
        max_bytes: usize,
        fits: impl Fn(&[u8]) -> Result<(), Refusal>,
    ) -> Result<(Bytes, OwnedSemaphorePermit), Refusal> {
        if body.size_hint().lower() > max_bytes as u64 {
            return Err(Refusal::too_large());
        }
        let full = || Refusal::overloaded("too many requests at once");
        let mut room = self.room.clone().try_acquire_owned().map_err(|_| full())?;
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|error| broken_off(&error))?.into_data() else { continue };
            if bytes.len() + data.len() > max_bytes {
                return Err(Refusal::too_large());
            }
            bytes.extend_from_slice(&data);
            fits(&bytes)?;
            let missing = bytes.len().div_ceil(UNIT).saturating_sub(room.num_permits());
            let more = self.room.clone().try_acquire_many_owned(missing as u32).map_err(|_| full())?;
            room.merge(more);
        }
        Ok((bytes.freeze(), room))
    }
}

impl Service<Request<Body>> for OtlpService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.answer(request).await) })
    }
}

impl fmt::Debug for OtlpService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpService").field("max_bytes", &self.max_bytes).finish_non_exhaustive()
    }
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Refusal> {
    match headers.get(header::CONTENT_ENCODING).map(|value| value.as_bytes().trim_ascii()) {
        None | Some(b"" | b"identity") => Ok(false),
        Some(name) if name.eq_ignore_ascii_case(b"gzip") => Ok(true),
        Some(_) => {
            Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the content encoding must be gzip or none"))
        }
    }
}

fn too_slow() -> Refusal {
    Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")
}

/// Why a body has ended early: the server in front of us has limits as well.
fn broken_off(error: &BoxError) -> Refusal {
    match error.downcast_ref::<iap_core::Error>().map(iap_core::Error::kind) {
        Some(Kind::TooLarge) => Refusal::too_large(),
        Some(Kind::Timeout) => too_slow(),
        _ => Refusal::new(StatusCode::BAD_REQUEST, "the body broke off"),
    }
}

fn refused(error: HistoryError) -> Refusal {
    tracing::warn!(%error, "received telemetry was refused");
    match error.kind() {
        HistoryErrorKind::Full => Refusal::overloaded("there is no room left"),
        _ => Refusal::overloaded("the history cannot keep it at the moment"),
    }
}

#[cfg(test)]
mod tests;
