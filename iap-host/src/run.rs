//! The commands.

use std::path::Path;
use std::process::ExitCode;

use iap_core::BoxError;
use tokio::runtime::Runtime;

use crate::admin::Reloads;
use crate::cli::{DemoArgs, ImportArgs, loopback};
use crate::config::{self, Config, Environment, Parsed};
use crate::demo::{self, Load};
use crate::events::Events;
use crate::revisions::Revisions;
use crate::running::Running;
use crate::{boot, handover, import, logging};

/// The variable with the name of an instance.
const INSTANCE: &str = "IAP_INSTANCE";

/// `validate`: reads the one file and nothing else. Without a name each instance of the file is checked.
#[allow(clippy::print_stdout)] // The answer of the command.
pub(crate) fn validate(file: &Path, instance: Option<&str>) -> Result<ExitCode, BoxError> {
    let environment = environment();
    let text = read(file)?;
    let name = file.display();
    let all = match chosen(instance, &environment) {
        Some(instance) => {
            vec![config::parse_as(&name.to_string(), &text, Some(&instance), &environment)?]
        }
        None => config::parse_all(&name.to_string(), &text, &environment)?,
    };
    for Parsed { config, instance } in all {
        let of = instance.map(|one| format!(", instance {}", one.name)).unwrap_or_default();
        println!("{name}{of}: valid, {} route(s)", config.routes.len());
    }
    Ok(ExitCode::SUCCESS)
}

/// `run`: until SIGTERM or Ctrl-C.
pub(crate) fn run(file: &Path, instance: Option<&str>) -> Result<ExitCode, BoxError> {
    let environment = environment();
    let text = read(file)?;
    let instance = chosen(instance, &environment);
    let name = file.display().to_string();
    let config = config::parse_as(&name, &text, instance.as_deref(), &environment)?.config;
    serve(config, Some(text), (&environment, instance.as_deref()), Origin::File(file))
}

/// The instance of a file that is meant: by an argument, or else by IAP_INSTANCE.
fn chosen(argument: Option<&str>, environment: &Environment) -> Option<String> {
    let named = environment.get(INSTANCE).map(String::as_str).filter(|name| !name.is_empty());
    argument.or(named).map(str::to_owned)
}

/// `sessions import`: what another system has.
pub(crate) fn import(args: &ImportArgs) -> Result<ExitCode, BoxError> {
    let environment = environment();
    import::import(&load(&args.config, &environment)?, args, &environment)
}

/// `demo`: the same platform with a shop.
pub(crate) fn demo(args: &DemoArgs) -> Result<ExitCode, BoxError> {
    let [http, admin, session_api, otlp] =
        [args.port, args.admin_port, args.session_port, args.otlp_port].map(loopback);
    let (mut config, mut environment) = (demo::config(http, admin, session_api, otlp), Environment::new());
    if let Some(url) = &args.redis {
        demo::with_redis(&mut config, url, &mut environment)?;
    }
    let result = serve(config, None, (&environment, None), Origin::Demo(args));
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

pub(crate) fn load(file: &Path, environment: &Environment) -> Result<Config, BoxError> {
    let instance = chosen(None, environment);
    let name = file.display().to_string();
    Ok(config::parse_as(&name, &read(file)?, instance.as_deref(), environment)?.config)
}

/// A configuration as it is written.
pub(crate) fn read(file: &Path) -> Result<String, BoxError> {
    let name = file.display();
    let bytes = std::fs::read(file).map_err(|error| format!("{name}: {error}"))?;
    Ok(String::from_utf8(bytes).map_err(|_| format!("{name}: not UTF-8 text: save it as UTF-8"))?)
}

/// Where a configuration has come from.
#[derive(Clone, Copy)]
enum Origin<'a> {
    File(&'a Path),
    Demo(&'a DemoArgs),
}

fn serve(
    config: Config,
    text: Option<String>,
    (environment, instance): (&Environment, Option<&str>),
    origin: Origin<'_>,
) -> Result<ExitCode, BoxError> {
    let sockets = handover::inherited()?;
    // Applications, admin and background work run here; connections have runtimes of their own.
    let runtime = Runtime::new()?;
    let handle = runtime.handle().clone();
    let mut temporary = None;
    let open = || boot::open_apm(&config, environment, handover::takes_over(), &mut temporary, &handle);
    let apm = logging::early(&config.log, open)??;
    logging::init(&config.log, apm.as_ref())?;
    let code = runtime.block_on(async {
        let mut config = config;
        if let Origin::Demo(DemoArgs { faults: true, .. }) = origin {
            demo::with_faults(&mut config).await?;
        }
        let (reloads, requests) = Reloads::new();
        // Before anything else: a signal that comes early must not end the process.
        let events = Events::new(requests)?;
        let platform = boot::boot(&config, environment, apm, sockets, reloads.clone(), handle).await?;
        let text = text.map_or_else(|| demo::text(&config), Ok)?;
        let file = match origin {
            Origin::File(file) => Some(file),
            Origin::Demo(_) => None,
        };
        let revisions = Revisions::start((&config, &text), file, (environment, instance));
        platform.set_revisions(revisions.clone());
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
        handover::notify_ready();
        let running = Running { platform, reloads, revisions, environment };
        match origin {
            Origin::File(_) => running.until_stopped(events).await.stop().await,
            Origin::Demo(args) => run_demo(running, args, events).await,
        }
        tracing::info!("stopped");
        Ok::<_, BoxError>(ExitCode::SUCCESS)
    });
    runtime.shutdown_background();
    code
}

async fn run_demo(running: Running<'_>, args: &DemoArgs, events: Events) {
    let platform = &running.platform;
    let load = (!args.no_load).then(|| Load::start(platform.addresses.http));
    if let Some(apm) = &platform.apm {
        demo::greet(&platform.addresses, apm, !args.no_load).await;
    }
    let platform = running.until_stopped(events).await;
    if let Some(load) = load {
        load.stop();
    }
    platform.stop().await;
}
