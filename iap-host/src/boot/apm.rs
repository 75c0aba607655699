//! The APM, its history and its receiver.

use iap_apm::{Apm, Keeping, OtlpToken};
use iap_core::pipeline::Limits;
use iap_core::server::{RunningServer, Sockets};
use tokio::runtime::Handle;

use super::history::open_history;
use super::secret::read_secret;
use super::{BootError, failed, serve_inner, sessions};
use crate::config::{ApmConfig, Config, Environment, Rate};

/// The history is opened before the log is set up, so that the log can flow into it.
///
/// A history in memory is one in a temporary directory. That goes when the caller drops
/// `temporary`: the log's bridge keeps the APM itself until the process ends. What a history in a ClickHouse does runs
/// on `runtime`.
pub(crate) fn open_apm(
    whole: &Config,
    environment: &Environment,
    takes_over: bool,
    temporary: &mut Option<tempfile::TempDir>,
    runtime: &Handle,
) -> Result<Option<Apm>, BootError> {
    let config = &whole.apm;
    if !config.enabled {
        return Ok(None);
    }
    iap_apm::metrics::install().map_err(failed("apm"))?;
    let tokens = tokens(config, environment).map_err(failed("apm.otlp_tokens"))?;
    let node = sessions::node(&whole.sessions);
    let history = open_history(config, environment, &node, takes_over, temporary, runtime)?;
    let keeping = match config.keep {
        Rate::PerSecond(number) => Keeping::per_second(number),
        Rate::All => Keeping::all(),
    };
    let builder = Apm::builder().history(history).service_name("gateway").node(&*node);
    let mut builder = builder.max_series(config.max_series_per_service, config.max_series);
    builder = builder.otlp_tokens(tokens).otlp_quota((&config.otlp_quota).into());
    builder = builder.sql_parameters(config.sql_parameters);
    if let Some(directory) = &config.history {
        builder = builder.in_flight(directory);
    }
    let apm = builder.keeping(keeping.slow(config.slow.0)).build().map_err(failed("apm"))?;
    for what in config.follow.all() {
        // The configuration was checked not to name too many.
        apm.follow(what, None);
    }
    Ok(Some(apm))
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
