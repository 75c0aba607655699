//! Our own log on standard error, and the bridge that takes it into the APM.

use std::io::IsTerminal;
use std::sync::OnceLock;

use iap_apm::Apm;
use tracing::Subscriber;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Registry, registry, reload};

use crate::config::{LogConfig, LogFormat};

/// The filter of the log, to be changed while it runs.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

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
    let (filter, handle) = reload::Layer::new(parse(config)?);
    registry().with(output(config).with_filter(filter)).with(bridge).try_init()?;
    let _ = FILTER.set(handle);
    Ok(())
}

/// Runs what comes before [`init`], opening the history that the log will flow into, with its
/// messages shown.
pub(crate) fn early<T>(config: &LogConfig, work: impl FnOnce() -> T) -> Result<T, LogError> {
    Ok(tracing::subscriber::with_default(registry().with(output(config).with_filter(parse(config)?)), work))
}

/// Reads a filter for the log that runs.
pub(crate) fn parse(config: &LogConfig) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    EnvFilter::builder().parse(&config.level)
}

/// Changes what the log shows from here on.
pub(crate) fn set(filter: EnvFilter) {
    if let Some(handle) = FILTER.get() {
        // An error means that the log has ended, and so has the process.
        let _ = handle.reload(filter);
    }
}

fn output<S>(config: &LogConfig) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let output = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match config.format {
        LogFormat::Text => output.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => output.json().boxed(),
    }
}
