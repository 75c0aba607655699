//! The APM, its history and its receiver.

use std::sync::Arc;

use iap_apm::{Apm, Keeping, OtlpToken, SqliteHistory, SqliteOptions};
use iap_core::pipeline::Limits;
use iap_core::server::{RunningServer, Sockets};
use tokio::runtime::Handle;

use super::secret::read_secret;
use super::{BootError, chain, failed, serve_inner, sessions};
use crate::config::{ApmConfig, Config, Environment, Rate};

/// The history is opened before the log is set up, so that the log can flow into it.
///
/// A history in memory is one in a temporary directory. That goes when the caller drops
/// `temporary`: the log's bridge keeps the APM itself until the process ends.
pub(crate) fn open_apm(
    whole: &Config,
    environment: &Environment,
    takes_over: bool,
    temporary: &mut Option<tempfile::TempDir>,
) -> Result<Option<Apm>, BootError> {
    let config = &whole.apm;
    if !config.enabled {
        return Ok(None);
    }
    iap_apm::metrics::install().map_err(failed("apm"))?;
    let options = SqliteOptions {
        max_age: config.max_age.0,
        max_bytes: config.max_size.0,
        rollups: (&config.rollups).into(),
        ..SqliteOptions::default()
    };
    let tokens = tokens(config, environment).map_err(failed("apm.otlp_tokens"))?;
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
    let history = Arc::new(history);
    let keeping = match config.keep {
        Rate::PerSecond(number) => Keeping::per_second(number),
        Rate::All => Keeping::all(),
    };
    let builder =
        Apm::builder().history(history).service_name("gateway").node(&*sessions::node(&whole.sessions));
    let mut builder = builder.max_series(config.max_series_per_service, config.max_series);
    builder = builder.otlp_tokens(tokens).otlp_quota((&config.otlp_quota).into());
    if let Some(directory) = &config.history {
        builder = builder.in_flight(directory);
    }
    builder.keeping(keeping.slow(config.slow.0)).build().map(Some).map_err(failed("apm"))
}

/// The secrets that senders show.
fn tokens(config: &ApmConfig, environment: &Environment) -> Result<Vec<OtlpToken>, String> {
    let token = |(at, token): (usize, &crate::config::OtlpTokenConfig)| {
        let secret = read_secret(&token.secret, environment).map_err(|error| format!("[{at}]: {error}"))?;
        Ok(OtlpToken::new(&secret, token.services.iter().cloned()))
    };
    config.otlp_tokens.iter().enumerate().map(token).collect()
}

pub(super) fn start_otlp(
    config: &ApmConfig,
    apm: &Apm,
    sockets: &mut Sockets,
    runtime: &Handle,
) -> Result<RunningServer, BootError> {
    if config.otlp_tokens.is_empty() && !config.otlp.ip().is_loopback() {
        tracing::warn!(address = %config.otlp, "apm.otlp: whoever reaches it may send telemetry: set apm.otlp_tokens");
    }
    // It bounds what it takes itself, and answers as its protocols say.
    let limits = Limits { request_body: u64::MAX, ..Limits::default() };
    serve_inner(config.otlp, "otlp", apm.otlp(), limits, sockets, runtime).map_err(failed("apm.otlp"))
}
