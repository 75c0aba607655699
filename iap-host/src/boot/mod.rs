//! From a checked configuration to a running platform, in the order in which things depend on
//! each other. A failure names the setting, and what was started before it is stopped again.

mod access;
mod actions;
mod adopt;
mod apm;
mod auth;
mod desk;
mod detection;
mod export;
mod gateway;
mod help;
mod history;
mod import;
mod mcp;
mod pressure;
mod processes;
mod reload;
mod routes;
mod secret;
mod session_policy;
mod sessions;
mod upstreams;
mod watch;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use iap_apm::Apm;
use iap_core::pipeline::Limits;
use iap_core::server::{RunningServer, Sockets, StartError};
use iap_core::{BoxError, Route, RouteTable, Server, Target};
use iap_session::Events;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use self::access::make_access;
use self::actions::start_actions;
pub(crate) use self::apm::open_apm;
use self::apm::start_otlp;
use self::desk::start_desk;
use self::detection::start_detection;
pub(crate) use self::export::Exports;
use self::export::start_export;
use self::help::make_help;
pub(crate) use self::import::import;
use self::mcp::make_mcp;
pub(crate) use self::secret::read_secret;

use self::gateway::{Gateway, start_gateway};
use self::processes::Processes;
pub(crate) use self::reload::{changed_sections, fixed};
use self::routes::build_routes;
use self::sessions::{SessionCore, start_sessions};
use self::upstreams::Upstreams;
use self::watch::{Watch, start_watch};
use crate::actions::Actions;
use crate::admin::{self, AdminState, Facts};
use crate::alerts::RunningDesk;
use crate::config::{Config, Environment};
use crate::detection::Detection;
use crate::handover;
use crate::reports::Reports;

/// How long a collector may take for what is left at the end.
const EXPORT_AT_END: Duration = Duration::from_secs(5);

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
    config: Config,
    gateway: Gateway,
    /// Gateways and processes of earlier settings that still finish what they have begun.
    draining: Vec<JoinHandle<usize>>,
    /// Inner listeners: admin, session API, OTLP.
    inner: Vec<RunningServer>,
    sessions: Option<SessionCore>,
    events: Option<Events>,
    /// What the routes' logins were read from.
    auth: auth::Material,
    upstreams: Upstreams,
    processes: Processes,
    /// The demo shop, where a route leads to it.
    shop: Option<Target>,
    admin: AdminState,
    runtime: Handle,
    pub(crate) addresses: Addresses,
    pub(crate) apm: Option<Apm>,
    observers: Observers,
    readiness: admin::Readiness,
    /// Dropped with the rest.
    _watch: Option<Watch>,
}

/// What looks at what was recorded, and tells others of it.
struct Observers {
    exports: Option<Arc<Exports>>,
    desk: Option<RunningDesk>,
    detection: Option<Detection>,
    actions: Option<Actions>,
    reports: Option<Reports>,
}

impl Observers {
    /// Another process watches from now on, or none.
    fn stop(&self) {
        if let Some(detection) = &self.detection {
            detection.stop();
        }
        if let Some(actions) = &self.actions {
            actions.stop();
        }
    }
}

/// Where the platform listens; ports of 0 are resolved.
#[derive(Debug, Clone, Copy, serde::Serialize, schemars::JsonSchema)]
pub(crate) struct Addresses {
    pub(crate) http: SocketAddr,
    pub(crate) https: Option<SocketAddr>,
    pub(crate) admin: SocketAddr,
    pub(crate) session_api: Option<SocketAddr>,
    pub(crate) otlp: Option<SocketAddr>,
}

impl Addresses {
    fn of(
        config: &Config,
        gateway: &Gateway,
        session_api: Option<SocketAddr>,
        otlp: Option<&RunningServer>,
    ) -> Self {
        Self {
            http: gateway.server.addresses()[0],
            https: gateway.server.addresses().get(1).copied(),
            admin: config.admin.listen,
            session_api,
            otlp: otlp.map(|server| server.addresses()[0]),
        }
    }
}

/// Starts everything. Listeners come last: nobody connects to a half-started platform.
pub(crate) async fn boot(
    config: &Config,
    environment: &Environment,
    apm: Option<Apm>,
    mut sockets: Sockets,
    reloads: admin::Reloads,
    runtime: Handle,
) -> Result<Platform, BootError> {
    let sessions = match config.sessions.enabled {
        true => Some(start_sessions(&config.sessions, environment, &mut sockets, &runtime).await?),
        false => None,
    };
    let otlp = apm.as_ref().map(|apm| start_otlp(&config.apm, apm, &mut sockets, &runtime)).transpose()?;
    let admin_sockets = sockets.take(config.admin.listen);
    let upstreams = Upstreams::start(config, None, &runtime)?;
    let processes = Processes::start(config, environment, &Processes::default(), &runtime)?;
    if handover::takes_over() {
        processes.take_over().await?;
    }
    let mut shop = None;
    let before = RouteTable::default();
    let (routes, auth) =
        build_routes(config, &before, environment, &upstreams, &processes, &mut shop).await?;
    let layers =
        sessions.as_ref().map(|parts| parts.core.layers(&config.sessions, environment)).transpose()?;
    let gateway = start_gateway(config, routes, layers, apm.as_ref(), sockets, &runtime)?;

    let api = sessions.as_ref().map(|parts| parts.api.addresses()[0]);
    let mut addresses = Addresses::of(config, &gateway, api, otlp.as_ref());
    let readiness = admin::Readiness::default();
    let core = sessions.as_ref().map(|parts| parts.core.clone());
    let events = sessions.as_ref().and_then(|parts| parts.facade.events().cloned());
    let (facade, api) = sessions.map(|parts| (parts.facade, parts.api)).unzip();
    let audience = core.as_ref().and_then(|core| core.audience.clone());
    let state = AdminState::new(apm.clone(), facade, audience, readiness.clone(), config, reloads);
    state.set_access(make_access(&config.admin, environment, &runtime)?);
    state.set_processes(processes.list());
    state.set_certificates(gateway.shown.clone());
    state.set_upstreams([upstreams.list(), processes.upstreams()].concat());
    state.publish(Facts::new(config, addresses));
    let observers =
        Observers::start(config, environment, apm.as_ref(), core.as_ref(), (&state, &runtime)).await?;
    let admin = start_admin(config, &state, admin_sockets, &runtime)?;
    addresses.admin = admin.addresses()[0];
    // The system may have chosen the port.
    state.publish(Facts::new(config, addresses));
    readiness.set(true);
    Ok(Platform {
        _watch: start_watch(&config.apm.runtime, apm.as_ref(), &state, &gateway, &runtime),
        config: config.clone(),
        gateway,
        draining: Vec::new(),
        inner: [Some(admin), api, otlp].into_iter().flatten().collect(),
        sessions: core,
        events,
        auth,
        upstreams,
        processes,
        shop,
        admin: state,
        runtime,
        addresses,
        apm,
        observers,
        readiness,
    })
}

/// Comes after all that it answers from: nobody is told of a half-started platform.
fn start_admin(
    config: &Config,
    state: &AdminState,
    mut sockets: Sockets,
    runtime: &Handle,
) -> Result<RunningServer, BootError> {
    let service = admin::router(state.clone());
    serve_inner(config.admin.listen, "admin", service, Limits::default(), &mut sockets, runtime)
        .map_err(failed("admin.listen"))
}

impl Observers {
    /// Starts those that the settings want.
    async fn start(
        config: &Config,
        environment: &Environment,
        apm: Option<&Apm>,
        sessions: Option<&SessionCore>,
        (state, runtime): (&AdminState, &Handle),
    ) -> Result<Self, BootError> {
        let node = sessions::node(&config.sessions);
        let exports = start_export(&config.apm, apm, environment, state, (&node, runtime))?;
        let desk = start_desk(config, environment, apm, sessions, (None, runtime))?;
        state.set_desk(desk.as_ref());
        state.set_help(make_help(&config.ops, environment, None, runtime)?);
        let shared = sessions.and_then(|core| core.redis.clone());
        let reports = Reports::start(config, state, shared, runtime);
        let detection = start_detection(&config.apm, apm, state, runtime).await?;
        let actions = start_actions(config, state, runtime);
        state.set_mcp(make_mcp(config, environment, state.assistant(), actions.as_ref())?);
        Ok(Self { exports, desk, detection, actions, reports })
    }
}

/// A listener for one service of ours, on one worker.
fn serve_inner<S, B>(
    address: SocketAddr,
    name: &str,
    service: S,
    limits: Limits,
    sockets: &mut Sockets,
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
    let builder = Server::builder().listen(address).sockets(sockets.take(address)).workers(1);
    builder.routes(routes).limits(limits).application(runtime.clone()).start()
}

impl Platform {
    /// All listening sockets once more, for a process that takes over.
    pub(crate) fn sockets(&self) -> std::io::Result<Sockets> {
        let mut sockets = self.gateway.server.sockets()?;
        for server in &self.inner {
            sockets.extend(server.sockets()?);
        }
        Ok(sockets)
    }

    /// Another process serves now: what this one still knows of sessions in memory is not the truth any more.
    pub(crate) fn has_successor(&mut self) {
        if let Some(sessions) = &mut self.sessions {
            sessions.snapshot = None;
        }
        self.observers.stop();
    }

    /// Drains and stops, as the settings say.
    pub(crate) async fn stop(self) {
        handover::notify_stopping();
        tracing::info!("draining");
        let server = &self.config.server;
        let (delay, deadline) = (server.drain_delay.0, server.drain.0);
        let left = self.shutdown(delay, deadline).await;
        if left > 0 {
            tracing::warn!(connections = left, "closed before they were done");
        }
    }

    /// Stops in order: readiness turns first, then the gateway drains, then what it needs goes.
    async fn shutdown(self, delay: Duration, deadline: Duration) -> usize {
        self.readiness.set(false);
        tokio::time::sleep(delay).await;
        let mut left = self.gateway.shutdown(deadline).await;
        for earlier in self.draining {
            left += earlier.await.unwrap_or_default();
        }
        if let Some(snapshot) = self.sessions.as_ref().and_then(|sessions| sessions.snapshot.as_ref()) {
            snapshot.save();
        }
        if let Some(events) = &self.events {
            events.flush(Duration::from_secs(1)).await;
        }
        self.observers.stop();
        // They may use what is inside until their end.
        self.processes.stop().await;
        if let (Some(exports), Some(apm)) = (&self.observers.exports, &self.apm) {
            // What was recorded last goes along.
            let _ = apm.flush().await;
            exports.stop(EXPORT_AT_END).await;
        }
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
