//! Where telemetry is kept.

use std::path::Path;
use std::sync::Arc;

use iap_apm::{ClickHouseHistory, ClickHouseSettings, History, SqliteHistory, SqliteOptions};
use tokio::runtime::Handle;

use super::export::tls;
use super::secret::read_secret;
use super::{BootError, chain, failed};
use crate::config::{ApmConfig, ClickHouseConfig, Environment};

/// Opens what the settings say. A history in memory is one in a temporary directory, which goes when the caller drops
/// `temporary`.
pub(super) fn open_history(
    config: &ApmConfig,
    environment: &Environment,
    node: &str,
    takes_over: bool,
    temporary: &mut Option<tempfile::TempDir>,
    runtime: &Handle,
) -> Result<Arc<dyn History>, BootError> {
    if let Some(clickhouse) = &config.clickhouse {
        if let Some(directory) = &config.history {
            create_private(directory).map_err(failed("apm.history"))?;
        }
        let settings = settings(clickhouse, config, environment, node).map_err(failed("apm.clickhouse"))?;
        let history = ClickHouseHistory::open(settings, runtime)
            .map_err(|error| failed("apm.clickhouse")(chain(&error)))?;
        return Ok(Arc::new(history));
    }
    let options = SqliteOptions {
        max_age: config.max_age.0,
        max_bytes: config.max_size.0,
        rollups: (&config.rollups).into(),
        ..SqliteOptions::default()
    };
    let history = match &config.history {
        // The process before this one owns it until it has drained.
        Some(directory) if takes_over => SqliteHistory::open_when_free(directory, options),
        Some(directory) => SqliteHistory::open(directory, options),
        None => {
            let made = tempfile::Builder::new().prefix("iap-history-").tempdir();
            let directory = temporary.insert(made.map_err(failed("apm.history"))?);
            SqliteHistory::open(directory.path(), options)
        }
    };
    let history = history.map_err(|error| {
        let place = config.history.as_ref().map(|path| format!("{}: ", path.display()));
        failed("apm.history")(format!("{}{}", place.unwrap_or_default(), chain(&error)))
    })?;
    Ok(Arc::new(history))
}

fn settings(
    config: &ClickHouseConfig,
    apm: &ApmConfig,
    environment: &Environment,
    node: &str,
) -> Result<ClickHouseSettings, String> {
    let mut settings = ClickHouseSettings::new(&config.url);
    (settings.database, settings.user) = (config.database.clone(), config.user.clone());
    (settings.timeout, settings.pace) = (config.timeout.0, config.pace.0);
    (settings.node, settings.retention) = (node.to_owned(), config.retention.or(apm.max_age));
    if let Some(reference) = &config.password {
        let password = read_secret(reference, environment).map_err(|error| format!("password: {error}"))?;
        settings.password = Some(password);
    }
    settings.tls = tls("apm.clickhouse", config.tls.as_ref(), &config.url)?;
    Ok(settings)
}

/// Paths and users are in what lies there, so others on the machine must not read it.
fn create_private(directory: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}
