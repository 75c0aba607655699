//! The OTLP/HTTP receiver: spans and log lines of applications behind the gateway, or without one.
//!
//! Source: OTLP 1.11, <https://opentelemetry.io/docs/specs/otlp/>. `POST /v1/traces` and
//! `POST /v1/logs`, protobuf or JSON by `Content-Type` and answered in the same, `gzip` or plain.
//!
//! | answer | when |
//! |---|---|
//! | 200 | everything was kept, or the request was empty |
//! | 200 with `partial_success` | some records were refused; their exact number is in it |
//! | 400 | the body cannot be decoded |
//! | 408 | the body did not come in time |
//! | 413 | the body is larger than the limit, before or after inflating |
//! | 415 | another content type or encoding |
//! | 501 | `/v1/metrics`: metrics are not taken in yet |
//! | 503 with `Retry-After` | too much at once, or the history is full or failing; nothing was kept |
//!
//! A 200 is sent after the history has committed. Errors carry a `google.rpc.Status`.
//!
//! Which received spans are listed as transactions: one without a parent, and one of kind `SERVER` or
//! `CONSUMER` with a parent. Of one trace, listings take our own transaction if there is one, else the
//! spans without a parent, else the others; so an application without the gateway in front is found,
//! and one behind it is not listed twice. The choice is made when reading, since spans may come in any
//! order. Of a trace whose spans arrived in different hours both may be listed.

mod convert;
mod decode;
mod status;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use iap_core::{Body, Clock, SystemClock};
use tokio::sync::Semaphore;
use tower::Service;

use self::decode::Decoded;
use self::status::{Encoding, Refusal};
use crate::error::{HistoryError, HistoryErrorKind};
use crate::history::{BoxFuture, History};

/// Bytes of a body, before and after inflating.
const MAX_BYTES: usize = 64 << 20;
/// Requests that are worked on at the same time. Decoding multiplies what a body takes.
const MAX_CONCURRENT: usize = 4;
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// What a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    Traces,
    Logs,
}

/// The receiver as a service: mount it on a listener that only your applications reach. See the
/// [module page](self) for its answers.
#[derive(Clone)]
pub struct OtlpService {
    history: Arc<dyn History>,
    clock: Arc<dyn Clock>,
    permits: Arc<Semaphore>,
    max_bytes: usize,
}

impl OtlpService {
    /// A receiver that writes to a history; 64 MiB a request, four at a time.
    pub fn new(history: Arc<dyn History>) -> Self {
        Self {
            history,
            clock: Arc::new(SystemClock),
            permits: Arc::new(Semaphore::new(MAX_CONCURRENT)),
            max_bytes: MAX_BYTES,
        }
    }

    /// Changes the limit of a request's bytes, before and after inflating.
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Changes how many requests are worked on at the same time; further ones are answered with 503.
    #[must_use]
    pub fn max_concurrent(mut self, requests: usize) -> Self {
        self.permits = Arc::new(Semaphore::new(requests));
        self
    }

    async fn answer(self, request: Request<Body>) -> Response<Body> {
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
        let signal = match request.uri().path() {
            "/v1/traces" => Some(Signal::Traces),
            "/v1/logs" => Some(Signal::Logs),
            "/v1/metrics" => None,
            _ => return Err(Refusal::new(StatusCode::NOT_FOUND, "no such signal")),
        };
        if request.method() != Method::POST {
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "OTLP is sent by POST"));
        }
        let unknown_type = "the content type must be application/x-protobuf or application/json";
        let encoding = encoding.ok_or(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, unknown_type))?;
        let Some(signal) = signal else {
            let message = "metrics are not taken in yet; send traces and logs only";
            return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, message));
        };
        let gzip = is_gzip(request.headers())?;
        let Ok(permit) = self.permits.clone().try_acquire_owned() else {
            return Err(Refusal::overloaded("too many requests at once"));
        };
        let body = self.read(request.into_body()).await?;
        let (max_bytes, now_us) = (self.max_bytes, self.clock.now_ms() * 1_000);
        // Decoding megabytes would hold up the other tasks of this thread.
        let work = move || decode::decode(signal, encoding, gzip, &body, max_bytes, now_us);
        let broke_off = |_| Refusal::overloaded("the request could not be worked on");
        let mut decoded = tokio::task::spawn_blocking(work).await.map_err(broke_off)??;
        let batch = Arc::new(std::mem::take(&mut decoded.batch));
        self.history.append(batch).await.map_err(refused)?;
        drop(permit);
        if decoded.rejected > 0 {
            let what = if signal == Signal::Traces { "span" } else { "log" };
            metrics::counter!("iap_apm_otlp_rejected_total", "what" => what).increment(decoded.rejected);
        }
        Ok((signal, decoded))
    }

    async fn read(&self, body: Body) -> Result<Bytes, Refusal> {
        let collected = Limited::new(body, self.max_bytes).collect();
        match tokio::time::timeout(READ_TIMEOUT, collected).await {
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::too_large()),
            Ok(Err(_)) => Err(Refusal::new(StatusCode::BAD_REQUEST, "the body broke off")),
            Err(_) => Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")),
        }
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

fn refused(error: HistoryError) -> Refusal {
    tracing::warn!(%error, "received telemetry was refused");
    match error.kind() {
        HistoryErrorKind::Full => Refusal::overloaded("there is no room left"),
        _ => Refusal::overloaded("the history cannot keep it at the moment"),
    }
}

#[cfg(test)]
mod tests;
