//! From a checked configuration to a running platform, in the order in which things depend on
//! each other. A failure names the setting, and what was started before it is stopped again.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use iap_apm::{Apm, SqliteHistory, SqliteOptions};
use iap_core::pipeline::Limits;
use iap_core::server::{RunningServer, StartError, Timeouts, TlsConfig};
use iap_core::upstream::UpstreamSettings;
use iap_core::{BoxError, Route, RouteTable, Server, Target, Upstream};
use iap_session::{
    CookieConfig, Expiry, LoginPolicy, MemoryConfig, MemoryStore, Mode, RedisStore, SecureCookie, SessionApi,
    SessionConfig, SessionIds, SessionLayer, SessionPolicy, SessionStore, Sessions, TokenRegistry, WhenFull,
};
use tokio::runtime::Handle;

use crate::admin::{self, AdminState, Facts};
use crate::config::{
    ApmConfig, Builtin, Config, Environment, OnLimit, RedisConfig, RouteConfig, SecretRef, Secure,
    SessionMode, SessionsConfig, StoreKind,
};
use crate::demo::shop;

/// How many requests may hold a session token at once.
const MAX_TOKENS: usize = 100_000;

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

/// The sessions of a platform.
struct SessionParts {
    layer: SessionLayer,
    facade: Sessions,
    api: RunningServer,
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
    let routes = build_routes(&config.routes).await?;
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

fn start_gateway(
    config: &Config,
    routes: RouteTable,
    sessions: Option<SessionLayer>,
    apm: Option<&Apm>,
    runtime: &Handle,
) -> Result<RunningServer, BootError> {
    let server = &config.server;
    let limits = Limits { request_body: server.max_body.0, request_body_idle: server.timeouts.body.0 };
    let (head, write) = (server.timeouts.head.0, server.timeouts.write.0);
    let timeouts = Timeouts { first_byte: head, head, write, ..Timeouts::default() };
    let mut builder = Server::builder()
        .listen(server.listen)
        .routes(routes)
        .limits(limits)
        .timeouts(timeouts)
        .max_connections(server.max_connections)
        .application(runtime.clone());
    if let Some(workers) = server.workers {
        builder = builder.workers(workers);
    }
    if let Some(tls) = &server.tls {
        let (certificate, key) = (&tls.certificate, &tls.key);
        let config = TlsConfig::from_pem_files(certificate, key).map_err(|error| {
            failed("server.tls")(format!("{} with {}: {error}", certificate.display(), key.display()))
        })?;
        builder = builder.listen_tls(tls.listen, config);
    }
    // Four servers, each compiled for what it does: what is off costs nothing.
    let started = match (apm, sessions) {
        (None, None) => builder.start(),
        (None, Some(layer)) => builder.layer(layer).start(),
        (Some(apm), None) => builder.hooks(apm.hooks()).start(),
        (Some(apm), Some(layer)) => builder.hooks(apm.hooks()).layer(layer).start(),
    };
    let tls = server.tls.as_ref().map(|tls| tls.listen);
    started.map_err(|error| match error {
        StartError::Busy(address) | StartError::Bind { address, .. } if Some(address) == tls => {
            failed("server.tls.listen")(error)
        }
        error => failed("server.listen")(error),
    })
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

async fn start_sessions(
    config: &SessionsConfig,
    environment: &Environment,
    runtime: &Handle,
) -> Result<SessionParts, BootError> {
    iap_session::describe_metrics();
    let ids = match &config.secret {
        Some(reference) => {
            let secret = read_secret(reference, environment).map_err(failed("sessions.secret"))?;
            SessionIds::new(secret.as_bytes()).map_err(failed("sessions.secret"))?
        }
        None => SessionIds::ephemeral(),
    };
    let store: Arc<dyn SessionStore> = match (config.store, &config.redis) {
        (StoreKind::Redis, Some(redis)) => Arc::new(connect_redis(redis, ids, environment).await?),
        _ => {
            let limits = MemoryConfig {
                max_sessions: config.max_count,
                max_bytes: config.max_memory.0 as usize,
                ..MemoryConfig::default()
            };
            Arc::new(MemoryStore::with_config(ids, limits))
        }
    };
    let registry = TokenRegistry::new(MAX_TOKENS);
    let api = serve_inner(config.api, "session-api", SessionApi::new(registry.clone()), runtime)
        .map_err(failed("sessions.api"))?;
    let url = format!("http://{}", api.addresses()[0]);
    let layer = SessionLayer::with_config(store.clone(), session_config(config))
        .and_then(|layer| layer.with_forwarding(registry, &url))
        .map_err(failed("sessions"))?;
    Ok(SessionParts { layer, facade: Sessions::new(store), api })
}

fn session_config(config: &SessionsConfig) -> SessionConfig {
    SessionConfig {
        expiry: Expiry { idle: config.idle.0, absolute: config.absolute.0 },
        login: LoginPolicy {
            max: config.login.max_per_user,
            when_full: match config.login.on_limit {
                OnLimit::EvictOldest => WhenFull::EvictOldest,
                OnLimit::RefuseNew => WhenFull::RefuseNew,
            },
        },
        cookie: CookieConfig {
            secure_name: format!("__Host-{}", config.cookie.name),
            plain_name: config.cookie.name.clone(),
            secure: match config.cookie.secure {
                Secure::Auto => SecureCookie::Auto,
                Secure::Always => SecureCookie::Always,
                Secure::Never => SecureCookie::Never,
            },
        },
        ..SessionConfig::default()
    }
}

async fn connect_redis(
    config: &RedisConfig,
    ids: SessionIds,
    environment: &Environment,
) -> Result<RedisStore, BootError> {
    let mut url = config.url.clone();
    if let Some(reference) = &config.password {
        let password = read_secret(reference, environment).map_err(failed("sessions.redis.password"))?;
        let user = config.username.as_deref().unwrap_or_default();
        let login = format!("://{}:{}@", percent_encode(user), percent_encode(&password));
        url = url.replacen("://", &login, 1);
    }
    let attempt = RedisStore::connect(ids, iap_session::RedisConfig::new(url));
    attempt.await.map_err(failed("sessions.redis"))
}

fn percent_encode(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let encode = |byte: u8| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encode).collect()
}

/// Reads a secret where its reference leads. Errors name the place, never the value.
fn read_secret(reference: &SecretRef, environment: &Environment) -> Result<String, String> {
    let value = match reference {
        SecretRef::Env(name) => environment
            .get(name)
            .cloned()
            .ok_or_else(|| format!("the environment variable `{name}` is not set"))?,
        SecretRef::File(path) => read_secret_file(path)?,
    };
    if value.is_empty() { Err("the secret is empty".to_owned()) } else { Ok(value) }
}

fn read_secret_file(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

async fn build_routes(configs: &[RouteConfig]) -> Result<RouteTable, BootError> {
    let mut routes = Vec::with_capacity(configs.len());
    // Several routes may lead to the one shop.
    let mut shop = None;
    for config in configs {
        let target = build_target(config, &mut shop).await?;
        let sessions = config.session.unwrap_or(match target {
            Target::Service(_) | Target::Upstream(_) => SessionMode::On,
            _ => SessionMode::Off,
        });
        let policy = SessionPolicy {
            mode: if sessions == SessionMode::On { Mode::On } else { Mode::Off },
            forward: matches!(target, Target::Upstream(_)),
            ..SessionPolicy::default()
        };
        let route = Route::new(config.name.as_str(), config.path.as_str(), target).with_policy(policy);
        routes.push(match &config.host {
            Some(host) => route.host(host),
            None => route,
        });
    }
    RouteTable::new(routes).map_err(failed("routes"))
}

async fn build_target(config: &RouteConfig, shop: &mut Option<Target>) -> Result<Target, BootError> {
    if let Some(upstream) = &config.upstream {
        let settings = UpstreamSettings {
            connect_timeout: upstream.connect_timeout.0,
            response_timeout: upstream.response_timeout.0,
            body_idle: upstream.body_timeout.0,
            ..UpstreamSettings::default()
        };
        let upstream =
            Upstream::new(config.name.as_str(), &upstream.servers, settings).map_err(failed("routes"))?;
        return Ok(Target::Upstream(Arc::new(upstream)));
    }
    if let Some(Builtin::DemoShop) = config.service {
        if shop.is_none() {
            *shop = Some(shop::open().await.map_err(failed("routes: the demo shop"))?);
        }
        return shop.clone().ok_or("it was just opened").map_err(failed("routes: the demo shop"));
    }
    if let Some(root) = &config.files {
        if !root.is_dir() {
            return Err(failed("routes")(format!(
                "route `{}`: {} is not a directory",
                config.name,
                root.display()
            )));
        }
        return Ok(Target::files(root));
    }
    let respond = config.respond.clone().ok_or("a route leads nowhere").map_err(failed("routes"))?;
    let status = http::StatusCode::from_u16(respond.status).map_err(failed("routes"))?;
    Ok(Target::respond(status, respond.body))
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
