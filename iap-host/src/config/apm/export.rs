//! Our own telemetry, to others.

use std::collections::BTreeMap;

use iap_apm::ExportProtocol;
use iap_apm::export::{check_endpoint, check_remote_write, is_label};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::units::one_minute;
use crate::config::upstream::UpstreamTlsConfig;
use crate::config::{SecretRef, Span};

/// Our own metrics, spans and log lines, to a collector by OTLP, and metrics to a Prometheus by remote write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportConfig {
    /// A collector.
    #[serde(default)]
    pub(crate) endpoint: Option<String>,
    #[serde(default)]
    pub(crate) protocol: OtlpProtocol,
    /// Fields of each request; their values are secrets.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, SecretRef>,
    /// How often metrics are sent.
    #[serde(default = "one_minute")]
    pub(crate) interval: Span,
    /// How long one attempt may take.
    #[serde(default = "ten_seconds")]
    pub(crate) timeout: Span,
    #[serde(default = "yes")]
    pub(crate) metrics: bool,
    #[serde(default)]
    pub(crate) traces: bool,
    /// Log lines, and events of the time line with them.
    #[serde(default)]
    pub(crate) logs: bool,
    #[serde(default)]
    pub(crate) tls: Option<UpstreamTlsConfig>,
    #[serde(default)]
    pub(crate) remote_write: Option<RemoteWriteConfig>,
}

/// As OpenTelemetry writes them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum OtlpProtocol {
    #[default]
    #[serde(rename = "http/protobuf")]
    Http,
    #[serde(rename = "grpc")]
    Grpc,
}

impl From<OtlpProtocol> for ExportProtocol {
    fn from(protocol: OtlpProtocol) -> Self {
        match protocol {
            OtlpProtocol::Http => Self::Http,
            OtlpProtocol::Grpc => Self::Grpc,
        }
    }
}

impl ExportConfig {
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(remote_write) = &self.remote_write {
            remote_write.check().map_err(|message| format!("remote_write.{message}"))?;
        }
        let Some(endpoint) = &self.endpoint else {
            if self.remote_write.is_none() {
                return Err(
                    "endpoint: write where to, an `endpoint` of OTLP, `remote_write`, or both".to_owned()
                );
            }
            if self.traces || self.logs || self.tls.is_some() || !self.headers.is_empty() {
                let message = "endpoint: traces, logs, tls and headers are of an endpoint, and there is none";
                return Err(message.to_owned());
            }
            return Ok(());
        };
        check_endpoint(endpoint, self.protocol.into()).map_err(|why| format!("endpoint: {why}"))?;
        check_headers(&self.headers)?;
        if self.interval < Span::seconds(1) || self.timeout.0.is_zero() {
            return Err("interval must be at least `1s`, and timeout longer than zero".to_owned());
        }
        if !self.metrics && !self.traces && !self.logs {
            return Err("metrics, traces and logs are all off: remove the endpoint".to_owned());
        }
        check_tls(self.tls.as_ref(), endpoint)
    }
}

/// Metrics to a Prometheus, or whatever takes its remote write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoteWriteConfig {
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) basic_auth: Option<BasicAuthConfig>,
    /// A token.
    #[serde(default)]
    pub(crate) bearer: Option<SecretRef>,
    /// Fields of each request; their values are secrets.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, SecretRef>,
    /// How often metrics are sent.
    #[serde(default = "fifteen_seconds")]
    pub(crate) interval: Span,
    /// How long one attempt may take.
    #[serde(default = "ten_seconds")]
    pub(crate) timeout: Span,
    /// Labels of each series beside `node`.
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) tls: Option<UpstreamTlsConfig>,
}

/// Who we are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BasicAuthConfig {
    pub(crate) user: String,
    pub(crate) password: SecretRef,
}

impl RemoteWriteConfig {
    fn check(&self) -> Result<(), String> {
        check_remote_write(&self.url).map_err(|why| format!("url: {why}"))?;
        check_headers(&self.headers)?;
        let named = self.headers.keys().filter(|name| name.eq_ignore_ascii_case("authorization")).count();
        if named + usize::from(self.basic_auth.is_some()) + usize::from(self.bearer.is_some()) > 1 {
            return Err("bearer: write one of basic_auth, bearer and an authorization header".to_owned());
        }
        if self.basic_auth.as_ref().is_some_and(|basic| basic.user.contains(':')) {
            return Err("basic_auth.user: there is no `:` in the name of a user".to_owned());
        }
        if self.interval < Span::seconds(1) || self.timeout.0.is_zero() {
            return Err("interval must be at least `1s`, and timeout longer than zero".to_owned());
        }
        if let Some(name) = self.labels.keys().find(|name| !is_label(name)) {
            return Err(format!("labels: `{name}` is no name of a label, or reserved"));
        }
        check_tls(self.tls.as_ref(), &self.url)
    }
}

fn check_headers(headers: &BTreeMap<String, SecretRef>) -> Result<(), String> {
    match headers.keys().find(|name| name.parse::<http::HeaderName>().is_err()) {
        Some(name) => Err(format!("headers: `{name}` is no name of a header")),
        None => Ok(()),
    }
}

fn check_tls(tls: Option<&UpstreamTlsConfig>, url: &str) -> Result<(), String> {
    if tls.is_some() && !url.starts_with("https://") {
        return Err("tls is set, but the endpoint is not written with https://".to_owned());
    }
    tls.map_or(Ok(()), UpstreamTlsConfig::check)
}

fn fifteen_seconds() -> Span {
    Span::seconds(15)
}

fn ten_seconds() -> Span {
    Span::seconds(10)
}

fn yes() -> bool {
    true
}
