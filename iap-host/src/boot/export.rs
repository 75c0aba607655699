//! Our own metrics, spans and log lines to others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use iap_apm::{Apm, ExportSettings, Exporter, RemoteWriteSettings, RemoteWriter};
use iap_core::upstream::UpstreamTls;
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;

use super::secret::read_secret;
use super::{BootError, chain, failed};
use crate::admin::AdminState;
use crate::config::{ApmConfig, Environment, ExportConfig, RemoteWriteConfig, SecretRef, UpstreamTlsConfig};

/// What is sent to others while the process runs.
#[derive(Debug)]
pub(crate) struct Exports {
    otlp: Option<Exporter>,
    remote_write: Option<RemoteWriter>,
}

impl Exports {
    /// What became of all records until now.
    pub(crate) fn ledgers(&self) -> Value {
        let mut ledgers = Map::new();
        if let Some(exporter) = &self.otlp {
            ledgers.insert("metrics".to_owned(), json!(exporter.metrics()));
            ledgers.insert("traces".to_owned(), json!(exporter.traces()));
            ledgers.insert("logs".to_owned(), json!(exporter.logs()));
        }
        if let Some(writer) = &self.remote_write {
            ledgers.insert("remote_write".to_owned(), json!(writer.samples()));
        }
        Value::Object(ledgers)
    }

    /// Sends what waits, and ends.
    pub(super) async fn stop(&self, at_most: Duration) {
        let otlp = async {
            if let Some(exporter) = &self.otlp {
                exporter.stop(at_most).await;
            }
        };
        let remote_write = async {
            if let Some(writer) = &self.remote_write {
                writer.stop(at_most).await;
            }
        };
        tokio::join!(otlp, remote_write);
    }
}

/// Starts what the settings say, if they say anything, and makes it visible.
pub(super) fn start_export(
    config: &ApmConfig,
    apm: Option<&Apm>,
    environment: &Environment,
    state: &AdminState,
    (node, runtime): (&str, &Handle),
) -> Result<Option<Arc<Exports>>, BootError> {
    let (Some(apm), Some(export)) = (apm, &config.export) else { return Ok(None) };
    let otlp = export.endpoint.as_ref().map(|endpoint| {
        let settings = settings(export, endpoint, environment).map_err(failed("apm.export"))?;
        apm.export(settings, runtime).map_err(|error| failed("apm.export")(chain(&error)))
    });
    let remote_write = export.remote_write.as_ref().map(|config| {
        let place = "apm.export.remote_write";
        let settings = remote_write(config, environment, node).map_err(failed(place))?;
        apm.remote_write(settings, runtime).map_err(|error| failed(place)(chain(&error)))
    });
    let exports = Exports { otlp: otlp.transpose()?, remote_write: remote_write.transpose()? };
    let exports = Arc::new(exports);
    state.set_exports(Some(exports.clone()));
    Ok(Some(exports))
}

fn settings(
    config: &ExportConfig,
    endpoint: &str,
    environment: &Environment,
) -> Result<ExportSettings, String> {
    let mut settings = ExportSettings::new(endpoint);
    settings.headers = headers(&config.headers, environment)?;
    settings.protocol = config.protocol.into();
    (settings.interval, settings.timeout) = (config.interval.0, config.timeout.0);
    (settings.metrics, settings.traces, settings.logs) = (config.metrics, config.traces, config.logs);
    settings.tls = tls("apm.export", config.tls.as_ref(), endpoint)?;
    Ok(settings)
}

fn remote_write(
    config: &RemoteWriteConfig,
    environment: &Environment,
    node: &str,
) -> Result<RemoteWriteSettings, String> {
    let mut settings = RemoteWriteSettings::new(&config.url);
    settings.headers = headers(&config.headers, environment)?;
    let secret = |name: &str, reference: &SecretRef| {
        read_secret(reference, environment).map_err(|error| format!("{name}: {error}"))
    };
    let credentials = match (&config.basic_auth, &config.bearer) {
        (Some(basic), _) => {
            let password = secret("basic_auth.password", &basic.password)?;
            Some(format!("Basic {}", STANDARD.encode(format!("{}:{password}", basic.user))))
        }
        (None, Some(token)) => Some(format!("Bearer {}", secret("bearer", token)?)),
        (None, None) => None,
    };
    if let Some(credentials) = credentials {
        let name = if config.bearer.is_some() { "bearer" } else { "basic_auth" };
        settings.headers.insert(header::AUTHORIZATION, value(name, &credentials)?);
    }
    (settings.interval, settings.timeout) = (config.interval.0, config.timeout.0);
    settings.labels = [("node".to_owned(), node.to_owned())].into();
    settings.labels.extend(config.labels.clone());
    settings.tls = tls("apm.export.remote_write", config.tls.as_ref(), &config.url)?;
    Ok(settings)
}

fn headers(config: &BTreeMap<String, SecretRef>, environment: &Environment) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, reference) in config {
        let secret =
            read_secret(reference, environment).map_err(|error| format!("headers.{name}: {error}"))?;
        let known: HeaderName = name.parse().map_err(|_| format!("headers.{name}: no name of a header"))?;
        headers.insert(known, value(&format!("headers.{name}"), &secret)?);
    }
    Ok(headers)
}

/// A secret as the value of a header.
fn value(name: &str, secret: &str) -> Result<HeaderValue, String> {
    let mut value =
        HeaderValue::try_from(secret).map_err(|_| format!("{name}: the secret is no value of a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// How a receiver is verified, when it is reached by TLS.
pub(super) fn tls(
    place: &'static str,
    config: Option<&UpstreamTlsConfig>,
    url: &str,
) -> Result<Option<UpstreamTls>, String> {
    if !url.starts_with("https://") {
        return Ok(None);
    }
    let tls = config.cloned().unwrap_or_default().settings();
    if tls.insecure_skip_verify {
        tracing::warn!(place, "tls.insecure_skip_verify: the other side is not verified");
    }
    UpstreamTls::load(&tls).map(Some).map_err(|error| format!("tls: {error}"))
}
