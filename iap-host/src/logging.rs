//! Our own log on standard error, and the bridge that takes it into the APM.

use std::io::IsTerminal;

use iap_apm::Apm;
use tracing::Subscriber;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{LogConfig, LogFormat};

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// The filter is not valid.
    #[error("log.level: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// There is one already.
    #[error("log: {0}")]
    Taken(#[from] TryInitError),
}

/// Installs the log. Each layer has its own filter: what is shown and what the APM takes in are
/// independent of each other.
pub(crate) fn init(config: &LogConfig, apm: Option<&Apm>) -> Result<(), LogError> {
    let bridge = apm.map(|apm| apm.tracing_layer().filtered());
    registry().with(output(config)?).with(bridge).try_init()?;
    Ok(())
}

/// Runs what comes before [`init`], opening the history that the log will flow into, with its
/// messages shown.
pub(crate) fn early<T>(config: &LogConfig, work: impl FnOnce() -> T) -> Result<T, LogError> {
    Ok(tracing::subscriber::with_default(registry().with(output(config)?), work))
}

fn output<S>(config: &LogConfig) -> Result<impl Layer<S>, LogError>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let filter = EnvFilter::builder().parse(&config.level)?;
    let output = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let output = match config.format {
        LogFormat::Text => output.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => output.json().boxed(),
    };
    Ok(output.with_filter(filter))
}
