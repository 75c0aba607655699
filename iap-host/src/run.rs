//! The commands.

use std::path::Path;
use std::process::ExitCode;

use iap_core::BoxError;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{DemoArgs, loopback};
use crate::config::{self, Config, Environment};
use crate::demo::{self, Load};
use crate::{boot, logging};

/// `validate`: reads the one file and nothing else.
#[allow(clippy::print_stdout)] // The answer of the command.
pub(crate) fn validate(file: &Path) -> Result<ExitCode, BoxError> {
    let config = load(file, &environment())?;
    println!("{}: valid, {} route(s)", file.display(), config.routes.len());
    Ok(ExitCode::SUCCESS)
}

/// `run`: until SIGTERM or Ctrl-C.
pub(crate) fn run(file: &Path) -> Result<ExitCode, BoxError> {
    let environment = environment();
    let config = load(file, &environment)?;
    serve(config, &environment, None)
}

/// `demo`: the same platform with a shop.
pub(crate) fn demo(args: &DemoArgs) -> Result<ExitCode, BoxError> {
    let [http, admin, session_api, otlp] =
        [args.port, args.admin_port, args.session_port, args.otlp_port].map(loopback);
    let config = demo::config(http, admin, session_api, otlp);
    let result = serve(config, &Environment::new(), Some(args));
    result.map_err(|error| match error.to_string() {
        text if text.contains("in use") => {
            format!("{text} (--port, --admin-port, --session-port, --otlp-port)").into()
        }
        _ => error,
    })
}

fn environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn load(file: &Path, environment: &Environment) -> Result<Config, BoxError> {
    let name = file.display().to_string();
    let bytes = std::fs::read(file).map_err(|error| format!("{name}: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{name}: not UTF-8 text: save it as UTF-8"))?;
    Ok(config::parse(&name, &text, environment)?)
}

fn serve(config: Config, environment: &Environment, demo: Option<&DemoArgs>) -> Result<ExitCode, BoxError> {
    let mut temporary = None;
    let apm = logging::early(&config.log, || boot::open_apm(&config.apm, &mut temporary))??;
    logging::init(&config.log, apm.as_ref())?;
    // Applications, admin and background work run here; connections have runtimes of their own.
    let runtime = Runtime::new()?;
    let handle = runtime.handle().clone();
    let code = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let platform = boot::boot(&config, environment, apm, handle).await?;
        let addresses = platform.addresses;
        tracing::info!(
            http = %addresses.http,
            https = addresses.https.map(tracing::field::display),
            admin = %addresses.admin,
            session_api = addresses.session_api.map(tracing::field::display),
            otlp = addresses.otlp.map(tracing::field::display),
            "ready"
        );
        if config.routes.is_empty() {
            tracing::warn!("there are no routes: every request is answered with 404");
        }
        let load = demo.filter(|args| !args.no_load).map(|_| Load::start(addresses.http));
        let greeting = async {
            if let (Some(args), Some(apm)) = (demo, &platform.apm) {
                demo::greet(&addresses, apm, !args.no_load).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = greeting => {}
        }
        tracing::info!("draining");
        if let Some(load) = load {
            load.stop();
        }
        let left = platform.shutdown(config.server.drain_delay.0, config.server.drain.0).await;
        if left > 0 {
            tracing::warn!(connections = left, "closed before they were done");
        }
        tracing::info!("stopped");
        Ok::<_, BoxError>(ExitCode::SUCCESS)
    });
    runtime.shutdown_background();
    code
}
