//! What an answer means: kept, to be sent again, or never again.
//!
//! Source: OTLP 1.11, "Failures" of both protocols; for answers that are not gRPC at all,
//! <https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::{HeaderMap, StatusCode, header};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;

use super::Signal;
use crate::otlp::status::{RetryInfo, Status};

/// The longest pause that a collector can ask for.
const MAX_PAUSE: Duration = Duration::from_secs(600);

/// gRPC pads some of its base64 and some not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How an attempt has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The collector has it, but for some of the records.
    Kept { rejected: u64, why: String },
    /// It may be sent again, if the collector says so after a pause.
    Again { pause: Option<Duration>, why: String },
    /// It must not be sent again.
    Refused { why: String },
}

/// An answer of OTLP/HTTP.
pub(super) fn http(
    signal: Signal,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
) -> Outcome {
    let why = || format!("the collector answers {status}");
    match status.as_u16() {
        200..=299 => kept(signal, body),
        429 | 502 | 503 | 504 => Outcome::Again { pause: retry_after(headers, now), why: why() },
        _ => Outcome::Refused { why: why() },
    }
}

/// An answer to a remote write, which takes all of a request or nothing: again after a failure of the server, and when it
/// asks for fewer.
pub(super) fn remote_write(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Outcome {
    let why = format!("the answer is {status}");
    match status.as_u16() {
        200..=299 => Outcome::Kept { rejected: 0, why },
        429 | 500..=599 => Outcome::Again { pause: retry_after(headers, now), why },
        _ => Outcome::Refused { why },
    }
}

/// An answer of OTLP/gRPC: `last` is where its status stands, the trailers or the head.
pub(super) fn grpc(signal: Signal, status: StatusCode, last: &HeaderMap, body: &[u8]) -> Outcome {
    let code = last.get("grpc-status").and_then(|code| code.to_str().ok()?.trim().parse::<u32>().ok());
    let Some(code) = code else {
        let why = format!("the collector answers {status} without a status of gRPC");
        return match status.as_u16() {
            429 | 502 | 503 | 504 => Outcome::Again { pause: None, why },
            // The stream ended before its trailers came.
            200 => Outcome::Again { pause: None, why },
            _ => Outcome::Refused { why },
        };
    };
    let why = format!("the collector answers with the status {code} of gRPC");
    let pause = pause(last);
    match code {
        // Without its prefix; an empty message has none where the stream has ended early.
        0 => kept(signal, body.get(5..).unwrap_or_default()),
        // Cancelled, deadline exceeded, aborted, out of range, unavailable, data loss.
        1 | 4 | 10 | 11 | 14 | 15 => Outcome::Again { pause, why },
        // Resource exhausted: only with a word on when.
        8 if pause.is_some() => Outcome::Again { pause, why },
        _ => Outcome::Refused { why },
    }
}

/// An answer that does not say what was refused is taken to have kept all.
fn kept(signal: Signal, body: &[u8]) -> Outcome {
    let (rejected, why) = match signal {
        Signal::RemoteWrite => None,
        Signal::Metrics => ExportMetricsServiceResponse::decode(body)
            .ok()
            .and_then(|answer| answer.partial_success)
            .map(|partial| (partial.rejected_data_points, partial.error_message)),
        Signal::Logs => ExportLogsServiceResponse::decode(body)
            .ok()
            .and_then(|answer| answer.partial_success)
            .map(|partial| (partial.rejected_log_records, partial.error_message)),
        Signal::Traces => ExportTraceServiceResponse::decode(body)
            .ok()
            .and_then(|answer| answer.partial_success)
            .map(|partial| (partial.rejected_spans, partial.error_message)),
    }
    .unwrap_or_default();
    Outcome::Kept { rejected: rejected.max(0) as u64, why }
}

/// RFC 9110 section 10.2.3: seconds or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(pause.min(MAX_PAUSE))
}

/// The pause in the details of a status.
fn pause(headers: &HeaderMap) -> Option<Duration> {
    let bytes = BASE64.decode(headers.get("grpc-status-details-bin")?.as_bytes()).ok()?;
    let details = Status::decode(bytes.as_slice()).ok()?.details;
    let detail = details.into_iter().find(|detail| detail.type_url == RetryInfo::TYPE_URL)?;
    let delay = RetryInfo::decode(detail.value.as_slice()).ok()?.retry_delay.unwrap_or_default();
    let (seconds, nanos) = (u64::try_from(delay.seconds).ok()?, u32::try_from(delay.nanos).ok()?);
    Some(Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into())).min(MAX_PAUSE))
}

/// How long to wait before the next attempt: twice as long each time, and somewhat more or less, so that many
/// senders do not come back together.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    attempts: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(500);
    const LONGEST: Duration = Duration::from_secs(30);

    /// `chance` decides on the jitter: any number.
    pub(super) fn next(&mut self, chance: u64) -> Duration {
        let pause = Self::FIRST.saturating_mul(1 << self.attempts.min(10)).min(Self::LONGEST);
        self.attempts += 1;
        pause.mul_f64(0.5 + (chance % 1_001) as f64 / 1_000.0)
    }

    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }
}
