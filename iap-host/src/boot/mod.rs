//! From a checked configuration to a running platform, in the order in which things depend on
//! each other. A failure names the setting, and what was started before it is stopped again.

mod gateway;
mod routes;
mod secret;
mod sessions;
mod upstreams;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use iap_apm::{Apm, SqliteHistory, SqliteOptions};
use iap_core::server::{RunningServer, StartError};
use iap_core::{BoxError, Route, RouteTable, Server, Target};
use tokio::runtime::Handle;

use self::gateway::start_gateway;
use self::routes::build_routes;
use self::sessions::start_sessions;
use self::upstreams::Upstreams;
use crate::admin::{self, AdminState, Facts};
use crate::config::{ApmConfig, Config, Environment};

/// Why the platform did not start: which setting, what, and how to mend it.
#[derive(Debug)]
pub(crate) struct BootError {
    setting: &'static str,
    source: BoxError,
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, chain(&*self.source))
    }
}

/// The whole chain of causes: the first one alone often says only that something failed.
fn chain(error: &dyn std::error::Error) -> String {
    let mut shown = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Some errors repeat their cause in their own text.
        if !shown.contains(&text) {
            shown = format!("{shown}: {text}");
        }
        cause = error.source();
    }
    shown
}

impl std::error::Error for BootError {}

fn failed<E: Into<BoxError>>(setting: &'static str) -> impl FnOnce(E) -> BootError {
    move |error| BootError { setting, source: error.into() }
}

/// Everything that runs.
pub(crate) struct Platform {
    pub(crate) gateway: RunningServer,
    /// Inner listeners: admin, session API, OTLP.
    pub(crate) inner: Vec<RunningServer>,
    pub(crate) addresses: Addresses,
    pub(crate) apm: Option<Apm>,
    pub(crate) readiness: admin::Readiness,
}

/// Where the platform listens; ports of 0 are resolved.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(crate) struct Addresses {
    pub(crate) http: SocketAddr,
    pub(crate) https: Option<SocketAddr>,
    pub(crate) admin: SocketAddr,
    pub(crate) session_api: Option<SocketAddr>,
    pub(crate) otlp: Option<SocketAddr>,
}

/// The history is opened before the log is set up, so that the log can flow into it.
///
/// A history in memory is one in a temporary directory. That goes when the caller drops
/// `temporary`: the log's bridge keeps the APM itself until the process ends.
pub(crate) fn open_apm(
    config: &ApmConfig,
    temporary: &mut Option<tempfile::TempDir>,
) -> Result<Option<Apm>, BootError> {
    if !config.enabled {
        return Ok(None);
    }
    iap_apm::metrics::install().map_err(failed("apm"))?;
    let options =
        SqliteOptions { max_age: config.max_age.0, max_bytes: config.max_size.0, ..SqliteOptions::default() };
    let history = match &config.history {
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
    Apm::builder().history(history).service_name("gateway").build().map(Some).map_err(failed("apm"))
}

/// Starts everything. Listeners come last: nobody connects to a half-started platform.
pub(crate) async fn boot(
    config: &Config,
    environment: &Environment,
    apm: Option<Apm>,
    runtime: Handle,
) -> Result<Platform, BootError> {
    let sessions = match config.sessions.enabled {
        true => Some(start_sessions(&config.sessions, environment, &runtime).await?),
        false => None,
    };
    let otlp = match &apm {
        Some(apm) => {
            Some(serve_inner(config.apm.otlp, "otlp", apm.otlp(), &runtime).map_err(failed("apm.otlp"))?)
        }
        None => None,
    };
    let upstreams = Upstreams::start(config, &runtime)?;
    let routes = build_routes(&config.routes, &upstreams).await?;
    let layer = sessions.as_ref().map(|parts| parts.layer.clone());
    let gateway = start_gateway(config, routes, layer, apm.as_ref(), &runtime)?;

    let mut addresses = Addresses {
        http: gateway.addresses()[0],
        https: gateway.addresses().get(1).copied(),
        admin: config.admin.listen,
        session_api: sessions.as_ref().map(|parts| parts.api.addresses()[0]),
        otlp: otlp.as_ref().map(|server| server.addresses()[0]),
    };
    let readiness = admin::Readiness::default();
    let (facade, api) = sessions.map(|parts| (parts.facade, parts.api)).unzip();
    let state = AdminState::new(apm.clone(), facade, readiness.clone(), config.admin.hosts.clone());
    let admin = serve_inner(config.admin.listen, "admin", admin::router(state.clone()), &runtime)
        .map_err(failed("admin.listen"))?;
    addresses.admin = admin.addresses()[0];
    state.publish(Facts::new(config, addresses));
    readiness.set(true);
    let inner = [Some(admin), api, otlp].into_iter().flatten().collect();
    Ok(Platform { gateway, inner, addresses, apm, readiness })
}

/// A listener for one service of ours, on one worker.
fn serve_inner<S, B>(
    address: SocketAddr,
    name: &str,
    service: S,
    runtime: &Handle,
) -> Result<RunningServer, StartError>
where
    S: tower::Service<http::Request<iap_core::Body>, Response = http::Response<B>>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let routes = RouteTable::new([Route::new(name, "/", Target::service(name, service))])
        .expect("one route contradicts nothing");
    Server::builder().listen(address).workers(1).routes(routes).application(runtime.clone()).start()
}

impl Platform {
    /// Stops in order: readiness turns first, then the gateway drains, then what it needs goes.
    pub(crate) async fn shutdown(self, delay: Duration, deadline: Duration) -> usize {
        self.readiness.set(false);
        tokio::time::sleep(delay).await;
        let left = self.gateway.shutdown(deadline).await;
        for server in self.inner {
            server.shutdown(Duration::from_millis(200)).await;
        }
        if let Some(apm) = &self.apm
            && let Err(error) = apm.shutdown().await
        {
            tracing::warn!(%error, "the history could not be closed cleanly");
        }
        left
    }
}
