//! Our own metrics and spans to a collector.

use std::sync::Arc;

use iap_apm::{Apm, ExportSettings, Exporter};
use iap_core::upstream::UpstreamTls;
use tokio::runtime::Handle;

use super::secret::read_secret;
use super::{BootError, chain, failed};
use crate::admin::AdminState;
use crate::config::{ApmConfig, Environment, ExportConfig};

/// Starts what the settings say, if they say anything, and makes it visible.
pub(super) fn start_export(
    config: &ApmConfig,
    apm: Option<&Apm>,
    environment: &Environment,
    state: &AdminState,
    runtime: &Handle,
) -> Result<Option<Arc<Exporter>>, BootError> {
    let (Some(apm), Some(export)) = (apm, &config.export) else { return Ok(None) };
    let settings = settings(export, environment).map_err(failed("apm.export"))?;
    let exporter = apm.export(settings, runtime).map_err(|error| failed("apm.export")(chain(&error)))?;
    let exporter = Arc::new(exporter);
    state.set_exporter(Some(exporter.clone()));
    Ok(Some(exporter))
}

fn settings(config: &ExportConfig, environment: &Environment) -> Result<ExportSettings, String> {
    let mut settings = ExportSettings::new(&config.endpoint);
    for (name, reference) in &config.headers {
        let value =
            read_secret(reference, environment).map_err(|error| format!("headers.{name}: {error}"))?;
        let name: http::HeaderName =
            name.parse().map_err(|_| format!("headers.{name}: no name of a header"))?;
        let mut value: http::HeaderValue =
            value.parse().map_err(|_| format!("headers.{name}: the secret is no value of a header"))?;
        value.set_sensitive(true);
        settings.headers.insert(name, value);
    }
    settings.protocol = config.protocol.into();
    (settings.interval, settings.timeout) = (config.interval.0, config.timeout.0);
    (settings.metrics, settings.traces) = (config.metrics, config.traces);
    if config.endpoint.starts_with("https://") {
        let tls = config.tls.clone().unwrap_or_default().settings();
        if tls.insecure_skip_verify {
            tracing::warn!("apm.export.tls.insecure_skip_verify: the collector is not verified");
        }
        settings.tls = Some(UpstreamTls::load(&tls).map_err(|error| format!("tls: {error}"))?);
    }
    Ok(settings)
}
