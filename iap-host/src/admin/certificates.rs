//! Certificates that clients are shown, and when they end.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::response::Json;
use iap_apm::MetricKind;
use iap_apm::runtime::Reading;
use iap_core::server::{CertificateFacts, TlsConfig};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::AdminState;

/// What the gateway's listener for TLS shows, and the files that it came from.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) tls: TlsConfig,
    pub(crate) files: Vec<PathBuf>,
}

/// A certificate in use.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Certificate {
    /// The names and addresses that it is for.
    names: Vec<String>,
    subject: String,
    issuer: String,
    serial: String,
    /// SHA-256, hexadecimal.
    fingerprint: String,
    not_before_ms: i64,
    not_after_ms: i64,
    /// When the first certificate of its chain ends: from then on clients refuse it.
    expires_ms: i64,
    /// Until then; negative when it is over.
    left_s: i64,
    /// The file with its chain.
    file: Option<PathBuf>,
    /// Whether it is the one for clients that ask for no name, or for an unknown one.
    default: bool,
}

pub(super) async fn list(State(state): State<AdminState>) -> Json<Value> {
    let shown = state.0.certificates.load_full();
    let now = SystemTime::now();
    let rows: Vec<Certificate> = shown.iter().flat_map(|shown| rows(shown, now)).collect();
    Json(json!({ "tls": shown.is_some(), "certificates": rows }))
}

fn rows(shown: &Shown, now: SystemTime) -> Vec<Certificate> {
    let facts = shown.tls.certificates();
    // One that cannot be read is left out: then nobody knows which file the others are from.
    let known = facts.len() == shown.files.len();
    let file = |at: usize| shown.files.get(at).filter(|_| known).cloned();
    facts.into_iter().enumerate().map(|(at, facts)| row(facts, file(at), at == 0, now)).collect()
}

fn row(facts: CertificateFacts, file: Option<PathBuf>, default: bool, now: SystemTime) -> Certificate {
    let (expires_ms, now_ms) = (unix_ms(facts.expires), unix_ms(now));
    Certificate {
        not_before_ms: unix_ms(facts.not_before),
        not_after_ms: unix_ms(facts.not_after),
        expires_ms,
        left_s: (expires_ms - now_ms) / 1_000,
        names: facts.names,
        subject: facts.subject,
        issuer: facts.issuer,
        serial: facts.serial,
        fingerprint: facts.fingerprint,
        file,
        default,
    }
}

/// How long each is good for, in seconds, for the samples of the runtime: alerts can be about it.
pub(super) fn readings(shown: Option<&Shown>) -> Vec<Reading> {
    let rows = shown.map(|shown| rows(shown, SystemTime::now())).unwrap_or_default();
    // A file keeps its name when the certificate in it gets another one.
    let reading = |row: Certificate| {
        let file = row.file?.display().to_string();
        Some(Reading {
            name: "tls.certificate.left",
            kind: MetricKind::Gauge,
            unit: "s",
            labels: [("file".to_owned(), file)].into(),
            value: row.left_s as f64,
        })
    };
    rows.into_iter().filter_map(reading).collect()
}

/// Negative before 1970.
fn unix_ms(time: SystemTime) -> i64 {
    let ms = |apart: std::time::Duration| i64::try_from(apart.as_millis()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => ms(after),
        Err(before) => -ms(before.duration()),
    }
}
